"""Slices: hand arithmetic, another library, null worlds left in peace, planted slices found."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.sparse import csr_array
from scipy.stats import norm

from hfkit import aggregate
from hfkit.commands.sample import world as sample_world
from hfkit.fairness import situations, slices
from hfkit.shared import schema
from hfkit.shared.errors import ParamError

COMPONENTS = pd.DataFrame({"component": ["safety"], "threshold": [0.5]})
WORLDS = 100


def tables(rng, n=900, raters=40, answers=1, wrong=0.0, spread=0.0):
    """Items with language, length and text; `wrong` is the share of flipped labels among Spanish long texts.

    `spread` is how much raters differ in what they call an event (standard deviation of a shift, in normal units).
    """
    ids = [f"i{k:05d}" for k in range(n)]
    language, size = rng.choice(["de", "en", "es"], n, p=[0.3, 0.4, 0.3]), rng.integers(1, 90, n)
    score = rng.beta(2, 2, n)
    y = rng.random(n) < score
    flip = (language == "es") & (size > 60) & (rng.random(n) < wrong)
    y = np.where(flip, score < 0.5, y).astype(int)
    served = pd.to_datetime("2026-01-05", utc=True) + pd.to_timedelta(rng.integers(0, 90, n), unit="D")
    names = ["".join("abcdefghij"[int(d)] for d in f"{k:05d}") for k in range(n)]  # digits alone are the same text
    texts = [f"{name} " + "x" * s for name, s in zip(names, size, strict=True)]
    items = pd.DataFrame({"item_id": ids, "served_at": served, "text": texts, "feature.gap": rng.random(n),
                          "feature.kind": rng.choice(["a", "b", None], n)})  # fmt: skip
    pick, who = np.repeat(np.arange(n), answers), rng.integers(0, raters, n * answers)
    shift = rng.normal(0, spread, raters)
    said = (
        y[pick] if spread == 0 else norm.ppf(np.clip(score[pick], 0.01, 0.99)) + shift[who] > rng.normal(size=len(who))
    )
    judgements = pd.DataFrame({
        "feedback_id": [f"f{k:06d}" for k in range(len(pick))], "item_id": np.array(ids, object)[pick],
        "component": "safety", "rater_id": [f"r{k}" for k in who], "label": np.asarray(said, int), "weight": 1.0,
        "served.language": language[pick], "rater.age": np.array(["young", "old", "older", None], object)[who % 4],
    })  # fmt: skip
    labels = pd.DataFrame({"item_id": ids, "component": "safety", "label": y})
    predictions = labels[["item_id", "component"]].assign(split="test", baseline=0.5, candidate=score)
    return COMPONENTS, judgements, labels, predictions, items


def found(world, **more):
    settings = slices.Search(**{"margin": 0.0, **more})
    return slices.blind_spots(slices.cases(*world, settings=settings), settings=settings)


def rate_of_worlds(worlds, settings):
    """In which share of worlds is any slice confirmed?"""
    hits = [(slices.blind_spots(w, settings=settings).table["verdict"] == "fail").any() for w in worlds]
    return float(np.mean(hits))


def test_contrast_by_hand():
    member = csr_array(np.array([[1], [1], [0], [0], [0]]))
    loss, alone = np.array([3.0, 1.0, 1.0, 0.0, 0.0]), np.arange(5)
    out = slices.contrast(member, loss, alone, alone)
    x = loss - 1.0
    variance = (x[:2] ** 2).sum() / 4 + (x[2:] ** 2).sum() / 9
    assert (out.rows[0], out.people[0], out.outside[0], out.df[0]) == (2, 2, 3, 1)
    assert out.excess[0] == pytest.approx(2 - 1 / 3)
    assert out.error[0] == pytest.approx(math.sqrt(variance))
    assert out.t(0.5)[0] == pytest.approx((2 - 1 / 3 - 0.5) / math.sqrt(variance))


def test_clustered_error_equals_statsmodels_under_the_null():
    """The score test's error is the sandwich of a regression on the slice, with the null's residuals put in."""
    rng = np.random.default_rng(3)
    n = 300
    item, inside, loss = rng.integers(0, 60, n), rng.random(n) < 0.3, rng.exponential(size=n)
    design = sm.add_constant(inside.astype(float))
    bread = np.linalg.inv(design.T @ design)
    score = design * (loss - loss.mean())[:, None]
    sums = np.array([score[item == k].sum(axis=0) for k in range(60)])
    ours = slices.contrast(csr_array(inside[:, None].astype(int)), loss, item, np.arange(n))
    sandwich = (bread @ (sums.T @ sums) @ bread)[1, 1]
    alone = (bread @ (score.T @ score) @ bread)[1, 1]
    assert ours.error[0] == pytest.approx(math.sqrt(max(sandwich, alone)))
    fit = sm.OLS(loss, design).fit(cov_type="cluster", cov_kwds={"groups": item, "use_correction": False})
    assert ours.excess[0] == pytest.approx(fit.params[1])
    assert ours.error[0] == pytest.approx(fit.bse[1], rel=0.1)


def test_null_worlds_items():
    """No slice differs: losses shuffled over the rows, heavy right tail; at most 5 % of worlds confirm anything."""
    rng = np.random.default_rng(11)
    settings = slices.Search(margin=0.0)
    base = slices.cases(*tables(rng, n=600), settings=settings)[0]
    worlds = ([replace(base, loss=rng.exponential(size=len(base.loss)))] for _ in range(WORLDS))
    assert rate_of_worlds(worlds, settings) <= 0.05


def test_null_worlds_calls_of_all_or_nothing():
    rng = np.random.default_rng(12)
    settings = slices.Search(margin=0.0, loss="error")
    base = slices.cases(*tables(rng, n=600), settings=settings)[0]
    worlds = ([replace(base, loss=(rng.random(len(base.loss)) < 0.15).astype(float))] for _ in range(WORLDS))
    assert rate_of_worlds(worlds, settings) <= 0.05


def test_null_worlds_where_raters_and_items_differ():
    """Raters of all groups alike, each with a habit of their own, and items that are hard for everybody."""
    rng = np.random.default_rng(13)
    settings = slices.Search(margin=0.0)
    base = slices.cases(*tables(rng, n=400, raters=80, answers=4), settings=settings)[1]
    worlds = []
    for _ in range(WORLDS):
        habit, hard = rng.normal(0, 0.5, base.unit.max() + 1), rng.normal(0, 0.5, base.item.max() + 1)
        worlds.append([replace(base, loss=habit[base.unit] + hard[base.item] + rng.normal(size=len(base.loss)))])
    assert rate_of_worlds(worlds, settings) <= 0.05


def test_null_worlds_end_to_end():
    rng = np.random.default_rng(14)
    hits = [(found(tables(rng, n=400, answers=2, spread=0.3)).table["verdict"] == "fail").any() for _ in range(20)]
    assert np.mean(hits) <= 0.05 + 1.64 * math.sqrt(0.05 * 0.95 / 20)


def test_planted_slice_is_found():
    hits = []
    for seed in range(30):
        table = found(tables(np.random.default_rng(seed), n=1500, wrong=0.7)).table
        failed = table.loc[table["verdict"] == "fail", "slice"]
        hits.append(failed.str.startswith("served.language=es & text length=above").any())
    assert np.mean(hits) >= 0.9


def test_verdict_fails_exactly_where_the_interval_lies_beyond_the_margin():
    table = pd.concat([found(tables(np.random.default_rng(s), wrong=0.6), margin=0.02).table for s in range(5)])
    assert set(table["verdict"]) >= {"fail", "info"}
    assert ((table["verdict"] == "fail") == (table["low"] >= 0.02)).all()
    assert (table["low"] <= table["excess_confirm"]).all()
    assert list(table.columns) == slices.COLUMNS


def test_row_order_is_immaterial_and_the_split_is_by_near_text():
    world = tables(np.random.default_rng(5), wrong=0.6)
    mixed = (world[0], *(t.sample(frac=1, random_state=1) for t in world[1:]))
    pd.testing.assert_frame_equal(found(world).table, found(mixed).table)
    pd.testing.assert_frame_equal(found(world).evidence, found(mixed).evidence)
    same = (*world[:4], world[4].assign(text="The  SAME"))
    settings = slices.Search()
    assert all(len(set(c.confirm)) == 1 and not c.item.any() for c in slices.cases(*same, settings=settings))
    assert not found(same).table["verdict"].eq("fail").any()
    order = "please send the {} order to my old address again before friday noon or cancel it and tell me why".format
    near = (*world[:4], world[4].assign(text=[order("first" if k % 2 else "second") for k in range(len(world[4]))]))
    assert all(len(set(c.confirm)) == 1 and not c.item.any() for c in slices.cases(*near, settings=settings))


def test_items_without_any_text_stand_for_themselves():
    world = tables(np.random.default_rng(5), wrong=0.6)
    mute = (*world[:4], world[4].assign(text=pd.Series([None] * len(world[4]), dtype="str")))
    served = slices.cases(*mute, settings=slices.Search())[0]
    assert served.item.tolist() == served.unit.tolist() == list(range(len(world[4])))
    assert not any("text length" in name for name in served.names)
    assert found(mute).evidence["note"].ne("").all()


def test_small_groups_are_not_looked_at():
    world = tables(np.random.default_rng(6), n=300, raters=12, answers=3, wrong=0.9)
    names = [s for c in slices.cases(*world, settings=slices.Search(min_group=4)) for s in c.names]
    assert any(s.startswith("rater.age=not stated") for s in names)
    table = found(world, min_group=4).table  # 3 raters a group
    assert not table["slice"].str.startswith("rater.").any()


@pytest.mark.parametrize("case", ["empty", "one row", "no cohort", "constant", "no score", "no items"])
def test_degenerate(case):
    components, judgements, labels, predictions, items = tables(np.random.default_rng(7), n=200)
    if case == "empty":
        predictions = predictions.iloc[:0]
    elif case == "one row":
        predictions = predictions.iloc[:1]
    elif case == "no cohort":
        judgements = judgements.drop(columns=["served.language", "rater.age"])
    elif case == "constant":
        predictions["candidate"], labels["label"], judgements["label"] = 0.3, 1, 1
    elif case == "no score":
        predictions["candidate"] = np.nan
    else:
        items = items.iloc[:0]
    out = found((components, judgements, labels, predictions, items))
    schema.shape(out.evidence, schema.EVIDENCE)
    assert len(out.evidence)
    assert out.evidence["note"].ne("").all()
    assert not out.table["verdict"].eq("fail").any()
    if case not in ("constant", "no items"):
        assert out.evidence["verdict"].tolist() == ["cannot tell"]
        assert out.evidence["value"].isna().all()


def test_unknown_loss_is_refused():
    with pytest.raises(ParamError, match="log loss or error"):
        found(tables(np.random.default_rng(7), n=50), loss="hinge")


def test_levels_of_odd_columns():
    assert situations.levels(pd.Series([True, False]), 3).nunique() == 2
    assert situations.levels(pd.Series([1, 1, 1, 1, 9, 5, 7]), 3).tolist()[:2] == ["up to 1", "up to 1"]
    assert situations.levels(pd.Series([None, None], dtype=float), 3).tolist() == ["not stated"] * 2


def test_the_planted_cohort_of_the_sample_world_is_found_on_the_serving_model():
    """What the serving model misses: the search names the harmed language, and no other group that is served."""
    planted = json.loads((Path(__file__).parent / "planted_truth.json").read_text())["harmed_cohort"]["group"]
    made = sample_world()
    trust = pd.DataFrame({"rater_id": made["raters"]["rater_id"], "flagged": False})
    own = aggregate.aggregate(made["feedback"], made["items"], made["raters"], trust)
    scored = own.labels.merge(made["items"][["item_id", "component", "score"]], on=["item_id", "component"])
    predictions = scored[["item_id", "component"]].assign(
        split="train", baseline=scored["score"], candidate=scored["score"]
    )
    world = (made["components"], own.judgements, own.labels, predictions, made["items"])
    out = found(world, model="baseline", loss="miss", margin=0.05)
    failed = out.table.loc[out.table["verdict"] == "fail", "slice"]
    assert planted in set(failed)
    assert failed[failed.str.startswith("served.")].str.startswith(planted).all()
    assert "slice excess miss (baseline)" in set(out.evidence["measure"])
    assert found(world).evidence["verdict"].eq("cannot tell").all()  # the candidate has no test row
