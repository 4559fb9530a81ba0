"""The table of counts from which every rate, gap and change is computed, and how many rows it is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hfkit.fairness.perspective import Part
from hfkit.shared import cluster
from hfkit.shared.cohorts import Codes
from hfkit.shared.measures import MODELS, RATES, Rate

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
STATES = 3  # of a decision: 0 does not act, 1 acts, 2 has no score
PAIRED = tuple(r for r in RATES if r.acted is None)  # their denominators are the same rows before and after


def _cells() -> tuple[Codes, ...]:
    """Label and both decisions of every cell of the table: (2, 3, 3) each."""
    return tuple(np.indices((2, STATES, STATES)))


def _masks(rate: Rate, decision: Codes) -> tuple[Bools, Bools]:
    """Which cells count in the numerator and in the denominator of a rate, for one model's decisions."""
    event = _cells()[0]
    scored = decision < 2
    bottom = scored & (True if rate.event is None else event == rate.event)
    bottom &= True if rate.acted is None else decision == rate.acted
    counted = {"acted": decision == 1, "event": event == 1, "right": scored & (decision == event)}[rate.counted]
    return bottom & counted, bottom


def _statistics() -> tuple[Codes, Codes, Codes, Codes, Codes]:
    """Numerators and denominators (model x rate), and rows up, down and all of the paired rates, as 0 and 1 a cell."""
    decisions = _cells()[1:]
    masks = [[_masks(rate, d) for rate in RATES] for d in decisions]
    top, bottom = (np.array([[m[i] for m in one] for one in masks]).astype(np.int64) for i in (0, 1))
    both = (decisions[0] < 2) & (decisions[1] < 2)
    place = [RATES.index(r) for r in PAIRED]
    before, after, rows = top[0, place] * both, top[1, place] * both, bottom[0, place] * both
    return top, bottom, (after > before).astype(np.int64), (after < before).astype(np.int64), rows


TOP, BOTTOM, UP, DOWN, ROWS = _statistics()


@dataclass(frozen=True)
class Side:
    """Groups, or everyone else, of one part: arrays by group and model and rate, and by group and paired rate.

    `effect` and `df` are the design effect and its degrees of freedom (1 and inf: independent rows), for the rates of
    both models; `moved_effect` and `moved_df` for changes.
    """

    top: Floats
    bottom: Floats
    up: Floats
    down: Floats
    rows: Floats
    effect: Floats
    df: Floats
    moved_effect: Floats
    moved_df: Floats


def cells(part: Part) -> Codes:
    """Counts by group, label and both decisions (0, 1, none): every rate, gap and change follows from them.

    A row bootstrap is one multinomial draw over them. No rows give zeros.
    """
    rows, count = part.rows, len(part.cohort.groups)
    before, after = (part.view.acted[rows] % STATES).T
    code = ((part.cohort.code[rows] * 2 + part.view.event[rows]) * STATES + before) * STATES + after
    counts = np.bincount(code, minlength=count * 2 * STATES * STATES)
    return counts.reshape(count, 2, STATES, STATES).astype(np.int64)


def sides(part: Part) -> tuple[Side, Side]:
    """Each group of a part, and everyone else."""
    counts = cells(part)
    whole = counts.sum(axis=0, keepdims=True)
    effects = _effects(part)
    return _side(counts, effects[0]), _side(whole - counts, effects[1])


def _side(counts: Codes, effects: tuple[Floats, Floats]) -> Side:
    masks = (TOP, BOTTOM, UP, DOWN, ROWS)
    sums = [np.tensordot(counts, mask, axes=([1, 2, 3], [-3, -2, -1])).astype(float) for mask in masks]
    size, models = len(MODELS) * len(RATES), (-1, len(MODELS), len(RATES))
    (effect, moved_effect), (df, moved_df) = ((e[:, :size].reshape(models), e[:, size:]) for e in effects)
    top, bottom, up, down, rows = sums
    return Side(top, bottom, up, down, rows, effect, df, moved_effect, moved_df)


def _effects(part: Part) -> list[tuple[Floats, Floats]]:
    """Design effects and degrees of freedom of the groups and of everyone else, by group and statistic."""
    columns = len(MODELS) * len(RATES) + len(PAIRED)
    shape = (len(part.cohort.groups), columns)
    if not part.view.clusters:
        return [(np.ones(shape), np.full(shape, np.inf))] * 2
    rows = part.rows
    cell = (slice(None), part.view.event[rows], *(part.view.acted[rows] % STATES).T)
    wide = [m.reshape(-1, 2, STATES, STATES) for m in (TOP, UP - DOWN, BOTTOM, ROWS)]
    top, bottom = (np.concatenate(pair)[cell].T.astype(float) for pair in (wide[:2], wide[2:]))
    out = [(np.ones(shape), np.full(shape, np.nan)) for _ in range(2)]
    clusters = [cluster.codes(c[rows]) for c in part.view.clusters]
    for g in range(shape[0]):
        inside = part.cohort.code[rows] == g
        for (effect, df), use in zip(out, (inside, ~inside), strict=True):
            if use.any():
                effect[g], df[g] = cluster.design(top[use], bottom[use], *(c[use] for c in clusters))
    return out
