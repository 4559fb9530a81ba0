"""The long versions of the error rates of fairness. `make campaign` runs them and prints what docs/error_rates.md says.

HFKIT_CAMPAIGN=1 python -m pytest tests/campaigns/test_campaign_fairness.py -o testpaths= -q -s
"""

import numpy as np
import pytest
from scipy.stats import binom

from hfkit import fairness
from hfkit.fairness import effective, gaps
from hfkit.fairness.assess import verdict_of
from hfkit.fairness.rows import MEASURES
from hfkit.shared import stats

GROUPS, SIZES = (2, 4, 8, 12, 24), (10, 30, 50, 100, 200)
WORLDS = 300
PAGE = ["true positive rate", "false positive rate", "accuracy"]  # judged by default in params.yaml


def rows(member, y, baseline, candidate, *, rater=None, item=None):
    """One perspective of one component; without raters every row is its own item."""
    one = np.arange(len(y))
    names = tuple(f"served.g={k:02d}" for k in range(member.max() + 1))
    return fairness.Perspective(
        "served" if rater is None else "rater", ("c",), np.zeros(len(y), np.int64), np.asarray(y, np.int64),
        np.column_stack([baseline, candidate]).astype(np.int64), one if rater is None else rater,
        one if item is None else item, ("served.g",), (names,), (np.asarray(member, np.int64),),
    )  # fmt: skip


def world(rng, groups, size, *, rates=None, event=0.5, false_alarm=0.2):
    """Groups of `size` rows; the candidate redraws 3 decisions in 10, so both models have the same true rates."""
    member = np.repeat(np.arange(groups), size)
    y = rng.random(len(member)) < event
    p = np.where(y, np.repeat(np.full(groups, 0.7) if rates is None else rates, size), false_alarm)
    baseline = rng.random(len(member)) < p
    redrawn = rng.random(len(member)) < 0.3
    return rows(member, y, baseline, np.where(redrawn, rng.random(len(member)) < p, baseline))


