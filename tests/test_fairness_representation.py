"""Whose feedback is heard and learned from: shares by hand, exact bounds, coverage with uneven weights and people."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from test_fairness import NOBODY, declared, given, pick, shuffled

from hfkit.fairness import representation


def heard(world, **more):
    return representation.by_stage(
        world.items, world.population, world.judgements, world.predictions, world.trained, **more
    )


def test_shares_by_hand_and_bounds_by_scipy():
    world = given(["a"] * 6 + ["b"] * 4, [0] * 10, split=["train"] * 3 + ["test"] * 3 + ["train"] + ["test"] * 3)
    world = replace(world, judgements=world.judgements.iloc[1:])  # nobody answered about the first item
    out = heard(world)
    a = pick(out, group="served.g=a", stage="training")
    assert (a["numerator"], a["denominator"], a["share"], a["reference"]) == (3, 4, 0.75, 0.6)
    assert a["ratio"] == pytest.approx(1.25)
    bounds = binomtest(3, 4).proportion_ci()
    assert (a["low"] * 0.6, a["high"] * 0.6) == pytest.approx((bounds.low, bounds.high))
    b = pick(out, group="served.g=b", stage="feedback")
    assert (b["numerator"], b["denominator"]) == (4, 9)
    assert b["error"] == pytest.approx(math.sqrt(4 / 9 * 5 / 9 / 8) / 0.4)  # of the ratio; rows less one
    served = pick(out, group="served.g=a", stage="served")
    assert (served["note"], served["share"]) == ("the reference itself", 0.6)
    assert math.isnan(served["ratio"])


def test_training_counts_what_is_exploited_with_its_weight():
    world = given(["a"] * 6 + ["b"] * 6, [0] * 12, split="train")
    rows = world.trained.iloc[[0, 1, 6, 7]].assign(weight=[1.0, 1.0, 2.0, 4.0])
    left = world.trained.iloc[[2, 8]].assign(use="exclude", weight=5.0)
    a = pick(heard(replace(world, trained=pd.concat([rows, left]))), group="served.g=a", stage="training")
    assert (a["numerator"], a["denominator"], a["share"]) == (2, 8, 0.25)


def test_a_declared_group_nobody_is_in_stands_with_zero():
    out = heard(given(["a"] * 40, [0] * 40, split="train", population=declared(a=0.5, z=0.5)))
    z = pick(out, group="served.g=z", stage="training")
    assert (z["numerator"], z["denominator"], z["ratio"]) == (0, 40, 0)
    assert z["high"] * 0.5 == pytest.approx(binomtest(0, 40).proportion_ci().high)
    nowhere = heard(given(["a"] * 9, [0] * 9, population=declared("income", low=1.0)))
    income = pick(nowhere, group="served.income=low", stage="feedback")
    assert math.isnan(income["share"])
    assert income["note"] == "undefined: nobody with a group is in the feedback"


def test_those_who_state_nothing_are_no_part_of_a_population_that_does_not_list_them():
    out = heard(given(["a"] * 4 + ["b"] * 4 + [None] * 2, [0] * 10, population=declared(a=0.5, b=0.5)))
    assert pick(out, group="served.g=a", stage="feedback")["share"] == 0.5
    blank = pick(out, group="served.g=not stated", stage="feedback")
    assert (blank["numerator"], blank["denominator"], blank["note"]) == (
        2,
        10,
        "no share of it among the people served",
    )
    assert pick(out, group="served.g=a", stage="served")["ratio"] == pytest.approx(1)  # held against the population


def test_raters_are_counted_once_and_an_items_training_weight_is_shared_out_among_its_answers():
    world = given(y=[0] * 6, side=["x"] * 3 + ["y"] * 3, rater=list("ppqrst"), split="train",
                  item=["i0", "i0", "i2", "i0", "i4", "i5"], population=declared(x=0.5, y=0.5))  # fmt: skip
    world.judgements.loc[5, "weight"] = 0.0  # three answers on one item: p, p, r; the last is flagged
    out = heard(world)
    x = pick(out, group="rater.g=x", stage="training")
    assert x["numerator"] == pytest.approx(2 / 3 + 1)
    assert x["denominator"] == pytest.approx(3)
    asked = pick(out, group="rater.g=x", stage="feedback")
    assert (asked["numerator"], asked["denominator"]) == (2, 4)  # p and q, of p, q, r and s


def test_without_a_population_raters_are_held_against_the_people_served():
    world = given(["a"] * 30 + ["b"] * 10, [0] * 40, side=["a"] * 10 + ["b"] * 30)
    row = pick(heard(world), group="rater.g=b", stage="feedback")
    assert (row["reference"], row["ratio"]) == (0.25, pytest.approx(3))


def test_crossed_groups_stand_at_every_stage():
    world = given({"g": ["a", "b"] * 20, "h": ["x", "x", "y", None] * 10}, [0] * 40, split="train")
    out = heard(world, crossings=[["g", "h"]])
    crossed = out[out["group"] == "served.g=b & h=not stated"]
    assert crossed["stage"].tolist() == ["served", "feedback", "training"]
    assert crossed["share"].tolist() == [0.25] * 3


def test_items_of_one_person_count_as_one():
    """Ten of forty persons, each with five items, are ten of forty and not fifty of two hundred."""
    person = np.repeat(np.arange(40), 5)
    group = np.where(person < 10, "a", "b")
    widths = []
    for unit in ([None] * 200, [f"u{k:02d}" for k in person]):
        row = pick(heard(given(group, [0] * 200, unit=unit, population=declared(a=0.5, b=0.5))), group="served.g=a",
                   stage="feedback")  # fmt: skip
        assert row["share"] == 0.25
        widths.append((row["high"] - row["low"]) * 0.5)
    bounds = binomtest(10, 40).proportion_ci()
    assert widths[1] == pytest.approx(bounds.high - bounds.low, rel=0.1)
    assert widths[0] < 0.6 * widths[1]


def test_a_group_that_is_named_is_named_at_every_stage_and_lends_no_reference():
    """Four of c are served: nought of so many in training, and the reference of c's raters, would tell how many."""
    world = given(["a"] * 60 + ["b"] * 20 + ["c"] * 4, [0] * 84, side=["a"] * 40 + ["b"] * 20 + ["c"] * 24,
                  split=["train"] * 70 + ["test"] * 14)  # fmt: skip
    out = heard(world, min_people=5)
    numbers = ["numerator", "denominator", "share", "reference", "ratio", "low", "high", "error"]
    c = out[out["group"] == "served.g=c"]
    assert c[numbers].isna().all(axis=None)
    assert c["note"].str.endswith("fewer than 5 people: named, not numbered").all()
    raters = pick(out, group="rater.g=c", stage="feedback")
    assert raters["numerator"] == 24
    assert math.isnan(raters["reference"])
    assert out.loc[out["group"] == "served.g=b", "share"].notna().all()
    statements = representation.statements(out)
    assert {s["n"] for s in statements if s["group"] == "served.g=c"} == {0}


