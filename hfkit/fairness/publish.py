"""What the page may show: the room's tables with small cells withheld and the rest rounded, and the attack on them."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd

from hfkit.fairness.rows import BOTTOM, MEASURES, MODELS, Ints, Perspective
from hfkit.shared import disclosure

RATES = ["value", "low", "high"]


def published(
    table: pd.DataFrame, rows: list[Perspective], *, suppress_below: int = 10, round_to: int = 5
) -> pd.DataFrame:
    """What of `groups`, `changes` or `evidence` of an Assessment may be published? The same rows and columns.

    A number behind which stand fewer than `suppress_below` rows or persons, in the group or among everyone else, is
    withheld (missing, with a note); other counts are rounded to `round_to`. Persons are the items' (served) or the
    raters (rater) with a row that counts, from `rows`. Rates of `groups` follow from the rounded counts; differences
    and ratios, their bounds and `n` come in steps. Verdicts stand as they were found, from unrounded numbers. A spread
    has no group of its own: only its n and value are coarsened. See disclosure.protect.
    """
    alone = "numerator" in table
    frame = table.assign(
        people=_stands(table, rows, alone=alone),
        note=table["note"].astype("object").map(_coarser).to_numpy(object),
    )
    rates = ["before", "after", "change", "low", "high"] if "change" in table else RATES
    counts = ["numerator", "denominator"] if alone else ["n"]
    if "change" in table:
        ends = disclosure.protect(
            frame, counts=counts, rates=["change", "low", "high"], people="people", threshold=suppress_below,
            base=round_to,
        )  # fmt: skip
        for column in ("before", "after"):
            shown = disclosure.protect(
                frame, counts=counts, rates=[column], people="people", threshold=suppress_below, base=round_to
            )
            ends[column] = shown[column]
        return ends[list(table.columns)]
    out = disclosure.protect(
        frame, counts=counts, rates=rates, people="people", threshold=suppress_below, base=round_to
    )
    if not alone:  # evidence: a withheld n is 0, as in every room
        return out[list(table.columns)].assign(n=out["n"].fillna(0).astype("int64"))
    return _whole(out[list(table.columns)], rows, suppress_below, round_to)


def _whole(shown: pd.DataFrame, rows: list[Perspective], suppress_below: int, round_to: int) -> pd.DataFrame:
    """A group is withheld as a whole where its published measures nearly give back one that is withheld.

    Rounding alone is not enough: selected = found + false alarms, and with accuracy, several rounded sums of the same
    few cells can leave one count. A range below half the base, from the group's own rows, withholds them all.
    """
    lost: set[tuple[str, str]] = set()
    for p in rows:
        said, cells = claims(shown, p, suppress_below)[0], _outcomes(p)
        for key, part in said.groupby(["component", "group"]):
            told = part[[*cells.columns, "count", "most"]]
            if told["count"].isna().any() and told["count"].notna().any():
                found = disclosure.attack([told], cells=cells, threshold=suppress_below, base=round_to)
                lost |= {key} if (found["width"] < round_to / 2).any() else set()
    at = [key in lost for key in zip(shown["component"], shown["group"], strict=True)]
    numbers = ["numerator", "denominator", *RATES]
    out = shown.copy()
    out.loc[at, numbers] = np.nan
    out.loc[at, "note"] = "withheld: with it a smaller count could be worked out"
    return out


def _coarser(note: object) -> str:
    """A number of rows in a note with one leading digit, upwards.

    >>> _coarser("about 430 such rows in the group would settle it")
    'about 500 such rows in the group would settle it'
    """
    found = re.search(r"about ([\d,]+) such rows", str(note))
    if found is None:
        return str(note)
    n = int(found[1].replace(",", ""))
    unit = 10 ** (len(str(n)) - 1)
    return str(note).replace(found[0], f"about {math.ceil(n / unit) * unit:,} such rows")


def _statistic(measure: str, model: str) -> int:
    """The statistic (see rows.BOTTOM) whose denominator a statement stands on: of one model, or of both on a row."""
    for s, name in enumerate(MEASURES):
        if measure.startswith(name) or (name == "selection rate" and measure.startswith("disparate impact")):
            for m, who in enumerate(MODELS):
                if who in (model, measure.rpartition("(")[2].rstrip(")")):
                    return 5 * m + s
            return 10 + s if name != "precision" else 3
    return -1


def _stands(table: pd.DataFrame, rows: list[Perspective], *, alone: bool) -> list[float]:
    """On how many persons does each row stand? The fewer of those inside and outside the group (`alone`: inside)."""
    inside: dict[tuple[str, str, int], int] = {}
    outside: dict[tuple[str, str, int], int] = {}
    for p in rows:
        counts = BOTTOM[:, p.y, p.decisions[:, 0] % 3, p.decisions[:, 1] % 3]
        for a in range(len(p.attributes)):
            for s in range(len(BOTTOM)):
                _persons(p, a, s, counts[s] > 0, inside, outside)
    found = []
    model = table["model"] if "model" in table else pd.Series("", index=table.index)
    for component, group, measure, who in zip(table["component"], table["group"], table["measure"], model, strict=True):
        at = (component, group, _statistic(str(measure), str(who)))
        here, there = inside.get(at, math.inf), outside.get(at, math.inf)
        found.append(float(here if alone or there == 0 else min(here, there)))
    return found


def _persons(
    p: Perspective, a: int, s: int, use: np.ndarray[tuple[int], np.dtype[np.bool_]],
    inside: dict[tuple[str, str, int], int], outside: dict[tuple[str, str, int], int],
) -> None:  # fmt: skip
    """Distinct persons with a row of statistic `s`, in each group of attribute `a` and outside of it."""
    groups = len(p.groups[a])
    where: Ints = p.component[use] * groups + p.member[a][use]
    pairs = np.unique(np.column_stack([where, p.unit[use]]), axis=0)
    number = np.bincount(pairs[:, 0], minlength=len(p.components) * groups).reshape(-1, groups)
    for c, component in enumerate(p.components):
        here = pairs[pairs[:, 0] // groups == c]
        person, first, many = np.unique(here[:, 1], return_index=True, return_counts=True)
        only = here[first, 0][many == 1] % groups  # a person in several groups is outside of each of them too
        alone = np.bincount(only, minlength=groups)
        for g, name in enumerate(p.groups[a]):
            inside[component, name, s] = int(number[c, g])
            outside[component, name, s] = len(person) - int(alone[g])


def attacked(
    groups: pd.DataFrame, rows: list[Perspective], *, suppress_below: int = 10, round_to: int = 5, every: int = 1
) -> pd.DataFrame:
    """What can be worked out of the numbers that the table by group withholds, from all of its rows together?

    One row a perspective and component: withheld counts, how many of them an attacker gets back exactly (`recovered`,
    0 is wanted), and the least and the median range that is left to them. `every` tries only one in so many (some
    20 ms each), still from all that is known. See disclosure.attack.
    """
    out = []
    for p in rows:
        said, cells = claims(groups, p, suppress_below)
        for component, part in said.groupby("component"):
            goal = np.cumsum(part["count"].isna()) % every == 0
            told = disclosure.attack(
                [part.drop(columns=["component", "group"]).assign(goal=goal)],
                cells=cells,
                threshold=suppress_below,
                base=round_to,
            )
            out.append({
                "perspective": p.name, "component": component, "withheld": len(told),
                "recovered": int(told["recovered"].sum()), "least width": told["width"].min(),
                "median width": told["width"].median(),
            })  # fmt: skip
    return pd.DataFrame(
        out, columns=["perspective", "component", "withheld", "recovered", "least width", "median width"]
    )


def claims(groups: pd.DataFrame, p: Perspective, suppress_below: int = 10) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table by group as sums of cells, for disclosure.attack: (what is said of which sum, the cells there may be).

    Cells cross the groups that occur with the label and both models' decisions.
    """
    single = [a for a, name in enumerate(p.attributes) if " & " not in name]
    names = [p.attributes[a] for a in single]
    known = pd.DataFrame({p.attributes[a]: np.array(p.groups[a], object)[p.member[a]] for a in single})
    cells = known.drop_duplicates().merge(_outcomes(p), how="cross")
    place: dict[str, dict[str, str]] = {}
    for a, crossed in enumerate(p.attributes):
        parts = [part if "." in part else f"{p.name}.{part}" for part in crossed.split(" & ")]
        first = np.unique(p.member[a], return_index=True)[1]
        for g, row in enumerate(first):
            place[p.groups[a][g]] = {part: known[part].iloc[row] for part in parts if part in names}
    mine = groups[groups["group"].isin(list(place))]
    out = []
    for r in mine.to_dict("records"):
        where = {"component": r["component"], "group": r["group"], **place[r["group"]]}
        top, bottom = _sums(r["measure"], r["model"])
        small = p.name == "served" and str(r["note"]).startswith("withheld: fewer")  # few raters may answer much
        most = suppress_below - 1.0 if small else math.inf
        for part, count in ((top, r["numerator"]), (bottom, r["denominator"])):
            out.append({**where, **part, "count": count, "most": most})
    return pd.DataFrame(out, columns=["component", "group", *cells.columns, "count", "most"]), cells


def _outcomes(p: Perspective) -> pd.DataFrame:
    """Label and decisions that occur, with whether each model decided at all and was right."""
    seen = [sorted(set(p.decisions[:, m].tolist()) | {0, 1}) for m in range(2)]
    grid = pd.MultiIndex.from_product([[0, 1], *seen], names=["label", *MODELS]).to_frame(index=False)
    for model in MODELS:
        grid[f"{model} decided"] = grid[model] >= 0
        grid[f"{model} right"] = grid[model] == grid["label"]
    return grid.astype("str")


def _sums(measure: str, model: str) -> tuple[dict[str, str], dict[str, str]]:
    """Numerator and denominator of a measure as cells with given values."""
    decided, acted = {f"{model} decided": "True"}, {model: "1"}
    label = {"true positive rate": {"label": "1"}, "false positive rate": {"label": "0"}}.get(measure, {})
    if measure == "accuracy":
        return {f"{model} right": "True"}, decided
    if measure == "precision":
        return {**acted, "label": "1"}, acted
    return {**acted, **label}, {**decided, **label}
