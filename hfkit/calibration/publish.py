"""What may be published: rounded counts, rates of rounded counts, means rounded outward; and the sums they are."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from hfkit.calibration.binned import BINS, bin_of
from hfkit.calibration.groups import VIEWS, Settings, attributes, groups
from hfkit.shared import disclosure

Triple = tuple[float, float, float]
DECIMALS = 3  # of means


def outward(triples: list[Triple], settings: Settings) -> list[Triple]:
    """Means and their bounds in steps of 0.001: the value to the nearest, low downwards, high upwards.

    >>> outward([(0.12349, 0.0999, 0.1501)], Settings())
    [(0.123, 0.099, 0.151)]
    """
    if settings.exact or not triples:
        return triples
    frame = disclosure.outward(
        pd.DataFrame(triples, columns=["value", "low", "high"], dtype=float), "value", "low", "high"
    )
    return [(float(v), float(low), float(high)) for v, low, high in frame.to_numpy()]


def size(n: int, settings: Settings) -> int:
    """A count as published; what is withheld has none and is 0.

    >>> size(43, Settings()), size(9, Settings()), size(9, Settings(suppress_below=1, round_to=1))
    (45, 0, 9)
    """
    return int(disclosure.round_counts(n, settings.round_to)) if n >= settings.suppress_below else 0


def share(counts: list[tuple[float, float]], triples: list[Triple], settings: Settings) -> list[tuple[Triple, str]]:
    """Shares of counts, from rounded counts alone, with bounds that hold whichever counts stand behind; and notes.

    See disclosure.protect: too few rows give nothing, a share that would be shown as 0 or 1 gives bounds only. One
    that is undefined stays so.

    >>> shown = share([(41, 98), (1, 98)], [(41 / 98, 0.32, 0.53), (1 / 98, 0.0, 0.06)], Settings())
    >>> shown[0][0][0], shown[1][1]
    (0.4, 'too near 0 % or 100 % to give a number: bounds only')
    """
    frame = pd.DataFrame(triples, columns=["value", "low", "high"]).assign(
        top=[c[0] for c in counts], n=[c[1] for c in counts], note=""
    )
    known = frame["value"].notna()
    frame = pd.concat(
        [shares(frame[known], "top", "n", ("value", "low", "high"), settings), frame[~known]]
    ).sort_index()
    return [((r.value, r.low, r.high), r.note) for r in frame.itertuples()]


def shares(frame: pd.DataFrame, top: str, n: str, rates: tuple[str, ...], settings: Settings) -> pd.DataFrame:
    """A table of shares with counts, value and bounds as they may be published, and the note why one is not."""
    frame = frame if "note" in frame else frame.assign(note="")
    if settings.exact or not len(frame):
        return frame
    return disclosure.protect(
        frame, counts=[top, n], rates=list(rates), threshold=settings.suppress_below, base=settings.round_to
    )


def uncertain(rate: Triple) -> Triple:
    """p (1 - p) of a rate and its bounds.

    >>> uncertain((0.4, 0.25, 0.6))
    (0.24, 0.1875, 0.25)
    """
    p, low, high = rate
    ends = (low * (1 - low), high * (1 - high))
    return p * (1 - p), min(ends), 0.25 if low <= 0.5 <= high else max(ends)


def claims(
    reliability: pd.DataFrame, evidence: pd.DataFrame, rows: pd.DataFrame, *, view: str, component: str,
    threshold: float, settings: Settings,
) -> list[tuple[pd.DataFrame, pd.DataFrame]]:  # fmt: skip
    """The published counts of one component and model as sums of cells, for disclosure.attack: (claims, cells) pairs.

    One pair for the groups of people served and one for those of raters. Cells cross the groups that occur with label,
    score bin and whether the score acts at the threshold. Claims are the reliability table's rows and events by bin,
    and from the evidence the rows, events, acts and right acts by group; a withheld count is missing, known to be below
    `suppress_below` where that is the reason given, to be anything otherwise (`most`).
    """
    model, _, test = next(v for v in VIEWS if v[1] == view)
    seen = rows[(rows["component"] == component) & rows[model].notna() & ((rows["split"] == "test") | (not test))]
    seen = seen.assign(label=seen["label"].astype(int).astype(str), bin=bin_of(seen[model]).astype(str),
                       acts=np.where(seen[model] >= threshold, "1", "0"))  # fmt: skip
    curve = reliability[(reliability["component"] == component) & (reliability["model"] == view)]
    told = evidence[(evidence["component"] == component) & evidence["measure"].str.endswith(f" ({view})")]
    told = told.assign(measure=told["measure"].str.removesuffix(f" ({view})")).set_index(["group", "measure"])
    pairs = []
    for kind in ("served.", "rater."):
        single = [a for a in attributes(seen) if a.startswith(kind) and " & " not in a]
        outcomes = seen[["bin", "acts"]].drop_duplicates().merge(pd.DataFrame({"label": ["0", "1"]}), how="cross")
        cells = seen[single].drop_duplicates().merge(outcomes, how="cross")
        place = _places(seen, kind, single, settings)
        said = _by_bin(curve, place, settings) + _by_group(told, seen, place, settings)
        pairs.append((pd.DataFrame(said, columns=[*cells.columns, "count", "most"]), cells))
    return pairs


def _places(rows: pd.DataFrame, kind: str, single: list[str], settings: Settings) -> dict[str, dict[str, str]]:
    """Each group's name as fixed values of single attributes."""
    out: dict[str, dict[str, str]] = {"all": {}}
    for g in groups(rows, settings):
        parts = [p if "." in p else kind + p for p in g.attribute.split(" & ")]
        if g.attribute.startswith(kind) and set(parts) <= set(single):
            out[g.name] = {p: str(rows.loc[g.rows, p].iloc[0]) for p in parts}
    return out


