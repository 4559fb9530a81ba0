"""Scores by group: scikit-learn and textbook formulas as second opinion, planted gaps, equal groups, broken input."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import betaincinv, ndtr, stdtrit
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from hfkit import fairness
from hfkit.fairness import bounds, influence
from hfkit.shared import errors


def rows(member, y, score, *, rater=None, item=None, names=None):
    """One perspective of one component; without raters every row is its own item."""
    one, score = np.arange(len(y)), np.asarray(score, float).reshape(len(y), 2)
    names = names or tuple(f"served.g={k:02d}" for k in range(int(max(member, default=0)) + 1))
    decided = np.where(np.isnan(score), -1, score >= 0.5).astype(np.int64)
    return fairness.Perspective(
        "served" if rater is None else "rater", ("c",), np.zeros(len(y), np.int64), np.asarray(y, np.int64), decided,
        one if rater is None else np.asarray(rater), one if item is None else np.asarray(item), ("served.g",), (names,),
        (np.asarray(member, np.int64),), score,
    )  # fmt: skip


def world(rng, groups, size, *, event=0.4, ability=1.5):
    """Groups of `size` rows; both models are calibrated and equally good, `ability` apart between the classes."""
    member = np.repeat(np.arange(groups), size)
    y, apart = rng.random(len(member)) < event, np.repeat(np.broadcast_to(ability, groups), size)
    one, two = rng.normal(size=(2, len(member)))
    seen = apart * y + np.array([one, 0.7 * one + math.sqrt(1 - 0.49) * two])
    odds = np.log(event / (1 - event)) + apart * seen - apart**2 / 2
    return rows(member, y, (1 / (1 + np.exp(-odds))).T)


def pick(frame, **where):
    for column, value in where.items():
        frame = frame[frame[column] == value]
    return frame.iloc[0] if len(frame) == 1 else frame


def test_point_values_equal_scikit_learn():
    p = world(np.random.default_rng(1), 3, 90)
    p.score[::7] = p.score[3]  # ties
    table = fairness.scores([p]).table
    for g in range(3):
        use = p.member[0] == g
        for m, model in enumerate(fairness.MODELS):
            y, s = p.y[use], p.score[use, m]
            want = [roc_auc_score(y, s), log_loss(y, s), brier_score_loss(y, s), y.mean() - s.mean()]
            got = pick(table, group=f"served.g={g:02d}", model=model)
            assert got["measure"].tolist() == list(fairness.SCORES)
            assert got["value"].to_numpy() == pytest.approx(want, abs=1e-12)
            assert (got["n"] == 90).all()
            assert (got["events"] == y.sum()).all()


def delong(y, s):
    """The textbook: every pair of an event and a non-event; AUC and its variance."""
    a, b = s[y == 1], s[y == 0]
    wins = (a[:, None] > b[None]) + 0.5 * (a[:, None] == b[None])
    return wins.mean(), wins.mean(axis=1).var(ddof=1) / len(a) + wins.mean(axis=0).var(ddof=1) / len(b)


def test_auc_interval_equals_the_textbook():
    p = world(np.random.default_rng(2), 1, 120)
    found = influence.measured(influence.cases(p, 0), [np.ones(120, bool)])
    for m in range(2):
        auc, variance = delong(p.y, p.score[:, m])
        assert found.value[0, m, 0] == pytest.approx(auc, abs=1e-12)
        assert found.variance[0, m, 0] == pytest.approx(variance, abs=1e-12)
        k, n = int(p.y.sum()), int((1 - p.y).sum())
        few = min(k, n)
        t = (auc * few + 0.5) / (few + 1)
        model = t * (1 - t) / (k * n) * (1 + ((k + n) / 2 - 1) * ((1 - t) / (2 - t) + t / (1 + t)))
        worth = t * (1 - t) / ((few * variance + 20 * model) / (few + 20))
        tail = 1 - ndtr(stdtrit(few - 1, 0.975))
        want = (
            betaincinv(auc * worth, worth - auc * worth + 1, tail),
            betaincinv(auc * worth + 1, worth - auc * worth, 1 - tail),
        )
        got = pick(fairness.scores([p]).table, measure="AUC", model=fairness.MODELS[m])
        assert (got["low"], got["high"]) == pytest.approx(want, abs=1e-9)


def test_paired_auc_change_has_the_variance_of_paired_placements():
    p = world(np.random.default_rng(3), 1, 80)
    found = influence.measured(influence.cases(p, 0), [np.ones(80, bool)])
    a, b = (
        (s[p.y == 1][:, None] > s[p.y == 0][None]) + 0.5 * (s[p.y == 1][:, None] == s[p.y == 0][None])
        for s in p.score.T
    )
    d = b.astype(float) - a
    want = d.mean(axis=1).var(ddof=1) / len(d) + d.mean(axis=0).var(ddof=1) / d.shape[1]
    assert found.value[0, 2, 0] == pytest.approx(d.mean(), abs=1e-12)
    assert found.variance[0, 2, 0] == pytest.approx(want, abs=1e-12)


def test_answers_of_one_rater_count_as_one_where_they_are_alike():
    """20 raters, 10 identical answers each: squares of raters' sums by hand, plus by item (alone) minus by row."""
    rng = np.random.default_rng(4)
    rater, y = np.repeat(np.arange(20), 10), np.repeat(np.arange(20) % 2, 10)
    s = np.repeat(rng.random(20), 10)
    found = influence.measured(
        influence.cases(rows(rater * 0, y, np.column_stack([s, s]), rater=rater), 0), [np.ones(200, bool)]
    )
    loss = (y - s) ** 2
    residual = (loss - loss.mean()) / 200 * math.sqrt(200 / 199)
    by_rater = 20 / 19 * sum(residual[rater == r].sum() ** 2 for r in range(20))
    alone = (residual**2).sum()
    assert found.variance[0, 0, 2] == pytest.approx(by_rater + 200 / 199 * alone - alone, rel=1e-12)
    assert found.clusters[0, 0] == 20
    assert found.fewest[0, 0] == 10


