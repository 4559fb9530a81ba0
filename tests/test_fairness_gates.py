"""Gates: one declared family whose intervals hold together, margins by measure, planted harm, what would settle it."""

import math

import numpy as np
import pandas as pd
import pytest
from test_fairness import NOBODY, compared, declared, draw, measured, part, pick, settings, together, view
from test_fairness import given as world_of

from hfkit import fairness
from hfkit.fairness.comparison import few
from hfkit.fairness.gates import FEWEST_ROWS, Targets, family_size, gated, main_cohorts
from hfkit.fairness.perspective import Perspective, parts
from hfkit.fairness.rates.compare import Rates
from hfkit.shared import cohorts, intervals
from hfkit.shared.costs import Costs
from hfkit.shared.errors import ParamError
from hfkit.shared.measures import JUDGEABLE, RATES

LEVEL = 0.96  # of the release's 95 %, what the gates of fairness take


def judged(views, **targets):
    """The gates of some perspectives, as the room makes them."""
    topics = [Rates.of(p) for p in parts(views)]
    names = [c.name for v in views for c in v.cohorts if c.main]
    targets = Targets(**{"main": names, "min_people": 1, **targets})
    return gated(topics, few([c for t in topics for c in t.compare(0.95)], targets.min_people), targets)


def equal_groups(rng, components, groups, size, *, harm=0.0):
    """Components whose groups and models are all alike, as one perspective; `harm` lowers accuracy of group 0."""
    n = components * groups * size
    component, group = (
        np.repeat(np.arange(components), groups * size),
        np.tile(np.repeat(np.arange(groups), size), components),
    )
    event = (rng.random(n) < 0.5).astype(int)
    right = rng.random(n) < 0.75
    again = np.where(rng.random(n) < 0.7, right, rng.random(n) < 0.75) & ~((group == 0) & (rng.random(n) < harm))
    acted = np.where(np.column_stack([right, again]), event[:, None], 1 - event[:, None])
    found = cohorts.of(pd.DataFrame({"served.g": np.array(list("abcdefgh"))[group]}), "served", family="served.")
    return Perspective(
        name="served", components=tuple(f"c{k:02d}" for k in range(components)), costs=(Costs(1.0, 3.0),) * components,
        component=component, event=event, score=acted.astype(float), acted=acted, people=np.arange(n), clusters=(),
        cohorts=tuple(found), items=np.arange(n).astype(str).astype(object),
    )  # fmt: skip


# one family


def test_the_family_counts_every_judged_statement_of_all_components():
    """3 components, 3 groups, 2 measures, a gap and a change each: 36 statements, each at 0.96 to the power 1 / 36."""
    seen = equal_groups(np.random.default_rng(0), 3, 3, 80)
    found, size = judged([seen], judged=["accuracy", "selection rate"])
    assert size == 36 == len(found)
    assert set(found["measure"]) == {"accuracy gap (candidate)", "accuracy change", "selection rate gap (candidate)",
                                     "selection rate change"}  # fmt: skip
    level = LEVEL ** (1 / 36)
    for at in parts([seen]):
        for comparison in Rates.of(at).compare(level):
            if comparison.gates and comparison.measure.name in ("accuracy", "selection rate"):
                row = pick(
                    found,
                    component=at.component,
                    group=str(at.cohort.groups[comparison.group]),
                    measure=comparison.name,
                )
                assert (row["low"], row["high"]) == (comparison.low, comparison.high)


def test_gates_hold_together_over_components_and_groups():
    """Nothing differs: in 96 of 100 worlds no interval of any gate leaves out 0.

    Each at 95 % by itself, or a family for each component, would leave out 0 somewhere far more often.
    """
    rng, held, alone, apart, worlds = np.random.default_rng(1), 0, 0, 0, 40
    for _ in range(worlds):
        topics = [Rates.of(p) for p in parts([equal_groups(rng, 12, 3, 60)])]
        each, by_component = ([c for t in topics for c in t.compare(level)] for level in (0.95, LEVEL ** (1 / 6)))
        found, size = gated(topics, each, Targets(judged=["accuracy"], main=["served.g"]))
        assert size == 12 * 6
        held += ((found["low"] <= 0) & (found["high"] >= 0)).all()
        holds = [
            all(c.low <= 0 <= c.high for c in x if c.gates and c.measure.name == "accuracy")
            for x in (each, by_component)
        ]
        alone, apart = alone + holds[0], apart + holds[1]
    assert held / worlds >= 0.96 - 2 * math.sqrt(0.96 * 0.04 / worlds)
    assert alone / worlds < 0.3
    assert apart / worlds < 0.87


