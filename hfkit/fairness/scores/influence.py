"""Scores of some rows and what each row adds to them: AUC, log loss, Brier score and calibration in the large.

Every measure is a mean, or an average over pairs whose rows add independent shares (DeLong et al. 1988, Biometrics
44:837). So its variance is a sum of squared shares, of rows or of clusters of rows, and nothing is resampled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hfkit.fairness.perspective import Bools, Floats, Perspective
from hfkit.shared import cluster
from hfkit.shared.cluster import NOTHING

_CLIP = 1e-6  # as in stats.log_loss
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cases:
    """The rows of one component in a fixed order. First axis of `scored`: baseline's score, candidate's, both.

    `rank` (model x row) orders the scores, equal ones alike. `loss` (set x measure x row) holds log loss, squared error
    and event minus score, 0 where there is no score; the third set is the candidate's minus the baseline's. `turned`
    (measure x row) is what would be added to the third if the event were the other way round.
    """

    event: Bools
    scored: Bools
    rank: Ints
    loss: Floats
    turned: Floats
    clusters: tuple[Ints, ...]
    order: Ints


@dataclass(frozen=True)
class Measured:
    """What some sets of rows measure: `value` and `variance` by side, set (baseline, candidate, change) and measure.

    `effect` is the design effect (1 = independent rows); `carried` says by how many rows a mean loss is carried, or the
    spread of a change: the squared sum over the sum of squares (Kish 1965, Survey Sampling) counts the large ones.
    `unseen` (side, measure) is what a change would move by if labels were the other way round in as many rows as may go
    unseen: 3 of n (the rule of three, Hanley and Lippman-Hand 1983, JAMA 249:1743).
    By side and set: rows, events, `clusters` (rows that stand alone, or people, whichever are fewer) and `fewest`, the
    same of rows with an event or of rows without, whichever are fewer.
    """

    value: Floats
    variance: Floats
    effect: Floats
    carried: Floats
    unseen: Floats
    n: Ints
    events: Ints
    clusters: Ints
    fewest: Ints
    independent: bool


def cases(view: Perspective, component: int) -> Cases:
    """The rows of one component, sorted by what is measured, so that the order they came in cannot matter."""
    rows = np.flatnonzero(view.component == component)
    rows = rows[np.lexsort((view.event[rows], view.score[rows, 0], view.score[rows, 1]))]
    score, event = view.score[rows].T, view.event[rows] == 1
    scored = ~np.isnan(score)
    scored = np.vstack([scored, scored[:1] & scored[1:]])
    ranks = np.stack([np.unique(v, return_inverse=True)[1] for v in score]) if len(rows) else np.zeros((2, 0))
    sure = np.clip(score, _CLIP, 1 - _CLIP)
    both = []
    for y in (event, ~event):
        loss = np.stack([-np.log(np.where(y, sure, 1 - sure)), (y - score) ** 2, y - score], axis=1)
        both.append(np.nan_to_num(np.concatenate([loss, loss[1:] - loss[:1]])))
    clusters = tuple(cluster.codes(c[rows]) for c in view.clusters)
    return Cases(event, scored, ranks.astype(np.int64), both[0], both[1][2] - both[0][2], clusters, rows)


def measured(c: Cases, sides: list[Bools]) -> Measured:
    """Every measure of both models, and the change, on each set of rows in `sides` (masks over the cases).

    NaN where nothing can be measured: no row with a score; for AUC no event, or no row without one.
    """
    size = len(sides)
    moments, counts = np.full((size, 4, 3, 4), np.nan), np.zeros((size, 4, 3), np.int64)
    unseen = np.zeros((size, 4))
    for k, use in enumerate(sides):
        rows = np.flatnonzero(use)
        whole = bool(c.scored[:, rows].all())
        ranked: list[tuple[float, Floats]] = []
        for s in range(3):
            own = rows if whole else rows[c.scored[s, rows]]
            event = c.event[own]
            if s < 2 or not whole:
                ranked += [_ranked(event, c.rank[m, own]) for m in ((s,) if s < 2 else (0, 1))]
            moments[k, :, s] = _set(c, own, c.loss[s], ranked[-2:] if s == 2 else ranked[-1:])
            counts[k, :, s] = len(own), int(event.sum()), *_clusters(c, own, event)
        if len(own):
            unseen[k, 1:] = c.turned[:, own].mean(axis=1) * 3 / counts[k, 2, 2]
    value, variance, effect, carried = moments.swapaxes(0, 1)
    n, events, clusters, fewest = counts.swapaxes(0, 1)
    return Measured(value, variance, effect, carried, unseen, n, events, clusters, fewest, not c.clusters)


def _set(c: Cases, rows: Ints, loss: Floats, ranked: list[tuple[float, Floats]]) -> Floats:
    """What `Measured` holds by measure, of some rows; `ranked` of two models gives their difference."""
    auc, share = ranked[-1]
    if len(ranked) > 1:
        auc, share = auc - ranked[0][0], share - ranked[0][1]
    mean, residual = _averaged(loss[:, rows])
    value = np.array([auc, *mean])
    shares = np.vstack([share, residual])
    alone, together = _variances(shares, c, rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.where(alone > NOTHING, together / alone, np.inf if c.clusters else 1.0)
        if len(ranked) > 1:
            tail = (
                len(rows)
                * np.einsum("ij,ij,ij,ij->i", shares, shares, shares, shares)
                / (alone * (1 - 1 / max(len(rows), 1))) ** 2
            )
            carried = 2 * len(rows) / np.maximum(tail - 1, 1e-9)
        else:
            carried = len(rows) * value**2 / (value**2 + (len(rows) - 1) * alone)
    return np.where(np.isnan(value), np.nan, np.array([value, together, effect, carried]))


def _ranked(event: Bools, rank: Ints) -> tuple[float, Floats]:
    """AUC and each row's share of it: how much of the other class lies on its right side, less the mean.

    Shares are scaled so that their variance as independent rows is DeLong's.
    """
    events = int(event.sum())
    others = len(event) - events
    if not events or not others:
        return np.nan, np.zeros(len(event))
    if 8 * len(rank) < rank.max():
        rank = np.unique(rank, return_inverse=True)[1]
    size = int(rank.max()) + 1
    up, down = (np.bincount(rank[own], minlength=size) for own in (event, ~event))
    below, above = np.cumsum(down) - down / 2, events - np.cumsum(up) + up / 2
    auc = float(up @ below) / (events * others)
    share = np.where(event, below[rank] / others, above[rank] / events) - auc
    rows = np.sqrt((len(event) - 1) / len(event))
    scale = [rows / np.sqrt(max(k - 1, 1) * float(k)) for k in (others, events)]
    return auc, share * np.take(scale, event.astype(int))


def _averaged(x: Floats) -> tuple[Floats, Floats]:
    """Means over the last axis, and each row's share of their error."""
    n = x.shape[-1]
    if not n:
        return np.full(len(x), np.nan), x
    mean = x.mean(axis=-1)
    return mean, (x - mean[:, None]) / n


def _variances(share: Floats, c: Cases, rows: Ints) -> tuple[Floats, Floats]:
    """The variance as if rows were independent, and that of clustered rows."""
    if len(rows) < 2:
        return (np.zeros(len(share)),) * 2
    return cluster.variance(share.T), cluster.variance(share.T, *(code[rows] for code in c.clusters))


def _clusters(c: Cases, rows: Ints, event: Bools) -> tuple[int, int]:
    """The fewest people of all rows, and of the rows of either class."""
    if not c.clusters:
        events = int(event.sum())
        return len(rows), min(events, len(rows) - events)
    codes = [code[rows] for code in c.clusters]
    each = [len(np.unique(code[own])) for code in codes for own in (event, ~event)]
    return min(len(np.unique(code)) for code in codes), min(each)
