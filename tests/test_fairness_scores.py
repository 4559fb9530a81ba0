"""Scores by group: scikit-learn and textbooks as second opinion, rows that go together, planted gaps, coverage."""

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import betaincinv, ndtr, stdtrit
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups
from test_fairness import compared, given, measured, part, pick, view

from hfkit.fairness.perspective import MODELS
from hfkit.fairness.scores import bounds
from hfkit.fairness.scores.compare import Scores
from hfkit.fairness.scores.influence import cases
from hfkit.fairness.scores.influence import measured as measure
from hfkit.shared.measures import SCORES

NAMES = [s.name for s in SCORES]


def scored(rng, groups, size, *, event=0.4, ability=1.5):
    """Groups of `size` rows; both models are calibrated and equally good, `ability` apart between the classes."""
    group = np.repeat([f"g{k:03d}" for k in range(groups)], size)
    y, apart = rng.random(len(group)) < event, np.repeat(np.broadcast_to(ability, groups), size)
    one, two = rng.normal(size=(2, len(group)))
    seen = apart * y + np.array([one, 0.7 * one + math.sqrt(1 - 0.49) * two])
    odds = np.log(event / (1 - event)) + apart * seen - apart**2 / 2
    return group, y.astype(int), *(1 / (1 + np.exp(-odds)))


def scores_of(*world, **more):
    return Scores.of(part(given(*world, **more)))


def of_everyone(y, before, after, **more):
    """All rows as one side."""
    found = cases(view(given(["a"] * len(y), y, before, after, **more)), 0)
    return measure(found, [np.ones(len(y), bool)])


def test_point_values_equal_scikit_learn():
    group, y, *s = scored(np.random.default_rng(1), 3, 90)
    for one in s:
        one[::7] = one[3]  # ties
    table = scores_of(group, y, *s).alone()
    for g in np.unique(group):
        use = group == g
        for model, score in zip(MODELS, s, strict=True):
            a, b = y[use], score[use]
            want = [roc_auc_score(a, b), log_loss(a, b), brier_score_loss(a, b), a.mean() - b.mean()]
            got = pick(table, group=f"served.g={g}", model=model)
            assert got["measure"].tolist() == NAMES
            assert got["value"].to_numpy() == pytest.approx(want, abs=1e-12)
            assert (got["n"] == 90).all()
            assert (got["events"] == a.sum()).all()


def test_gaps_and_changes_are_differences_of_those_values():
    group, y, before, after = scored(np.random.default_rng(2), 2, 120)
    found = scores_of(group, y, before, after)
    use = group == "g000"
    for name, score in (("AUC", roc_auc_score), ("log loss", log_loss)):
        gap = compared(found, "gap", name, group="g000", model="candidate")
        assert gap.value == pytest.approx(score(y[use], after[use]) - score(y[~use], after[~use]))
        change = compared(found, "change", name, group="g000")
        assert change.value == pytest.approx(score(y[use], after[use]) - score(y[use], before[use]))
        assert change.low < change.value < change.high


def delong(y, s):
    """The textbook: every pair of an event and a non-event; AUC and its variance."""
    a, b = s[y == 1], s[y == 0]
    wins = (a[:, None] > b[None]) + 0.5 * (a[:, None] == b[None])
    return wins.mean(), wins.mean(axis=1).var(ddof=1) / len(a) + wins.mean(axis=0).var(ddof=1) / len(b)


