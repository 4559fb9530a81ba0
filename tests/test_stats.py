"""Intervals and scores against statsmodels, scikit-learn, published figures and exact enumeration."""

import math

import numpy as np
import pytest
from scipy.stats import binom, false_discovery_control, norm
from scipy.stats import t as student
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from hfkit.shared import stats

SOME = [(k, n) for n in (1, 2, 5, 30, 400) for k in sorted({0, 1, n // 3, n - 1, n})]


@pytest.mark.parametrize(("method", "peer"), [(stats.wilson, "wilson"), (stats.exact, "beta")])
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


@pytest.mark.parametrize("counts", [(56, 70, 48, 80), (9, 10, 3, 10), (10, 10, 0, 20), (10, 10, 0, 10), (0, 5, 0, 7)])
def test_newcombe_equals_statsmodels(counts):
    assert stats.newcombe(*counts)[1:] == pytest.approx(
        confint_proportions_2indep(*counts, method="newcomb"), abs=1e-10
    )


def test_newcombe_equals_the_published_table():
    """Newcombe 1998, table II, method 10, contrasts (a), (b), (d), (g): to four decimals."""
    published = {(56, 70, 48, 80): (0.0524, 0.3339), (9, 10, 3, 10): (0.1705, 0.8090),
                 (5, 56, 0, 29): (-0.0381, 0.1926), (10, 10, 0, 20): (0.6791, 1.0)}  # fmt: skip
    for counts, bounds in published.items():
        assert stats.newcombe(*counts)[1:] == pytest.approx(bounds, abs=6e-5)


def test_exact_covers_everywhere_and_wilson_does_not():
    """Exact enumeration over every outcome k, n 5 to 40, rates 0.02 to 0.98."""
    rates = np.linspace(0.02, 0.98, 193)
    worst = {}
    for method in (stats.exact, stats.wilson):
        lows = []
        for n in range(5, 41):
            low, high = (v[:, None] for v in method(np.arange(n + 1), n))
            lows.append(
                (binom.pmf(np.arange(n + 1)[:, None], n, rates) * ((low <= rates) & (rates <= high))).sum(0).min()
            )
        worst[method] = min(lows)
    assert worst[stats.exact] >= 0.95
    assert worst[stats.wilson] < 0.9


@pytest.mark.parametrize(("n", "m"), [(5, 5), (5, 40), (12, 30), (30, 30)])
def test_difference_on_exact_bounds_covers(n, m):
    """Exact enumeration over both outcomes: at least 93 % at any pair of rates; Newcombe's on Wilson dips below."""
    a, b = np.arange(n + 1), np.arange(m + 1)
    first, second = ((k / size, *stats.exact(k, size)) for k, size in ((a, n), (b, m)))
    _, low, high = stats.mover(tuple(v[:, None] for v in first), tuple(v[None, :] for v in second))
    for p in (0.02, 0.1, 0.3, 0.5, 0.8, 0.98):
        for q in (0.02, 0.1, 0.3, 0.5, 0.8, 0.98):
            chance = binom.pmf(a, n, p)[:, None] * binom.pmf(b, m, q)
            assert (chance * ((low <= p - q) & (p - q <= high))).sum() >= 0.93


def test_undefined_is_nan():
    for value in (*stats.wilson(0, 0), *stats.exact(0, 0), *stats.newcombe(1, 2, 0, 0), *stats.mean_interval([])):
        assert math.isnan(value)
    assert math.isnan(stats.mean_interval([3.0])[1])
    assert math.isnan(stats.mean_interval([3.0, np.nan])[0])
    assert math.isnan(stats.mean_interval([3.0, 4.0], cluster=["a", "a"])[1])
    for score in (stats.auc, stats.log_loss, stats.brier):
        assert math.isnan(score([], []))
        assert math.isnan(score([0, 1], [0.5, np.nan]))
        assert math.isnan(score([0, 1], [0.5, 0.5], weight=[0, 0]))
    assert math.isnan(stats.auc([1, 1], [0.2, 0.3]))


def test_mean_interval_by_hand():
    x = np.array([1.0, 2.0, 4.0, 7.0])
    half = student.ppf(0.975, 3) * x.std(ddof=1) / 2
    assert stats.mean_interval(x) == pytest.approx((3.5, 3.5 - half, 3.5 + half))
    # every value twice, in one cluster each: no new knowledge
    assert stats.mean_interval(np.repeat(x, 2), cluster=np.repeat(list("abcd"), 2)) == pytest.approx(
        (3.5, 3.5 - half, 3.5 + half)
    )


def test_bootstrap_covers_a_mean_and_knows_clusters():
    rng = np.random.default_rng(0)
    x = rng.normal(size=40)
    value, low, high = stats.bootstrap(np.mean, x, rng=rng, n_boot=2000)
    mean, t_low, t_high = stats.mean_interval(x)
    assert (value, low, high) == pytest.approx((mean, t_low, t_high), abs=0.03)
    rows = stats.bootstrap(np.mean, np.repeat(x, 9), rng=rng, n_boot=500)
    clusters = stats.bootstrap(np.mean, np.repeat(x, 9), rng=rng, n_boot=500, cluster=np.repeat(np.arange(40), 9))
    assert (clusters[2] - clusters[1]) / (rows[2] - rows[1]) == pytest.approx(3, rel=0.15)
    assert math.isnan(stats.bootstrap(np.mean, [1.0], rng=rng)[1])
    assert math.isnan(stats.bootstrap(lambda y: math.nan, [1.0, 2.0], rng=rng, n_boot=9)[1])


def test_resampled_counts_are_a_row_bootstrap():
    counts = np.array([[30, 10], [5, 0]])
    draws = stats.resample_counts(counts, rng=np.random.default_rng(1), n_boot=4000)
    share = counts / 45
    assert draws.mean(axis=0) == pytest.approx(counts, abs=0.3)
    assert draws.var(axis=0) == pytest.approx(45 * share * (1 - share), rel=0.1)
    assert stats.resample_counts([0, 0], rng=np.random.default_rng(1), n_boot=3).tolist() == [[0, 0]] * 3


def test_scores_equal_scikit_learn():
    rng = np.random.default_rng(2)
    y, p, w = rng.integers(0, 2, 200), rng.integers(1, 20, 200) / 20, rng.random(200)
    assert stats.auc(y, p, w) == pytest.approx(roc_auc_score(y, p, sample_weight=w), abs=1e-12)
    assert stats.auc(y, p) == pytest.approx(roc_auc_score(y, p), abs=1e-12)
    assert stats.log_loss(y, p, w) == pytest.approx(sklearn_log_loss(y, p, sample_weight=w), abs=1e-12)
    assert stats.brier(y, p, w) == pytest.approx(brier_score_loss(y, p, sample_weight=w), abs=1e-12)


def test_benjamini_hochberg_equals_scipy():
    p = np.random.default_rng(3).random(50) ** 2
    assert stats.benjamini_hochberg(p) == pytest.approx(false_discovery_control(p), abs=1e-12)
    assert stats.benjamini_hochberg([]).tolist() == []


def test_auc_interval_is_delongs_and_clusters_widen_it():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [30, 20])
    score = np.round(rng.normal(y * 1.0, 1.0), 1)
    value, low, high = stats.auc_interval(y, score)
    pos, neg = score[y == 1], score[y == 0]
    wins = (pos[:, None] > neg) + 0.5 * (pos[:, None] == neg)  # DeLong's structural components, by brute force
    assert value == pytest.approx(wins.mean())
    v10, v01 = wins.mean(axis=1), wins.mean(axis=0)
    variance = ((v10 - v10.mean()) ** 2).sum() / 20**2 + ((v01 - v01.mean()) ** 2).sum() / 30**2
    half = student.ppf(0.975, 49) * np.sqrt(variance * 50 / 49)
    assert (low, high) == pytest.approx((value - half, value + half))
    twice = stats.auc_interval(np.tile(y, 2), np.tile(score, 2), np.tile(np.arange(50), 2))
    assert twice == pytest.approx((value, low, high))  # every row twice, as one cluster: nothing is learned
    assert np.isnan(stats.auc_interval([1, 1], [0.1, 0.2])).all()


def test_auc_interval_covers():
    rng = np.random.default_rng(1)
    truth = norm.cdf(1 / np.sqrt(2))
    y = np.repeat([0, 1], [25, 25])
    hits = [low <= truth <= high for _ in range(600) for _, low, high in [stats.auc_interval(y, rng.normal(y, 1.0))]]
    assert np.mean(hits) >= 0.93
