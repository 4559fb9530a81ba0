"""Intervals of rates and differences against statsmodels, published figures, hand arithmetic and exact enumeration."""

import math
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln
from scipy.stats import beta, binom, binomtest, norm
from scipy.stats import t as student
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from hfkit.shared import intervals

SOME = [(k, n) for n in (1, 2, 5, 30, 400) for k in sorted({0, 1, n // 3, n - 1, n})]
RATES = np.array([0.005, 0.02, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.98, 0.995])
LEVELS = {0.95: 0.93, 0.99: 0.978, 0.999: 0.9925}  # level -> least coverage of a difference or a change at any size


# one rate


@pytest.mark.parametrize(("method", "peer"), [(intervals.wilson, "wilson"), (intervals.exact, "beta")])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
def test_rate_intervals_equal_statsmodels(method, peer, level):
    k, n = np.array(SOME).T
    low, high = method(k, n, level)
    expected = [proportion_confint(a, b, alpha=1 - level, method=peer) for a, b in SOME]
    assert np.column_stack([low, high]) == pytest.approx(np.array(expected, float), abs=1e-10)
    assert (low >= 0).all()
    assert (high <= 1).all()
    assert (low[k == 0] == 0).all()
    assert (high[k == n] == 1).all()


def test_jeffreys_equals_statsmodels_and_ends_at_the_ends_of_the_scale():
    k, n = np.array([(k, n) for k, n in SOME if 0 < k < n]).T
    expected = [proportion_confint(a, b, method="jeffreys") for a, b in zip(k, n, strict=True)]
    assert np.column_stack(intervals.jeffreys(k, n)) == pytest.approx(np.array(expected), abs=1e-10)
    assert intervals.jeffreys(0, 9)[0] == 0
    assert intervals.jeffreys(9, 9)[1] == 1


def covered(low, high, truth, weight):
    return weight[(low <= truth + 1e-12) & (truth - 1e-12 <= high)].sum()


def test_exact_covers_everywhere_and_wilson_does_not():
    """Exact enumeration over every outcome k, n 5 to 40, rates 0.02 to 0.98."""
    rates = np.linspace(0.02, 0.98, 193)
    worst = {}
    for method in (intervals.exact, intervals.wilson):
        lows = []
        for n in range(5, 41):
            low, high = (v[:, None] for v in method(np.arange(n + 1), n))
            chance = binom.pmf(np.arange(n + 1)[:, None], n, rates)
            lows.append((chance * ((low <= rates) & (rates <= high))).sum(0).min())
        worst[method] = min(lows)
    assert worst[intervals.exact] >= 0.95
    assert worst[intervals.wilson] < 0.9


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("n", [5, 12, 30])
def test_a_rate_holds_its_level_at_every_rate(n, level):
    k = np.arange(n + 1)
    found = intervals.rate(k, n, level)
    for p in RATES:
        assert covered(found.low, found.high, p, binom.pmf(k, n, p)) >= level


def test_student_reaches_as_far_as_the_t_distribution():
    """Where a float cannot tell the level from 1 the bounds are the ends of the scale: too wide, never too narrow."""
    for df, level in product((2.0, 3.5, 10.0, 200.0), (0.9, 0.95, 0.999)):
        reached, wanted = norm.ppf(0.5 + float(intervals.student(level, df)) / 2), student.ppf(0.5 + level / 2, df)
        assert reached == pytest.approx(wanted, rel=1e-6) if wanted < 7 else reached > 7
    assert intervals.student(0.95, np.inf) == 0.95
    assert math.isnan(intervals.student(0.95, 0.9))
    assert math.isnan(intervals.student(0.95, np.nan))


# differences of independent rates


@pytest.mark.parametrize("counts", [(56, 70, 48, 80), (9, 10, 3, 10), (10, 10, 0, 20), (10, 10, 0, 10), (0, 5, 0, 7)])
def test_newcombe_equals_statsmodels(counts):
    peer = confint_proportions_2indep(*counts, method="newcomb")
    assert intervals.newcombe(*counts)[1:] == pytest.approx(peer, abs=1e-10)


def test_newcombe_equals_the_published_table():
    """Newcombe 1998, table II, method 10, contrasts (a), (b), (d), (g): to four decimals."""
    published = {(56, 70, 48, 80): (0.0524, 0.3339), (9, 10, 3, 10): (0.1705, 0.8090),
                 (5, 56, 0, 29): (-0.0381, 0.1926), (10, 10, 0, 20): (0.6791, 1.0)}  # fmt: skip
    for counts, bounds in published.items():
        assert intervals.newcombe(*counts)[1:] == pytest.approx(bounds, abs=6e-5)


def gap(k, n, j, m, level=0.95):
    return intervals.difference(intervals.rate(k, n, level), intervals.rate(j, m, level))


def square_and_add(k, n, j, m, level=0.95):
    """By hand: Jeffreys' bounds (below 20 rows those of Clopper and Pearson), squared and added."""
    sides = []
    for a, b in ((k, n), (j, m)):
        half = 0.5 if b >= 20 else 0.0
        low = beta.ppf((1 - level) / 2, a + half, b - a + (0.5 if half else 1)) if a else 0.0
        high = beta.ppf((1 + level) / 2, a + (0.5 if half else 1), b - a + half) if a < b else 1.0
        sides.append((a / b, min(low, a / b), max(high, a / b)))
    (p, lp, up), (q, lq, uq) = sides
    return p - q - math.hypot(p - lp, uq - q), p - q + math.hypot(up - p, q - lq)


@pytest.mark.parametrize("counts", [(56, 70, 48, 80), (9, 10, 3, 10), (10, 10, 0, 20), (0, 5, 0, 7), (3, 40, 39, 40)])
@pytest.mark.parametrize("level", [0.95, 0.999])
def test_a_difference_is_the_wider_of_square_and_add_and_agresti_and_caffo(counts, level):
    value, low, high = gap(*counts, level)
    by_hand = square_and_add(*counts, level)
    caffo = confint_proportions_2indep(*counts, method="agresti-caffo", alpha=1 - level)
    assert value == pytest.approx(counts[0] / counts[1] - counts[2] / counts[3])
    assert low == pytest.approx(max(min(by_hand[0], caffo[0]), -1), abs=1e-9)
    assert high == pytest.approx(min(max(by_hand[1], caffo[1]), 1), abs=1e-9)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("n", "m"), [(5, 5), (6, 6), (7, 19), (8, 60), (10, 10), (14, 17), (5, 40), (25, 100)])
def test_a_difference_covers_at_every_level(n, m, level):
    """Exact over both binomials, near 0 and 1 too: square-and-add alone stays at 0.93 there, whatever level is asked
    for, and with Jeffreys' bounds at 7 and 19 rows it holds 0.89."""
    k, j = np.arange(n + 1)[:, None], np.arange(m + 1)[None]
    _, low, high = gap(k, n, j, m, level)
    for p, q in product(RATES, RATES):
        weight = binom.pmf(k, n, p) * binom.pmf(j, m, q)
        assert covered(low, high, p - q, weight) >= LEVELS[level]


def test_square_and_add_on_exact_bounds_covers():
    for n, m in ((5, 5), (5, 40), (12, 30)):
        a, b = np.arange(n + 1), np.arange(m + 1)
        first, second = ((k / size, *intervals.exact(k, size)) for k, size in ((a, n), (b, m)))
        _, low, high = intervals.mover(tuple(v[:, None] for v in first), tuple(v[None, :] for v in second))
        for p, q in product((0.02, 0.1, 0.3, 0.5, 0.8, 0.98), repeat=2):
            assert covered(low, high, p - q, binom.pmf(a, n, p)[:, None] * binom.pmf(b, m, q)) >= 0.93


def test_a_ratio_is_square_and_add_on_the_log_scale_and_covers():
    value, low, high = intervals.ratio(intervals.rate(8, 10), intervals.rate(20, 50))
    (l1, u1), (l2, u2) = (binomtest(k, n).proportion_ci() for k, n in ((8, 10), (20, 50)))
    assert value == pytest.approx(2)
    assert low == pytest.approx(2 * math.exp(-math.hypot(math.log(0.8 / l1), math.log(u2 / 0.4))))
    assert high == pytest.approx(2 * math.exp(math.hypot(math.log(u1 / 0.8), math.log(0.4 / l2))))
    k, j = np.arange(11)[:, None], np.arange(31)[None]
    value, low, high = intervals.ratio(intervals.rate(k, 10), intervals.rate(j, 30))
    assert np.isnan(value[:, 0]).all()  # over nobody: undefined, not infinite
    for p, q in product((0.1, 0.5, 0.9), repeat=2):
        weight = (binom.pmf(k, 10, p) * binom.pmf(j, 30, q))[:, 1:]
        assert covered(low[:, 1:], high[:, 1:], p / q, weight) >= 0.93 * weight.sum()


# changes of the same rows


def test_a_paired_change_reaches_as_far_as_the_published_example():
    """R's statpsych, ci.prop.ps(.05, 12, 4, 26, 6), after Bonett and Price (2012): 0.2548067 to 0.6251933."""
    value, low, high = intervals.paired(26, 4, 48)
    assert value == pytest.approx(22 / 48)
    assert low == pytest.approx(0.2548067, abs=1e-6)
    assert 0.6251933 - 1e-6 <= high < 0.65


def test_a_paired_change_by_hand():
    """Below 20 rows: exact bounds of both shares, joined with the correlation that cells of one table have."""
    p, q, n = 3 / 10, 1 / 10, 10
    (lp, up), (lq, uq) = (binomtest(k, n).proportion_ci() for k in (3, 1))
    r = -math.sqrt(p * q / ((1 - p) * (1 - q)))
    low = p - q - math.sqrt((p - lp) ** 2 - 2 * r * (p - lp) * (uq - q) + (uq - q) ** 2)
    high = p - q + math.sqrt((up - p) ** 2 - 2 * r * (up - p) * (q - lq) + (q - lq) ** 2)
    assert intervals.paired(3, 1, n) == pytest.approx((0.2, low, high))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("n", [5, 10, 19, 20, 30])
def test_a_paired_change_covers_at_every_level(n, level):
    """Exact: the probability of every outcome of n paired rows, summed where the interval holds the truth."""
    up, down = np.array([(u, d) for u in range(n + 1) for d in range(n + 1 - u)]).T
    _, low, high = intervals.paired(up, down, n, level)
    for p, q in product((0.005, 0.02, 0.1, 0.2, 0.4, 0.5, 0.8, 0.95), repeat=2):
        if p + q <= 1:
            weight = binom.pmf(up, n, p) * binom.pmf(down, n - up, min(q / (1 - p), 1.0))
            assert covered(low, high, p - q, weight) >= LEVELS[level]


# a mean of few values


def test_with_one_value_that_counts_the_mean_is_a_share_with_exact_bounds():
    for k in range(6):
        peer = binomtest(k, 5).proportion_ci(0.95)
        found = intervals.few_valued([k], 5, [0, 1])
        assert (found.value, found.low, found.high) == pytest.approx((k / 5, peer.low, peer.high))
        three = intervals.few_valued([k], 5, [-2, 1])  # the unit of the values
        assert three[1:] == pytest.approx((3 * peer.low - 2, 3 * peer.high - 2))


@pytest.mark.parametrize(("n", "costs"), [(5, (1.0, 3.0)), (5, (1.0, 1.0)), (8, (1.0, 20.0)), (10, (1.0, 1.5))])
def test_a_mean_of_few_values_covers_at_small_n_by_enumeration(n, costs):
    """Every outcome of n rows, its probability and its interval: the chance that the interval holds the truth."""
    small, large = costs
    values = np.array([-large, -small, 0.0, small, large])
    bars = np.array(list(combinations(range(n + 4), 4)))
    edges = np.column_stack([np.full(len(bars), -1), bars, np.full(len(bars), n + 4)])
    counts = np.diff(edges, axis=1) - 1
    found = [intervals.few_valued(c[::-1].cumsum()[::-1][1:], n, values) for c in counts]
    low, high = np.array([f.low for f in found]), np.array([f.high for f in found])
    ways = gammaln(n + 1) - gammaln(counts + 1).sum(axis=1)
    worst = 1.0
    for moved, split in product([0.02, 0.1, 0.5, 0.9, 0.98], product([0.02, 0.3, 1.0], repeat=4)):
        part = moved * np.array(split) / sum(split)
        p = np.array([part[0], part[1], 1 - moved, part[2], part[3]])
        chance = np.exp(ways + counts @ np.log(p))
        worst = min(worst, float(chance[(low <= p @ values) & (p @ values <= high)].sum()))
    assert worst >= 0.93


def test_rows_that_go_together_count_as_fewer():
    alone, together = (intervals.few_valued([30, 10], 60, [0, 1, 3], effect=e) for e in (1.0, 4.0))
    fewer = intervals.few_valued([7.5, 2.5], 15, [0, 1, 3])
    assert together.value == alone.value == pytest.approx((20 + 30) / 60)
    assert together.high - together.low > 1.6 * (alone.high - alone.low)
    assert together.low == pytest.approx(fewer.low, rel=0.02)  # as fifteen rows; half a row more is added to the rates


# many intervals


def test_simultaneous_levels_are_sidaks():
    assert intervals.simultaneous(10) == pytest.approx(0.95**0.1)
    assert intervals.simultaneous(10, 0.96) ** 10 == pytest.approx(0.96)
    assert intervals.simultaneous([0, 1, 2]).tolist() == pytest.approx([0.95, 0.95, math.sqrt(0.95)])


def test_so_many_intervals_hold_together():
    """50 rates of 40 rows: each at 95 % they hold together in hardly any world, at the simultaneous level in 95 %."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.1, 0.9, 50)
    k = rng.binomial(40, truth, (1000, 50))
    held = {}
    for level in (0.95, intervals.simultaneous(50)):
        low, high = intervals.jeffreys(k, 40, level)
        held[level] = np.mean(((low <= truth) & (truth <= high)).all(axis=1))
    assert held[0.95] < 0.25
    assert held[intervals.simultaneous(50)] >= 0.93


# laws

rows = st.tuples(st.floats(0, 1), st.integers(1, 60)).map(lambda r: (round(r[0] * r[1], 2), float(r[1])))


@given(rows, rows)
@settings(max_examples=150, deadline=None)
def test_a_difference_turned_round_is_its_negative_and_a_higher_level_is_wider(first, second):
    there, back = gap(*first, *second), gap(*second, *first)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low), abs=1e-9)
    assert -1 <= there.low <= there.value <= there.high <= 1
    wide = gap(*first, *second, 0.999)
    assert wide.low <= there.low + 1e-12
    assert wide.high >= there.high - 1e-12


@given(st.integers(1, 50).flatmap(lambda n: st.tuples(st.integers(0, n), st.integers(0, n), st.just(n))))
@settings(max_examples=150, deadline=None)
def test_a_change_turned_round_is_its_negative_and_stays_on_the_scale(counts):
    up, down, n = counts
    down = min(down, n - up)
    there, back = intervals.paired(up, down, n), intervals.paired(down, up, n)
    assert tuple(there) == pytest.approx((-back.value, -back.high, -back.low), abs=1e-9)
    assert -1 <= there.low <= there.value + 1e-12
    assert there.value - 1e-12 <= there.high <= 1


@given(rows)
@settings(max_examples=100, deadline=None)
def test_every_rate_lies_between_its_bounds(row):
    for method in (intervals.wilson, intervals.exact):
        low, high = method(*row)
        assert 0 <= low <= row[0] / row[1] + 1e-12
        assert row[0] / row[1] - 1e-12 <= high <= 1
    found = intervals.rate(*row)
    assert found.low <= found.value <= found.high
    assert found.near[0] <= found.value <= found.near[1]


def test_nothing_counted_is_undefined():
    rate = intervals.rate
    found = [*intervals.wilson(0, 0), *intervals.exact(0, 0), *intervals.jeffreys(0, 0), *rate(0, 0)[:3]]
    found += [*intervals.newcombe(1, 2, 0, 0), *gap(1, 2, 0, 0), *intervals.paired(0, 0, 0)]
    found += [*intervals.few_valued([0], 0, [0, 1]), *intervals.ratio(rate(3, 4), rate(0, 9))]
    assert all(math.isnan(v) for v in found)
    nowhere = rate(3, 4, math.nan)  # too few clusters: a value without bounds
    assert nowhere.value == 0.75
    assert math.isnan(nowhere.low)
    value, low, high = intervals.difference(nowhere, rate(20, 40))
    assert value == 0.25
    assert math.isnan(low)
    assert math.isnan(high)


NAN = math.nan


@pytest.mark.parametrize(
    ("method", "given_rows", "expected"),
    [
        (intervals.wilson, (1, 1), (0.20654931, 1.0)),  # the end of the scale is the bound where everybody is counted
        (intervals.wilson, (0, 10), (0.0, 0.27753279)),
        (intervals.exact, (1, 1), (0.025, 1.0)),
        (intervals.exact, (0, 10), (0.0, 0.3084971)),
        (intervals.exact, (10, 10), (0.6915029, 1.0)),
        (intervals.newcombe, (1, 1, 0, 1), (1.0, -0.12211, 1.0)),  # 1 - 0; it may be less than 0
        (intervals.newcombe, (5, 10, 5, 10), (0.0, -0.37251, 0.37251)),  # equal rates, unsure
        (intervals.newcombe, (NAN, 10, 5, [10, NAN]), ([NAN] * 2,) * 3),
        (intervals.wilson, ([NAN, 1, 0], [9, NAN, NAN]), ([NAN] * 3,) * 2),
        (intervals.exact, ([NAN, 1, 0], [9, NAN, NAN]), ([NAN] * 3,) * 2),
        (intervals.wilson, ([], []), ([], [])),
        (intervals.newcombe, ([], [], [], []), ([], [], [])),
        (intervals.mover, ((1.0, NAN, NAN), (0.0, NAN, NAN)), (1.0, NAN, NAN)),  # 1 - 0 needs no bounds
        (intervals.mover, ((0.5, 0.4, 0.6), (0.5, 0.4, 0.6), 1), (0.0, 0.0, 0.0)),  # one and the same
        (intervals.mover, ((NAN, 0.1, 0.2), (0.5, 0.4, 0.6)), (NAN, NAN, NAN)),
        (intervals.mover, ((1, 0, 1), (0, 0, 1), NAN), (1, NAN, NAN)),
        (intervals.mover, ((1, 1, 1), (0, 0, 0)), (1, 1, 1)),  # two points apart by 1
    ],
)
def test_degenerate_counts_give_what_is_known_and_no_more(method, given_rows, expected):
    found = method(*given_rows)
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(np.asarray(found, float), np.asarray(expected, float), atol=1e-5, rtol=0)


def test_each_row_has_an_answer_of_its_own_whatever_the_order():
    rng = np.random.default_rng(1)
    k, n = rng.integers(0, 9, 200) / 1.3, rng.integers(9, 40, 200) / 1.3
    mix = rng.permutation(200)
    for method in (
        intervals.wilson, intervals.exact, intervals.jeffreys, lambda k, n: gap(k, n, k / 2, n),
        lambda k, n: intervals.newcombe(k, n, k / 2, n), lambda k, n: intervals.paired(k, k / 2, n),
    ):  # fmt: skip
        before, after = np.asarray(method(k, n)), np.asarray(method(k[mix], n[mix]))
        assert np.ascontiguousarray(before[:, mix]).tobytes() == after.tobytes()