def test_clustered_variance_is_that_of_resampled_raters():
    """Raters resampled whole, 2,000 times: the spread of AUC and log loss is the one the formula gives."""
    rng = np.random.default_rng(5)
    rater = np.repeat(np.arange(60), 6)
    strict = rng.normal(size=60)[rater]
    x = rng.normal(size=360)
    y = (x + strict + rng.normal(size=360) > 0).astype(int)
    s = 1 / (1 + np.exp(-x - 0.8 * strict))
    found = influence.measured(
        influence.cases(rows(rater * 0, y, np.column_stack([s, s]), rater=rater), 0), [np.ones(360, bool)]
    )
    draws = []
    for _ in range(2000):
        take = (rng.integers(0, 60, 60)[:, None] * 6 + np.arange(6)).ravel()
        draws.append((roc_auc_score(y[take], s[take]), log_loss(y[take], s[take])))
    assert np.sqrt(found.variance[0, 0, :2]) == pytest.approx(np.std(draws, axis=0), rel=0.1)


def test_a_planted_auc_gap_is_found():
    """AUC 0.66 in one group of 400 against 0.86 in the others: shown to lie beyond 0 in 9 of 10 worlds."""
    rng = np.random.default_rng(6)
    found = 0
    for _ in range(10):
        out = fairness.scores([world(rng, 4, 400, ability=np.array([0.6, 1.5, 1.5, 1.5]))], judged={"AUC": 0.0})
        row = pick(out.evidence, group="served.g=00", measure="AUC gap (candidate)")
        found += row["verdict"] == "fail"
        worst = pick(out.evidence, group="served.g", measure="AUC worst group (candidate)")
        assert worst["note"] == "g=00"
        assert worst["low"] < worst["value"] < worst["high"]
    assert found >= 9


def test_equal_groups_rarely_fail():
    """All measures judged at margin 0 on equal groups and models: at most 5 % of worlds show any failure."""
    rng = np.random.default_rng(7)
    failed = []
    for groups, size in ((2, 10), (2, 200), (4, 30), (8, 30), (8, 100), (12, 30)):
        for _ in range(5):
            out = fairness.scores([world(rng, groups, size)], judged=dict.fromkeys(fairness.SCORES, 0.0))
            failed.append((out.evidence["verdict"] == "fail").any())
    assert np.mean(failed) <= 0.05


def test_intervals_cover():
    """Many groups drawn alike are many worlds: those given hold the truth, rates of the event 0.05 to 0.5."""
    rng = np.random.default_rng(8)
    for event, size in ((0.5, 5), (0.05, 12), (0.5, 40), (0.1, 200)):
        p = world(rng, 400, size, event=event)
        big = world(rng, 1, 400_000, event=event)
        part = [p.member[0][influence.cases(p, 0).order] == g for g in range(400)]
        truth = influence.measured(influence.cases(big, 0), [np.ones(400_000, bool)]).value[0]
        found = influence.measured(influence.cases(p, 0), part)
        _, low, high = bounds.alone(found, 0.95)
        _, down, up = bounds.changes(found, 0.95)
        for miss, given in (
            ((low > truth[:2]) | (high < truth[:2]), ~np.isnan(low)),
            ((down > truth[2]) | (up < truth[2]), ~np.isnan(down)),
        ):
            assert (miss.sum(axis=0) <= 0.07 * 400).all()
            often = given.sum(axis=0) > 200
            assert (miss.sum(axis=0)[often] <= 0.08 * given.sum(axis=0)[often]).all()


