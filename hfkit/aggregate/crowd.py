"""From several answers to one label: majority vote, and Dawid and Skene's EM. One row an answer, K classes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
_TINY = 1e-10


def shares(task: npt.ArrayLike, label: npt.ArrayLike, *, classes: int) -> Floats:
    """What share of each task's answers names each class? (tasks, classes), rows sum to 1.

    `task` and `label` are codes from 0, one row an answer; every task has an answer.

    >>> shares([0, 0, 0, 1], [1, 1, 0, 0], classes=2).round(3).tolist()
    [[0.333, 0.667], [1.0, 0.0]]
    """
    task, label = np.asarray(task, np.int64), np.asarray(label, np.int64)
    tasks = int(task.max()) + 1 if len(task) else 0
    counts = np.bincount(task * classes + label, minlength=tasks * classes).reshape(tasks, classes)
    out: Floats = counts / counts.sum(axis=1, keepdims=True)
    return out


def dawid_skene(
    task: npt.ArrayLike, rater: npt.ArrayLike, label: npt.ArrayLike, *, classes: int,
    prior: npt.ArrayLike = 0.0, max_iter: int = 100, tol: float = 1e-5,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Which class is each task, given that raters err, each in their own way? (posterior, confusion).

    posterior: (tasks, classes), rows sum to 1. confusion: (raters, classes, classes), how often a rater answers the
    second class where the first is true. Codes from 0, one row an answer. `prior` (classes, classes): answers that
    count in every rater's confusion before their own, so that raters with few answers lean on it; 0 is the textbook.
    EM from the majority's shares, until the mean posterior moves less than `tol`. It assumes that raters err
    independently given the class, and needs raters who answer many tasks and tasks with several answers; where a task
    has one answer it can do no better than believe it. Dawid and Skene (1979), Applied Statistics 28:20.

    >>> task, rater = [0, 0, 0, 1, 1, 1, 2, 2, 2], [0, 1, 2] * 3
    >>> posterior, confusion = dawid_skene(task, rater, [1, 1, 0, 0, 0, 1, 1, 1, 0], classes=2)
    >>> posterior.argmax(axis=1).tolist(), confusion[2].round(1).tolist()
    ([1, 0, 1], [[0.0, 1.0], [1.0, 0.0]])
    """
    task, rater, label = (np.asarray(a, np.int64) for a in (task, rater, label))
    posterior = shares(task, label, classes=classes)
    before = np.broadcast_to(np.asarray(prior, float), (classes, classes))[:, None, :]
    order = np.argsort(task, kind="stable")  # an item's answers side by side: sums over them are far faster
    task, cell = task[order], (rater * classes + label)[order]
    starts = np.flatnonzero(np.r_[True, np.diff(task) > 0]) if len(task) else np.zeros(0, np.int64)
    sizes = np.diff(np.r_[starts, len(task)])
    raters = int(rater.max()) + 1 if len(rater) else 0
    for _ in range(max_iter):
        share, confusion = _maximise(posterior, sizes, cell, raters, before)
        updated = _expect(share, confusion, starts, cell, len(posterior))
        moved = np.abs(updated - posterior).mean() if len(posterior) else 0.0
        posterior = updated
        if moved < tol:
            break
    return posterior, _maximise(posterior, sizes, cell, raters, before)[1].transpose(1, 0, 2)


def _maximise(posterior: Floats, sizes: Codes, cell: Codes, raters: int, prior: Floats) -> tuple[Floats, Floats]:
    """Class shares, and confusions as (true class, rater, answered class), from the current posterior."""
    classes = posterior.shape[1]
    seen = np.stack([
        np.bincount(cell, weights=np.repeat(posterior[:, k], sizes), minlength=raters * classes)
        for k in range(classes)
    ]).reshape(classes, raters, classes) + prior  # fmt: skip
    seen = np.maximum(seen, _TINY)
    return posterior.mean(axis=0), seen / seen.sum(axis=2, keepdims=True)


def _expect(prior: Floats, confusion: Floats, starts: Codes, cell: Codes, tasks: int) -> Floats:
    log = np.log(confusion).reshape(len(prior), -1)
    evidence = np.zeros((tasks, len(prior)))
    for k, row in enumerate(log):
        evidence[:, k] = np.add.reduceat(row[cell], starts) if len(cell) else 0.0
    evidence += np.log(np.maximum(prior, _TINY))
    evidence -= evidence.max(axis=1, keepdims=True)
    out: Floats = np.exp(evidence)
    out /= out.sum(axis=1, keepdims=True)
    return out
