"""Resampled cluster sums against a loop over scikit-learn: the same error, the same replicates, in one run.

    python benchmarks/bench_calibration.py

20,000 rows on 2,000 items in 12 groups, 1,000 replicates of the expected calibration error of each group. The loop
takes the rows of the drawn items and calls `calibration_curve`; it is timed on few replicates and scaled, as its time
is proportional to them.
"""

import time

import numpy as np
from sklearn.calibration import calibration_curve

from hfkit.calibration import resample as r
from hfkit.calibration.binned import bin_of

ITEMS, ANSWERS, GROUPS, REPLICATES, TIMED = 2_000, 10, 12, 1_000, 10


def peer(y: np.ndarray, s: np.ndarray) -> float:
    """The error of one replicate from scikit-learn's curve."""
    rate, score = calibration_curve(y, s, n_bins=10)
    share = np.bincount(bin_of(s))
    return float((share[share > 0] / len(y) * np.abs(rate - score)).sum())


def main() -> None:
    """Time both on the same draws, check that they are equal, print the ratio."""
    rng = np.random.default_rng(0)
    item = np.repeat(np.arange(ITEMS), ANSWERS)
    s = rng.beta(1, 2, ITEMS)[item]
    y = (rng.random(len(s)) < s).astype(float)
    group = (np.arange(ITEMS) % GROUPS)[item]
    ours = loop = worst = 0.0
    for g in range(GROUPS):
        label, score = y[group == g], s[group == g]
        codes = np.unique(item[group == g], return_inverse=True)[1]
        size = int(codes.max()) + 1
        start = time.perf_counter()
        columns = r.binned_columns(label, score)
        totals = np.column_stack([r.by_block(columns[name], codes) for name in ("gap", "n")])
        gap, n = np.split(r.resampled(totals, REPLICATES, np.random.default_rng(g)), 2, axis=1)
        errors = np.abs(gap).sum(axis=1) / n.sum(axis=1)
        ours += time.perf_counter() - start
        start = time.perf_counter()
        again, rows = np.random.default_rng(g), np.arange(len(label)).reshape(size, ANSWERS)
        for i in range(TIMED):
            picks = rows[again.integers(0, size, size)].ravel()
            worst = max(worst, abs(peer(label[picks], score[picks]) - errors[i]))
        loop += (time.perf_counter() - start) * REPLICATES / TIMED
    print(f"loop over scikit-learn {loop:.1f} s (scaled from {TIMED} replicates), resampled sums {ours:.3f} s")
    print(f"ratio {loop / ours:,.0f}; largest difference of a replicate {worst:.1e}")


if __name__ == "__main__":
    main()