def _by_bin(curve: pd.DataFrame, place: dict[str, dict[str, str]], settings: Settings) -> list[dict[str, object]]:
    """Rows and events of every bin of every group; bins of a group that is withheld are withheld."""
    lines = curve.set_index(["group", "bin"])
    out: list[dict[str, object]] = []
    for name, where in place.items():
        for b in range(BINS):
            line = lines.loc[(name, b)] if (name, b) in lines.index else {"n": math.nan, "events": math.nan, "note": ""}
            n, events = line["n"], line["events"]
            most = settings.suppress_below - 1.0 if str(line["note"]).startswith("withheld: fewer") else math.inf
            out += [{**where, "bin": str(b), "count": n, "most": most},
                    {**where, "bin": str(b), "label": "1", "count": events, "most": most}]  # fmt: skip
    return out


def _by_group(
    told: pd.DataFrame, rows: pd.DataFrame, place: dict[str, dict[str, str]], settings: Settings
) -> list[dict[str, object]]:
    """Rows and events (behind the uncertainty), acts and right acts (behind the precision) of every group."""
    out: list[dict[str, object]] = []
    for name, where in place.items():
        inside = np.logical_and.reduce([np.ones(len(rows), bool), *(rows[k] == v for k, v in where.items())])
        acts, event = (rows["acts"] == "1").to_numpy(), (rows["label"] == "1").to_numpy()
        for measure, sum_of, fixed in (
            ("uncertainty", np.ones(len(rows), bool), {}), ("uncertainty", event, {"label": "1"}),
            ("precision at threshold", acts, {"acts": "1"}),
            ("precision at threshold", acts & event, {"acts": "1", "label": "1"}),
        ):  # fmt: skip
            shown = (name, measure) in told.index and not math.isnan(told.loc[(name, measure), "low"])
            n = float(disclosure.round_counts(int((inside & sum_of).sum()), settings.round_to))
            out.append({**where, **fixed, "count": n if shown else math.nan, "most": math.inf})
    return out
