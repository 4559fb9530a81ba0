"""The best and the worst group of an attribute: how far apart they are without chance, and how the worst one fares."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hfkit.fairness.rates.compare import Rates
from hfkit.fairness.rates.counts import Bools, Floats
from hfkit.shared import evidence, intervals
from hfkit.shared.measures import MODELS, RATES

Row = dict[str, object]


def spread(value: Floats, n: Floats, k: Floats) -> float:
    """How far apart are the best and worst group, without the share that is chance? Max minus min of shrunken rates.

    Rates of few rows scatter, and the largest minus the smallest of many is large even where all are equal. Each rate
    is pulled towards the mean by the share of its variance that chance explains (Efron and Morris 1975, JASA 70:311;
    between-group variance by moments, DerSimonian and Laird 1986). Equal groups give about 0. Fewer than 2 groups: NaN.

    >>> k, n = np.array([14.0, 15.0, 17.0]), np.full(3, 30.0)
    >>> round(float(np.ptp(k / n)), 2), spread(k / n, n, k)
    (0.1, 0.0)
    """
    use = n > 0
    if use.sum() < 2:
        return float("nan")
    value, n = value[use], n[use]
    pooled = float(np.clip((k[use].sum() + 0.5) / (n.sum() + 1), 0, 1))
    noise = pooled * (1 - pooled) / n
    w = 1 / noise
    mean = float(np.average(value, weights=w))
    excess = float(np.sum(w * (value - mean) ** 2)) - (len(value) - 1)
    between = max(excess / float(w.sum() - np.sum(w**2) / w.sum()), 0.0)
    return float(np.ptp(mean + between / (between + noise) * (value - mean)))


def spreads(rates: Rates, enough: Bools) -> list[Row]:
    """Evidence rows on one attribute: `<measure> spread` and, where a direction is better, `<measure> worst group`.

    `enough` says which groups have enough people to be numbered. The rates of one measure hold together over the
    groups, so that the intervals of the largest difference and of the worst rate hold whichever groups these are. The
    pair that drives a spread is named.
    """
    side, names = rates.group, [str(g).split(".", 1)[1] for g in rates.part.cohort.groups]
    rate = intervals.rate(
        side.top / side.effect, side.bottom / side.effect,
        intervals.student(intervals.simultaneous(int(enough.sum())), side.df),
    )  # fmt: skip
    place: dict[str, Any] = {"component": rates.part.component, "group": rates.part.cohort.name}
    out: list[Row] = []
    for m, r in np.ndindex(len(MODELS), len(RATES)):
        use = np.flatnonzero(enough & (side.bottom[:, m, r] > 0) & ~np.isnan(rate.low[:, m, r]))
        left = f"; {len(names) - len(use)} of {len(names)} groups are left out" if len(use) < len(names) else ""
        name, better, n = RATES[r].name, RATES[r].better, int(side.bottom[use, m, r].sum())
        if len(use) < 2:
            note = "undefined: fewer than two groups have enough people"
            out.append(evidence.row(f"{name} spread ({MODELS[m]})", value=math.nan, n=n, better="lower", note=note,
                                    **place))  # fmt: skip
            continue
        value, low, high = (v[use, m, r] for v in rate[:3])
        first, last = names[use[np.argmax(value)]], names[use[np.argmin(value)]]
        pair = f"driven by {first} (highest) and {last} (lowest)" if first != last else "no difference"
        size = [a[use, m, r] / side.effect[use, m, r] for a in (side.bottom, side.top)]
        out.append(evidence.row(
            f"{name} spread ({MODELS[m]})", value=spread(value, *size), low=max(float(low.max() - high.min()), 0.0),
            high=float(high.max() - low.min()), n=n, better="lower",
            note=f"{pair}; chance taken out of the value{left}", **place,
        ))  # fmt: skip
        if better != "none":
            pick, who = (np.min, last) if better == "higher" else (np.max, first)
            out.append(evidence.row(
                f"{name} worst group ({MODELS[m]})", value=float(pick(value)), low=float(pick(low)),
                high=float(pick(high)), n=n, better=better, **place,
                note=f"seen in {who}; the interval is of the worst of these groups, whichever it is{left}",
            ))  # fmt: skip
    return out
