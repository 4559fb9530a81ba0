"""Resampled counts against fairlearn's bootstrap: the same rates, the same replicates, in one run.

    python benchmarks/bench_fairness.py

12 groups, 100,000 rows, 1,000 replicates of 8 rates. fairlearn is timed on few replicates and scaled, as its time is
proportional to them; ours is the median of a few runs, counting included. Seconds are of the processor (all threads),
so that a busy machine matters less.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from fairlearn.metrics import (
    MetricFrame,
    false_negative_rate,
    false_positive_rate,
    selection_rate,
    true_negative_rate,
    true_positive_rate,
)  # fmt: skip
from sklearn.metrics import accuracy_score, precision_score, zero_one_loss

from hfkit.fairness.rows import fractions
from hfkit.shared import stats

ROWS, GROUPS, REPLICATES, TIMED, RUNS = 100_000, 12, 1_000, 4, 5
PEERS = {
    "selection rate": selection_rate, "true positive rate": true_positive_rate,
    "false positive rate": false_positive_rate, "precision": precision_score, "accuracy": accuracy_score,
    "true negative rate": true_negative_rate,
    "false negative rate": false_negative_rate, "error rate": zero_one_loss,
}  # fmt: skip


def rates(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """The five measures of the room and three complements: true negative, false negative and error rate."""
    five = top[..., :5] / bottom[..., :5]
    return np.concatenate([five, 1 - five[..., [2, 1, 4]]], axis=-1)


def ours(group: np.ndarray, y: np.ndarray, says: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts, and the bounds of every rate, from counting to quantiles."""
    code = ((group * 2 + y) * 3 + says) * 3 + says
    counts = np.bincount(code, minlength=GROUPS * 18).reshape(GROUPS, 2, 3, 3)
    cells = np.flatnonzero(counts)
    draws = np.zeros((REPLICATES, counts.size), np.int64)
    rng = np.random.default_rng(0)
    draws[:, cells] = stats.resample_counts(counts.ravel()[cells], rng=rng, n_boot=REPLICATES)
    top, bottom = fractions(draws.reshape(REPLICATES, *counts.shape))
    return counts, *stats.percentile_interval(rates(top, bottom), units=ROWS)


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the processor, and the result."""
    start = time.process_time()
    result = run()
    return time.process_time() - start, result


def main() -> None:
    rng = np.random.default_rng(0)
    group, y = rng.integers(0, GROUPS, ROWS), rng.integers(0, 2, ROWS)
    says = (rng.random(ROWS) < 0.3 + 0.4 * y).astype(np.int64)
    runs = [timed(lambda: ours(group, y, says)) for _ in range(RUNS)]
    took, (counts, low, high) = statistics.median(seconds for seconds, _ in runs), runs[0][1]
    slowest = max(seconds for seconds, _ in runs)

    def theirs(replicates: int) -> MetricFrame:
        """The same rates and so many replicates of them."""
        return MetricFrame(
            metrics=PEERS, y_true=y, y_pred=says, sensitive_features=group, n_boot=replicates, ci_quantiles=[0.5],
            random_state=0,
        )  # fmt: skip

    (one, _), (more, peer) = timed(lambda: theirs(1)), timed(lambda: theirs(1 + TIMED))
    scaled = (more - one) / TIMED * REPLICATES
    top, bottom = fractions(counts)
    far = np.abs(rates(top, bottom) - peer.by_group.to_numpy(float)).max()
    print(f"{REPLICATES:,} replicates of {len(PEERS)} rates, {GROUPS} groups, {ROWS:,} rows")
    print(f"resampled counts {took:.4f} s (slowest of {RUNS} runs {slowest:.4f} s); "
          f"fairlearn {scaled:,.0f} s (scaled from {TIMED} replicates)")  # fmt: skip
    print(f"ratio {scaled / took:,.0f} (slowest run {scaled / slowest:,.0f}); "
          f"point values differ by at most {far:.0e}; mean width {np.mean(high - low):.4f}")  # fmt: skip


if __name__ == "__main__":
    main()
