"""The examples: the whole loop on real feedback, held against the published and recomputed figures."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from conftest import SHARED, example

pytestmark = pytest.mark.loop

FIGURES = SHARED / "data" / "reference_figures.json"


@pytest.fixture(scope="module")
def popquorn(tmp_path_factory):
    return example("popquorn", tmp_path_factory.mktemp("popquorn"))


@pytest.fixture(scope="module")
def open_bandit(tmp_path_factory):
    return example("open_bandit", tmp_path_factory.mktemp("open_bandit"))


def table(loop, room, name):
    return pd.read_parquet(loop.root / "data" / room / f"{name}.parquet")


def figure(data, what):
    """A figure of reference_figures.json, with its tolerance."""
    figures = json.loads(FIGURES.read_text("utf-8"))["figures"]
    found = next(f for f in figures if f["data"] == data and f["what"].startswith(what))
    return pytest.approx(found["value"], abs=found["tol"])


def value(rows, measure, group="all"):
    found = rows[(rows["measure"] == measure) & (rows["group"] == group)]
    assert len(found) == 1, measure
    return float(found["value"].iloc[0])


def test_popquorn_every_rating_is_read(popquorn):
    feedback, raters = table(popquorn, "clean", "feedback"), table(popquorn, "clean", "raters")
    shape = [len(feedback), feedback["item_id"].nunique(), len(raters), feedback["label"].mean()]
    assert shape == figure("popquorn/offensiveness", "rows, items, raters")
    assert len([c for c in raters if c.startswith("cohort.")]) == 5


def test_popquorn_agreement(popquorn):
    alphas = table(popquorn, "audit", "agreement").set_index("level")["value"]
    found = [alphas["ordinal"], alphas["interval"], alphas["nominal"]]
    assert found == figure("popquorn/offensiveness", "Krippendorff alpha")


def test_popquorn_serving_model(popquorn):
    rows = table(popquorn, "calibration", "evidence")
    found = [value(rows, f"{measure} (baseline, all rows)") for measure in ("AUC", "Brier score", "ECE")]
    assert found == figure("popquorn/offensiveness", "v0 (alt-profanity-check")


def test_popquorn_calibration_error_by_cohort(popquorn):
    rows = table(popquorn, "calibration", "evidence")
    groups = ["rater.race=Black or African American", "rater.race=White", "rater.age=60-64"]
    found = [value(rows, "ECE (baseline, all rows)", g) for g in groups]
    assert found == figure("popquorn/offensiveness", "v0 ECE by race")


def test_popquorn_retraining_mends_the_calibration_but_a_gap_remains(popquorn):
    rows = table(popquorn, "calibration", "evidence")
    assert value(rows, "ECE (baseline)") == pytest.approx(0.19, abs=0.02)
    assert value(rows, "ECE (candidate)") == pytest.approx(0.02, abs=0.015)
    page = (popquorn.root / "reports" / "calibration.html").read_text("utf-8")
    assert "The widest gap that remains, not settled, is for rater.age=60-64" in page


def test_popquorn_small_cohorts_are_never_evidence(popquorn):
    raters = table(popquorn, "clean", "raters")
    small = {
        f"rater.{c.removeprefix('cohort.')}={group}"
        for c in raters
        if c.startswith("cohort.")
        for group, n in raters[c].fillna("not stated").value_counts().items()
        if n < 10
    }
    assert "rater.race=Arab American" in small
    for room in ("audit", "aggregate", "fairness", "calibration"):
        rows = table(popquorn, room, "evidence")
        rows = rows[rows["group"].isin(small)]
        assert rows["value"].isna().all()
        assert rows["low"].isna().all()
        assert not rows["verdict"].isin(["pass", "fail"]).any()
    fairness = table(popquorn, "fairness", "evidence")
    assert small <= set(fairness["group"])  # never dropped in silence either


def test_popquorn_split_never_shares_a_text(popquorn):
    items, predictions = table(popquorn, "clean", "items"), table(popquorn, "retrain", "predictions")
    joined = predictions.merge(items[["item_id", "text"]], on="item_id")
    sides = (
        joined.assign(text=joined["text"].str.casefold().str.split().str.join(" ")).groupby("text")["split"].nunique()
    )
    assert (sides == 1).all()


def test_open_bandit_policy_value(open_bandit):
    rows = table(open_bandit, "experiment", "evidence")
    ipw = value(rows, "policy value, IPW")
    random, bts = value(rows, "mean reward, arm random"), value(rows, "mean reward, arm bts")
    assert ipw == figure("obd_all", "IPW estimate of bts")
    assert ipw / random == figure("obd_all", "relative policy value")
    assert random == figure("obd_all", "mean click, random policy")
    assert bts == figure("obd_all", "mean click, bts policy")
    assert abs(ipw - bts) / bts == figure("obd_all", "relative error of IPW")
    others = ["policy value, self-normalised IPW", "effective sample size", "largest weight"]
    for found, expected, tol in zip(
        [value(rows, m) for m in others], [0.004776, 1639.5, 19.598], [3e-5, 10, 0.3], strict=True
    ):
        assert found == pytest.approx(expected, abs=tol)


def test_open_bandit_says_what_it_cannot_tell(open_bandit):
    for room in ("fairness", "calibration"):  # no score of a serving model, no cohorts
        rows = table(open_bandit, room, "evidence")
        rows = rows[~rows["measure"].str.endswith("(candidate)")]
        assert not rows["verdict"].isin(["pass", "fail"]).any()
    release = json.loads((open_bandit.root / "data" / "decide" / "release.json").read_text("utf-8"))
    assert release["decision"] == "hold"
    assert (open_bandit.root / "reports" / "index.html").exists()
