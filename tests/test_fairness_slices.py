"""Slices: hand arithmetic, the clustered variance and another library, null worlds and planted slices."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.sparse import csr_array
from scipy.stats import norm
from scipy.stats import t as student
from test_fairness import given, settings, shuffled, words

from hfkit import fairness
from hfkit.fairness.perspective import perspectives
from hfkit.fairness.slices import search, situations
from hfkit.fairness.slices.situations import Search
from hfkit.shared import cluster, schema, stats
from hfkit.shared.errors import ParamError

WORLDS = 60


def world(rng, n=900, *, raters=40, answers=1, wrong=0.0, spread=0.0, unit=None):
    """Items with language, length and text; `wrong` is the share of flipped labels among Spanish long texts.

    `spread` is how much raters differ in what they call an event (standard deviation of a shift, in normal units).
    """
    language, size, score = (
        rng.choice(["de", "en", "es"], n, p=[0.3, 0.4, 0.3]),
        rng.integers(1, 90, n),
        rng.beta(2, 2, n),
    )
    y = rng.random(n) < score
    y = np.where((language == "es") & (size > 60) & (rng.random(n) < wrong), score < 0.5, y).astype(int)
    item, who = np.repeat(np.arange(n), answers), rng.integers(0, raters, n * answers)
    shift = rng.normal(0, spread, raters)
    heard = norm.ppf(np.clip(score[item], 0.01, 0.99)) + shift[who] > rng.normal(size=len(who))
    said = y[item] if spread == 0 else heard.astype(int)
    out = given(
        language[item], said, np.full(len(item), 0.5), score[item], item=[f"i{k:05d}" for k in item],
        rater=[f"r{k}" for k in who], side={"age": np.array(["young", "old", "older", None], object)[who % 4]},
        text=[f"{w} " + "x" * s for w, s in zip(words(n), size, strict=True)], p=y[item].astype(float),
        unit=[None] * len(item) if unit is None else unit,
    )  # fmt: skip
    served = pd.to_datetime("2026-01-05", utc=True) + pd.to_timedelta(rng.integers(0, 90, n), unit="D")
    features = {"feature.gap": rng.random(n), "feature.kind": rng.choice(["a", "b", None], n)}
    return replace(out, labels=out.labels.assign(label=y), items=out.items.assign(served_at=served, **features))


def cases(made, **how):
    views = perspectives(made.components, made.judgements, made.labels, made.predictions, population=made.population)[0]
    return situations.cases(views, made.items, made.components, settings=Search(**{"margin": 0.0, **how}))


def found(made, **how):
    return fairness.search(made, settings(), Search(**{"margin": 0.0, **how}))


def confirmed(many, **how):
    """In which share of worlds is any slice confirmed?"""
    how = Search(**{"margin": 0.0, **how})
    return float(np.mean([(search.blind_spots(w, settings=how).table["verdict"] == "fail").any() for w in many]))


# the contrast


def test_contrast_by_hand():
    member = csr_array(np.array([[1], [1], [0], [0], [0]]))
    loss, alone = np.array([3.0, 1.0, 1.0, 0.0, 0.0]), np.arange(5)
    out = search.contrast(member, loss, alone, alone)
    x = loss - 1.0
    variance = 5 / 4 * ((x[:2] ** 2).sum() / 4 + (x[2:] ** 2).sum() / 9)
    assert (out.rows[0], out.people[0], out.df[0]) == (2, 2, 1)
    assert out.excess[0] == pytest.approx(2 - 1 / 3)
    assert out.error[0] == pytest.approx(math.sqrt(variance), rel=0.02)
    assert out.p(0.5)[0] == pytest.approx(student.sf((2 - 1 / 3 - 0.5) / out.error[0], 1))


@pytest.mark.parametrize("seed", range(3))
def test_contrast_equals_a_direct_computation_with_the_clustered_variance(seed):
    """The slice's mean minus the others', each row's share of it from the residuals of the mean of all rows."""
    rng = np.random.default_rng(seed)
    n, slices = 240, 5
    text, person, loss = rng.integers(0, 150, n), rng.integers(0, 30, n), rng.exponential(size=n)
    member = (rng.random((n, slices)) < rng.uniform(0.1, 0.6, slices)).astype(int)
    out = search.contrast(csr_array(member), loss, text, person)
    for k in range(slices):
        inside = member[:, k] == 1
        x = loss - loss.mean()
        shares = np.where(inside, x / inside.sum(), -x / (~inside).sum())
        assert out.excess[k] == pytest.approx(loss[inside].mean() - loss[~inside].mean())
        assert out.error[k] == pytest.approx(math.sqrt(cluster.variance(shares, text, person)[0]))
        fewest = min(len(np.unique(c[side])) for c in (text, person) for side in (inside, ~inside))
        people = min(len(np.unique(person[side])) for side in (inside, ~inside))
        reach = [len(set(c[inside]) - set(c[~inside])) for c in (text, person)]
        assert out.df[k] <= fewest - 1 + 1e-9 or min(reach) == 0
        assert out.people[k] == people