CASES = ["empty", "one row", "one class", "one group", "group without events", "ties", "constant", "no baseline",
         "some nan", "perfect", "no scores", "same models"]  # fmt: skip


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_broken_worlds_never_invent_a_number(case, clustered):
    rng = np.random.default_rng(9)
    member, y = np.repeat([0, 1], 40), np.tile([0, 0, 1], 27)[:80]
    score = np.column_stack([rng.random(80), rng.random(80)])
    if case in ("empty", "one row"):
        n = int(case == "one row")
        member, y, score = member[:n], y[:n], score[:n]
    y = {"one class": y * 0, "group without events": y * member}.get(case, y)
    member = member * 0 if case == "one group" else member
    score = {"ties": np.round(score), "constant": score * 0 + 0.3, "perfect": np.column_stack([y, y]) * 1.0,
             "same models": score[:, [1, 1]]}.get(case, score)  # fmt: skip
    if case in ("no baseline", "some nan"):
        score[slice(None) if case == "no baseline" else rng.random(80) < 0.3, 0] = np.nan
    p = rows(member, y, score, rater=np.arange(len(y)) // 2 if clustered else None,
             names=("served.g=00", "served.g=01"))  # fmt: skip
    if case == "no scores":
        p = fairness.Perspective(*[getattr(p, f) for f in p.__dataclass_fields__][:-1])
    out = fairness.scores([p], judged=dict.fromkeys(fairness.SCORES, 0.1))
    for frame in (out.table, out.evidence):
        assert (frame.loc[frame["low"].isna(), "note"] != "").all()
        assert (frame["low"].isna() == frame["high"].isna()).all()
        assert not (frame["low"] > frame["value"] + 1e-12).any()
        assert not (frame["high"] < frame["value"] - 1e-12).any()
        assert not np.isinf(frame[["value", "low", "high"]].to_numpy(float)).any()
    assert out.evidence.loc[out.evidence["low"].isna(), "verdict"].isin(["cannot tell", "info"]).all()
    assert len(out.table) == 16  # every group stands, with or without rows
    assert out.table.groupby("model")["n"].sum()["candidate"] == (0 if case == "no scores" else 4 * len(y))
    auc = out.table[out.table["measure"] == "AUC"]
    if case in ("empty", "one class", "no scores"):
        assert auc["value"].isna().all()
    if case == "constant":
        assert (auc["value"] == 0.5).all()
        assert auc["low"].isna().all()
    if case == "perfect":
        assert (auc["value"] == 1).all()
        assert (auc["low"] < 1).all()
        assert (auc["note"] == "a perfect order").all()
    if case == "same models":
        change = out.evidence[out.evidence["measure"].str.fullmatch("(AUC|log loss|Brier score) change")]
        assert (change["verdict"] == "cannot tell").all()


def test_row_order_does_not_matter():
    rng = np.random.default_rng(10)
    p = world(rng, 4, 50)
    p.score[:] = p.score.round(2)
    for rater in (None, rng.integers(0, 60, 200)):
        first = rows(p.member[0], p.y, p.score, rater=rater, item=None if rater is None else rater // 3)
        mix = rng.permutation(200)
        again = rows(p.member[0][mix], p.y[mix], p.score[mix], rater=None if rater is None else rater[mix],
                     item=None if rater is None else rater[mix] // 3)  # fmt: skip
        one, two = fairness.scores([first]), fairness.scores([again])
        pd.testing.assert_frame_equal(one.table, two.table, check_exact=True)
        pd.testing.assert_frame_equal(one.evidence, two.evidence, check_exact=True)


def test_small_groups_are_withheld_with_one_more_and_the_rest_rounded():
    rng = np.random.default_rng(11)
    p = world(rng, 4, 60)
    keep = (p.member[0] < 2) | ((p.member[0] == 2) & (np.arange(240) % 60 < 20)) | (np.arange(240) % 60 < 6)
    small = rows(p.member[0][keep], p.y[keep], p.score[keep])
    out = fairness.scores([small], judged={"AUC": 0.05}, suppress_below=10, round_to=5)
    hidden = out.table[out.table["group"].isin(["served.g=02", "served.g=03"])]
    assert hidden[["events", "n", "value", "low", "high"]].isna().all(axis=None)
    assert (hidden["note"].str.startswith("withheld")).all()
    told = out.evidence[out.evidence["group"].isin(["served.g=02", "served.g=03"])]
    assert told[["value", "low", "high"]].isna().all(axis=None)
    assert (told["n"] == 0).all()
    shown = out.table.dropna(subset=["value"])
    assert (shown[["events", "n"]] % 5 == 0).all(axis=None)
    full = pick(fairness.scores([small]).table, group="served.g=00")
    part = pick(out.table, group="served.g=00")
    assert (part["low"].to_numpy() <= full["low"].to_numpy()).all()
    assert (part["high"].to_numpy() >= full["high"].to_numpy()).all()
    assert part["value"].to_numpy() == pytest.approx(full["value"].round(3).to_numpy(), abs=1e-12)


def test_a_measure_nobody_knows_is_refused():
    with pytest.raises(errors.BadValue, match="accuracy"):
        fairness.scores([world(np.random.default_rng(12), 2, 20)], judged={"accuracy": 0.1})
    assert "nobody can be compared" in fairness.scores([]).evidence["note"][0]