def test_auc_interval_equals_the_textbook():
    """DeLong's variance, mixed with 20 rows of Hanley and McNeil's, and the exact bounds of as many rows."""
    _, y, *s = scored(np.random.default_rng(3), 1, 120)
    found = of_everyone(y, *s)
    for m in range(2):
        auc, variance = delong(y, s[m])
        assert found.value[0, m, 0] == pytest.approx(auc, abs=1e-12)
        assert found.variance[0, m, 0] == pytest.approx(variance, abs=1e-12)
        k, n = int(y.sum()), int((1 - y).sum())
        few = min(k, n)
        t = (auc * few + 0.5) / (few + 1)
        model = t * (1 - t) / (k * n) * (1 + ((k + n) / 2 - 1) * ((1 - t) / (2 - t) + t / (1 + t)))
        worth = t * (1 - t) / ((few * variance + 20 * model) / (few + 20))
        tail = 1 - ndtr(stdtrit(few - 1, 0.975))
        low = betaincinv(auc * worth, worth - auc * worth + 1, tail)
        high = betaincinv(auc * worth + 1, worth - auc * worth, 1 - tail)
        got = bounds.alone(found, 0.95)
        assert (got.low[0, m, 0], got.high[0, m, 0]) == pytest.approx((low, high), abs=1e-9)


def test_a_paired_auc_change_has_the_variance_of_paired_placements():
    _, y, *s = scored(np.random.default_rng(4), 1, 80)
    found = of_everyone(y, *s)
    a, b = ((v[y == 1][:, None] > v[y == 0][None]) + 0.5 * (v[y == 1][:, None] == v[y == 0][None]) for v in s)
    d = b.astype(float) - a
    want = d.mean(axis=1).var(ddof=1) / len(d) + d.mean(axis=0).var(ddof=1) / d.shape[1]
    assert found.value[0, 2, 0] == pytest.approx(d.mean(), abs=1e-12)
    assert found.variance[0, 2, 0] == pytest.approx(want, abs=1e-12)


def test_the_variance_of_a_loss_equals_statsmodels_two_ways():
    """Answers of raters who differ on persons served who differ: cov_cluster_2groups of the squared error."""
    rng = np.random.default_rng(5)
    n = 400
    rater, unit = rng.integers(0, 25, n), rng.integers(0, 60, n)
    says = np.clip(0.5 + 0.2 * rng.normal(size=25)[rater] + 0.2 * rng.normal(size=60)[unit], 0.01, 0.99)
    world = given(y=np.zeros(n, int), before=says, after=says, rater=[f"r{k:02d}" for k in rater],
                  unit=[f"u{k:02d}" for k in unit], side=["a"] * n)  # fmt: skip
    seen = view(world, "rater")
    found = measure(cases(seen, 0), [np.ones(n, bool)])
    loss = (seen.event - seen.score[:, 0]) ** 2
    peer = cov_cluster_2groups(sm.OLS(loss, np.ones(n)).fit(), seen.people, seen.clusters[1])[0]
    assert found.variance[0, 0, 2] == pytest.approx(float(np.squeeze(peer)), rel=1e-9)
    assert found.variance[0, 0, 2] > 3 * loss.var(ddof=1) / n


def test_items_of_one_person_count_as_one_where_they_are_alike():
    rng = np.random.default_rng(6)
    person, y = np.repeat(np.arange(40), 10), np.repeat(np.arange(40) % 2, 10)
    s = np.repeat(rng.uniform(0.1, 0.9, 40), 10)
    together = of_everyone(y, s, s, unit=[f"u{k:02d}" for k in person])
    once = of_everyone(y[::10], s[::10], s[::10])
    alone = of_everyone(y, s, s)
    assert together.value == pytest.approx(once.value)
    assert together.variance[0, 0] == pytest.approx(once.variance[0, 0], rel=0.06)
    assert together.variance[0, 0, 2] > 9 * alone.variance[0, 0, 2]
    assert together.fewest[0, 0] == 20


def test_a_planted_auc_gap_is_found_and_the_worst_group_is_named():
    """AUC 0.66 in one group of 400 against 0.86 in the others: shown to lie beyond 0 in 9 of 10 worlds."""
    rng, found = np.random.default_rng(7), 0
    for _ in range(10):
        world = scored(rng, 4, 400, ability=np.array([0.6, 1.5, 1.5, 1.5]))
        topic = scores_of(*world)
        found += compared(topic, "gap", "AUC", group="g000", model="candidate", level=0.96 ** (1 / 8)).high < 0
        worst = pick(pd.DataFrame(topic.worst(np.ones(4, bool))), measure="AUC worst group (candidate)")
        assert worst["note"] == "g=g000"
        assert worst["low"] < worst["value"] < worst["high"]
    assert found >= 9