def test_the_clustered_error_equals_statsmodels_under_the_null():
    """The score test's error is the sandwich of a regression on the slice, with the null's residuals put in."""
    rng = np.random.default_rng(3)
    n = 300
    item, inside, loss = rng.integers(0, 60, n), rng.random(n) < 0.3, rng.exponential(size=n)
    ours = search.contrast(csr_array(inside[:, None].astype(int)), loss, item, np.arange(n))
    fit = sm.OLS(loss, sm.add_constant(inside.astype(float))).fit(cov_type="cluster", cov_kwds={"groups": item})
    assert ours.excess[0] == pytest.approx(fit.params[1])
    assert ours.error[0] == pytest.approx(fit.bse[1], rel=0.1)


# null worlds


@pytest.mark.parametrize("loss", ["heavy tail", "all or nothing"])
def test_slices_that_differ_in_nothing_are_rarely_confirmed(loss):
    """Losses drawn anew for the rows of one world: at most 5 % of worlds confirm anything."""
    rng = np.random.default_rng(11)
    base = cases(world(rng, n=600), loss="error" if loss == "all or nothing" else "log loss")[0]
    n = len(base.loss)
    draws = (
        rng.exponential(size=n) if loss == "heavy tail" else (rng.random(n) < 0.15).astype(float) for _ in range(WORLDS)
    )
    assert confirmed(([replace(base, loss=d)] for d in draws), loss="log loss") <= 0.05 + 1.64 * math.sqrt(
        0.05 * 0.95 / WORLDS
    )


def test_slices_are_rarely_confirmed_where_raters_and_items_differ():
    """Raters of all groups alike, each with a habit of their own, and items that are hard for everybody."""
    rng = np.random.default_rng(13)
    base = cases(world(rng, n=300, raters=80, answers=4))[1]
    many = []
    for _ in range(WORLDS):
        habit, hard = (rng.normal(0, 0.5, int(c.max()) + 1)[c] for c in base.clusters[::-1])
        many.append([replace(base, loss=habit + hard + rng.normal(size=len(base.loss)))])
    assert confirmed(many) <= 0.05 + 1.64 * math.sqrt(0.05 * 0.95 / WORLDS)


def test_slices_are_rarely_confirmed_where_the_people_served_differ():
    """Forty people served fifteen times each, who differ: what is bad luck for a person is no blind spot.

    With items as if they stood for themselves, some 3 of 10 worlds confirmed one.
    """
    rng = np.random.default_rng(15)
    made = world(rng, n=600, unit=[f"u{k % 40:03d}" for k in range(600)])
    language = np.array(["de", "en", "es"])[rng.permutation(40) % 3][np.arange(600) % 40]
    made = replace(made, judgements=made.judgements.assign(**{"served.g": language}))
    base = cases(made)[0]
    who = cluster.codes(made.judgements.sort_values("item_id")["unit_id"].astype(str))
    many = [[replace(base, loss=rng.normal(size=40)[who] + rng.normal(size=len(base.loss)))] for _ in range(WORLDS)]
    assert confirmed(many) <= 0.05 + 1.64 * math.sqrt(0.05 * 0.95 / WORLDS)


