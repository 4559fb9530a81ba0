"""Resampled counts against fairlearn's bootstrap: the same rates, the same replicates, in one run.

    python benchmarks/bench_fairness.py

12 groups, 100,000 rows, 1,000 replicates of 8 rates. fairlearn is timed on few replicates and scaled, as its time is
proportional to them; ours is the median of a few runs, counting included. Seconds are of the processor (all threads),
so that a busy machine matters less. The intervals that the room shows need no replicates: they are timed too.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.metrics import (
    MetricFrame,
    false_negative_rate,
    false_positive_rate,
    selection_rate,
    true_negative_rate,
    true_positive_rate,
)  # fmt: skip
from sklearn.metrics import accuracy_score, precision_score, zero_one_loss

from hfkit.fairness.perspective import Part, Perspective
from hfkit.fairness.rates.compare import Rates
from hfkit.fairness.rates.counts import BOTTOM, STATES, TOP, cells
from hfkit.shared import cohorts, stats
from hfkit.shared.costs import Costs

ROWS, GROUPS, REPLICATES, TIMED, RUNS = 100_000, 12, 1_000, 4, 5
PEERS = {
    "selection rate": selection_rate, "true positive rate": true_positive_rate,
    "false positive rate": false_positive_rate, "precision": precision_score, "accuracy": accuracy_score,
    "true negative rate": true_negative_rate,
    "false negative rate": false_negative_rate, "error rate": zero_one_loss,
}  # fmt: skip


def rates(counts: np.ndarray) -> np.ndarray:
    """The five rates of the room and three complements: true negative, false negative and error rate."""
    table = counts.reshape(*counts.shape[:-3], 2 * STATES * STATES)
    top, bottom = (table @ mask[0].reshape(len(mask[0]), -1).T for mask in (TOP, BOTTOM))
    five = top / bottom
    return np.concatenate([five, 1 - five[..., [2, 1, 4]]], axis=-1)


def part(group: np.ndarray, y: np.ndarray, says: np.ndarray) -> Part:
    """The rows as the room has them."""
    acted = np.column_stack([says, says])
    names = pd.DataFrame({"served.g": pd.Categorical.from_codes(group, [f"g{k:02d}" for k in range(GROUPS)])})
    found = cohorts.of(names, "served", family="served.")
    view = Perspective(
        name="served", components=("c",), costs=(Costs(1.0, 1.0),), component=np.zeros(ROWS, np.int64), event=y,
        score=acted.astype(float), acted=acted, people=np.arange(ROWS), clusters=(), cohorts=tuple(found),
        items=np.arange(ROWS).astype(object),
    )  # fmt: skip
    return Part(view, 0, found[0])


def ours(at: Part) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts, and the bounds of every rate, from counting to quantiles."""
    counts = cells(at)
    some = np.flatnonzero(counts)
    draws = np.zeros((REPLICATES, counts.size), np.int64)
    rng = np.random.default_rng(0)
    draws[:, some] = stats.resample_counts(counts.ravel()[some], rng=rng, n_boot=REPLICATES)
    return counts, *stats.percentile_interval(rates(draws.reshape(REPLICATES, *counts.shape)), units=ROWS)


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the processor, and the result."""
    start = time.process_time()
    result = run()
    return time.process_time() - start, result


def main() -> None:
    rng = np.random.default_rng(0)
    group, y = rng.integers(0, GROUPS, ROWS), rng.integers(0, 2, ROWS)
    says = (rng.random(ROWS) < 0.3 + 0.4 * y).astype(np.int64)
    at = part(group, y, says)
    runs = [timed(lambda: ours(at)) for _ in range(RUNS)]
    took, (counts, low, high) = statistics.median(seconds for seconds, _ in runs), runs[0][1]
    slowest = max(seconds for seconds, _ in runs)
    room = [timed(lambda: Rates.of(at).compare(0.95)) for _ in range(RUNS)]

    def theirs(replicates: int) -> MetricFrame:
        """The same rates and so many replicates of them."""
        return MetricFrame(
            metrics=PEERS, y_true=y, y_pred=says, sensitive_features=group, n_boot=replicates, ci_quantiles=[0.5],
            random_state=0,
        )  # fmt: skip

    (one, _), (more, peer) = timed(lambda: theirs(1)), timed(lambda: theirs(1 + TIMED))
    scaled = (more - one) / TIMED * REPLICATES
    far = np.abs(rates(counts) - peer.by_group.to_numpy(float)).max()
    print(f"{REPLICATES:,} replicates of {len(PEERS)} rates, {GROUPS} groups, {ROWS:,} rows")
    print(f"resampled counts {took:.4f} s (slowest of {RUNS} runs {slowest:.4f} s); "
          f"fairlearn {scaled:,.0f} s (scaled from {TIMED} replicates)")  # fmt: skip
    print(f"ratio {scaled / took:,.0f} (slowest run {scaled / slowest:,.0f}); "
          f"point values differ by at most {far:.0e}; mean width {np.mean(high - low):.4f}")  # fmt: skip
    seconds = statistics.median(s for s, _ in room)
    print(f"all gaps and changes with intervals, no replicates: {seconds:.4f} s; ratio {scaled / seconds:,.0f}")


if __name__ == "__main__":
    main()