def clustered(rng, groups, raters):
    """Answers of raters who differ, 5 each, on items that differ and are shared between all groups."""
    rater = np.repeat(np.arange(groups * raters), 5)
    item = rng.integers(0, max(groups * raters * 5 // 4, 8), len(rater))
    hard, strict = rng.normal(size=item.max() + 1), rng.normal(size=groups * raters)
    says = hard[item] > 0
    y = hard[item] + strict[rater] + rng.normal(size=len(rater)) > 0
    return rows(rater // raters, y, says, says, rater=rater, item=item)


def failing(frame, margin):
    """Whether any gap, and whether any change, fails at a margin: the verdict is a reading of the same intervals."""
    judged = frame[(frame["verdict"] != "info") & frame["low"].notna()]
    fails = np.array([verdict_of(r.low, r.high, margin=margin, better=r.better) == "fail" for r in judged.itertuples()])
    change = judged["measure"].str.endswith("change").to_numpy()
    return bool((fails & ~change).any()), bool((fails & change).any())


@pytest.mark.parametrize("groups", GROUPS)
def test_identical_groups_rarely_fail(groups):
    for size in SIZES:
        rng = np.random.default_rng([groups, size])
        failed, uncovered = np.zeros((2, 2)), 0
        for _ in range(WORLDS):
            out = fairness.assess([world(rng, groups, size)], margin=0.0).evidence
            assert ((out["verdict"] == "fail").any()) == any(failing(out, 0.0))
            failed += [failing(out, 0.0), failing(out, 0.05)]
            gap = out[out["measure"].str.contains(r" gap \(") & out["low"].notna()]
            uncovered += bool(((gap["low"] > 0) | (gap["high"] < 0)).any())
        strict, loose = failed / WORLDS
        print(
            f"\n| {groups} | {size} | {strict[0]:.3f} | {strict[1]:.3f} | {loose[0]:.3f} | {loose[1]:.3f} "
            f"| {1 - uncovered / WORLDS:.3f} |", end="",
        )  # fmt: skip
        assert max(strict[0], strict[1], loose[0], loose[1]) <= 0.05
        assert 1 - uncovered / WORLDS >= 0.93


@pytest.mark.parametrize(("groups", "raters"), [(2, 20), (4, 20), (8, 20), (2, 60)])
def test_identical_groups_of_raters_rarely_fail(groups, raters):
    rng = np.random.default_rng([groups, raters, 5])
    failed = np.mean(
        [failing(fairness.assess([clustered(rng, groups, raters)], margin=0.0).evidence, 0.0)[0] for _ in range(WORLDS)]
    )
    print(f"\n| {groups} | {raters} | {failed:.3f} |", end="")
    assert failed <= 0.05


@pytest.mark.parametrize("groups", GROUPS)
def test_planted_gap_is_found(groups):
    """A true positive rate of 0.65 in one group and 0.80 in all others, 400 rows with the event in each group."""
    found = {}
    for judged, margin in ((["true positive rate"], 0.0), (PAGE, 0.0), (list(MEASURES), 0.0), (PAGE, 0.05)):
        rng = np.random.default_rng([groups, 15])
        hits = 0
        for _ in range(200):
            member = np.repeat(np.arange(groups), 800)
            y = np.tile([1, 0], groups * 400)
            p = np.where(y == 1, np.where(member == 0, 0.65, 0.80), 0.2)
            says = rng.random(len(member)) < p
            out = fairness.assess([rows(member, y, says, says)], margin=margin, judged=judged).evidence
            one = out[(out["measure"] == "true positive rate gap (candidate)") & (out["group"] == "served.g=00")]
            hits += one["verdict"].item() == "fail"
        found[len(judged), margin] = hits / 200
    print(f"\n| {groups} | " + " | ".join(f"{v:.3f}" for v in found.values()) + " |", end="")
    assert min(v for (_, margin), v in found.items() if margin == 0) >= 0.9


def side(counts):
    """Counts of independent rows, one component, one group an entry."""
    counts = np.asarray(counts)[None]
    shape = (*counts.shape[:2], 15)
    return effective.Side(counts, counts.sum(axis=(-3, -2, -1)), np.ones(shape), np.full(shape, np.inf))


P = np.round(np.concatenate([[0.02, 0.03], np.arange(0.05, 0.96, 0.05), [0.97, 0.98]]), 2)


def test_rates_cover():
    """Exact: the probability of every outcome, summed where the interval holds the true rate."""
    worst = {"room": 1.0, "wilson": 1.0}
    for n in (*range(5, 31), 40, 50, 75, 100, 200):
        k = np.arange(n + 1)
        counts = np.zeros((n + 1, 2, 3, 3), int)
        counts[:, 1, 0, 0], counts[:, 1, 1, 1] = n - k, k
        bounds = {"room": [b[0, :, 1] for b in gaps.rates(side(counts), np.full((1, 1, 1), 0.95))[1:]]}
        bounds["wilson"] = list(stats.wilson(k, n))
        for name, (low, high) in bounds.items():
            covered = [((low <= p) & (p <= high)) @ binom.pmf(k, n, p) for p in P]
            worst[name] = min(worst[name], *covered)
    print(f"\nrates, n 5 to 200: least coverage {worst['room']:.3f} (Wilson's, for comparison, {worst['wilson']:.3f})")
    assert worst["room"] >= 0.93


SHORT = pytest.mark.xfail(reason="known: 0.927 where rates near 0 and near 1 meet, below the stated 0.93")
PAIRS = [(5, 5), (5, 15), (5, 100), pytest.param(10, 10, marks=SHORT), (10, 70), (30, 30), (30, 200), (100, 100)]


@pytest.mark.parametrize(("n", "m"), PAIRS)
def test_gaps_cover(n, m):
    """Exact over both binomials, every pair of rates; group against rest of the same and of other size."""
    k, j = np.arange(n + 1), np.arange(m + 1)
    first, second = ((x / size, *stats.exact(x, size)) for x, size in ((k, n), (j, m)))
    _, low, high = stats.mover(tuple(v[:, None] for v in first), tuple(v[None] for v in second))
    left, right = binom.pmf(k[:, None], n, P), binom.pmf(j[:, None], m, P)
    worst = min(
        left[:, a] @ ((low <= P[a] - P[b]) & (P[a] - P[b] <= high)) @ right[:, b]
        for a in range(len(P)) for b in range(len(P))
    )  # fmt: skip
    print(f"\n| gap | {n} and {m} | {worst:.3f} |", end="")
    assert worst >= 0.93


def test_changes_cover():
    """Exact over the paired multinomial: rows that go up and rows that go down."""
    for n in (5, 10, 20, 40):
        up, down = np.array([(u, d) for u in range(n + 1) for d in range(n + 1 - u)]).T
        counts = np.zeros((len(up), 2, 3, 3), int)
        counts[:, 1, 0, 1], counts[:, 1, 1, 0], counts[:, 1, 1, 1] = up, down, n - up - down
        _, low, high = (v[0, :, 1] for v in gaps.changes(side(counts), np.full((1, 1, 1), 0.95)))
        worst = 1.0
        for p in P[P <= 0.5]:
            for q in P[1 - p - 1e-9 > P]:
                weight = binom.pmf(up, n, p) * binom.pmf(down, n - up, min(q / (1 - p), 1.0))
                worst = min(worst, float(weight[(low <= p - q) & (p - q <= high)].sum()))
        print(f"\n| paired change | {n} | {worst:.3f} |", end="")
        assert worst >= 0.93


@pytest.mark.parametrize("groups", [4, 12, 24])
def test_gaps_of_different_groups_cover_together(groups):
    """True positive rates from 0.5 to 0.95: all gaps of both models hold their truth, given how many rows each has."""
    for size in (10, 30, 100):
        rng = np.random.default_rng([groups, size, 2])
        rates, held = np.linspace(0.5, 0.95, groups), 0
        for _ in range(WORLDS):
            p = world(rng, groups, size, rates=rates)
            out = fairness.assess([p], margin=0.0, judged=["true positive rate"]).evidence
            n = np.bincount(p.member[0][p.y == 1], minlength=groups)
            truth = rates - (rates @ n - rates * n) / (n.sum() - n)
            gap = out[out["measure"].str.startswith("true positive rate gap (")]
            target = truth[gap["group"].str[-2:].astype(int)]
            held += not ((gap["low"] > target) | (gap["high"] < target)).any()
        print(f"\n| {groups} | {size} | {held / WORLDS:.3f} |", end="")
        assert held / WORLDS >= 0.93
