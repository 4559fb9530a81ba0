"""Ten million rows compared by group: seconds, and memory against the input columns; fairlearn for comparison.

    python benchmarks/bench_scale.py [rows]

One attribute of 12 groups, labels and the decisions of two models: every gap and change with its interval. Memory is
the peak of the whole process, with interpreter, input and what making the input took. fairlearn is timed on a tenth of
the rows and scaled: one MetricFrame a model, of the five rates by group, without a bootstrap.
"""

import resource
import sys
import time

import numpy as np
import pandas as pd
from bench_fairness import PEERS
from fairlearn.metrics import MetricFrame

from hfkit.fairness.perspective import Part, Perspective
from hfkit.fairness.rates.compare import Rates
from hfkit.fairness.rates.counts import STATES, cells
from hfkit.shared import cohorts
from hfkit.shared.costs import Costs
from hfkit.shared.measures import MODELS, RATES

GROUPS = 12


def made(n: int) -> Part:
    """Random rows of one component, in the types that the room has."""
    rng = np.random.default_rng(0)
    event = rng.integers(0, 2, n)
    acted = (rng.random((n, 2)) < 0.3 + 0.4 * event[:, None]).astype(np.int64)
    acted[rng.random(n) < 0.02, 0] = -1  # no score was logged
    names = pd.Categorical.from_codes(rng.integers(0, GROUPS, n).astype(np.int8), [f"g{k:02d}" for k in range(GROUPS)])
    (cohort,) = cohorts.of(pd.DataFrame({"served.g": names}), "served", family="served.")
    view = Perspective(
        name="served", components=("c",), costs=(Costs(1.0, 1.0),), component=np.zeros(n, np.int64), event=event,
        score=acted.astype(float), acted=acted, people=np.arange(n), clusters=(), cohorts=(cohort,), items=np.empty(0),
    )  # fmt: skip
    return Part(view, 0, cohort)


def size(part: Part) -> int:
    """Bytes of the columns that the room has."""
    view = part.view
    return sum(a.nbytes for a in (view.component, view.event, view.score, view.acted, view.people, part.cohort.code))


def peak() -> int:
    """Most bytes of memory the process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def same_as_pandas(part: Part) -> bool:
    """Are the counts those of groupby?"""
    view = part.view
    frame = pd.DataFrame({"group": part.cohort.code, "event": view.event, **{
        m: view.acted[:, i] % STATES for i, m in enumerate(MODELS)}})  # fmt: skip
    theirs = frame.groupby(["group", "event", *MODELS]).size()
    return theirs.to_dict() == {k: v for k, v in np.ndenumerate(cells(part)) if v}


def fairlearn_pass(n: int) -> tuple[float, float]:
    """Seconds of fairlearn for the first n rows, and the largest difference of a rate from ours on those rows."""
    took, far = 0.0, 0.0
    head = made(n)
    ours = Rates.of(head).alone().set_index(["model", "measure"])["value"]
    for i, m in enumerate(MODELS):
        start = time.perf_counter()
        scored = head.view.acted[:, i] >= 0
        frame = MetricFrame(
            metrics={r.name: PEERS[r.name] for r in RATES}, y_true=head.view.event[scored],
            y_pred=head.view.acted[scored, i], sensitive_features=head.cohort.code[scored],
        )  # fmt: skip
        theirs = frame.by_group
        took += time.perf_counter() - start
        for r in RATES:
            far = max(far, float(np.abs(theirs[r.name].to_numpy(float) - ours.loc[(m, r.name)].to_numpy(float)).max()))
    return took, far


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    part = made(n)
    before, start = peak(), time.perf_counter()
    Rates.of(part).compare(0.95)
    took, after = time.perf_counter() - start, peak()
    print(f"{n:,} rows compared in {took:.2f} s ({n / took / 1e6:.1f} million rows a second)")
    print(f"input columns {size(part):,} bytes; peak of the process {after:,} ({before:,} before comparing)")
    print(f"peak / input columns: {after / size(part):.2f}")
    print(f"equal to pandas groupby: {same_as_pandas(part)}")
    theirs, far = fairlearn_pass(n // 10)
    print(f"fairlearn {theirs * 10:.1f} s (scaled from {n // 10:,} rows); ratio {theirs * 10 / took:.0f}; "
          f"rates differ by at most {far:.0e}")  # fmt: skip


if __name__ == "__main__":
    main()
