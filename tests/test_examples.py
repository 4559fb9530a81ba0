"""The examples: the whole loop on real feedback, held against the published and recomputed figures."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from conftest import SHARED, example
from sklearn.metrics import roc_auc_score

from hfkit.shared import rooms

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
    agreement = table(popquorn, "audit", "agreement")
    alphas = agreement[agreement["group"] == "all"].set_index("level")["value"]
    found = [alphas["ordinal"], alphas["interval"], alphas["nominal"]]
    assert found == figure("popquorn/offensiveness", "Krippendorff alpha")


def test_popquorn_logged_model(popquorn):
    rows, answers = table(popquorn, "calibration", "evidence"), table(popquorn, "aggregate", "judgements")
    ranked = roc_auc_score(answers["label"], answers["score"])
    found = [ranked, *(value(rows, f"{measure} (baseline, all rows)") for measure in ("Brier score", "ECE"))]
    assert found == figure("popquorn/offensiveness", "v0 (alt-profanity-check")


def test_popquorn_calibration_error_by_cohort(popquorn):
    rows = table(popquorn, "calibration", "evidence")
    groups = ["rater.race=Black or African American", "rater.race=White", "rater.age=60-64"]
    found = [value(rows, "ECE (baseline, all rows)", g) for g in groups]
    assert found == figure("popquorn/offensiveness", "v0 ECE by race")


def test_popquorn_retraining_mends_the_calibration_but_not_the_decisions(popquorn):
    """Half of what people call offensive was caught; the better calibrated model catches a quarter: keep the old."""
    rows = table(popquorn, "calibration", "evidence")
    assert value(rows, "ECE (baseline)") == pytest.approx(0.19, abs=0.02)
    assert value(rows, "ECE (candidate)") == pytest.approx(0.02, abs=0.015)
    rates = table(popquorn, "retrain", "evidence")
    assert value(rates, "true positive rate (candidate)") < value(rates, "true positive rate (baseline)") - 0.1
    answers = {
        r: (popquorn.root / "data" / r / "answer.txt").read_text("utf-8") for r in ("retrain", "fairness", "decide")
    }
    assert answers["retrain"].startswith("offensive: keep the baseline.")
    woman = "For raters with gender Woman, offensive: the share of cases with the event that are caught falls by "
    assert woman in answers["fairness"]
    assert answers["decide"].startswith("HOLD")
    assert woman in answers["decide"]


def test_popquorn_small_cohorts_are_never_evidence(popquorn):
    raters = table(popquorn, "clean", "raters")
    small = {
        f"rater.{c.removeprefix('cohort.')}={group}"
        for c in raters
        if c.startswith("cohort.")
        for group, n in raters[c].fillna("not stated").value_counts().items()
        if n < 5
    }
    assert {"rater.race=Arab American", "rater.occupation=Prefer not to disclose"} <= small
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
    """38 clicks, few of them where the target policy looks: no value is read (test_experiment has the figures)."""
    rows, values = table(open_bandit, "experiment", "evidence"), table(open_bandit, "experiment", "values")
    random, bts = value(rows, "mean reward, arm random"), value(rows, "mean reward, arm bts")
    assert random == figure("obd_all", "mean click, random policy")
    assert bts == figure("obd_all", "mean click, bts policy")
    gain = rows[rows["measure"] == "policy gain"].iloc[0]
    assert gain["verdict"] == "inconclusive"
    assert "a few lucky rows carry it" in gain["note"]
    assert values[["value", "low", "high", "gain"]].isna().all(axis=None)
    page = (open_bandit.root / "reports" / "experiment.html").read_text("utf-8")
    assert "0.004553" not in page
    for measure, expected, tol in (("effective sample size", 1639.5, 10), ("largest weight", 19.598, 0.3)):
        assert value(rows, measure) == pytest.approx(expected, abs=tol)


def test_open_bandit_has_no_score_and_every_page_says_so(open_bandit):
    sentence = "No score was logged for recommendation: the baseline is the base rate"
    pages = {p.stem: p.read_text("utf-8") for p in (open_bandit.root / "reports").glob("*.html")}
    assert len(pages) == len(rooms.NAMES) + 1  # the front page has two names
    for name, page in pages.items():
        assert "the base rate" in page if name == "calibration" else sentence in page, name
        assert "serving model" not in page, name
    rows = table(open_bandit, "retrain", "predictions")
    assert rows["baseline"].nunique() == 1  # the share of events among the labels it learns from


def test_open_bandit_holds_for_want_of_evidence(open_bandit):
    assert not table(open_bandit, "fairness", "evidence")["verdict"].isin(["pass", "fail"]).any()  # no cohorts
    rows = table(open_bandit, "calibration", "evidence")
    logged = rows[rows["measure"].str.endswith("(baseline, all rows)") & (rows["group"] == "all")]
    assert logged["value"].isna().all()
    assert set(logged["note"]) == {"no score was logged"}
    release = json.loads((open_bandit.root / "data" / "decide" / "release.json").read_text("utf-8"))
    assert release["decision"] == "hold"
    assert "nobody was harmed where it was tried" in release["questions"]