def test_the_worst_group_has_the_worst_bounds_of_groups_that_hold_together():
    topic = scores_of(*scored(np.random.default_rng(12), 5, 120))
    each = bounds.alone(topic.inside, 0.95 ** (1 / 5))
    rows = pd.DataFrame(topic.worst(np.ones(5, bool)))
    for name, j, worst in (("AUC", 0, np.min), ("log loss", 1, np.max)):
        row = pick(rows, measure=f"{name} worst group (candidate)")
        assert row["value"] == pytest.approx(worst(each.value[:, 1, j]))
        assert (row["low"], row["high"]) == pytest.approx((worst(each.low[:, 1, j]), worst(each.high[:, 1, j])))
    three = pick(pd.DataFrame(topic.worst(np.arange(5) < 3)), measure="AUC worst group (candidate)")
    assert three["value"] == pytest.approx(each.value[:3, 1, 0].min())
    assert three["note"].endswith("2 of 5 groups have no interval and are left out")


@pytest.mark.parametrize("events", [9, 10])
def test_ten_people_with_the_event_and_ten_without_carry_an_interval(events):
    rng = np.random.default_rng(13)
    y = np.r_[np.ones(events, int), np.zeros(60, int)]
    table = scores_of(["a"] * len(y), y, rng.random(len(y)), rng.random(len(y))).alone().set_index("measure")
    for name in ("AUC", "log loss", "Brier score"):
        assert table.loc[name, "low"].isna().all() == (events < 10)
        assert table.loc[name, "note"].str.startswith("fewer than 10 people").all() == (events < 10)
    assert table.loc["calibration in the large", "low"].notna().all()


def test_calibration_in_the_large_of_the_worst_group_is_its_distance_from_0():
    rng = np.random.default_rng(8)
    group, y = np.repeat(["a", "b"], 300), (rng.random(600) < 0.4).astype(int)
    score = np.where(group == "a", 0.7, 0.38)
    row = pick(pd.DataFrame(scores_of(group, y, score, score).worst(np.ones(2, bool))),
               measure="calibration in the large worst group (baseline)")  # fmt: skip
    assert row["value"] == pytest.approx(abs(y[:300].mean() - 0.7))
    assert row["low"] > 0.2
    assert row["note"] == "g=a"


def test_equal_groups_rarely_fail():
    """All measures judged at margin 0 on equal groups and models: at most 5 % of worlds show any failure."""
    rng, failed = np.random.default_rng(9), []
    none = dict.fromkeys(NAMES, 0.0)
    for groups, size in ((2, 40), (2, 200), (4, 60), (8, 40)):
        for _ in range(4):
            out = measured(*scored(rng, groups, size), judged=NAMES, targets={"margins": none}).gates
            failed.append((out["verdict"] == "fail").any())
    assert np.mean(failed) <= 0.07  # one of sixteen


@pytest.mark.parametrize(("event", "size"), [(0.5, 5), (0.05, 12), (0.5, 40), (0.1, 200)])
def test_intervals_cover(event, size):
    """Many groups drawn alike are many worlds: those given hold the truth, rates of the event 0.05 to 0.5."""
    rng = np.random.default_rng([size, 8])
    _, y, *s = scored(rng, 300, size, event=event)
    _, big, *scores = scored(rng, 1, 200_000, event=event)
    found = cases(view(given(["a"] * len(y), y, *s)), 0)
    member = np.repeat(np.arange(300), size)[found.order]
    many = measure(found, [member == g for g in range(300)])
    truth = np.array(
        [[roc_auc_score(big, v), log_loss(big, v), brier_score_loss(big, v), big.mean() - v.mean()] for v in scores]
    )
    _, low, high = bounds.alone(many, 0.95)
    _, down, up = bounds.changes(many, 0.95)
    change = truth[1] - truth[0]
    for miss, known in (
        ((low > truth) | (high < truth), ~np.isnan(low)),
        ((down > change) | (up < change), ~np.isnan(down)),
    ):
        assert (miss.sum(axis=0) <= 0.07 * 300 + 8).all()
        often = known.sum(axis=0) > 150
        assert (miss.sum(axis=0)[often] <= 0.08 * known.sum(axis=0)[often] + 8).all()