def test_null_worlds_end_to_end():
    rng = np.random.default_rng(14)
    hits = [(found(world(rng, n=400, answers=2, spread=0.3)).table["verdict"] == "fail").any() for _ in range(12)]
    assert np.mean(hits) <= 0.05 + 1.64 * math.sqrt(0.05 * 0.95 / 12)


# what is there is found


def test_a_planted_slice_is_found():
    hits = []
    for seed in range(12):
        table = found(world(np.random.default_rng(seed), n=1500, wrong=0.7)).table
        failed = table.loc[table["verdict"] == "fail", "slice"]
        hits.append(failed.str.startswith("served.g=es & text length=above").any())
    assert np.mean(hits) >= 0.9


def test_verdicts_fail_exactly_where_the_interval_lies_beyond_the_margin_and_q_is_benjamini_and_hochbergs():
    tables = [found(world(np.random.default_rng(s), wrong=0.6), margin=0.02).table for s in range(4)]
    for table in tables:
        assert table["q"].to_numpy() == pytest.approx(stats.benjamini_hochberg(table["p"]))
        assert list(table.columns) == search.COLUMNS
    table = pd.concat(tables)
    assert set(table["verdict"]) >= {"fail", "inconclusive"}
    assert ((table["verdict"] == "fail") == (table["low"] >= 0.02)).all()
    assert ((table["verdict"] == "fail") == (table["q"] <= 0.05)).all()
    assert (table.loc[table["verdict"] == "pass", "high"] <= 0.02).all()
    assert (table["low"] <= table["excess_confirm"]).all()
    assert (table["excess_confirm"] <= table["high"]).all()


def test_few_confirmed_slices_are_false_where_some_are_true():
    """Two of ten slices cost 0.8 more, eight nothing: of all that are confirmed at most 5 % are false."""
    rng, true, false = np.random.default_rng(16), 0, 0
    base = cases(world(rng, n=800))[0]
    n = len(base.loss)
    inside = rng.random((n, 10)) < 0.15
    names = tuple(f"served.g=s{k}" for k in range(10))
    for _ in range(30):
        loss = rng.normal(size=n) + 0.8 * (inside[:, 0] | inside[:, 1])
        made = replace(base, loss=loss, before=loss, member=csr_array(inside.astype(int)), names=names)
        table = search.blind_spots([made], settings=Search(margin=0.0)).table
        failed = table.loc[table["verdict"] == "fail", "slice"].isin(names[:2])
        true, false = true + failed.sum(), false + (~failed).sum()
    assert true >= 50
    assert false / (true + false) <= 0.05


def test_one_half_proposes_and_the_other_decides():
    """A slice that costs 2 more in the searching half only is proposed and not confirmed; one in the other half only is
    never looked at again."""
    rng = np.random.default_rng(17)
    base = cases(world(rng, n=800))[0]
    inside = rng.random((len(base.loss), 2)) < 0.2
    loss = rng.normal(size=len(base.loss)) + 2 * (inside[:, 0] & ~base.confirm) + 2 * (inside[:, 1] & base.confirm)
    names = ("served.g=searched", "served.g=confirmed")
    made = replace(base, loss=loss, before=loss, member=csr_array(inside.astype(int)), names=names)
    table = search.blind_spots([made], settings=Search(margin=0.1)).table
    assert table["slice"].tolist() == ["served.g=searched"]
    row = table.iloc[0]
    assert row["excess_search"] == pytest.approx(2, abs=0.4)
    assert row["excess_confirm"] == pytest.approx(0, abs=0.4)
    assert row["verdict"] != "fail"
    assert row["n_search"] == (inside[:, 0] & ~base.confirm).sum()
    assert row["n_confirm"] == (inside[:, 0] & base.confirm).sum()


def test_slices_are_leads_and_evidence_of_slices_has_no_verdict():
    out = found(world(np.random.default_rng(1), n=1500, wrong=0.7))
    schema.shape(out.leads, schema.LEADS)
    assert out.leads["group"].tolist() == out.table["slice"].tolist()
    assert out.leads["q"].tolist() == out.table["q"].tolist()
    assert set(out.leads["measure"]) == {"slice excess log loss"}
    schema.shape(out.evidence, schema.EVIDENCE)
    assert set(out.evidence["verdict"]) == {"info"}
    assert (
        out.evidence.set_index("measure").loc["slices confirmed worse", "value"]
        == (out.table["verdict"] == "fail").sum()
    )


