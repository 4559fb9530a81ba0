"""The best and the worst group of an attribute: how far apart they are without chance, and how the worst one fares."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hfkit.fairness.effective import Floats, Side
from hfkit.fairness.gaps import Interval
from hfkit.fairness.publish import Words
from hfkit.fairness.rows import BETTER, MEASURES, MODELS
from hfkit.shared import evidence

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


def extremes(side: Side, inside: Interval, why: Words, c: int, names: list[str], place: dict[str, Any]) -> list[Row]:
    """Evidence on one component and attribute: `<measure> spread` and, where a direction is better, `worst group`.

    `inside` are the rates of the groups with intervals that hold together, so that those of the largest difference and
    of the worst rate hold whichever groups these are. The pair that drives a spread is named.
    """
    top, bottom = (e[c] for e in side.effective())
    out: list[Row] = []
    for s in range(10):
        measure, model = MEASURES[s % 5], MODELS[s // 5]
        use = np.flatnonzero((bottom[:, s] > 0) & (why[c, :, s] == ""))
        n = int(side.bottom[0][c, use, s].sum())
        if len(use) < 2:
            note = "undefined: fewer than two groups can be shown"
            out.append(
                evidence.row(f"{measure} spread ({model})", value=math.nan, n=n, better="lower", note=note, **place)
            )
            continue
        value, low, high = (v[c, use, s] for v in inside)
        first, last = names[use[np.argmax(value)]], names[use[np.argmin(value)]]
        left = f"; {len(names) - len(use)} of {len(names)} groups are left out" if len(use) < len(names) else ""
        pair = f"driven by {first} (highest) and {last} (lowest)" if first != last else "no difference"
        out.append(evidence.row(
            f"{measure} spread ({model})", value=spread(value, bottom[use, s], top[use, s]),
            low=max(float(low.max() - high.min()), 0.0), high=float(high.max() - low.min()), n=n, better="lower",
            note=f"{pair}; chance taken out of the value{left}", **place,
        ))  # fmt: skip
        if BETTER[measure] != "none":
            pick, who = (np.min, last) if BETTER[measure] == "higher" else (np.max, first)
            out.append(evidence.row(
                f"{measure} worst group ({model})", value=float(pick(value)), low=float(pick(low)),
                high=float(pick(high)), n=n, better=BETTER[measure],
                note=f"seen in {who}; the interval is of the worst of these groups, whichever it is{left}", **place,
            ))  # fmt: skip
    return out
