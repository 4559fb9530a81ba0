"""Crowds against the peers: Dawid-Skene (crowd-kit), alpha (krippendorff), a prediction-powered mean (ppi-python).

Equal results first, then paired times in one run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import krippendorff
import numpy as np
import pandas as pd
from crowdkit.aggregation import DawidSkene
from ppi_py import ppi_mean_ci, ppi_mean_pointestimate

from hfkit import aggregate, audit


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    out = work()
    return time.perf_counter() - start, out


def ratings(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    items, raters = n // 5, max(n // 500, 20)
    truth, skill = rng.integers(0, 3, items), rng.beta(8, 2, raters)
    task, rater = np.repeat(np.arange(items), 5), rng.integers(0, raters, items * 5)
    label = np.where(rng.random(len(task)) < skill[rater], truth[task], rng.integers(0, 3, len(task)))
    once = ~pd.DataFrame({"t": task, "r": rater}).duplicated().to_numpy()
    return task[once], rater[once], label[once]


def dawid_skene() -> None:
    # the same number of steps: by a loss that hardly changes crowd-kit may stop after the first
    task, rater, label = ratings(5_000)
    table = pd.DataFrame({"task": task, "worker": rater, "label": label})
    theirs = DawidSkene(n_iter=300, tol=-math.inf).fit(table).probas_.sort_index()[[0, 1, 2]].to_numpy()
    ours = aggregate.dawid_skene(task, rater, label, classes=3, max_iter=300, tol=0)[0]
    apart = float(np.abs(ours - theirs).max())
    if apart >= 1e-6:
        raise SystemExit(f"not equal to crowd-kit: {apart}")
    task, rater, label = ratings(1_000_000)
    table = pd.DataFrame({"task": task, "worker": rater, "label": label})
    slow = timed(lambda: DawidSkene(n_iter=10, tol=-math.inf).fit(table))[0]
    fast = timed(lambda: aggregate.dawid_skene(task, rater, label, classes=3, max_iter=10, tol=0))[0]
    print(f"Dawid-Skene, 5,000 ratings: equal to crowd-kit within {apart:.1e}; {len(task):,} ratings, 10 steps: "
          f"{fast:.2f} s, crowd-kit {slow:.2f} s, {slow / fast:.1f} times as fast")  # fmt: skip


def alpha() -> None:
    rng = np.random.default_rng(1)
    for units, values in ((1_000, 5), (100_000, 5), (20_000, 10), (1_000_000, 2)):
        counts, domain = rng.multinomial(5, np.ones(values) / values, size=units), list(range(values))
        pairs = []
        for _ in range(5):
            fast, ours = timed(lambda: audit.alpha_of_counts(counts, domain, level="ordinal"))  # noqa: B023
            slow, theirs = timed(lambda: krippendorff.alpha(value_counts=counts, value_domain=domain,  # noqa: B023
                                                            level_of_measurement="ordinal"))  # fmt: skip
            if abs(ours - theirs) > 1e-9:
                raise SystemExit(f"not equal to krippendorff: {ours} and {theirs}")
            pairs.append(slow / fast)
        print(f"alpha of ready counts, {units:,} units of {values} values: {np.median(pairs):.1f} times as fast as "
              "krippendorff, equal")  # fmt: skip


def powered() -> None:
    rng = np.random.default_rng(2)
    truth = (rng.random(5_000) < 0.3).astype(float)
    judge = np.where(rng.random(5_000) < 0.85, truth, 1 - truth)
    ours = aggregate.powered_mean(truth[:300], judge[:300], judge[300:])
    theirs = float(ppi_mean_pointestimate(truth[:300], judge[:300], judge[300:])[0])
    low, high = (float(b[0]) for b in ppi_mean_ci(truth[:300], judge[:300], judge[300:], alpha=0.05))
    if abs(ours.value - theirs) > 1e-9:
        raise SystemExit(f"not equal to ppi-python: {ours.value} and {theirs}")
    print(f"prediction-powered mean: equal to ppi-python; width {ours.high - ours.low:.4f} (Student's t) against "
          f"{high - low:.4f} (normal)")  # fmt: skip


if __name__ == "__main__":
    dawid_skene()
    alpha()
    powered()
