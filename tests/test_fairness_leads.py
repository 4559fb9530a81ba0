"""Leads: pooled probabilities against numerical integration, q by hand, a planted simulation, and that none gates."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import cauchy, norm
from test_fairness import declared, given, measured, part, pick, settings

from hfkit import fairness
from hfkit.fairness import leads
from hfkit.fairness.comparison import Comparison
from hfkit.fairness.rates.compare import Rates
from hfkit.shared import evidence, measures, schema
from hfkit.shared.measures import HEARD, RATES, TRAINED

ACCURACY = next(r for r in RATES if r.name == "accuracy")


def groups(count, cohort="served.g", crossings=()):
    """A part with so many groups, to hang comparisons on."""
    names = {"g": [f"a{k}" for k in range(count)], "h": [f"b{k % 2}" for k in range(count)]}
    return part(given(names, [1] * count), cohort, crossings=crossings)


def family(values, errors, *, form="gap", measure=ACCURACY, of=None, rows=100):
    """Comparisons of one kind with these values and standard errors, one a group of a part."""
    values, errors = np.broadcast_arrays(np.asarray(values, float), np.asarray(errors, float))
    of = groups(len(values)) if of is None else of
    return [
        Comparison(measure, form, "candidate" if form == "gap" else "", of, g, v, v - 2 * e, v + 2 * e, e, rows)
        for g, (v, e) in enumerate(zip(values, errors, strict=True))
    ]


def integrated(values, errors, margin, at, *, centre=0.0, bad=-1):
    """P(true difference at `at` lies beyond the margin on the bad side), by integrating over the spread between groups.

    Normal estimates of normal true differences with standard deviation tau, tau half-Cauchy on the scale of the margin.
    """
    values, errors = np.asarray(values, float), np.asarray(errors, float)

    def weight(tau):
        total = np.sqrt(errors**2 + tau**2)
        return np.exp(norm.logpdf(values, centre, total).sum()) * cauchy.pdf(tau, 0, margin)

    def beyond(tau):
        pull = tau**2 / (tau**2 + errors[at] ** 2)
        mean, sd = centre + pull * (values[at] - centre), math.sqrt(max(pull, 1e-15)) * errors[at]
        return norm.cdf(bad * mean, margin, sd)

    ends = [0, 0.1 * margin, margin, 3 * margin, 10 * margin]
    over = [sum(quad(f, a, b)[0] for a, b in pairwise(ends))
            for f in (lambda t: weight(t) * beyond(t), weight)]  # fmt: skip
    return over[0] / over[1]


@pytest.mark.parametrize(
    ("values", "errors"),
    [
        ([-0.3, 0.02, 0.05], [0.08, 0.05, 0.06]),
        ([-0.12, -0.1, -0.14, 0.3], [0.05] * 4),
        ([0.01, -0.02, 0.0, 0.02, 0.01], [0.03, 0.1, 0.02, 0.05, 0.04]),
        ([-0.2], [0.1]),
    ],
)
def test_a_gap_is_pooled_as_numerical_integration_says(values, errors):
    found = leads.harm(family(values, errors), lambda _: 0.1)
    for at in range(len(values)):
        assert found[at] == pytest.approx(integrated(values, errors, 0.1, at), abs=0.02)


def test_a_change_is_pulled_towards_the_median_group():
    """All fall by about 0.2 except one: that one is pulled towards the others, who are not moved by it."""
    values, errors = [-0.2, -0.21, -0.19, -0.2, 0.1], [0.05, 0.05, 0.05, 0.05, 0.2]
    found = leads.harm(family(values, errors, form="change"), lambda _: 0.1)
    centre = -0.2  # of equal weights but one, the weighted median
    for at in range(5):
        assert found[at] == pytest.approx(integrated(values, errors, 0.1, at, centre=centre), abs=0.02)
    alone = leads.harm(family([0.1], [0.2], form="change"), lambda _: 0.1)[0]
    assert found[4] > alone + 0.2


def test_one_harmed_group_is_not_pulled_away_from_its_harm():
    found = leads.harm(family([-0.4, *[0.0] * 7], 0.05), lambda _: 0.1)
    assert found[0] > 0.999
    assert (found[1:] < 0.05).all()


def test_both_sides_count_where_no_direction_is_better():
    selection = RATES[0]
    up, down = (leads.harm(family([s * 0.4, 0, 0], 0.03, measure=selection), lambda _: 0.1) for s in (1, -1))
    assert up[0] == pytest.approx(down[0])
    assert up[0] > 0.99
    worse, better = (leads.harm(family([s * 0.4, 0, 0], 0.03), lambda _: 0.1) for s in (-1, 1))
    assert worse[0] > 0.99
    assert better[0] < 0.01


def test_a_crossed_group_is_like_its_parents():
    """Of hardly any rows itself, it borrows from its parents: where both are harmed, and where they are not."""
    count = 4
    names = {"g": ["a", "a", "b", "b"], "h": ["x", "y", "x", "y"]}
    world = given(names, [1] * count)
    found = {}
    for harm in (-0.3, 0.0):
        mains = [family([harm, 0.0], 0.02, of=part(world, f"served.{c}")) for c in "gh"]
        crossed = family([-0.1, 0, 0, 0], 0.5, of=part(world, "served.g & h", crossings=[["g", "h"]]))
        found[harm] = leads.harm([*mains[0], *mains[1], *crossed], lambda _: 0.1)[4]
    assert found[-0.3] > 0.8
    assert found[0.0] < 0.4


def test_families_do_not_lend_to_each_other():
    one = family([-0.12, 0.0, 0.02], 0.06)
    other = family([-0.5, -0.5, -0.5], 0.01, measure=RATES[1])
    assert leads.harm([*one, *other], lambda _: 0.1)[:3] == pytest.approx(leads.harm(one, lambda _: 0.1))


def test_what_has_no_interval_gets_no_probability_and_lends_none():
    """A value of few rows with a standard error, but without bounds that hold."""
    sure = family([-0.3, 0.0, 0.0], 0.05)
    bare = [replace(sure[0], low=math.nan, high=math.nan, note="fewer than 3 people"), *sure[1:]]
    found = leads.harm(bare, lambda _: 0.1)
    assert math.isnan(found[0])
    assert found[1:] == pytest.approx(leads.harm(sure[1:], lambda _: 0.1))
    assert np.isnan(leads.harm([], lambda _: 0.1)).all()
    assert (leads.harm(family([-2.0, 2.0], 1e-6), lambda _: 0.1) <= 1).all()  # rounding does not lead beyond 1


# verdicts


def test_verdicts_by_hand():
    """Doubts .001, .01, .05, .2 in order: means .001, .0055, .0203, .06525; three of them keep 5 %."""
    found, q = leads.verdicts(np.array([0.01, 0.95, 0.999, 0.2, math.nan]), 0.05)
    assert found == ["pass", "fail", "fail", "inconclusive", "inconclusive"]
    assert q[:4] == pytest.approx([0.0055, 0.061 / 3, 0.001, 0.261 / 4])
    assert math.isnan(q[4])
    assert leads.verdicts(np.array([0.5]), 0.5)[0] == ["pass"]
    assert leads.verdicts(np.array([]), 0.05)[0] == []


def test_the_probability_of_a_low_ratio_is_the_normals():
    found = leads.below([0.8, 0.7, 1.2, math.nan], [0.1, 0.05, 0.1, 0.1], 0.8)
    assert found[:3] == pytest.approx(norm.cdf([0.0, 2.0, -4.0]))
    assert math.isnan(found[3])
    assert math.isnan(leads.below([0.5], [0.0], 0.8)[0])


def test_few_verdicts_are_wrong_in_a_planted_simulation():
    """True gaps of 24 groups with the spread of a margin, 60 families: some 5 % of verdicts are wrong, not more, and
    more get one than with intervals that hold together."""
    rng, of, decided, wrong, strict = np.random.default_rng(0), groups(24), 0, 0, 0
    for _ in range(60):
        truth = rng.normal(0, 0.1 * rng.choice([0.3, 1.0, 2.0]), 24)
        errors = rng.uniform(0.02, 0.15, 24)
        value = truth + errors * rng.normal(size=24)
        found, _ = leads.verdicts(leads.harm(family(value, errors, of=of), lambda _: 0.1), 0.05)
        found, bad = np.array(found), truth < -0.1
        decided += (found != "inconclusive").sum()
        wrong += ((found == "fail") & ~bad).sum() + ((found == "pass") & bad).sum()
        reach = norm.ppf(0.5 + 0.95 ** (1 / 24) / 2) * errors
        strict += ((value - reach > -0.1) | (value + reach < -0.1)).sum()
    assert wrong / decided <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / decided)
    assert decided > 1.3 * strict
    assert decided / (60 * 24) >= 0.3


# the room


def test_leads_never_gate_and_gates_are_no_leads():
    rng = np.random.default_rng(1)
    n = 600
    names = {"g": rng.choice(["a", "b"], n), "h": rng.choice(["x", "y"], n)}
    side, people = rng.choice(["p", "q"], n), declared(a=0.9, b=0.1)
    world = given(names, rng.integers(0, 2, n), rng.random(n), rng.random(n), side=side, population=people)
    out = fairness.measure(world, settings(["accuracy"], crossings=[["g", "h"]]))
    key = ["measure", "component", "group"]
    assert not set(map(tuple, out.leads[key].to_numpy())) & set(map(tuple, out.gates[key].to_numpy()))
    judged = out.evidence[out.evidence["verdict"] != "info"]
    pd.testing.assert_frame_equal(judged.reset_index(drop=True), out.gates)
    crossed = out.evidence[out.evidence["group"].str.contains(" & ")]
    assert set(crossed["verdict"]) == {"info"}
    assert set(crossed["measure"]) == {HEARD.name, TRAINED.name}  # all else of crossed groups stands among the leads
    assert {"accuracy change", HEARD.name} <= set(out.leads.loc[out.leads["group"].str.contains(" & "), "measure"])
    forms = {measures.read(m).form for m in out.leads["measure"]}
    assert "gap change" not in forms
    assert not out.leads["measure"].str.contains("baseline").any()
    schema.shape(out.leads, schema.LEADS)


def test_every_lead_with_a_verdict_has_an_interval_and_every_other_a_reason():
    """Groups of every size, some of a handful of rows: no verdict rests on what has no bounds."""
    rng = np.random.default_rng(2)
    n = 500
    group = rng.choice(list("abcde"), n, p=[0.6, 0.25, 0.1, 0.03, 0.02])
    y = (rng.random(n) < 0.1).astype(int)
    out = measured(group, y, rng.random(n), rng.random(n), unit=[f"u{k // 3}" for k in range(n)],
                   side=rng.choice(["p", "q"], n, p=[0.97, 0.03]), rater=rng.choice(list("uvwxyz"), n))  # fmt: skip
    verdict = out.leads[out.leads["verdict"] != "inconclusive"]
    assert len(verdict) > 20
    assert verdict[["value", "low", "high", "q"]].notna().all(axis=None)
    assert (verdict["q"] <= 0.05).all()
    bare = out.leads[out.leads["low"].isna()]
    assert len(bare)
    assert (bare["note"] != "").all()
    assert bare["q"].isna().all()


def test_a_planted_harm_of_a_crossed_group_is_the_surest_lead_and_the_answer_names_it():
    rng = np.random.default_rng(3)
    n = 2400
    g, h = rng.choice(["a", "b"], n), rng.choice(["x", "y"], n)
    y = np.ones(n, int)
    before = (rng.random(n) < 0.85).astype(float)
    after = np.where((g == "a") & (h == "x") & (rng.random(n) < 0.5), 0.0, before)
    out = fairness.measure(given({"g": g, "h": h}, y, before, after), settings(["accuracy"], crossings=[["g", "h"]]))
    rows = out.leads[out.leads["measure"] == "true positive rate change"].set_index("group")
    crossed = rows[rows.index.str.contains(" & ")]
    assert crossed.loc["served.g=a & h=x", "verdict"] == "fail"
    assert set(crossed.drop("served.g=a & h=x")["verdict"]) == {"pass"}
    failed = out.leads[out.leads["verdict"] == "fail"]
    said = fairness.answer(out.gates, out.leads)
    assert f"{len(failed)} leads ask for a look" in said
    assert any(evidence.sentence(r) in said for r in failed[failed["q"] == failed["q"].min()].itertuples())


def test_the_fdr_is_what_is_declared():
    rng = np.random.default_rng(4)
    n = 300
    world = given(rng.choice(list("abcd"), n), rng.integers(0, 2, n), rng.random(n), rng.random(n))
    few, many = (fairness.measure(world, settings([], fdr=f)).leads for f in (0.01, 0.3))
    for out, fdr in ((few, 0.01), (many, 0.3)):
        assert ((out["q"] <= fdr) == (out["verdict"] != "inconclusive")).all()
    assert (few["verdict"] != "inconclusive").sum() < (many["verdict"] != "inconclusive").sum()


def test_a_group_seldom_heard_is_a_lead():
    group = np.repeat(["a", "b"], [900, 300])
    world = given(group, np.zeros(1200, int), population=declared(a=0.5, b=0.5))
    out = fairness.measure(world, settings([])).leads
    heard = out[out["measure"] == "share in the feedback over share served"].set_index("group")
    assert heard.loc["served.g=b", "value"] == pytest.approx(0.5)
    assert heard.loc["served.g=b", "verdict"] == "fail"
    assert heard.loc["served.g=a", "verdict"] == "pass"
    assert pick(out, measure="share in training over share served", group="served.g=b")["verdict"] in (
        "fail",
        "inconclusive",
    )


def test_a_topic_pools_the_same_whatever_the_order_of_groups():
    rng = np.random.default_rng(5)
    values, errors = rng.normal(0, 0.1, 6), rng.uniform(0.03, 0.1, 6)
    mix = rng.permutation(6)
    there, back = (leads.harm(family(values[o], errors[o]), lambda _: 0.1) for o in (np.arange(6), mix))
    assert there[mix] == pytest.approx(back, abs=1e-12)
    real = Rates.of(part(given(["a", "b"] * 30, [1, 0] * 30, [1] * 60, [1, 0] * 30))).compare(0.95)
    assert len(leads.harm(real, lambda _: 0.1)) == len(real)
