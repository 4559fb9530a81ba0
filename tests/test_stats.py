"""Scores, bootstraps and adjusted p values against scikit-learn, scipy, brute force and simulation."""

import math

import numpy as np
import pytest
from scipy.stats import false_discovery_control, norm
from scipy.stats import t as student
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from hfkit.shared import cluster, stats


def test_undefined_is_nan():
    for score in (stats.auc, stats.log_loss, stats.brier):
        assert math.isnan(score([], []))
        assert math.isnan(score([0, 1], [0.5, np.nan]))
        assert math.isnan(score([0, 1], [0.5, 0.5], weight=[0, 0]))
    assert math.isnan(stats.auc([1, 1], [0.2, 0.3]))


def test_bootstrap_covers_a_mean_and_knows_clusters():
    rng = np.random.default_rng(0)
    x = rng.normal(size=40)
    value, low, high = stats.bootstrap(np.mean, x, rng=rng, n_boot=2000)
    mean, t_low, t_high = cluster.mean_interval(x)
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
    assert stats.auc_shares(y, score)[1].var(ddof=0) * 50 == pytest.approx(variance)  # the same from each row's share
    twice = stats.auc_interval(np.tile(y, 2), np.tile(score, 2), np.tile(np.arange(50), 2))
    assert twice == pytest.approx((value, low, high))  # every row twice, as one cluster: nothing is learned
    assert np.isnan(stats.auc_interval([1, 1], [0.1, 0.2])).all()


def test_auc_interval_covers():
    rng = np.random.default_rng(1)
    truth = norm.cdf(1 / np.sqrt(2))
    y = np.repeat([0, 1], [25, 25])
    hits = [low <= truth <= high for _ in range(600) for _, low, high in [stats.auc_interval(y, rng.normal(y, 1.0))]]
    assert np.mean(hits) >= 0.93


def test_the_shares_of_two_scores_give_the_variance_of_their_difference():
    """Paired DeLong by brute force: placements of both scores, subtracted row by row."""
    rng = np.random.default_rng(4)
    y = np.repeat([0, 1], [25, 35])
    scores = [np.round(rng.normal(y, 1.0), 1) for _ in range(2)]
    placed = [(s[y == 1][:, None] > s[y == 0]) + 0.5 * (s[y == 1][:, None] == s[y == 0]) for s in scores]
    apart = placed[1] - placed[0]
    variance = apart.mean(axis=1).var() / 35 + apart.mean(axis=0).var() / 25
    found = [stats.auc_shares(y, s) for s in scores]
    assert found[1][0] - found[0][0] == pytest.approx(apart.mean())
    assert ((found[1][1] - found[0][1]) ** 2).sum() == pytest.approx(variance)
