"""The clustered variance against statsmodels, its floors, and what follows from it: design effects, means."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student
from statsmodels.stats.sandwich_covariance import cov_cluster, cov_cluster_2groups

from hfkit.shared import cluster


def fitted(x):
    return sm.OLS(x, np.ones((len(x), 1))).fit()


def shares(x):
    return (x - x.mean()) / len(x)


def two_ways(rng, n=300, raters=25, items=60, both=1.0):
    """Answers of raters on items, both with a habit of their own; some raters answer one item more than once."""
    rater, item = rng.integers(0, raters, n), rng.integers(0, items, n)
    x = both * (rng.normal(size=raters)[rater] + rng.normal(size=items)[item]) + rng.normal(size=n)
    return x, rater, item


def test_independent_rows_have_the_variance_of_a_mean():
    x = np.array([1.0, 2.0, 4.0, 7.0])
    assert cluster.variance(shares(x))[0] == pytest.approx(x.var(ddof=1) / 4)
    assert cluster.variance(shares(x))[0] == pytest.approx(fitted(x).get_robustcov_results("HC1").cov_params()[0, 0])


@pytest.mark.parametrize("seed", range(3))
def test_one_way_equals_statsmodels(seed):
    x, rater, _ = two_ways(np.random.default_rng(seed))
    peer = cov_cluster(fitted(x), rater, use_correction=True)[0, 0]
    assert peer > x.var(ddof=1) / len(x)  # no floor binds
    assert cluster.variance(shares(x), rater)[0] == pytest.approx(peer, rel=1e-12)
    names = np.array([f"rater {25 - r}" for r in rater], object)  # names, in another order
    assert cluster.variance(shares(x), names)[0] == pytest.approx(peer, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_two_ways_equal_statsmodels_also_where_a_rater_answers_an_item_twice(seed):
    x, rater, item = two_ways(np.random.default_rng(seed), raters=12, items=20)
    assert len(np.unique(np.column_stack([rater, item]), axis=0)) < len(x)  # pairs that repeat
    both, by_rater, by_item = (float(v[0, 0]) for v in cov_cluster_2groups(fitted(x), rater, item, use_correction=True))
    assert both > max(by_rater, by_item)  # no floor binds
    assert cluster.variance(shares(x), rater, item)[0] == pytest.approx(both, rel=1e-12)
    assert cluster.variance(shares(x), item, rater)[0] == pytest.approx(both, rel=1e-12)


def test_it_never_falls_below_one_clustering_alone_nor_below_independent_rows():
    """Rows of a cluster that cancel each other make a smaller sum, by chance: statsmodels has no floor, this has."""
    bound = []
    for seed in range(40):
        x, rater, item = two_ways(np.random.default_rng(seed), n=30, raters=8, items=15, both=0.0)
        two, by_rater, by_item = (float(v[0, 0]) for v in cov_cluster_2groups(fitted(x), rater, item))
        alone = x.var(ddof=1) / len(x)
        assert cluster.variance(shares(x), rater, item)[0] == pytest.approx(max(two, by_rater, by_item, alone))
        assert cluster.variance(shares(x), rater)[0] == pytest.approx(max(by_rater, alone))
        bound += [name for name, v in (("two", two), ("rater", by_rater)) if v < max(by_rater, by_item, alone)]
    assert {"two", "rater"} <= set(bound)  # worlds in which a floor binds were among them


def test_every_estimate_has_a_column_of_its_own():
    x, rater, item = two_ways(np.random.default_rng(3))
    both = cluster.variance(np.column_stack([shares(x), shares(x**2)]), rater, item)
    assert both == pytest.approx([cluster.variance(shares(y), rater, item)[0] for y in (x, x**2)], rel=1e-12)


def test_one_cluster_or_one_row_has_no_variance():
    x = shares(np.array([1.0, 2.0, 5.0]))
    assert math.isnan(cluster.variance(x, [7, 7, 7])[0])
    assert math.isnan(cluster.variance(x, [0, 1, 2], ["a", "a", "a"])[0])
    assert math.isnan(cluster.variance(np.zeros(1))[0])


def test_effective_clusters_by_hand():
    assert cluster.effective(np.ones(6), [0, 0, 0, 0, 1, 2]) == pytest.approx(36 / 18)
    assert cluster.effective([3.0, 1.0], ["a", "b"]) == pytest.approx(16 / 10)
    assert cluster.effective(np.ones(8), np.arange(8) // 2, np.arange(8) // 4) == pytest.approx(2)  # the fewer
    assert cluster.effective(np.ones(5)) == 5
    assert cluster.effective(np.zeros(3), [0, 1, 2]) == 0
    assert cluster.effective([], []) == 0


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_there_are_no_more_effective_clusters_than_clusters(codes):
    found = cluster.effective(np.ones(len(codes)), codes)
    assert 1 - 1e-9 <= found <= len(set(codes)) + 1e-9


def test_the_design_effect_is_how_much_wider_statsmodels_makes_a_rate():
    rng = np.random.default_rng(4)
    rater = rng.integers(0, 20, 200)
    says = (rng.normal(size=20)[rater] + rng.normal(size=200) > 0).astype(float)
    effect, df = cluster.design(says[:, None], np.ones((200, 1)), rater)
    fit = fitted(says)
    peer = cov_cluster(fit, rater)[0, 0] / fit.get_robustcov_results("HC1").cov_params()[0, 0]
    assert effect[0] == pytest.approx(peer, rel=1e-12)
    sizes = np.bincount(rater)
    assert df[0] == pytest.approx(200**2 / (sizes @ sizes) - 1)


def test_the_design_effect_counts_only_the_rows_of_the_denominator():
    """Rows without the event are no part of a true positive rate: nothing changes where they are many."""
    rng = np.random.default_rng(5)
    rater = np.repeat(np.arange(30), 10)
    event = np.tile([1.0, 1.0, 1.0, *[0.0] * 7], 30)
    hit = event * (rng.normal(size=30)[rater] > 0)
    effect, df = cluster.design(hit[:, None], event[:, None], rater)
    assert df[0] == pytest.approx(29)
    assert effect[0] == pytest.approx(3, rel=0.05)  # three counted rows a rater, all alike
    few, less = cluster.design(hit[:, None] * (rater < 4)[:, None], event[:, None] * (rater < 4)[:, None], rater)
    assert less[0] == pytest.approx(3)  # four raters have a row that counts
    assert few[0] >= 1


def test_identical_answers_of_a_cluster_count_once_also_where_nothing_varies():
    rater = np.repeat(np.arange(10), 5)
    effect, df = cluster.design(np.ones((50, 1)), np.ones((50, 1)), rater)
    assert (effect[0], df[0]) == pytest.approx((5, 9))
    uneven = np.repeat([0, 1, 2], [10, 1, 1])
    effect, df = cluster.design(np.zeros((12, 1)), np.ones((12, 1)), uneven)
    assert (effect[0], df[0]) == pytest.approx((12 / (144 / 102), 144 / 102 - 1))
    assert [v.tolist() for v in cluster.design(np.ones((3, 2)), np.ones((3, 2)))] == [[1, 1], [math.inf] * 2]


def test_the_design_effect_is_never_below_one_and_nothing_has_no_degrees_of_freedom():
    half = np.tile([[1.0], [0.0]], (10, 1))  # every rater is right once and wrong once
    assert cluster.design(half, np.ones((20, 1)), np.repeat(np.arange(10), 2))[0][0] == 1
    effect, df = cluster.design(np.zeros((4, 1)), np.zeros((4, 1)), np.arange(4))
    assert effect[0] == 1
    assert math.isnan(df[0])


def test_mean_interval_by_hand():
    x = np.array([1.0, 2.0, 4.0, 7.0])
    half = student.ppf(0.975, 3) * x.std(ddof=1) / 2
    assert cluster.mean_interval(x) == pytest.approx((3.5, 3.5 - half, 3.5 + half))
    # every value twice, in one cluster each: no new knowledge
    twice = cluster.mean_interval(np.repeat(x, 2), np.repeat(list("abcd"), 2))
    assert twice == pytest.approx((3.5, 3.5 - half, 3.5 + half))
    wide = cluster.mean_interval(x, level=0.99)
    assert wide[2] - 3.5 == pytest.approx(student.ppf(0.995, 3) * x.std(ddof=1) / 2)


def test_mean_interval_has_the_degrees_of_freedom_of_the_effective_clusters():
    rng = np.random.default_rng(6)
    rater = np.repeat(np.arange(12), [60, 40, *[3] * 10])
    x = rng.normal(size=12)[rater] + rng.normal(size=130)
    mean, low, high = cluster.mean_interval(x, rater)
    spread = math.sqrt(cov_cluster(fitted(x), rater)[0, 0])
    df = 130**2 / (60**2 + 40**2 + 10 * 9) - 1
    assert (high - low) / 2 == pytest.approx(student.ppf(0.975, df) * spread)
    assert mean == pytest.approx(x.mean())


def test_a_mean_without_values_or_clusters_has_no_interval():
    assert all(math.isnan(v) for v in (*cluster.mean_interval([]), *cluster.mean_interval([], [])))
    assert all(math.isnan(v) for v in cluster.mean_interval([3.0, np.nan]))
    for one in (cluster.mean_interval([3.0]), cluster.mean_interval([3.0, 4.0], ["a", "a"])):
        assert one[0] == pytest.approx(3.0, abs=0.5)
        assert math.isnan(one[1])
        assert math.isnan(one[2])
    assert cluster.mean_interval([0.0] * 4) == (0.0, 0.0, 0.0)  # a sample without spread: Student's is that point


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_rows_does_not_change_a_bit(seed):
    rng = np.random.default_rng(seed)
    x, rater, item = two_ways(rng)
    x = np.round(x, 1) / 3  # ties
    for given_clusters in ((), (rater,), (rater, item)):
        first = np.asarray(cluster.mean_interval(x, *given_clusters)).tobytes()
        for _ in range(10):
            mix = rng.permutation(len(x))
            assert np.asarray(cluster.mean_interval(x[mix], *(c[mix] for c in given_clusters))).tobytes() == first


def test_effective_clusters_keep_the_level_where_a_few_raters_give_most_answers():
    """Means of raters who differ. Of even raters 95 % are held; where two of twelve give most answers 91 %, and with
    eleven degrees of freedom, as many as there are raters, it would be about 73 %."""
    rng, worlds = np.random.default_rng(7), 500
    for sizes, least, most in (([6] * 12, 0.92, 1.0), ([120, 80, *[6] * 10], 0.88, 0.80)):
        rater, held, naive = np.repeat(np.arange(12), sizes), 0, 0
        for _ in range(worlds):
            x = rng.normal(size=12)[rater] + 0.5 * rng.normal(size=len(rater))
            mean, low, high = cluster.mean_interval(x, rater)
            held += low <= 0 <= high
            naive += abs(mean) <= student.ppf(0.975, 11) * math.sqrt(cluster.variance(shares(x), rater)[0])
        assert held / worlds >= least
        assert naive / worlds <= most
