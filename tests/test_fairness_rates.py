"""Rates, gaps and changes by group: hand arithmetic, fairlearn and scikit-learn, rows that go together, power."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.metrics import precision_score
from test_fairness import compared, draw, given, measured, part, pick, together, view

from hfkit import fairness
from hfkit.fairness.perspective import MODELS
from hfkit.fairness.rates import counts, extremes
from hfkit.fairness.rates.compare import Rates, changes, four_fifths
from hfkit.shared import intervals, schema
from hfkit.shared.errors import NothingLeft, ParamError
from hfkit.shared.measures import RATES

NAMES = [r.name for r in RATES]
TPR = NAMES.index("true positive rate")


def rates_of(world, cohort="served.g", **more):
    return Rates.of(part(world, cohort, **more))


# numbers


def test_rates_by_hand():
    group = ["a"] * 10 + ["b"] * 10
    y = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    says = [1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0]
    found = rates_of(given(group, y, says, says))
    a = pick(found.alone(), group="served.g=a", model="candidate").set_index("measure")
    assert a.loc[NAMES, "value"].to_dict() == pytest.approx(
        dict(zip(NAMES, [0.4, 0.75, 1 / 6, 0.75, 0.8], strict=True))
    )
    assert a.loc["false negative rate", "value"] == pytest.approx(0.25)
    assert a.loc["true negative rate", "value"] == pytest.approx(5 / 6)
    assert (a.loc["precision", "numerator"], a.loc["precision", "denominator"]) == (3, 4)
    bounds = binomtest(3, 4).proportion_ci()
    assert (a.loc["true positive rate", "low"], a.loc["true positive rate", "high"]) == pytest.approx(bounds)
    assert (a.loc["false negative rate", "low"], a.loc["false negative rate", "high"]) == pytest.approx(
        (1 - bounds[1], 1 - bounds[0])
    )
    gap = compared(found, "gap", "true positive rate", group="a", model="candidate")
    assert (gap.value, gap.n) == (0.25, 4)
    want = intervals.difference(intervals.rate(3, 4), intervals.rate(1, 2))
    assert (gap.low, gap.high) == pytest.approx(want[1:])


def test_every_rate_of_every_group_equals_fairlearn_or_is_undefined_where_it_says_0():
    rng, known, undefined = np.random.default_rng(0), 0, 0
    for n in (8, 40, 2000):
        groups = {"g": rng.choice(list("abcdef"), n), "h": rng.choice(np.array(["x", None], object), n)}
        before = np.where(rng.random(n) < 0.2, np.nan, rng.random(n))
        world = given(groups, rng.integers(0, 2, n), before, rng.random(n))
        seen = view(world, crossings=[["g", "h"]])
        for cohort in ("served.g", "served.g & h"):
            own = rates_of(world, cohort, crossings=[["g", "h"]]).alone()
            for model in MODELS:
                peer = fairness.metric_frame(seen, cohort, "safety", model).by_group
                mine = own[own["model"] == model].pivot(index="group", columns="measure", values="value")
                for name in peer:
                    for g in mine.index:
                        value = peer.loc[g, name] if g in peer.index else math.nan
                        if math.isnan(mine.loc[g, name]):
                            assert value == 0 or math.isnan(value)
                            undefined += 1
                        else:
                            assert mine.loc[g, name] == pytest.approx(value, abs=1e-12)
                            known += 1
                blank = own[own["value"].isna()]
                assert blank["note"].str.startswith("undefined: no ").all()
                assert (blank["denominator"] == 0).all()
    assert known > 400
    assert undefined > 20


def test_precision_equals_scikit_learn():
    rng = np.random.default_rng(1)
    group, y, says = draw(rng, [60, 40, 90], [0.8, 0.6, 0.7])
    found = pick(rates_of(given(group, y, says, says)).alone(), measure="precision", model="candidate")
    for g, value in zip(found["group"], found["value"], strict=True):
        own = group == g.partition("=")[2]
        assert value == pytest.approx(precision_score(y[own], says[own]))


def test_a_group_without_positives_has_no_true_positive_rate():
    found = rates_of(given(["a"] * 30 + ["b"] * 30, [0] * 30 + [1] * 15 + [0] * 15, [0, 1] * 30, [0, 1] * 30))
    row = pick(found.alone(), group="served.g=a", model="candidate", measure="true positive rate")
    assert math.isnan(row["value"])
    assert (row["denominator"], row["note"]) == (
        0,
        "undefined: no rows with the event and with a score of the candidate",
    )
    gap = compared(found, "gap", "true positive rate", group="b", model="candidate")
    assert math.isnan(gap.value)
    assert gap.note.endswith("outside the group")
    assert not gap.usable


def test_changes_are_paired_by_hand():
    group, y = ["a"] * 20 + ["b"] * 20, [1] * 40
    before, after = [1] * 10 + [0] * 10 + [1] * 20, [1] * 8 + [0] * 2 + [1] * 5 + [0] * 5 + [1] * 20
    found = rates_of(given(group, y, before, after))
    change = compared(found, "change", "true positive rate", group="a")
    assert (change.value, change.n) == (pytest.approx(0.15), 20)
    assert (change.low, change.high) == pytest.approx(intervals.paired(5, 2, 20)[1:])
    apart = compared(found, "gap change", "true positive rate", group="a")
    other = intervals.paired(0, 0, 20)
    want = intervals.mover(intervals.paired(5, 2, 20), other)
    assert (apart.value, apart.low, apart.high) == pytest.approx(tuple(want))
    table = changes(found.compare(0.95), found.alone())
    row = pick(table, group="served.g=a", measure="true positive rate")
    assert (row["before"], row["after"], row["n"], row["change"]) == (0.5, 0.65, 20, pytest.approx(0.15))


def test_precision_has_no_pairs_and_is_subtracted_as_if_independent():
    rng = np.random.default_rng(2)
    group, y, before = draw(rng, [80, 80], [0.8, 0.7])
    after = np.where(rng.random(160) < 0.2, 1 - before, before)
    change = compared(rates_of(given(group, y, before, after)), "change", "precision", group="g00")
    sides = [intervals.rate(((y == 1) & (s == 1))[:80].sum(), (s == 1)[:80].sum()) for s in (after, before)]
    assert (change.value, change.low, change.high) == pytest.approx(tuple(intervals.difference(*sides)))


def test_the_table_of_counts_equals_pandas():
    rng = np.random.default_rng(3)
    n = 400
    before = np.where(rng.random(n) < 0.2, np.nan, rng.random(n))
    world = given(rng.choice(list("abc"), n), rng.integers(0, 2, n), before, rng.random(n))
    found = part(world)
    frame = pd.DataFrame({"group": found.cohort.code, "y": found.view.event, "before": found.view.acted[:, 0] % 3,
                          "after": found.view.acted[:, 1] % 3})  # fmt: skip
    size = frame.groupby(["group", "y", "before", "after"]).size().to_dict()
    assert {k: v for k, v in np.ndenumerate(counts.cells(found)) if v} == size
    inside, outside = counts.sides(found)
    for side in (inside, outside):
        assert (side.top <= side.bottom).all()
    assert (inside.bottom + outside.bottom == inside.bottom.sum(axis=0)).all()


# which rows


def test_ties_among_labels_are_left_out_of_rates_and_counted():
    y, says, p = [1, 1, 0, 0, 1, 1], [1, 0, 0, 1, 1, 1], [1.0, 0.5, 0.2, 0.5, 0.50001, 0.5]
    world = given(["a"] * 6, y, says, says, p=p)
    tables = (world.components, world.judgements, world.labels, world.predictions)
    views, ties = fairness.perspectives(*tables)
    assert ties.to_dict("records") == [{"component": "safety", "ties": 3}]
    assert len(views[0].event) == 3
    assert len(views[1].event) == 6  # of the raters, each answer is its own label
    row = pick(rates_of(world).alone(), model="candidate", measure="selection rate")
    assert (row["numerator"], row["denominator"]) == (2, 3)


def test_flagged_answers_and_training_rows_do_not_count():
    world = given(["a"] * 8, [1, 0] * 4, [1] * 8, [1] * 8, side=["x"] * 8, split=["test"] * 6 + ["train"] * 2)
    world.judgements.loc[0, "weight"] = 0.0
    assert len(view(world).event) == 6
    assert len(view(world, "rater").event) == 5


def test_a_decision_is_a_score_at_or_above_the_threshold():
    found = rates_of(given(["a"] * 4, [1] * 4, [0.5, 0.49, np.nan, 1.0], [0.5] * 4)).alone()
    before = pick(found, model="baseline", measure="selection rate")
    assert (before["numerator"], before["denominator"]) == (2, 3)
    assert pick(found, model="candidate", measure="selection rate")["value"] == 1


def test_a_missing_group_is_a_group_and_a_declared_one_stands_with_nobody_in_it():
    found = rates_of(given(["a", None] * 5, [1] * 10, population=pd.DataFrame(
        {"cohort": ["g", "h"], "group": ["z", "y"], "share": [1.0, 1.0]}))).alone()  # fmt: skip
    assert set(found["group"]) == {"served.g=a", f"served.g={schema.NOT_STATED}", "served.g=z"}
    absent = found[found["group"] == "served.g=z"]
    assert absent["value"].isna().all()
    assert absent["note"].str.startswith("undefined").all()


# rows that go together


def test_items_of_one_person_count_as_one_where_they_are_alike():
    """20 persons with 10 identical items each are 20 rows and not 200; taken as rows they would be 3 times too sure."""
    rng = np.random.default_rng(7)
    says = np.repeat(rng.random(20) < 0.5, 10).astype(float)
    group, y = np.repeat(["a", "b"], 100), np.ones(200, int)
    person = np.repeat([f"u{k}" for k in range(20)], 10)
    own = rates_of(given(group, y, says, says, unit=person))
    # by person 10/9 times (10 r)^2 each, by row 100/99 times ten r^2 each
    assert own.group.effect[0, 0, TPR] == pytest.approx((10 / 9 * 100) / (100 / 99 * 10))
    assert own.group.df[0, 0, TPR] == pytest.approx(9)
    clustered = pick(own.alone(), group="served.g=a", model="candidate", measure="true positive rate")
    alone = rates_of(given(group, y, says, says)).alone()
    rows = pick(alone, group="served.g=a", model="candidate", measure="true positive rate")
    assert clustered["value"] == pytest.approx(rows["value"])
    assert clustered["high"] - clustered["low"] > 2.5 * (rows["high"] - rows["low"])
    gaps = [compared(f, "gap", "true positive rate", group="a", model="candidate") for f in
            (own, rates_of(given(group, y, says, says)))]  # fmt: skip
    assert gaps[0].high - gaps[0].low > 2.5 * (gaps[1].high - gaps[1].low)


def test_changes_of_one_person_go_together_too():
    rng = np.random.default_rng(8)
    moved = np.repeat(rng.random(30) < 0.3, 8)
    before, y = np.zeros(240), np.ones(240, int)
    person = np.repeat([f"u{k:02d}" for k in range(30)], 8)
    widths = []
    for unit in (person, [None] * 240):
        found = rates_of(given(["a"] * 120 + ["b"] * 120, y, before, moved.astype(float), unit=unit))
        change = compared(found, "change", "true positive rate", group="a")
        widths.append(change.high - change.low)
    assert widths[0] > 2 * widths[1]


def test_answers_go_together_by_rater_and_by_the_person_served():
    """Each item answered by five raters alike: by rater they are independent, by the person served they are not."""
    rng = np.random.default_rng(9)
    item = np.repeat(np.arange(40), 5)
    says = np.repeat(rng.random(40) < 0.5, 5).astype(float)
    rater = np.tile([f"r{k}" for k in range(100)], 2)
    world = given(y=np.ones(200, int), before=says, after=says, item=[f"i{k:02d}" for k in item], rater=rater,
                  side=["x"] * 200)  # fmt: skip
    effect = rates_of(world, "rater.g").group.effect[0, 0, TPR]
    assert effect == pytest.approx(5, rel=0.15)
    alone = given(y=np.ones(200, int), before=says, after=says, rater=rater, side=["x"] * 200)
    assert rates_of(alone, "rater.g").group.effect[0, 0, TPR] == pytest.approx(1, abs=0.3)


def test_a_few_raters_who_answer_most_leave_few_degrees_of_freedom():
    """Two of twelve raters give most answers. With eleven degrees of freedom, 73 % of the intervals held the truth."""
    held, worlds = 0, 50
    rater = np.repeat(np.arange(12), [120, 80, *[6] * 10])
    for seed in range(worlds):
        rng = np.random.default_rng(seed)
        says = (rng.normal(size=12)[rater] + rng.normal(size=len(rater)) > 0).astype(float)
        world = given(y=np.ones(len(rater), int), before=says, after=says, rater=[f"r{r:02d}" for r in rater],
                      side=["a"] * len(rater))  # fmt: skip
        row = pick(rates_of(world, "rater.g").alone(), model="candidate", measure="true positive rate")
        held += row["low"] <= 0.5 <= row["high"]
    assert held / worlds >= 0.93 - 2 * math.sqrt(0.93 * 0.07 / worlds)


def test_two_people_have_a_value_and_no_interval_and_the_note_says_so():
    person = ["p"] * 30 + ["q"] * 30 + [f"u{k}" for k in range(60)]
    group = ["a"] * 60 + ["b"] * 60
    found = rates_of(given(group, [1] * 120, [1, 0] * 60, [1, 0] * 60, unit=person))
    row = pick(found.alone(), group="served.g=a", model="candidate", measure="accuracy")
    assert row["value"] == 0.5
    assert math.isnan(row["low"])
    assert "fewer than 3 people" in row["note"]
    for comparison in found.compare(0.95):
        assert comparison.usable or comparison.note


def test_every_change_without_an_interval_says_why():
    """Ten people, but only two of them have rows with a score of both models."""
    person = np.repeat([f"u{k}" for k in range(10)], 10)
    before = np.where(np.isin(person, ["u0", "u1"]), 1.0, np.nan)
    before[50:] = 1.0
    world = given(["a"] * 50 + ["b"] * 50, [1] * 100, before, [1, 0] * 50, unit=person)
    for comparison in rates_of(world).compare(0.95):
        assert comparison.usable or comparison.note, comparison


def test_another_component_with_the_same_items_changes_no_interval():
    """One item may be judged for several components: within each of them its rows are still independent."""
    rng = np.random.default_rng(10)
    group, y, says = draw(rng, [40, 60], [0.8, 0.6])
    item = [f"i{k:03d}" for k in range(100)]
    one = given(group, y, says, 1 - says, item=item)
    both = together(one, given(group, 1 - y, says, says, component="other", item=item))
    pd.testing.assert_frame_equal(rates_of(one).alone(), rates_of(both).alone())


# ratios, best and worst groups


def test_the_disparate_impact_ratio_and_its_reading():
    says = [1] * 30 + [0] * 70 + [1] * 60 + [0] * 40
    found = rates_of(given(["a"] * 100 + ["b"] * 100, [0] * 200, says, says))
    ratio = {
        found.part.cohort.groups[g].values[0]: (i, note) for g, m, i, note in found.ratios(0.95) if m == "candidate"
    }
    interval, note = ratio["a"]
    assert interval.value == pytest.approx(0.5)
    assert tuple(interval) == pytest.approx(tuple(intervals.ratio(intervals.rate(30, 100), intervals.rate(60, 100))))
    assert note == "four-fifths reading: outside 0.8 to 1.25, interval included"
    assert ratio["b"][0].value == pytest.approx(2.0)
    assert four_fifths(1.0, 0.7, 1.1) == "four-fifths reading: within 0.8 to 1.25, its interval not"
    assert four_fifths(math.nan, math.nan, math.nan).startswith("undefined")


def test_chance_is_taken_out_of_the_largest_difference():
    """12 equal groups of 30: the largest minus the smallest rate is 0.29 on average; corrected, near 0."""
    rng = np.random.default_rng(6)
    k, n = rng.binomial(30, 0.5, size=(300, 12)).astype(float), np.full(12, 30.0)
    assert np.ptp(k / 30, axis=1).mean() > 0.25
    assert np.mean([extremes.spread(row / n, n, row) for row in k]) < 0.05
    apart = rng.binomial(400, np.array([0.5] * 11 + [0.8]), size=(100, 12)).astype(float)
    n = np.full(12, 400.0)
    assert np.mean([extremes.spread(row / n, n, row) for row in apart]) == pytest.approx(0.3, abs=0.05)


def test_the_worst_group_is_named_with_bounds_that_hold_whichever_it_is():
    rng, held = np.random.default_rng(11), 0
    for seed in range(40):
        k = rng.binomial(60, [0.6, 0.62, 0.7, 0.8])
        says = np.concatenate([np.r_[np.ones(a), np.zeros(60 - a)] for a in k])
        found = rates_of(given(np.repeat(list("abcd"), 60), np.ones(240, int), says, says))
        rows = pd.DataFrame(extremes.spreads(found, np.ones(4, bool)))
        row = pick(rows, measure="true positive rate worst group (candidate)")
        held += row["low"] <= 0.6 <= row["high"]
        assert row["value"] == pytest.approx(k.min() / 60)
        bounds = np.array([binomtest(int(a), 60).proportion_ci(0.95 ** (1 / 4)) for a in k])  # the four hold together
        assert (row["low"], row["high"]) == pytest.approx(tuple(bounds.min(axis=0)))
        apart = pick(rows, measure="true positive rate spread (candidate)")
        assert apart["low"] == pytest.approx(max(bounds[:, 0].max() - bounds[:, 1].min(), 0))
        assert apart["high"] == pytest.approx(bounds[:, 1].max() - bounds[:, 0].min())
        if seed == 0:
            assert f"seen in g={'abcd'[int(k.argmin())]}" in row["note"]
    assert held / 40 >= 0.93


def test_the_spread_of_a_single_group_is_undefined():
    out = measured(["a"] * 40, [1, 0] * 20, [1] * 40, [1] * 40).evidence
    row = pick(out, measure="accuracy spread (candidate)")
    assert math.isnan(row["value"])
    assert "fewer than two groups" in row["note"]


# a second opinion


def test_fairlearn_is_asked_for_what_there_is():
    seen = view(given(["a"] * 10, [1, 0] * 5, [1] * 10, [1] * 10))
    assert (fairness.metric_frame(seen, "served.g", "safety", "candidate").difference() == 0.0).all()  # as documented
    for names in (("h", "safety", "candidate"), ("served.g", "c9", "candidate"), ("served.g", "safety", "best")):
        with pytest.raises(ParamError, match="found"):
            fairness.metric_frame(seen, *names)
    nothing = view(given(["a"] * 3, [1] * 3, [1] * 3, [np.nan] * 3))
    with pytest.raises(NothingLeft, match="a row with a decision"):
        fairness.metric_frame(nothing, "served.g", "safety", "candidate")


# how many rows


def test_rows_needed_by_hand():
    """(1.95996 + 0.84162)^2 (0.4 * 0.6 + 0.5 * 0.5) / 0.1^2 = 384.6."""
    assert fairness.rows_needed(margin=0.1, rates=(0.5,))["n"].item() == 385


@pytest.mark.parametrize(("rate", "groups", "judged"), [(0.5, 2, 1), (0.8, 8, 48)])
def test_the_room_finds_a_gap_about_as_often_as_said(rate, groups, judged):
    n = int(fairness.rows_needed(margin=0.15, rates=(rate,), groups=groups, judged=judged)["n"].item())
    rng, m, level = np.random.default_rng(groups), n * (groups - 1), 0.95 ** (1 / judged)
    k, j = rng.binomial(n, rate - 0.15, 4000), rng.binomial(m, rate, 4000)
    high = intervals.difference(intervals.rate(k, n, level), intervals.rate(j, m, level)).high
    assert 0.7 <= np.mean(high < 0) <= 0.9


@pytest.mark.parametrize("wrong", [{"margin": 0.0}, {"margin": 0.1, "groups": 1}, {"margin": 0.95}])
def test_rows_needed_for_nothing_are_undefined(wrong):
    out = fairness.rows_needed(**wrong)
    assert out["n"].isna().all()
    assert (out["note"] != "").all()


# a gap that is there


@pytest.mark.parametrize("groups", [2, 8])
def test_a_planted_gap_is_found_and_equal_groups_are_left_alone(groups):
    """A true positive rate 0.15 lower in one group of 400 with the event: its gap leaves out 0 in 9 of 10 worlds."""
    rng, found, blamed = np.random.default_rng(groups), 0, 0
    level = intervals.simultaneous(groups, 0.96)
    for _ in range(20):
        g, y, says = draw(rng, [400] * groups, [0.65] + [0.8] * (groups - 1), event=1.0)
        gaps = compared(rates_of(given(g, y, says, says)), "gap", "true positive rate", model="candidate", level=level)
        found += gaps["g00"].high < 0
        g, y, says = draw(rng, [60] * groups, [0.8] * groups, event=1.0)
        equal = compared(rates_of(given(g, y, says, says)), "gap", "true positive rate", model="candidate", level=level)
        blamed += any(c.high < 0 or c.low > 0 for c in equal.values())
    assert found >= 18
    assert blamed <= 2
