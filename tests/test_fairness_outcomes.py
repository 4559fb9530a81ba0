"""What the new model saves each group: hand arithmetic, a second implementation, planted truth, repeated people."""

import math

import numpy as np
import pandas as pd
import pytest
from test_fairness import compared, declared, given, measured, part, pick

from hfkit.fairness.outcomes import SPLIT, Savings
from hfkit.shared.costs import Costs
from hfkit.shared.measures import SAVING


def savings(*world, cohort="served.g", **more):
    return Savings.of(part(given(*world, **more), cohort))


def test_cost_and_saving_by_hand():
    y, before, after = [1, 1, 0, 0, 1, 0], [0, 1, 1, 0, 0, 1], [1, 0, 0, 0, 0, 1]
    topic = savings(["a"] * 4 + ["b"] * 2, y, before, after)
    table = topic.alone().set_index("group")
    a, b = table.loc["served.g=a"], table.loc["served.g=b"]
    # cost before: a miss (3) and an alarm (1) of four rows; after: a miss (3)
    assert (a["n"], a["better"], a["worse"]) == (4, 2, 1)
    assert (a["before"], a["after"], a["saving"]) == pytest.approx((1000, 750, 250))
    assert (b["before"], b["saving"]) == (2000, 0)
    gap = compared(topic, "gap", SAVING.name)
    assert (gap["a"].value, gap["b"].value) == pytest.approx((250, -250))
    assert (gap["a"].low, gap["a"].high) == pytest.approx((-gap["b"].high, -gap["b"].low))
    change = Costs(1.0, 3.0).change(y[:4], np.array(before[:4]) == 1, np.array(after[:4]) == 1)
    assert (a["low"], a["high"]) == pytest.approx((-change.high, -change.low))


def test_the_means_equal_a_second_implementation():
    rng = np.random.default_rng(4)
    group, y = rng.choice(["a", "b", "c"], 300), rng.integers(0, 2, 300)
    before, after = rng.random(300), rng.random(300)
    frame = pd.DataFrame({"g": group})
    for name, score in (("before", before), ("after", after)):
        frame[name] = 1000 * np.select([(y == 1) & (score < 0.5), (y == 0) & (score >= 0.5)], [3.0, 1.0], 0.0)
    peer = frame.groupby("g")[["before", "after"]].mean()
    topic = savings(group, y, before, after)
    table, gap = topic.alone().set_index("group"), compared(topic, "gap", SAVING.name)
    for g, row in peer.iterrows():
        mine = table.loc[f"served.g={g}"]
        assert (mine["before"], mine["after"]) == pytest.approx((row["before"], row["after"]))
        assert mine["saving"] == pytest.approx(row["before"] - row["after"])
        others = frame[frame["g"] != g]
        assert gap[g].value == pytest.approx(mine["saving"] - (others["before"] - others["after"]).mean())


def test_items_of_one_person_widen_a_saving():
    rng = np.random.default_rng(5)
    gained = np.repeat(rng.random(40) < 0.4, 6)
    widths = []
    for unit in ([None] * 240, [f"u{k // 6:02d}" for k in range(240)]):
        row = savings(["a"] * 240, [1] * 240, ~gained, np.ones(240), unit=unit).alone().iloc[0]
        widths.append(row["high"] - row["low"])
        assert row["low"] <= 3000 * gained.mean() <= row["high"]
    assert widths[1] > 2 * widths[0]