def test_two_groups_make_one_gap_seen_from_both_sides():
    two, three = (equal_groups(np.random.default_rng(2), 2, k, 60) for k in (2, 3))
    assert judged([two], judged=["accuracy"])[1] == 2 * (1 + 2)  # one gap and two changes a component
    assert judged([three], judged=["accuracy"])[1] == 2 * (3 + 3)


def test_a_gap_of_which_one_side_is_too_small_is_a_statement_of_its_own():
    """In both components the smaller group has too few rows: two gaps and two changes are judged, not three."""
    rng = np.random.default_rng(3)
    worlds = []
    for name in ("one", "two"):
        group, y, says = draw(rng, [FEWEST_ROWS + 10, FEWEST_ROWS - 10], [0.7, 0.7], event=1.0)
        worlds.append(world_of(group, y, says, says, component=name))
    seen = view(together(*worlds))
    topics = [Rates.of(p) for p in parts([seen])]
    targets = Targets(judged=["accuracy"], main=["served.g"])
    assert family_size([c for t in topics for c in t.compare(0.95) if targets.gates(c)]) == 4
    assert judged([seen], judged=["accuracy"])[1] == 4


def test_fewer_rows_than_the_rule_asks_for_are_not_judged_and_do_not_widen_the_others():
    group, y = ["a"] * 200 + ["b"] * (FEWEST_ROWS - 1) + ["c"] * FEWEST_ROWS, [1] * (229 + FEWEST_ROWS)
    says = [1] * 200 + [0] * (59)
    out = measured(group, y, [1] * 259, says, judged=["accuracy"])
    by_group = out.gates[out.gates["measure"] == "accuracy change"].set_index("group")
    assert by_group.loc["served.g=b", "verdict"] == "inconclusive"
    assert by_group.loc["served.g=b", "note"].startswith(f"only {FEWEST_ROWS - 1} rows")
    assert by_group.loc["served.g=b", "high"] < -0.5  # though all of them are harmed
    assert by_group.loc["served.g=c", "verdict"] == "fail"
    assert out.size == 4  # gap and change of a and c


def test_a_few_rows_do_not_make_a_harm_clear():
    """Eight groups of 12 rows, all alike: none is judged, and still their intervals hold together in 96 of 100 worlds.

    At 96 % each, as if each stood alone, they would in about 7 of 10; the answer would speak of a clear harm.
    """
    rng, held, worlds = np.random.default_rng(20), 0, 40
    for _ in range(worlds):
        found, size = judged([equal_groups(rng, 1, 8, 12)], judged=["accuracy"])
        assert size == 0
        assert set(found["verdict"]) == {"inconclusive"}
        held += ((found["low"] <= 0) & (found["high"] >= 0)).all()
    assert held / worlds >= 0.96 - 2 * math.sqrt(0.96 * 0.04 / worlds)


def test_both_perspectives_are_one_family_where_main_names_both():
    rng = np.random.default_rng(4)
    n = 240
    world = {"group": rng.choice(["a", "b", "c"], n), "y": rng.integers(0, 2, n), "before": rng.random(n),
             "after": rng.random(n), "side": rng.choice(["x", "y", "z", "w"], n)}  # fmt: skip
    served = measured(**world, judged=["accuracy"])
    both = measured(**world, judged=["accuracy"], targets={"main": ["served.g", "rater.g"]})
    assert (served.size, both.size) == (6, 6 + 8)
    width = [out.gates.loc[out.gates["group"] == "served.g=a", "high"].sum() for out in (served, both)]
    assert width[0] < width[1]


# which statements


def test_the_people_served_gate_and_where_nobody_states_who_that_is_the_raters():
    assert main_cohorts(["served.a", "rater.b", "served.c"], []) == ["served.a", "served.c"]
    assert main_cohorts(["rater.b"], []) == ["rater.b"]
    assert main_cohorts(["served.a", "rater.b"], ["rater.b"]) == ["rater.b"]
    rng = np.random.default_rng(5)
    says = (rng.random(200) < 0.6).astype(float)
    only_raters = measured(y=rng.integers(0, 2, 200), before=says, after=says, side=["x", "y"] * 100)
    assert set(only_raters.gates["group"]) == {"rater.g=x", "rater.g=y"}
    both = measured(["a", "b"] * 100, rng.integers(0, 2, 200), says, says, side=["x", "y"] * 100)
    assert set(both.gates["group"]) == {"served.g=a", "served.g=b"}