@pytest.mark.parametrize("missing", ["items", "answers", "trained"])
def test_nothing_at_a_stage_is_said(missing):
    world = given(["a", "b"] * 10, [0] * 20, split="train")
    if missing == "items":
        names = ("items", "judgements", "trained", "predictions")
        world = replace(world, **{name: getattr(world, name).iloc[:0] for name in names})
    if missing == "answers":
        world.judgements["weight"] = 0.0
    if missing == "trained":
        world = replace(world, trained=world.trained.assign(use="exclude"))
    out = heard(world)
    assert (out["note"] != "").all() or missing != "items"
    if missing == "trained":
        rows = out[out["stage"] == "training"]
        assert rows["share"].isna().all()
        assert (rows["note"] == "undefined: nobody with a group is in the training").all()
    if missing == "items":
        assert len(representation.statements(out)) == 0


@pytest.mark.parametrize(("raters", "share"), [(6, 0.3), (12, 0.1), (25, 0.5)])
def test_the_share_in_training_covers_with_uneven_raters(raters, share):
    rng, hits, runs = np.random.default_rng(raters), 0, 40
    for _ in range(runs):
        voice = np.where(rng.random(raters) < share, "x", "y")
        rater = np.repeat(np.arange(raters), rng.integers(1, 12, raters))
        out = heard(given(y=[0] * len(rater), side=voice[rater], rater=rater.astype(str), split="train",
                          population=declared(x=share, y=1 - share)))  # fmt: skip
        row = pick(out, group="rater.g=x", stage="training")
        hits += math.isnan(row["low"]) or row["low"] <= 1 <= row["high"]
    assert hits / runs >= 0.93 - 0.02


@pytest.mark.parametrize(("n", "share"), [(5, 0.5), (10, 0.5), (30, 0.1), (100, 0.02)])
@pytest.mark.parametrize("heavy", [1.0, 3.0])
def test_the_weighted_share_covers_also_where_weight_goes_with_the_group(n, share, heavy):
    """Some outside are as heavy as those inside: nobody unseen is heavier than the heaviest seen."""
    rng, hits, worlds = np.random.default_rng(n), 0, 200
    others = 0.8 + 0.2 * heavy
    truth = heavy * share / (heavy * share + others * (1 - share))
    names = pd.DataFrame({"served.g": ["a", "b"]})
    for _ in range(worlds):
        inside = (rng.random(n) < share).astype(int)
        weight = np.where((inside == 1) | (rng.random(n) < 0.2), heavy, 1.0) * rng.uniform(0.5, 1.5, n)
        cohort = replace(representation.cohorts.of(names, "served", family="served.")[0], code=1 - inside)
        stage = representation.Stage(cohort, "training", weight, np.arange(n), (), np.ones(2), np.ones(2, bool), True,
                                     np.zeros(2, bool))  # fmt: skip
        row = stage.row(0, 1)
        hits += row["low"] <= truth <= row["high"]
    assert hits / worlds >= 0.93


def test_the_order_of_rows_does_not_change_a_bit():
    rng = np.random.default_rng(12)
    n = 150
    world = given(rng.choice(np.array(["a", "b", None], object), n), [0] * n, unit=rng.choice(list("pqrstuv"), n),
                  side=rng.choice(["x", "y"], n), rater=rng.choice([f"r{k}" for k in range(20)], n),
                  split=np.where(rng.random(n) < 0.5, "train", "test"), population=NOBODY)  # fmt: skip
    mixed = shuffled(world)
    pd.testing.assert_frame_equal(heard(world), heard(mixed), check_exact=True)
