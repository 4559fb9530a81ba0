"""How many rows would settle a gap? A table to plan by, before any are collected."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import ndtri

RATES = tuple(round(r / 10, 1) for r in range(1, 10))


def rows_needed(
    *, margin: float, judged: int = 1, groups: int = 2, rates: tuple[float, ...] = RATES, chance: float = 0.8,
    level: float = 0.95,
) -> pd.DataFrame:  # fmt: skip
    """How many rows does each group need so that a gap of `margin` is told from none? One row a rate.

    `rate` (0..1) is that of everyone else, `lower` = rate - margin that of the group, `n` the rows in each of
    `groups` equal groups that count for the rate (with the event, for a true positive rate): the interval of the
    gap then leaves out 0 with probability `chance`. `judged` gaps hold at `level` together (Sidak). A normal
    approximation for independent rows: with the room's exact intervals, 0.8 came out as 0.7 to 0.9 in the two
    simulated settings. Answers of the same raters need n times their design effect. A rate the gap would push to 0
    or below, a margin of 0, fewer than two groups: NaN and a note. Fleiss, Levin and Paik (2003), Statistical
    Methods for Rates and Proportions, ch. 4.

    >>> rows_needed(margin=0.1, rates=(0.5, 0.1))[["rate", "n"]].to_numpy().tolist()
    [[0.5, 385.0], [0.1, nan]]
    """
    rate = np.asarray(rates, float)
    lower = np.round(rate - margin, 12)
    usable = (lower > 0) & (rate < 1) & (margin > 0) & (groups > 1)
    reach = float(ndtri(0.5 + level ** (1 / max(judged, 1)) / 2) + ndtri(chance))
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = lower * (1 - lower) + rate * (1 - rate) / (groups - 1 if groups > 1 else np.nan)
        n = np.where(usable, np.ceil(variance * (reach / margin) ** 2 if margin > 0 else np.nan), np.nan)
    note = np.where(usable, "", "undefined: needs a margin above 0, two groups, and rates between 0 and 1")
    return pd.DataFrame({"rate": rate, "lower": lower, "n": n, "note": note})
