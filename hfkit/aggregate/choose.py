"""Do raters err each in their own way? Shared errors (majority) or own errors (Dawid-Skene), by held-out likelihood."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.aggregate import crowd
from hfkit.shared import cluster

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
FOLDS = 5
FEWEST_ITEMS, FEWEST_SHARED = 30, 10.0  # items with two people; answers on such items of the median rater
LEAN = 4.0  # answers that the crowd's errors count for in a rater's own


class Choice(NamedTuple):
    """The method, why, and how much better own errors predict held-out answers: mean log likelihood in nats."""

    method: str
    reason: str
    gain: float
    low: float
    high: float


def rater_codes(rows: pd.DataFrame) -> Codes:
    """Raters as codes from 0; the anonymous answers of a channel are one rater."""
    named = rows["rater_id"].astype("object").where(rows["rater_id"].notna(), "\0" + rows["channel"].astype(str))
    return np.asarray(pd.factorize(named, sort=True)[0], np.int64)


def own_errors(task: Codes, rater: Codes, label: Codes, *, classes: int) -> tuple[Floats, Floats]:
    """Dawid and Skene's posterior and confusions, where each rater's errors lean on the crowd's by LEAN answers."""
    shared = crowd.dawid_skene(task, np.zeros_like(task), label, classes=classes)[1][0]
    return crowd.dawid_skene(task, rater, label, classes=classes, prior=LEAN * shared)


def by_held_out(task: Codes, rater: Codes, label: Codes, *, classes: int) -> Choice:
    """Which way of combining answers predicts held-out answers better?

    Every answer is held out once, in five parts; it is predicted from the other answers on its item, by the errors of
    its rater (Dawid-Skene) and by those of raters at large (majority). Dawid-Skene is chosen where the mean gain in log
    likelihood is above 0 (95 % interval, answers of one rater together). Where raters overlap too little - fewer than
    FEWEST_ITEMS items with two people, or a median rater with fewer than FEWEST_SHARED answers on such items - majority
    stands, and gain is NaN.
    """
    several = np.bincount(task, minlength=int(task.max(initial=-1)) + 1)[task] > 1
    items = len(np.unique(task[several]))
    own = np.bincount(rater, weights=several.astype(float))
    median = float(np.median(own)) if len(own) else 0.0
    if items < FEWEST_ITEMS or median < FEWEST_SHARED:
        why = f"raters overlap too little: {items:,} items with two people, {median:g} shared answers of a median rater"
        return Choice("majority", why, *(np.nan,) * 3)
    gain = np.full(len(task), np.nan)
    place = pd.Series(task).groupby(task).cumcount().to_numpy()  # so that an item's answers fall into different parts
    fold = (place + task) % FOLDS
    for f in range(FOLDS):
        kept, out = fold != f, fold == f
        gain[out] = _gain(task, rater, label, kept, out, classes)
    counted = ~np.isnan(gain)
    value, low, high = cluster.mean_interval(gain[counted], rater[counted])
    word = "better" if value > 0 else "worse"
    why = f"own errors predict held-out answers {word} by {abs(value):.4f} nats [{low:.4f}, {high:.4f}]"
    return Choice("dawid_skene" if low > 0 else "majority", why, value, low, high)


def _gain(
    task: Codes, rater: Codes, label: Codes, kept: npt.NDArray[np.bool_], out: npt.NDArray[np.bool_], classes: int
) -> Floats:
    tasks, code = np.unique(task[kept], return_inverse=True)
    shared, errors = crowd.dawid_skene(code, np.zeros_like(code), label[kept], classes=classes)
    own, confusion = crowd.dawid_skene(code, rater[kept], label[kept], classes=classes, prior=LEAN * errors[0])
    at = np.minimum(np.searchsorted(tasks, task[out]), len(tasks) - 1)
    seen = tasks[at] == task[out]
    who = rater[out]
    by = np.where((who < len(confusion))[:, None, None], confusion[np.minimum(who, len(confusion) - 1)], errors[0])
    answered = label[out]
    mine = np.einsum("ik,ik->i", own[at], by[np.arange(len(at)), :, answered])
    theirs = np.einsum("ik,ik->i", shared[at], errors[0][:, answered].T)
    return np.asarray(np.where(seen, np.log(np.maximum(mine, 1e-12) / np.maximum(theirs, 1e-12)), np.nan), float)