def test_a_main_cohort_that_nobody_has_is_an_error_that_names_those_there_are():
    with pytest.raises(ParamError, match=r"attributes of served\.g") as error:
        measured(["a", "b"] * 20, [1] * 40, [1] * 40, [1] * 40, targets={"main": ["served.h"]})
    assert "served.h" in str(error.value)
    assert "fairness.main" in str(error.value)


@pytest.mark.parametrize("key", ["judged", "margins"])
def test_an_unknown_measure_is_an_error_that_lists_the_names(key):
    wrong = (
        {"judged": ["accuracy", "true positives"]}
        if key == "judged"
        else {"judged": [], "margins": {"true positives": 0.1}}
    )
    with pytest.raises(ParamError) as error:
        Targets(**wrong)
    text = str(error.value)
    assert "true positives" in text
    assert f"fairness.{key}" in text
    assert all(m.name in text for m in JUDGEABLE)


@pytest.mark.parametrize("margin", ["0.1", -0.1, math.nan, True, None])
def test_a_margin_that_is_no_number_of_0_or_more_is_an_error(margin):
    with pytest.raises(ParamError, match="AUC"):
        Targets(judged=[], margins={"AUC": margin})


def test_each_measure_has_its_own_margin():
    targets = Targets(judged=[], margin=0.2, margins={"accuracy": 0.3, "log loss": 1.0})
    by_name = {m.name: targets.of(m) for m in JUDGEABLE}
    assert by_name["accuracy"] == 0.3
    assert by_name["selection rate"] == 0.2  # of all rates
    assert by_name["log loss"] == 1.0
    assert by_name["AUC"] == 0.05  # its own
    assert by_name["saving per 1,000"] == 50
    group, y = ["a"] * 300 + ["b"] * 300, [1] * 600
    after = [1] * 225 + [0] * 75 + [1] * 300  # accuracy of a falls by 0.25
    verdicts = []
    for margins in ({}, {"accuracy": 0.5}, {"accuracy": 0.25}):
        out = measured(
            group, y, [1] * 600, after, judged=["accuracy", "true positive rate"], targets={"margins": margins}
        )
        rows = out.gates[out.gates["group"] == "served.g=a"].set_index("measure")["verdict"]
        verdicts.append(rows["accuracy change"])
        assert rows["true positive rate change"] == "fail"
    assert verdicts == ["fail", "pass", "inconclusive"]


def test_only_main_cohorts_and_forms_that_a_decision_rests_on_gate():
    rng = np.random.default_rng(6)
    n = 400
    world = world_of({"g": rng.choice(["a", "b"], n), "h": rng.choice(["x", "y"], n)}, rng.integers(0, 2, n),
                     rng.random(n), rng.random(n), side=rng.choice(["p", "q"], n))  # fmt: skip
    out = fairness.measure(world, settings(["accuracy"], crossings=[["g", "h"]]))
    assert set(out.gates["measure"]) == {"accuracy gap (candidate)", "accuracy change"}
    assert set(out.gates["group"].str.partition("=")[0]) == {"served.g", "served.h"}
    assert not out.gates["group"].str.contains("&").any()
    assert out.leads["group"].str.contains("&").any()
    assert out.gates.duplicated(["measure", "component", "group"]).sum() == 0


@pytest.mark.parametrize(
    ("measure", "name"),
    [("AUC", "AUC change"), ("log loss", "log loss change"), ("Brier score", "Brier score gap (candidate)"),
     ("calibration in the large", "calibration in the large gap (candidate)"),
     ("saving per 1,000", "saving per 1,000 gap"),
     ("score difference on the same text", "score difference on the same text (candidate)")],
)  # fmt: skip
def test_scores_savings_and_same_texts_can_be_judged_and_get_verdicts(measure, name):
    """The candidate is noise for a, and scores a higher on the same texts; b and c keep the baseline's good scores."""
    rng = np.random.default_rng(7)
    texts = np.tile(np.arange(150), 3)
    y = np.tile((rng.random(150) < 0.5).astype(int), 3)
    good = np.clip(0.15 + 0.7 * y + 0.05 * rng.normal(size=450), 0.01, 0.99)
    noise = np.where(np.arange(450) < 150, rng.uniform(0.4, 0.99, 450), good)
    names = [f"{chr(97 + k % 26)}{chr(97 + k // 26)} word" for k in texts]
    out = measured(np.repeat(["a", "b", "c"], 150), y, good, noise, text=names, judged=[measure])
    row = pick(out.gates, measure=name, group="served.g=a")
    assert row["verdict"] == "fail"
    assert row["low"] < row["value"] < row["high"]
    assert set(out.gates["measure"].str.partition(" (")[0]) >= {name.partition(" (")[0]}
    assert out.gates[out.gates["group"] != "served.g=a"]["verdict"].isin(["pass", "inconclusive", "fail"]).all()