# what the search sees


def test_the_order_of_rows_is_immaterial():
    made = world(np.random.default_rng(5), wrong=0.6)
    one, two = found(made), found(shuffled(made))
    for name in ("table", "leads", "evidence"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(two, name))


ORDER = "please send the {} order to my old address again before friday noon or cancel it and tell me why"


@pytest.mark.parametrize("text", ["The  SAME", ORDER])
def test_items_of_nearly_the_same_text_go_to_the_same_half(text):
    made = world(np.random.default_rng(5), wrong=0.6)
    words_ = [text.format("first" if k % 2 else "second") for k in range(len(made.items))]
    same = replace(made, items=made.items.assign(text=words_))
    assert all(len(set(c.confirm)) == 1 and not c.clusters[0].any() for c in cases(same))
    assert not found(same).table["verdict"].eq("fail").any()


def test_items_without_any_text_stand_for_themselves():
    made = world(np.random.default_rng(5), wrong=0.6)
    mute = replace(made, items=made.items.assign(text=pd.Series([None] * len(made.items), dtype="str")))
    served = cases(mute)[0]
    assert len(np.unique(served.clusters[0])) == len(made.items)
    assert not any("text length" in name for name in served.names)
    assert found(mute).evidence["note"].ne("").all()


def test_small_groups_are_not_looked_at():
    made = world(np.random.default_rng(6), n=300, raters=12, answers=3, wrong=0.9)
    names = [s for c in cases(made, min_rows=4) for s in c.names]
    assert any(s.startswith("rater.age=not stated") for s in names)
    assert not found(made, min_rows=4).table["slice"].str.startswith("rater.").any()  # 3 raters a group


@pytest.mark.parametrize("case", ["empty", "one row", "no cohort", "constant", "no score", "no items"])
def test_where_nothing_can_be_compared_it_is_said(case):
    made = world(np.random.default_rng(7), n=200)
    made = {
        "empty": replace(made, predictions=made.predictions.iloc[:0]),
        "one row": replace(made, predictions=made.predictions.iloc[:1]),
        "no cohort": replace(made, judgements=made.judgements.drop(columns=["served.g", "rater.age"])),
        "constant": replace(made, predictions=made.predictions.assign(candidate=0.3),
                            labels=made.labels.assign(label=1), judgements=made.judgements.assign(label=1)),
        "no score": replace(made, predictions=made.predictions.assign(candidate=np.nan)),
        "no items": replace(made, items=made.items.iloc[:0]),
    }[case]  # fmt: skip
    out = found(made)
    schema.shape(out.evidence, schema.EVIDENCE)
    assert len(out.evidence)
    assert out.evidence["note"].ne("").all()
    assert not out.table["verdict"].eq("fail").any()
    if case not in ("constant", "no items"):
        assert out.evidence["value"].isna().all()


def test_unknown_loss_is_refused():
    with pytest.raises(ParamError, match="log loss or error"):
        found(world(np.random.default_rng(7), n=50), loss="hinge")


def test_levels_of_odd_columns():
    assert situations.levels(pd.Series([True, False]), 3).nunique() == 2
    assert situations.levels(pd.Series([1, 1, 1, 1, 9, 5, 7]), 3).tolist()[:2] == ["up to 1", "up to 1"]
    assert situations.levels(pd.Series([None, None], dtype=float), 3).tolist() == ["not stated"] * 2


def test_losses_by_hand():
    y, score = [1, 1, 0, 0], [0.9, 0.2, 0.7, 0.1]
    assert situations.losses(y, score, 0.5, "log loss") == pytest.approx(-np.log([0.9, 0.2, 0.3, 0.9]))
    assert situations.losses(y, score, 0.5, "error").tolist() == [0, 1, 1, 0]
    assert situations.losses(y, score, 0.5, "miss")[:2].tolist() == [0, 1]
    assert np.isnan(situations.losses(y, score, 0.5, "false alarm")[:2]).all()
