"""What decisions cost: hand arithmetic, the threshold that costs imply, and bounds that hold the planted truth."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from hfkit.shared.costs import PER, Costs

COSTS = Costs(false_alarm=1.0, miss=3.0)


def test_each_row_costs_what_its_mistake_costs():
    event, acted = [1, 1, 0, 0], [True, False, True, False]
    assert COSTS.of(event, acted).tolist() == [0, 3, 1, 0]
    assert Costs(0.0, 2.0).of(event, acted).tolist() == [0, 2, 0, 0]


def test_cost_and_change_by_hand():
    event = np.array([1, 1, 0, 0, 1, 0])
    before, after = np.array([0, 1, 1, 0, 0, 1]) == 1, np.array([1, 0, 0, 0, 0, 1]) == 1
    assert COSTS.mean(event, before).value == pytest.approx(PER * (3 + 0 + 1 + 0 + 3 + 1) / 6)
    assert COSTS.mean(event, after).value == pytest.approx(PER * (0 + 3 + 0 + 0 + 3 + 1) / 6)
    assert COSTS.change(event, before, after).value == pytest.approx(PER * (7 - 8) / 6)


@given(st.floats(0.1, 20), st.floats(0.1, 20), st.integers(0, 2**16))
@settings(max_examples=30, deadline=None)
def test_a_change_is_the_difference_of_the_means_and_turned_round_its_negative(alarm, miss, seed):
    rng = np.random.default_rng(seed)
    event, before, after = rng.integers(0, 2, 40), rng.random(40) < 0.5, rng.random(40) < 0.5
    costs = Costs(alarm, miss)
    there, back = costs.change(event, before, after), costs.change(event, after, before)
    assert there.value == pytest.approx(costs.mean(event, after).value - costs.mean(event, before).value, abs=1e-6)
    assert tuple(there) == pytest.approx((-back.value, -back.high, -back.low), abs=1e-6)
    assert there.low <= there.value <= there.high


@pytest.mark.parametrize(("alarm", "miss"), [(1.0, 3.0), (1.0, 1.0), (4.0, 1.0)])
def test_the_threshold_is_the_one_at_which_calibrated_scores_cost_least(alarm, miss):
    """Every threshold tried on 400,000 rows whose score is the probability of the event."""
    rng = np.random.default_rng(0)
    score = rng.random(400_000)
    event = rng.random(len(score)) < score
    costs, tried = Costs(alarm, miss), np.arange(0.05, 1, 0.05)
    means = [costs.of(event, score >= t).mean() for t in tried]
    assert costs.threshold == pytest.approx(alarm / (alarm + miss))
    assert tried[int(np.argmin(means))] == pytest.approx(costs.threshold, abs=0.051)


def test_with_one_cost_the_mean_has_the_exact_bounds_of_a_share():
    event, acted = np.array([1] * 5 + [0] * 15), np.array([1, 1, 0, 0, 0] + [0] * 15) == 1
    peer = binomtest(3, 20).proportion_ci()
    found = Costs(0.0, 2.0).mean(event, acted)
    assert tuple(found) == pytest.approx((300, 2000 * peer.low, 2000 * peer.high))
    wide = Costs(0.0, 2.0).mean(event, acted, level=0.999)
    assert wide.low < found.low
    assert wide.high > found.high


def test_what_costs_nothing_and_nobody_has_no_cost():
    for found in (Costs(0.0, 0.0).mean([1, 0], [True, True]), COSTS.mean([], []), COSTS.change([], [], [])):
        assert all(math.isnan(v) for v in found)
    assert math.isnan(Costs(0.0, 0.0).threshold)


def test_two_people_are_too_few_for_bounds():
    event, before, after = np.ones(20, int), np.zeros(20, bool), np.arange(20) % 2 == 0
    found = COSTS.change(event, before, after, np.arange(20) // 10)
    assert found.value == pytest.approx(-1500)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert not math.isnan(COSTS.change(event, before, after, np.arange(20) // 4).low)


def test_identical_rows_of_a_person_count_once():
    event, before = np.ones(30, int), np.zeros(30, bool)
    after = np.arange(30) % 3 == 0
    alone = COSTS.change(event, before, after)
    people = np.repeat(np.arange(30), 4)
    copies = COSTS.change(*(np.repeat(v, 4) for v in (event, before, after)), people)
    assert copies.value == pytest.approx(alone.value)
    assert copies.high - copies.low == pytest.approx(alone.high - alone.low, rel=0.1)
    pretended = COSTS.change(*(np.repeat(v, 4) for v in (event, before, after)))
    assert pretended.high - pretended.low < 0.6 * (copies.high - copies.low)


@pytest.mark.parametrize("n", [8, 60])
def test_a_change_of_independent_rows_covers_a_planted_truth(n):
    rng, held = np.random.default_rng(n), 0
    truth = PER * (0.3 * 3.0 * (0.4 - 0.3) + 0.7 * 1.0 * (0.1 - 0.2))  # misses 0.3 to 0.4, alarms 0.2 to 0.1
    for _ in range(500):
        event = rng.random(n) < 0.3
        before, after = (np.where(event, rng.random(n) < 1 - m, rng.random(n) < a) for m, a in ((0.3, 0.2), (0.4, 0.1)))
        found = COSTS.change(event, before, after)
        held += found.low <= truth <= found.high
    assert held / 500 >= 0.93


@pytest.mark.parametrize("uneven", [False, True])
def test_a_change_of_answers_covers_with_few_raters_some_of_whom_say_much(uneven):
    """Raters differ in what they see, and where `uneven` a few give most answers: there Student's raters - 1 fails."""
    rng, hits, given_bounds, raters = np.random.default_rng(7), 0, 0, 8
    for _ in range(150):
        size = np.maximum(rng.pareto(1.0, raters) * 4, 1).astype(int).clip(1, 80) if uneven else np.full(raters, 6)
        gained = rng.random(size.sum()) < np.repeat(rng.beta(1, 4, raters), size)  # the mean of the beta is 1 / 5
        rater = np.repeat(np.arange(raters), size)
        found = COSTS.change(np.ones(len(rater), int), ~gained, np.ones(len(rater), bool), rater)
        given_bounds += not math.isnan(found.low)
        hits += found.low <= -PER * 3.0 * 0.2 <= found.high
    assert given_bounds > 75
    assert hits / given_bounds >= 0.93
