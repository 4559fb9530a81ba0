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
RULE = {"suppress_below": 10, "round_to": 5}  # as published
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
    """A true positive rate of 0.65 in one group and 0.80 in all others, 400 rows with the event in each group.

    Found: the interval of its gap lies below 0 (so that the page says a difference is shown). Whether the verdict is
    "fail" too depends on the margin: a gap of 0.15 must then be shown to exceed it.
    """
    found, failed = {}, {}
    for judged, margin, rule in (
        (["true positive rate"], 0.0, {}), (PAGE, 0.05, {}), (list(MEASURES), 0.05, {}), (PAGE, 0.05, RULE),
        (PAGE, 0.1, RULE),
    ):  # fmt: skip
        rng = np.random.default_rng([groups, 15])
        hits = np.zeros(2)
        for _ in range(200):
            member = np.repeat(np.arange(groups), 800)
            y = np.tile([1, 0], groups * 400)
            p = np.where(y == 1, np.where(member == 0, 0.65, 0.80), 0.2)
            says = rng.random(len(member)) < p
            out = fairness.assess([rows(member, y, says, says)], margin=margin, judged=judged, **rule).evidence
            one = out[(out["measure"] == "true positive rate gap (candidate)") & (out["group"] == "served.g=00")]
            hits += [one["high"].item() < 0, one["verdict"].item() == "fail"]
        found[len(judged), margin, len(rule)], failed[margin] = hits / 200
    print(
        f"\n| {groups} | " + " | ".join(f"{v:.3f}" for v in found.values())
        + f" | {failed[0.05]:.3f} | {failed[0.1]:.3f} |", end="",
    )  # fmt: skip
    assert min(found.values()) >= 0.9


P = np.round(np.concatenate([[0.02, 0.03], np.arange(0.05, 0.96, 0.05), [0.97, 0.98]]), 2)


def test_rates_cover():
    """Exact: the probability of every outcome, summed where the interval holds the true rate."""
    worst = {"room": 1.0, "wilson": 1.0}
    for n in (*range(5, 31), 40, 50, 75, 100, 200):
        k = np.arange(n + 1)
        counts = np.zeros((1, n + 1, 2, 3, 3), int)
        counts[0, :, 1, 0, 0], counts[0, :, 1, 1, 1] = n - k, k
        room = gaps.rates(effective.alone(counts), np.full((1, 1, 1), 0.95)).interval()
        bounds = {"room": [b[0, :, 1] for b in room[1:]], "wilson": list(stats.wilson(k, n))}
        for name, (low, high) in bounds.items():
            covered = [((low <= p) & (p <= high)) @ binom.pmf(k, n, p) for p in P]
            worst[name] = min(worst[name], *covered)
    print(f"\nrates, n 5 to 200: least coverage {worst['room']:.3f} (Wilson's, for comparison, {worst['wilson']:.3f})")
    assert worst["room"] >= 0.93


SOME = (*range(5, 21), 25, 30, 40, 60, 100, 200)


def gap_bounds(n, m, level):
    """Bounds of the gap of two true positive rates for every outcome of n and m rows (n x m)."""
    sides = []
    for size in (n, m):
        k = np.arange(size + 1)
        counts = np.zeros((1, size + 1, 2, 3, 3), int)
        counts[0, :, 1, 0, 0], counts[0, :, 1, 1, 1] = size - k, k
        sides.append(gaps.rates(effective.alone(counts), np.full((1, 1, 1), level)))
    first = gaps.Bracket(*(gaps.Estimate(*(a[0, :, 1][:, None] for a in part)) for part in sides[0]))
    second = gaps.Bracket(*(gaps.Estimate(*(a[0, :, 1][None] for a in part)) for part in sides[1]))
    return gaps.between(first, second, gaps.difference).interval()[1:]


@pytest.mark.parametrize("level", [0.95, 0.99, 0.999])
def test_gaps_cover(level):
    """Exact over both binomials, every pair of rates, sizes 5 to 200, at the levels that simultaneous intervals use."""
    least, mover = (1.0, ()), (1.0, ())
    for n in SOME:
        for m in (m for m in SOME if m >= n):
            low, high = gap_bounds(n, m, level)
            k, j = np.arange(n + 1), np.arange(m + 1)
            first, second = ((x / size, *stats.exact(x, size, level)) for x, size in ((k, n), (j, m)))
            _, low_m, high_m = stats.mover(tuple(v[:, None] for v in first), tuple(v[None] for v in second))
            left, right = binom.pmf(k[:, None], n, P), binom.pmf(j[:, None], m, P)
            for a in range(len(P)):
                for b in range(len(P)):
                    gap = P[a] - P[b]
                    held = left[:, a] @ ((low <= gap + 1e-12) & (gap - 1e-12 <= high)) @ right[:, b]
                    least = min(least, (held, (n, m, P[a], P[b])))
                    alone = left[:, a] @ ((low_m <= gap + 1e-12) & (gap - 1e-12 <= high_m)) @ right[:, b]
                    mover = min(mover, (alone, (n, m, P[a], P[b])))
    print(f"\n| gap | {level} | {least[0]:.4f} at {_at(least)} | {mover[0]:.4f} at {_at(mover)} |", end="")
    assert least[0] >= level - 0.02


def _at(found):
    n, m, p, q = found[1]
    return f"{n} and {m} rows, rates {p} and {q}"


@pytest.mark.parametrize("level", [0.95, 0.99, 0.999])
def test_changes_cover(level):
    """Exact over the paired multinomial: rows that go up and rows that go down."""
    least = (1.0, ())
    for n in (*range(5, 13), 15, 20, 30, 40):
        up, down = np.array([(u, d) for u in range(n + 1) for d in range(n + 1 - u)]).T
        counts = np.zeros((1, len(up), 2, 3, 3), int)
        counts[0, :, 1, 0, 1], counts[0, :, 1, 1, 0], counts[0, :, 1, 1, 1] = up, down, n - up - down
        _, low, high = (v[0, :, 1] for v in gaps.changes(effective.alone(counts), np.full((1, 1, 1), level)).interval())
        for p in P:
            for q in P[1 - p + 1e-9 > P]:
                weight = binom.pmf(up, n, p) * binom.pmf(down, n - up, min(q / (1 - p), 1.0))
                held = float(weight[(low <= p - q + 1e-12) & (p - q - 1e-12 <= high)].sum())
                least = min(least, (held, (n, n, p, q)))
    print(f"\n| paired change | {level} | {least[0]:.4f} at {_at(least)} |  |", end="")
    assert least[0] >= level - 0.02


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
