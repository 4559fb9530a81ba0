"""AUC, log loss and Brier score by group, with intervals: closed forms against fairlearn's bootstrap, in one run.

    python benchmarks/bench_scores.py

12 groups, 100,000 rows. Ours: scores of both models, with calibration in the large, gaps and changes. fairlearn: the
three measures of one model, 1,000 replicates; timed on few and scaled, as its time is proportional to them.
"""

import time

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from hfkit.fairness.perspective import Part, Perspective
from hfkit.fairness.scores.compare import Scores
from hfkit.shared import cohorts
from hfkit.shared.costs import Costs

ROWS, GROUPS, REPLICATES, TIMED = 100_000, 12, 1_000, 20
PEERS = {"AUC": roc_auc_score, "log loss": log_loss, "Brier score": brier_score_loss}


def main() -> None:
    rng = np.random.default_rng(0)
    group, truth = rng.integers(0, GROUPS, ROWS), rng.normal(size=ROWS)
    y = (rng.random(ROWS) < 1 / (1 + np.exp(-truth))).astype(np.int64)
    score = 1 / (1 + np.exp(-truth[:, None] - 0.5 * rng.normal(size=(ROWS, 2))))
    names = pd.DataFrame({"served.g": pd.Categorical.from_codes(group, [f"g{k:02d}" for k in range(GROUPS)])})
    groups = cohorts.of(names, "served", family="served.")
    view = Perspective(
        name="served", components=("c",), costs=(Costs(1.0, 1.0),), component=np.zeros(ROWS, np.int64), event=y,
        score=score, acted=(score > 0.5).astype(np.int64), people=np.arange(ROWS), clusters=(), cohorts=tuple(groups),
        items=np.arange(ROWS).astype(object),
    )  # fmt: skip
    ours = []
    for _ in range(3):
        start = time.perf_counter()
        topic = Scores.of(Part(view, 0, groups[0]))
        found, _ = topic.alone(), topic.compare(0.95)
        ours.append(time.perf_counter() - start)
    took = []
    for replicates in (1, 1 + TIMED):
        start = time.perf_counter()
        peer = MetricFrame(
            metrics=PEERS, y_true=y, y_pred=score[:, 0], sensitive_features=group, n_boot=replicates,
            ci_quantiles=[0.1587, 0.8413], random_state=0,
        )  # fmt: skip
        took.append(time.perf_counter() - start)
    theirs = (took[1] - took[0]) / TIMED * REPLICATES
    print(f"{GROUPS} groups, {ROWS:,} rows: ours {min(ours):.3f} s (best of 3; worst {max(ours):.3f} s)")
    print(f"fairlearn {theirs:,.0f} s (scaled from {TIMED} replicates); ratio {theirs / min(ours):,.0f}")
    low, high = peer.by_group_ci
    drawn = np.quantile(rng.normal(size=(1 + TIMED, 20_000)), [0.1587, 0.8413], axis=0)
    scale = 2 * 1.96 / np.diff(drawn, axis=0).mean()  # what the 68 % range of so few normal draws is, in widths
    mine = found[found["model"] == "baseline"]
    for measure in PEERS:
        own = mine[mine["measure"] == measure]
        far = np.abs(own["value"].to_numpy() - peer.by_group[measure].to_numpy(float)).max()
        wide = scale * (high[measure] - low[measure]).astype(float).mean()
        print(f"{measure}: values differ by at most {far:.0e}; mean width {(own['high'] - own['low']).mean():.4f}, "
              f"fairlearn's {wide:.4f} from its 68 % range")  # fmt: skip


if __name__ == "__main__":
    main()