def test_a_score_that_grows_closer_to_the_truth_does_not_fail_for_having_changed():
    """The baseline is 0.2 too high for everyone, the candidate right: a change, and no harm."""
    rng = np.random.default_rng(8)
    y = (rng.random(900) < 0.5).astype(int)
    base = np.clip(0.5 + 0.2 + 0.02 * rng.normal(size=900), 0, 1)
    out = measured(np.repeat(["a", "b", "c"], 300), y, base, base - 0.2, judged=["calibration in the large"])
    assert not (out.gates["verdict"] == "fail").any()
    assert not ((out.leads["verdict"] == "fail") & out.leads["measure"].str.startswith("calibration")).any()


# harm


def test_planted_harm_fails_and_no_harm_does_not():
    """One group gets 0.3 more false alarms from the candidate; 200 rows without the event in each of four groups."""
    rng, hit, false = np.random.default_rng(9), 0, 0
    for harm in (0.3, 0.0):
        for _ in range(8):
            group = np.repeat(["en", "es", "fr", "de"], 300)
            y = np.tile([1] * 100 + [0] * 200, 4)
            before = np.where(y == 1, rng.random(1200) < 0.8, rng.random(1200) < 0.2)
            after = before | ((group == "es") & (y == 0) & (rng.random(1200) < harm / 0.8))
            out = measured(group, y, before, after)
            failed = set(out.gates.loc[out.gates["verdict"] == "fail", "group"])
            if harm:
                row = pick(out.gates, group="served.g=es", measure="false positive rate change")
                hit += row["verdict"] == "fail"
                assert failed <= {"served.g=es"}
                assert row["value"] == pytest.approx(0.3, abs=0.1)
            else:
                false += bool(failed)
    assert hit >= 7
    assert false == 0


def test_harm_that_is_clear_but_may_not_exceed_the_margin_is_said():
    """Of 120 rows with the event 30 were found before, 6 now. Worse for certain; whether by more than 0.2, not yet."""
    before, after = np.zeros(520), np.zeros(520)
    before[:30], after[:6] = 1, 1
    out = measured(
        ["a"] * 120 + ["b"] * 400, [1] * 520, before, after, judged=["true positive rate"], targets={"margin": 0.2}
    )
    row = pick(out.gates, group="served.g=a", measure="true positive rate change")
    assert (row["value"], row["verdict"]) == (pytest.approx(-0.2), "inconclusive")
    assert row["high"] < 0
    assert row["note"].startswith("clearly worse, but perhaps within the margin of 0.2; ")
    said = fairness.answer(out.gates, out.leads)
    assert "clear but may not exceed the margin for" in said
    assert "people served with g a (safety)" in said


def test_a_world_without_cohorts_has_no_gates_and_the_answer_says_so():
    out = measured(group={}, y=[1, 0] * 30, before=[1] * 60, after=[1] * 60, population=NOBODY)
    assert len(out.gates) == 0
    assert out.size == 0
    assert "can be compared" in fairness.answer(out.gates, out.leads)
    nothing = measured(["a", "b"] * 30, [1, 0] * 30, [1] * 60, [1] * 60, judged=[])
    assert len(nothing.gates) == 0


def test_a_declared_group_without_rows_gates_nothing_and_is_named():
    out = measured(
        ["a", "b"] * 60, [1, 0] * 60, [1, 0] * 60, [1, 0] * 60, judged=["accuracy"], population=declared(z=1.0)
    )
    rows = out.gates[out.gates["group"] == "served.g=z"]
    assert len(rows) == 2
    assert set(rows["verdict"]) == {"inconclusive"}
    assert rows["note"].str.startswith("undefined").all()
    assert out.size == 4


def test_the_rates_of_a_part_are_those_of_the_gates():
    world = world_of(["a", "b", "c"] * 50, [1, 0] * 75, [1, 0] * 75, [1, 0, 0] * 50)
    out = fairness.measure(world, settings(["accuracy"]))
    own = compared(
        Rates.of(part(world)), "gap", "accuracy", group="b", model="candidate", level=LEVEL ** (1 / out.size)
    )
    row = pick(out.gates, group="served.g=b", measure="accuracy gap (candidate)")
    assert (row["value"], row["low"], row["high"], row["n"]) == (own.value, own.low, own.high, own.n)
    assert float(intervals.simultaneous(out.size, LEVEL)) == LEVEL ** (1 / out.size)
    assert RATES[4].name == "accuracy"
