"""The card as data: rows of protected counts, the rates that follow from them, and the verdicts beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hfkit.card import editions
from hfkit.card.protect import FEW, SHOWN, WITHHELD, Rounding, suppress
from hfkit.card.sheet import (
    ALARMS,
    CAUGHT,
    EVENTS,
    HIDDEN,
    MISSED,
    OTHERS,
    PEOPLE,
    QUIET,
    Sheet,
    change_fact,
    denominator,
    numerator,
    of_model,
)
from hfkit.shared import cohorts, intervals, measures
from hfkit.shared.measures import MODELS, RATES

Row = dict[str, Any]
HEARD = "heard"
_SPLITS = {CAUGHT: (EVENTS, MISSED), ALARMS: (OTHERS, QUIET)}


def judged(evidence: pd.DataFrame, coverage: pd.DataFrame) -> pd.DataFrame:
    """The verdicts that may stand on the card: component, group, measure, verdict.

    The judged changes of rates in main groups (fairness/evidence), and whether a group of raters answered as often as
    its share of the population says (audit/coverage; measure `heard`).
    """
    gates = evidence[evidence["verdict"] != "info"]
    names = [measures.read(m) for m in gates["measure"]]
    gates = gates.assign(measure=[n.measure.name for n in names], form=[n.form for n in names])
    gates = gates[(gates["form"] == "change") & gates["measure"].isin([m.name for m in RATES])]
    groups = coverage[coverage["group"].str.startswith("rater.") & coverage["reference"].notna()]
    parts = [gates, groups.assign(component=cohorts.ALL, measure=HEARD)]
    return pd.concat([part[["component", "group", "measure", "verdict"]] for part in parts], ignore_index=True)


def add_verdicts(sheet: Sheet, verdicts: pd.DataFrame, margin: Mapping[str, float]) -> None:
    """Tells the sheet's attacker every verdict on a change that may be printed; `margin` by measure."""
    rates = {m.name: m for m in RATES}
    for r in verdicts[verdicts["measure"] != HEARD].itertuples():
        row = (str(r.group).partition(".")[0], str(r.component), str(r.group))
        fact = change_fact(row, rates[r.measure], r.verdict, margin[r.measure])
        if fact is not None and all(key in sheet.counts for key in fact.terms):
            sheet.add(fact)


def widening(groups: pd.DataFrame) -> dict[tuple[str, str], float]:
    """By how much do rows of the same people widen a group's intervals? Their design effect, up to the next half.

    From the exact intervals of fairness/groups: squared width over that of independent rows, the largest of a group.
    """
    measured = ["numerator", "denominator", "low", "high"]
    rows = groups.astype(dict.fromkeys(measured, float)).dropna(subset=measured)
    alone = intervals.rate(rows["numerator"].to_numpy(), rows["denominator"].to_numpy())
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = ((rows["high"] - rows["low"]).to_numpy() / (alone.high - alone.low)) ** 2
    effect = np.maximum(1.0, np.ceil(2 * np.nan_to_num(effect, nan=1.0, posinf=1.0) - 0.1) / 2)
    table = rows.assign(effect=effect).groupby(["component", "group"])["effect"].max()
    return {(str(c), str(g)): float(v) for (c, g), v in table.items()}


def rows(
    sheet: Sheet, verdicts: pd.DataFrame, widened: Mapping[tuple[str, str], float], rounding: Rounding, *,
    marks: Mapping[editions.Row, editions.Marks], last: Sequence[Row], date: str,
) -> list[Row]:  # fmt: skip
    """The rows of the card: fresh ones from the protected counts, carried ones as the `last` edition has them."""
    before = {tuple(r["row"]): r for r in last}
    kept = editions.carried({row: r["marks"] for row, r in before.items()}, marks, rounding.below)
    status = suppress(sheet, rounding, carried=kept)
    out = []
    for row, sides in marks.items():
        mine = {key[3]: (status[key], rounding.of(n) if status[key] == SHOWN else None)
                for key, n in sheet.counts.items() if key[:3] == row}  # fmt: skip
        wide = [v for (c, g), v in widened.items() if c == row[1] and (g == row[2] or _everyone_of(row, g))]
        fresh = {
            "row": list(row), "as_of": date, "marks": sides,
            "counts": {name: {"status": s, "n": n} for name, (s, n) in mine.items() if not name.startswith(HIDDEN)},
            "rates": _rates(mine, max(wide, default=1.0), rounding.below),
            "verdicts": {r.measure: r.verdict for r in verdicts.itertuples()
                         if (r.component, r.group) == row[1:] and _judgeable(mine, r.measure)},
        }  # fmt: skip
        out.append(before[row] if row in kept else fresh)
    return out


def _everyone_of(row: editions.Row, group: str) -> bool:
    """Is this row everyone, of the people that a group is one of? Everyone's intervals are as wide as any group's."""
    return row[2] == cohorts.ALL and group.startswith(f"{row[0]}.")


def _printed(mine: Mapping[str, tuple[str, Any]], names: Sequence[str]) -> bool:
    return all(mine.get(name, ("", 0))[0] == SHOWN for name in names)


def _judgeable(mine: Mapping[str, tuple[str, Any]], measure: str) -> bool:
    """May a verdict stand here? Where the cases that it is about are printed."""
    of = {m.name: denominator(m) or (EVENTS, OTHERS) for m in RATES}
    return measure == HEARD or _printed(mine, of[measure])


def _rates(mine: Mapping[str, tuple[str, Any]], wide: float, below: int) -> dict[str, dict[str, float | str]]:
    """The rates that follow from printed counts, as share, low, high; or a bound, where a part is suppressed."""
    out: dict[str, dict[str, float | str]] = {}
    for measure in RATES:
        for model in MODELS:
            terms, whole = numerator(measure, model), denominator(measure)
            if not whole or not set(terms) <= set(mine) or not _printed(mine, whole):
                continue
            n = sum(mine[name][1] for name in whole)
            name = of_model(measure.name, model)
            if all(mine[t][0] == SHOWN for t in terms):
                k = min(max(sum(factor * mine[t][1] for t, factor in terms.items()), 0), n)
                rate = intervals.rate(k / wide, n / wide)
                out[name] = {k: round(float(v), 4) for k, v in zip(("share", "low", "high"), rate[:3], strict=True)}
            elif len(terms) == 1 and len(whole) == 1 and n > below:
                part = next(iter(terms))
                rest = of_model(_SPLITS[part.partition(" (")[0]][1], model)
                if mine[part][0] == FEW and mine[rest][0] != FEW:
                    out[name] = {"bound": "below", "share": round(below / n, 4)}
                elif mine[part][0] == WITHHELD and mine[rest][0] == FEW:
                    out[name] = {"bound": "above", "share": round(1 - below / n, 4)}
    return out


def heard(card: Sequence[Row], coverage: pd.DataFrame) -> pd.DataFrame:
    """Who answered: group, printed count, share of all who answered, share of the population, verdict."""
    printed = {r["row"][2]: r for r in card if r["row"][0] == "heard"}
    total = printed[cohorts.ALL]["counts"][PEOPLE]["n"] if printed else None
    table = coverage[coverage["group"].isin(list(printed))].reset_index(drop=True)
    count = [printed[g]["counts"][PEOPLE]["n"] for g in table["group"]]
    return table[["group", "reference"]].assign(
        n=count, share=[n / total if n and total else math.nan for n in count],
        verdict=[printed[g]["verdicts"].get(HEARD, "") for g in table["group"]],
    )  # fmt: skip
