"""Ten million rows counted in one pass: seconds, and memory against the input columns; fairlearn for comparison.

    python benchmarks/bench_scale.py [rows]

One attribute of 12 groups, 3 components, labels, the decisions of two models, items as units. Memory is the peak of the
whole process, interpreter and input included. fairlearn is timed on a tenth of the rows and scaled: one MetricFrame a
model, of the five measures by component and group, without a bootstrap.
"""

import resource
import sys
import time

import numpy as np

from hfkit.fairness.rows import BLOCK, MEASURES, MODELS, Perspective, cells, fractions

GROUPS, COMPONENTS = 12, 3


def made(n: int) -> Perspective:
    """Random rows in the types that `perspectives` gives; filled block by block, to leave no peak of their own."""
    rng = np.random.default_rng(0)
    component, y, group, item = (np.empty(n, np.int64) for _ in range(4))
    decisions = np.empty((n, 2), np.int64)
    for start in range(0, n, BLOCK):
        rows = slice(start, min(start + BLOCK, n))
        size = rows.stop - rows.start
        component[rows], group[rows] = rng.integers(0, COMPONENTS, size), rng.integers(0, GROUPS, size)
        y[rows], item[rows] = rng.integers(0, 2, size), rng.integers(0, max(n // COMPONENTS, 1), size)
        decisions[rows] = rng.random((size, 2)) < 0.3 + 0.4 * y[rows, None]
        decisions[rows][rng.random(size) < 0.02, 0] = -1  # no score was logged
    names = tuple(f"served.g={k:02d}" for k in range(GROUPS))
    parts = tuple(f"c{k}" for k in range(COMPONENTS))
    return Perspective("served", parts, component, y, decisions, item, item, ("served.g",), (names,), (group,))


def size(p: Perspective) -> int:
    """Bytes of the columns that are counted."""
    return sum(a.nbytes for a in (p.component, p.y, p.decisions, p.unit, *p.member))


def peak() -> int:
    """Most bytes of memory the process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def same_as_pandas(p: Perspective, counts: np.ndarray, units: np.ndarray) -> bool:
    """Are the counts those of groupby?"""
    import pandas as pd

    frame = pd.DataFrame({"component": p.component, "group": p.member[0], "y": p.y, "baseline": p.decisions[:, 0] % 3,
                          "candidate": p.decisions[:, 1] % 3, "unit": p.unit})  # fmt: skip
    own = frame.groupby(["component", "group", "y", "baseline", "candidate"]).size()
    people = frame.groupby(["component", "group"])["unit"].nunique()
    return own.to_dict() == {k: v for k, v in np.ndenumerate(counts) if v} and people.to_dict() == {
        k: v for k, v in np.ndenumerate(units) if v
    }


def fairlearn_pass(p: Perspective, n: int) -> tuple[float, float]:
    """Seconds of fairlearn for the first n rows, and the largest difference of a rate from ours on those rows."""
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
    from sklearn.metrics import accuracy_score, precision_score

    peers = (selection_rate, true_positive_rate, false_positive_rate, precision_score, accuracy_score)
    head = Perspective(p.name, p.components, p.component[:n], p.y[:n], p.decisions[:n], p.unit[:n], p.item[:n],
                       p.attributes, p.groups, (p.member[0][:n],))  # fmt: skip
    top, bottom = (side[..., : 5 * len(MODELS)] for side in fractions(cells(head, 0)[0]))
    took, far = 0.0, 0.0
    for m in range(len(MODELS)):
        start = time.perf_counter()
        known = head.decisions[:, m] >= 0
        frame = MetricFrame(
            metrics=dict(zip(MEASURES, peers, strict=True)), y_true=head.y[known], y_pred=head.decisions[known, m],
            sensitive_features=head.member[0][known], control_features=head.component[known],
        )  # fmt: skip
        theirs = frame.by_group.to_numpy(float).reshape(COMPONENTS, GROUPS, 5)
        took += time.perf_counter() - start
        far = max(far, float(np.abs(theirs - (top / bottom)[..., 5 * m : 5 * m + 5]).max()))
    return took, far


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    p = made(n)
    before, start = peak(), time.perf_counter()
    counts, units = cells(p, 0)
    took, after = time.perf_counter() - start, peak()
    print(f"{n:,} rows counted in {took:.2f} s ({n / took / 1e6:.1f} million rows a second)")
    print(f"input columns {size(p):,} bytes; peak of the process {after:,} ({before:,} before counting)")
    print(f"peak / input columns: {after / size(p):.2f} (under 2: {after < 2 * size(p)})")
    print(f"equal to pandas groupby: {same_as_pandas(p, counts, units)}")
    theirs, far = fairlearn_pass(p, n // 10)
    print(f"fairlearn {theirs * 10:.1f} s (scaled from {n // 10:,} rows); ratio {theirs * 10 / took:.0f}; "
          f"rates differ by at most {far:.0e}")  # fmt: skip


if __name__ == "__main__":
    main()
