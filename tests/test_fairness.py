"""Fairness: hand arithmetic, fairlearn as the second opinion, planted gaps found, equal groups left in peace."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
from scipy.stats import binom
from sklearn.metrics import accuracy_score, precision_score

from hfkit import aggregate, fairness
from hfkit.commands.sample import world as sample_world
from hfkit.fairness import effective, extremes, gaps
from hfkit.fairness.rows import cells, fractions
from hfkit.shared import schema, stats

COMPONENTS = pd.DataFrame({
    "component": ["safety"], "event": ["harm"], "threshold": [0.5], "cost_false_alarm": [1.0], "cost_miss": [5.0],
    "effort_days": [1.0],
})  # fmt: skip


def tables(group, y, baseline, candidate, *, rater=None):
    """The input tables of a world where row i is one item judged once; `group` is of the served (or of raters)."""
    n = len(y)
    ids = [f"i{k:06d}" for k in range(n)]
    labels = pd.DataFrame({"item_id": ids, "component": "safety", "label": np.asarray(y, int)})
    predictions = pd.DataFrame({
        "item_id": ids, "component": "safety", "split": "test", "baseline": np.asarray(baseline, float),
        "candidate": np.asarray(candidate, float),
    })  # fmt: skip
    judgements = pd.DataFrame({
        "feedback_id": ids, "item_id": ids, "component": "safety", "rater_id": ids if rater is None else rater,
        "label": np.asarray(y, int), "weight": 1.0, "served.g" if rater is None else "rater.g": group,
    })  # fmt: skip
    return COMPONENTS, judgements, labels, predictions


def assessed(group, y, baseline, candidate, *, rater=None, **targets):
    world = tables(group, y, baseline, candidate, rater=rater)
    return fairness.assess(fairness.perspectives(*world, intersections=[]), **targets)


def world(rng, sizes, rates, *, event=0.5, false_alarm=0.2):
    """Groups with given true positive rates: group, label, and the decision of a model as a score of 0 or 1."""
    group = np.repeat([f"g{i:02d}" for i in range(len(sizes))], sizes)
    y = rng.random(len(group)) < event
    p = np.where(y, np.repeat(rates, sizes), false_alarm)
    return group, y.astype(int), (rng.random(len(group)) < p).astype(float)


def pick(frame, **where):
    for column, value in where.items():
        frame = frame[frame[column] == value]
    return frame.iloc[0] if len(frame) == 1 else frame


def test_rates_by_hand():
    group = ["a"] * 10 + ["b"] * 10
    y = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    says = [1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0]
    out = assessed(group, y, says, says)
    got = {m: pick(out.groups, group="served.g=a", model="candidate", measure=m)["value"] for m in fairness.MEASURES}
    assert got == pytest.approx(dict(zip(fairness.MEASURES, [0.4, 0.75, 1 / 6, 0.75, 0.8], strict=True)))
    assert pick(out.evidence, group="served.g=a", measure="true positive rate gap (candidate)")["value"] == 0.25
    assert pick(out.evidence, group="served.g=b", measure="disparate impact ratio (candidate)")[
        "value"
    ] == pytest.approx(0.75)


def test_point_values_equal_fairlearn():
    rng = np.random.default_rng(1)
    group, y, says = world(rng, [60, 40, 90], [0.8, 0.6, 0.7])
    out = assessed(group, y, says, says).groups
    peer = MetricFrame(
        metrics={"selection rate": selection_rate, "true positive rate": true_positive_rate, "accuracy": accuracy_score,
                 "false positive rate": false_positive_rate, "precision": precision_score},
        y_true=y, y_pred=says, sensitive_features=group,
    ).by_group  # fmt: skip
    for measure in fairness.MEASURES:
        mine = out[(out["measure"] == measure) & (out["model"] == "baseline")].set_index("group")["value"]
        assert mine.to_numpy() == pytest.approx(peer[measure].to_numpy(), abs=1e-12)


def test_a_group_without_positives_has_no_true_positive_rate():
    group, y = ["a"] * 30 + ["b"] * 30, [0] * 30 + [1] * 15 + [0] * 15
    says = [0, 1] * 30
    peer = MetricFrame(metrics=true_positive_rate, y_true=y, y_pred=says, sensitive_features=group).by_group
    assert peer["a"] == 0.0  # fairlearn answers; we do not
    out = assessed(group, y, says, says)
    row = pick(out.groups, group="served.g=a", model="candidate", measure="true positive rate")
    assert math.isnan(row["value"])
    assert (row["denominator"], row["note"]) == (0, "undefined: no rows with the event")
    gap = pick(out.evidence, group="served.g=b", measure="true positive rate gap (candidate)")
    assert gap["verdict"] == "cannot tell"
    assert "outside the group" in gap["note"]


def test_changes_are_paired_by_hand():
    group = ["a"] * 20 + ["b"] * 20
    y = [1] * 40
    before, after = [1] * 10 + [0] * 10 + [1] * 20, [1] * 8 + [0] * 2 + [1] * 5 + [0] * 5 + [1] * 20
    out = assessed(group, y, before, after)
    row = pick(out.changes, group="served.g=a", measure="true positive rate")
    assert (row["before"], row["after"], row["n"]) == (0.5, 0.65, 20)
    assert row["change"] == pytest.approx(0.15)
    assert row["low"] < 0 < row["high"]
    assert pick(out.evidence, group="served.g=a", measure="true positive rate gap change")["value"] == pytest.approx(
        0.15
    )


@pytest.mark.parametrize(
    "case", ["empty", "one row", "one class", "one group", "no baseline", "constant", "ties", "missing"]
)
def test_degenerate_worlds_never_invent_a_verdict(case):
    rng = np.random.default_rng(3)
    group, y, says = world(rng, [30, 30], [0.8, 0.8])
    base = says.copy()
    if case in ("empty", "one row"):
        n = int(case == "one row")
        group, y, says, base = group[:n], y[:n], says[:n], base[:n]
    if case == "one class":
        y = np.zeros_like(y)
    if case == "one group":
        group = np.full(len(group), "only")
    if case == "no baseline":
        base = np.full(len(base), np.nan)
    if case in ("constant", "ties"):
        says = base = np.full(len(base), 0.5 if case == "ties" else 0.0)
    if case == "missing":
        group = np.where(rng.random(len(group)) < 0.5, None, "a")
    out = assessed(group, y, base, says)
    undefined = out.evidence[out.evidence["value"].isna()]
    assert (undefined["note"] != "").all()
    assert not undefined["verdict"].isin(["pass", "fail"]).any()
    assert not (out.evidence["verdict"] == "fail").any()
    assert fairness.answer(out.evidence, margin=0.05)
    if len(y) > 1:
        shown = out.groups[out.groups["measure"] == "selection rate"].groupby("model")["denominator"].sum()
        assert shown["candidate"] == len(y)  # nobody is dropped
    if case == "no baseline":
        assert out.groups.loc[out.groups["model"] == "baseline", "value"].isna().all()
        assert out.changes["change"].isna().all()
    if case == "missing":
        assert f"served.g={schema.NOT_STATED}" in set(out.groups["group"])
    if case == "ties":
        assert (out.groups.loc[out.groups["measure"] == "selection rate", "value"] == 1).all()  # score >= threshold


def test_no_cohorts_at_all_is_said():
    parts = list(tables(["a"] * 5, [0, 1, 0, 1, 1], [0.1] * 5, [0.2] * 5))
    parts[1] = parts[1].drop(columns="served.g")
    out = fairness.assess(fairness.perspectives(*parts, intersections=[["g", "h"]]))
    assert out.evidence["verdict"].tolist() == ["cannot tell"]
    assert "no test row carries a cohort column" in out.evidence["note"][0]


def test_small_groups_are_named_but_not_shown():
    group, y, says = world(np.random.default_rng(4), [200, 9, 200], [0.8] * 3)
    out = assessed(group, y, says, says)
    rows = out.groups[out.groups["group"] == "served.g=g01"]
    assert len(rows) == 14
    assert rows[["numerator", "denominator", "value", "low", "high"]].isna().all(axis=None)
    few = out.evidence[out.evidence["group"] == "served.g=g01"]
    assert few["value"].isna().all()
    assert (few["n"] == 0).all()
    assert (few.loc[~few["measure"].str.contains("disparate"), "verdict"] == "cannot tell").all()
    # two groups: showing the large one would show the small one by subtraction
    out = assessed(*(a[:209] for a in (group, y, says, says)))
    assert out.groups["value"].isna().all()


def test_row_order_does_not_matter():
    rng = np.random.default_rng(5)
    world_ = tables(*world(rng, [40, 50, 60], [0.8, 0.7, 0.6]), rng.random(150))
    first = fairness.assess(fairness.perspectives(*world_, intersections=[]))
    again = fairness.assess(
        fairness.perspectives(*(t.sample(frac=1, random_state=1) for t in world_), intersections=[])
    )
    pd.testing.assert_frame_equal(first.evidence, again.evidence)
    pd.testing.assert_frame_equal(first.groups, again.groups)


def test_intersections_cross_declared_attributes():
    parts = list(tables(["a", "b"] * 40, [0, 1, 1, 0] * 20, [0.1, 0.9] * 40, [0.9, 0.1] * 40))
    parts[1]["served.h"] = ["x"] * 40 + [None] * 40
    out = fairness.assess(fairness.perspectives(*parts, intersections=[["g", "h"], ["g", "nowhere"]]))
    crossed = [g for g in out.groups["group"].unique() if "&" in g]
    assert crossed == [f"served.g={g} & h={h}" for g in "ab" for h in (schema.NOT_STATED, "x")]
    assert pick(out.groups, group="served.g=a & h=x", model="candidate", measure="accuracy")["denominator"] == 20


def false_fails(groups, size, worlds, margin):
    rng = np.random.default_rng(groups * 1000 + size)
    failed = 0
    for _ in range(worlds):
        g, y, says = world(rng, [size] * groups, [0.7] * groups)
        out = assessed(g, y, says, says, margin=margin)
        failed += bool((out.evidence["verdict"] == "fail").any())
    return failed / worlds


def test_equal_groups_rarely_fail():
    """At the hardest margin, none at all, on 2 to 24 equal groups of 10 to 200: at most 5 % of worlds fail."""
    rates = [false_fails(g, size, 5, margin=0.0) for g in (2, 4, 8, 12, 24) for size in (10, 30, 200)]
    assert np.mean(rates) <= 0.05


@pytest.mark.parametrize("groups", [2, 8])
def test_planted_gap_is_found(groups):
    """A true positive rate 0.15 lower in one group of 400 with the event: shown to be a gap in 9 of 10 worlds."""
    rng = np.random.default_rng(groups)
    found = 0
    for _ in range(20):
        g, y, says = world(rng, [400] * groups, [0.65] + [0.8] * (groups - 1), event=1.0)
        out = assessed(g, y, says, says, margin=0.0, judged=["true positive rate"])
        found += (
            pick(out.evidence, group="served.g=g00", measure="true positive rate gap (candidate)")["verdict"] == "fail"
        )
    assert found / 20 >= 0.9


def test_chance_is_taken_out_of_the_largest_difference():
    """12 equal groups of 30: the largest minus the smallest rate is 0.29 on average; corrected, near 0."""
    rng = np.random.default_rng(6)
    k = rng.binomial(30, 0.5, size=(300, 12)).astype(float)
    n = np.full(12, 30.0)
    assert np.ptp(k / 30, axis=1).mean() > 0.25
    assert np.mean([extremes.spread(row / n, n, row) for row in k]) < 0.05
    apart = rng.binomial(400, np.array([0.5] * 11 + [0.8]), size=(100, 12)).astype(float)
    n = np.full(12, 400.0)
    assert np.mean([extremes.spread(row / n, n, row) for row in apart]) == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("n", [5, 10, 25])
@pytest.mark.parametrize(("up", "down"), [(0.02, 0.02), (0.3, 0.3), (0.1, 0.02), (0.5, 0.1), (0.45, 0.45)])
def test_paired_change_covers(n, up, down):
    """Exact: the probability of every outcome of n paired rows, summed where the interval holds the truth."""
    covered = 0.0
    for u in range(n + 1):
        some = binom.pmf(u, n, up)
        for d in range(n - u + 1):
            counts = np.zeros((2, 3, 3), int)
            counts[1, 0, 1], counts[1, 1, 0], counts[1, 1, 1] = u, d, n - u - d
            _, low, high = gaps.changes(effective.alone(counts[None, None]), np.full((1, 1, 1), 0.95)).interval()
            inside = low[0, 0, 1] <= up - down <= high[0, 0, 1]
            covered += inside * some * binom.pmf(d, n - u, down / (1 - up))
    assert covered >= 0.93


@pytest.mark.parametrize("level", [0.95, 0.999])
@pytest.mark.parametrize(("n", "m"), [(5, 5), (6, 6), (10, 10), (14, 17), (5, 40)])
def test_a_gap_covers_at_every_level(n, m, level):
    """Exact over both binomials, near 0 and 1 too: MOVER alone stays at 0.93 there, whatever level is asked for."""
    pairs = np.array([(k, j) for k in range(n + 1) for j in range(m + 1)])
    sides = []
    for column, size in enumerate((n, m)):
        counts = np.zeros((1, len(pairs), 2, 3, 3), int)
        counts[0, :, 1, 0, 0], counts[0, :, 1, 1, 1] = size - pairs[:, column], pairs[:, column]
        sides.append(gaps.rates(effective.alone(counts), np.full((1, 1, 1), level)))
    _, low, high = (v[0, :, 1] for v in gaps.between(*sides, gaps.difference).interval())
    for p in (0.02, 0.03, 0.05, 0.1, 0.3, 0.5):
        for q in (0.02, 0.5, 0.9, 0.95, 0.97, 0.98):
            weight = binom.pmf(pairs[:, 0], n, p) * binom.pmf(pairs[:, 1], m, q)
            assert weight[(low <= p - q + 1e-12) & (p - q - 1e-12 <= high)].sum() >= level - 0.02


def test_answers_of_one_rater_count_as_one_where_they_are_alike():
    """20 raters, 10 identical answers each: 20 independent rows, not 200; a row analysis would be 3 times too sure."""
    rng = np.random.default_rng(7)
    rater = np.repeat([f"r{i:02d}" for i in range(20)], 10)
    says = np.repeat(rng.random(20) < 0.5, 10).astype(float)
    p = fairness.perspectives(*tables(np.repeat(["a", "b"], 100), np.ones(200, int), says, says, rater=rater),
                              intersections=[])[1]  # fmt: skip
    group, _ = effective.sides(p, 0)
    assert group.weight[0, 0, 6] == pytest.approx(10 * 10 / 9 + 100 / 99 - 1)  # by rater + by item - by row
    assert group.df[0, 0, 6] == 9
    value, low, high = (v[0, 0, 6] for v in gaps.rates(group, np.full((1, 1, 1), 0.95)).interval())
    row_low, row_high = stats.exact(value * 100, 100)
    assert high - low > 2.5 * (row_high - row_low)


def test_a_few_raters_who_answer_most_leave_few_degrees_of_freedom():
    """Two of twelve raters give most answers. With eleven degrees of freedom, 73 % of the intervals held the truth."""
    held, size = 0, np.r_[[120, 80], np.repeat(6, 10)]
    rater = np.repeat(np.arange(24), np.r_[size, size])
    names = np.array([f"r{r:02d}" for r in rater])
    for seed in range(60):
        rng = np.random.default_rng(seed)
        says = rng.normal(size=24)[rater] + rng.normal(size=len(rater)) > 0
        world_ = tables(np.where(rater < 12, "a", "b"), np.ones(len(rater), int), says, says, rater=names)
        group, _ = effective.sides(fairness.perspectives(*world_, intersections=[])[1], 0)
        _, low, high = gaps.rates(group, np.full((1, 1, 1), 0.95)).interval()
        held += low[0, 0, 1] <= 0.5 <= high[0, 0, 1]
    assert held / 60 >= 0.93 - 2 * np.sqrt(0.93 * 0.07 / 60)


def test_a_harm_that_is_shown_but_not_yet_beyond_the_margin_is_said():
    """Of 120 rows with the event 30 were found before, 6 now. Worse for certain; whether by more than 0.2, not yet."""
    group, y = ["a"] * 120 + ["b"] * 400, [1] * 520
    before, after = np.zeros(520), np.zeros(520)
    before[:30], after[:6] = 1, 1
    out = assessed(group, y, before, after, margin=0.2, judged=["true positive rate"])
    row = pick(out.evidence, group="served.g=a", measure="true positive rate change")
    assert (row["value"], row["verdict"]) == (-0.2, "cannot tell")
    assert row["high"] < 0
    assert row["note"].startswith("a difference is shown, whether beyond the margin is not; ")
    told = fairness.answer(out.evidence, margin=0.2)
    assert "It is shown to get worse, whether by more is not settled, for served.g=a (safety" in told


def test_counts_are_sufficient():
    group, y, says = world(np.random.default_rng(8), [50, 70], [0.9, 0.5])
    p = fairness.perspectives(*tables(group, y, says, 1 - says), intersections=[])[0]
    counts, units = cells(p, 0)
    assert counts.sum() == 120
    assert units.tolist() == [[50, 70]]
    top, bottom = fractions(counts[0])
    assert (top[:, 0] + top[:, 5] == bottom[:, 0]).all()  # the candidate says the opposite of the baseline


def test_the_planted_cohort_is_found_in_the_sample_world():
    """The serving model misses more for one language: found; none of the other served languages or ages is blamed."""
    planted = json.loads((Path(__file__).parent / "planted_truth.json").read_text())["harmed_cohort"]["group"]
    made = sample_world()
    trust = pd.DataFrame({"rater_id": made["raters"]["rater_id"], "flagged": False})
    found = aggregate.aggregate(made["feedback"], made["items"], made["raters"], trust)
    scored = found.labels.merge(made["items"][["item_id", "component", "score"]], on=["item_id", "component"])
    predictions = scored[["item_id", "component"]].assign(
        split=np.where(scored["item_id"].str[-1] < "4", "test", "train"),
        baseline=scored["score"],
        candidate=scored["score"],
    )
    rows = fairness.perspectives(made["components"], found.judgements, found.labels, predictions, intersections=[])
    out = fairness.assess(rows, margin=0.1, judged=["true positive rate", "false positive rate", "accuracy"])
    bad = out.evidence[
        (out.evidence["verdict"] == "fail") & out.evidence["measure"].str.contains("true positive rate gap")
    ]
    assert set(bad["group"]) == {planted}
    assert (bad["value"] < -0.1).all()
    assert planted in fairness.answer(out.evidence, margin=0.1)
    assert len(fairness.answer(out.evidence, margin=0.1).split()) <= 60


def test_popquorn_raters_are_compared_in_five_cohorts():
    """262 raters in many small groups: no served cohort, small groups named, no verdict on what cannot be told."""
    folder = Path(__file__).parents[2] / "shared" / "data" / "popquorn"
    if not folder.is_dir():
        pytest.skip("shared/data is absent")
    ratings = pd.read_csv(folder / "offensiveness_ratings.csv")
    said = pd.read_csv(folder / "offensiveness_model_v0_predictions.csv")
    cohorts = [c for c in ("gender", "race", "age", "occupation", "education") if c in ratings]
    assert len(cohorts) == 5
    ids = ratings["instance_id"].astype(str)
    judgements = pd.DataFrame({
        "feedback_id": [f"f{i:05d}" for i in range(len(ratings))], "item_id": ids, "component": "safety",
        "rater_id": ratings["user_id"].astype(str), "label": (ratings["offensiveness"] >= 3).astype(int), "weight": 1.0,
        **{f"rater.{c}": ratings[c] for c in cohorts},
    })  # fmt: skip
    labels = judgements.groupby("item_id")["label"].mean().gt(0.5).astype(int).reset_index().assign(component="safety")
    score = said.set_index(said["instance_id"].astype(str))["apc_prob_offensive"].reindex(labels["item_id"]).to_numpy()
    predictions = labels[["item_id", "component"]].assign(split="test", baseline=score, candidate=score)
    rows = fairness.perspectives(COMPONENTS, judgements, labels, predictions, intersections=[])
    assert rows[0].attributes == ()
    out = fairness.assess(rows)
    declared = {f"rater.{c}={g}" for c in cohorts for g in ratings[c].dropna().unique()}
    assert declared <= set(out.groups["group"])
    assert (out.groups["low"].isna() | (out.groups["low"] <= out.groups["value"])).all()
    few = judgements.groupby("rater.race")["rater_id"].nunique()
    for race in few.index[few < 10]:
        assert out.groups.loc[out.groups["group"] == f"rater.race={race}", "value"].isna().all()