CASES = ["one row", "one class", "one group", "group without events", "ties", "constant", "no baseline", "some missing",
         "perfect", "same models", "no scores"]  # fmt: skip


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_broken_worlds_never_invent_a_number(case, clustered):
    rng = np.random.default_rng(10)
    member, y = np.repeat([0, 1], 40), np.tile([0, 0, 1], 27)[:80]
    score = np.column_stack([rng.random(80), rng.random(80)])
    if case == "one row":
        member, y, score = member[:1], y[:1], score[:1]
    y = {"one class": y * 0, "group without events": y * member}.get(case, y)
    member = member * 0 if case == "one group" else member
    score = {"ties": np.round(score), "constant": score * 0 + 0.3, "perfect": np.column_stack([y, y]) * 1.0,
             "same models": score[:, [1, 1]], "no scores": score * np.nan}.get(case, score)  # fmt: skip
    if case in ("no baseline", "some missing"):
        score[slice(None) if case == "no baseline" else rng.random(80) < 0.3, 0] = np.nan
    unit = [f"u{k // 2}" for k in range(len(y))] if clustered else [None] * len(y)
    topic = scores_of(np.array(["a", "b"])[member], y, *score.T, unit=unit)
    table = topic.alone()
    rows = pd.DataFrame(
        [c.row() for c in topic.compare(0.95)] + topic.worst(np.ones(len(topic.part.cohort.groups), bool))
    )
    for frame in (table, rows):
        assert (frame.loc[frame["low"].isna(), "note"] != "").all()
        assert (frame["low"].isna() == frame["high"].isna()).all()
        assert not (frame["low"] > frame["value"] + 1e-12).any()
        assert not (frame["high"] < frame["value"] - 1e-12).any()
        assert not np.isinf(frame[["value", "low", "high"]].to_numpy(float)).any()
    assert len(table) == 8 * len(topic.part.cohort.groups)
    assert table.groupby("model")["n"].sum()["candidate"] == (0 if case == "no scores" else 4 * len(y))
    auc = table[table["measure"] == "AUC"]
    if case in ("one row", "one class", "no scores"):
        assert auc["value"].isna().all()
    if case == "constant":
        assert (auc["value"] == 0.5).all()
        assert auc["low"].isna().all()
    if case == "perfect":
        assert (auc["value"] == 1).all()
        assert (auc["low"] < 1).all()
        assert (auc["note"] == "a perfect order").all()
    if case == "same models":
        change = rows[rows["measure"].str.fullmatch("(AUC|log loss|Brier score) change")]
        assert change["low"].isna().all()
        assert (change["value"] == 0).all()


def test_the_order_of_rows_does_not_change_a_bit():
    rng = np.random.default_rng(11)
    group, y, *s = scored(rng, 4, 50)
    s = [v.round(2) for v in s]
    for unit in (None, rng.integers(0, 60, 200)):
        mix = rng.permutation(200)
        frames = []
        for order in (np.arange(200), mix):
            names = None if unit is None else [f"u{k}" for k in unit[order]]
            at = part(given(group[order], y[order], *(v[order] for v in s), unit=names or [None] * 200))
            frames.append((Scores.of(at).alone(), pd.DataFrame([c.row() for c in Scores.of(at).compare(0.95)])))
        pd.testing.assert_frame_equal(frames[0][0], frames[1][0], check_exact=True)
        pd.testing.assert_frame_equal(frames[0][1], frames[1][1], check_exact=True)