def test_a_group_that_loses_while_another_gains_is_said_and_equal_ones_are_not():
    rng = np.random.default_rng(2)
    group, y = np.repeat(["a", "b", "c"], 300), np.ones(900, int)
    moved = rng.random(900) < 0.25
    before, after = np.where(moved & (group == "a"), 0.0, 1.0), np.where(moved & (group == "b"), 0.0, 1.0)
    row = savings(group, y, before, after).split(np.ones(3, bool))
    assert (row["measure"], row["value"]) == (SPLIT, 1)
    assert row["note"] == "gains: served.g=a; loses: served.g=b"
    out = measured(group, y, before, after, judged=[SAVING.name])
    verdict = out.gates.set_index("group")["verdict"]
    assert (verdict["served.g=a"], verdict["served.g=b"]) == ("pass", "fail")
    blamed = 0
    for _ in range(20):
        group = np.repeat([f"g{k}" for k in range(6)], 60)
        says = (rng.random((2, 360)) < 0.6).astype(float)
        blamed += savings(group, rng.integers(0, 2, 360), *says).split(np.ones(6, bool))["value"] > 0
    assert blamed <= 1


def test_who_gains_for_sure_gains_beside_all_other_groups_at_once():
    """7 of 100 rows of a gain and none loses: sure of a by itself, not of one group in twelve. b loses much."""
    y, before, after = np.ones(1200, int), np.ones(1200), np.ones(1200)
    before[:7], after[100:160] = 0, 0
    topic = savings(np.repeat(list("abcdefghijkl"), 100), y, before, after)
    alone = topic.alone().set_index("group").loc["served.g=a"]
    shown = Costs(1.0, 3.0).change(y[:100], before[:100] == 1, after[:100] == 1, level=0.95 ** (1 / 12))
    assert -shown.high < 0 < alone["low"]
    row = topic.split(np.ones(12, bool))
    assert row["note"] == "gains: nobody for sure; loses: served.g=b"
    assert row["value"] == 0


def test_no_cost_no_rows_no_rest_and_few_people_are_undefined():
    world = (["a"] * 20, [0, 1] * 10, [1.0, 0.0] * 10, [0.0, 1.0] * 10)
    free = savings(*world, costs=(0.0, 0.0)).alone().iloc[0]
    assert math.isnan(free["saving"])
    assert free["note"] == "undefined: the component declares no cost"
    alone = savings(*world)
    assert compared(alone, "gap", SAVING.name, group="a").note.endswith("outside the group")
    assert math.isnan(alone.split(np.ones(1, bool))["value"])
    silent = savings(["a"] * 20, [0, 1] * 10, [np.nan] * 20, [1.0] * 20).alone().iloc[0]
    assert silent["n"] == 0
    assert silent["note"] == "undefined: no rows with a decision of both models"
    few = savings(y=[1] * 60, before=[0] * 60, after=[1] * 60, rater=list("pq") * 30, side=["a"] * 20 + ["b"] * 40,
                  cohort="rater.g")  # fmt: skip
    table = few.alone()
    assert table["note"].str.startswith("no interval: the rows rest on fewer than 3 people").all()
    assert table["saving"].tolist() == [3000, 3000]
    declared_only = savings(["a"] * 20, [1] * 20, [1] * 20, [1] * 20, population=declared(z=1.0)).alone()
    z = pick(declared_only, group="served.g=z")
    assert z["n"] == 0
    assert z["note"].startswith("undefined")


@pytest.mark.parametrize("uneven", [False, True])
def test_a_saving_of_answers_covers_with_few_raters_some_of_whom_say_much(uneven):
    """Raters differ in what they see, and where `uneven` a few give most answers: there Student's raters - 1 fails."""
    rng, hits, known, raters = np.random.default_rng(7), 0, 0, 8
    for _ in range(40):
        size = np.maximum(rng.pareto(1.0, raters) * 4, 1).astype(int).clip(1, 80) if uneven else np.full(raters, 6)
        gained = rng.random(size.sum()) < np.repeat(rng.beta(1, 4, raters), size)  # the mean of the beta is 1 / 5
        n = len(gained)
        row = savings(y=[1] * n, before=~gained, after=[1] * n, rater=np.repeat(np.arange(raters), size).astype(str),
                      side=["x"] * n, cohort="rater.g").alone().iloc[0]  # fmt: skip
        known += not math.isnan(row["low"])
        hits += row["low"] <= 600 <= row["high"]
    assert known > 18
    assert hits / known >= 0.93 - 0.02
