"""Calibration against published figures, other libraries, hand arithmetic, a planted truth and declared error rates."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from hfkit import calibration
from hfkit.calibration import estimates
from hfkit.calibration.abstain import surprise
from hfkit.commands import sample
from hfkit.shared import intervals, measures, schema, stats

SHARED = Path(__file__).parents[2] / "shared" / "data"
COMPONENT = pd.DataFrame({"component": ["offensive"], "threshold": [0.5]})
QUICK = calibration.Settings(n_boot=200)
CROSSED = calibration.Settings(n_boot=50, crossings=[["language", "age_band"], ["language", "none"]])
GAP = "calibration in the large"


def draw(n: int, *, seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores; calibrated where shift is 0."""
    rng = np.random.default_rng(seed)
    s = rng.beta(1, 2, n)
    return (rng.random(n) < np.clip(s + shift, 0, 1)).astype(float), s


def world(n: int = 400, *, seed: int = 0, answers: int = 2, gap: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judgements and predictions: language=es has an event rate above its score by `gap`."""
    rng = np.random.default_rng(seed)
    s, spanish = rng.uniform(0.05, 0.6, n), np.arange(n) % 2 == 0
    who = np.repeat(np.arange(n), answers)
    label = (rng.random(n * answers) < (s + gap * spanish)[who]).astype(int)
    judgements = pd.DataFrame({
        "feedback_id": [f"f{i:05d}" for i in range(n * answers)], "item_id": [f"i{i:05d}" for i in who],
        "component": "offensive", "unit_id": None, "rater_id": [f"u{i % 40:02d}" for i in range(n * answers)],
        "channel": "thumbs", "label": label, "weight": 1.0, "score": s[who],
        "served.language": np.where(spanish[who], "es", "en"),
    })  # fmt: skip
    predictions = pd.DataFrame({
        "item_id": [f"i{i:05d}" for i in range(n)], "component": "offensive",
        "split": np.where(np.arange(n) % 4 < 2, "test", "calibrate"), "baseline": s, "recalibrated": s, "candidate": s,
    })  # fmt: skip
    return judgements, predictions


def aged(judgements: pd.DataFrame) -> pd.DataFrame:
    """The judgements with a second attribute."""
    return judgements.assign(**{"served.age_band": np.where(np.arange(len(judgements)) // 2 % 3 == 0, "60+", "18-29")})


def samples(judgements, predictions, settings=QUICK, **more):
    rows = calibration.judged(judgements, predictions)
    return calibration.samples(rows, COMPONENT, settings=settings, **more)


def assess(judgements, predictions, settings=QUICK, **more):
    groups = samples(judgements, predictions, settings, **more)
    return calibration.assess(groups, settings=settings, rng=np.random.default_rng(1))


def row(evidence, measure, group="all"):
    rows = evidence[(evidence["measure"] == measure) & (evidence["group"] == group)]
    assert len(rows) == 1, (measure, group, len(rows))
    return rows.iloc[0]


def value(evidence, measure, group="all", column="value"):
    return row(evidence, measure, group)[column]


@pytest.fixture(scope="module")
def popquorn():
    folder = SHARED / "popquorn"
    if not folder.is_dir():
        pytest.skip("shared/data is absent")
    ratings = pd.read_csv(folder / "offensiveness_ratings.csv", keep_default_na=False)
    v0 = pd.read_csv(folder / "offensiveness_model_v0_predictions.csv").set_index("instance_id")["apc_prob_offensive"]
    judgements = pd.DataFrame({
        "feedback_id": [f"f{i:05d}" for i in range(len(ratings))], "item_id": ratings["instance_id"].astype(str),
        "component": "offensive", "unit_id": None, "rater_id": "u" + ratings["user_id"].astype(str),
        "channel": "annotation", "label": (ratings["offensiveness"].astype(float) >= 3).astype(int), "weight": 1.0,
        "score": v0.loc[ratings["instance_id"]].to_numpy(),
        **{f"rater.{c}": ratings[c].replace("", None) for c in ("race", "age", "gender")},
    })  # fmt: skip
    items = judgements.drop_duplicates("item_id")
    turn = items["item_id"].astype(int) % 4
    predictions = pd.DataFrame({
        "item_id": items["item_id"], "component": "offensive", "baseline": items["score"],
        "split": np.select([turn == 0, turn == 1], ["test", "calibrate"], "train"),
        "candidate": np.clip(items["score"] * 0.6 + 0.05, 0, 1),
    })  # fmt: skip
    rows = calibration.judged(judgements, predictions)
    groups = calibration.samples(rows, COMPONENT, settings=QUICK)
    return rows, groups, calibration.assess(groups, settings=QUICK, rng=np.random.default_rng(0))


def test_popquorn_gives_the_reference_figures(popquorn):
    rows, _, evidence = popquorn
    figures = {f["what"]: f for f in json.loads((SHARED / "reference_figures.json").read_text())["figures"]}
    first = next(w for w in figures if w.startswith("v0 (alt-profanity-check 1.9.1), rating"))
    auc, brier, ece = figures[first]["value"]
    black, white, sixties = figures["v0 ECE by race Black / White; by age 60-64"]["value"]
    assert len(rows) == 13_036
    assert stats.auc(rows["label"], rows["baseline"]) == pytest.approx(auc, abs=0.001)
    assert value(evidence, "Brier score (baseline, all rows)") == pytest.approx(brier, abs=0.001)
    assert value(evidence, "ECE (baseline, all rows)") == pytest.approx(ece, abs=0.001)
    for group, figure in {
        "rater.race=Black or African American": black, "rater.race=White": white, "rater.age=60-64": sixties,
    }.items():  # fmt: skip
        assert value(evidence, "ECE (baseline, all rows)", group) == pytest.approx(figure, abs=0.002)


def test_popquorn_verdicts_and_cohorts_of_few_raters(popquorn):
    rows, groups, evidence = popquorn
    assert value(evidence, "ECE (baseline, all rows)", column="verdict") == "fail"
    people = rows.groupby("rater.race")["rater"].nunique()
    few = [f"rater.race={race}" for race in people[people < 5].index]
    assert few
    for group in few:
        one = row(evidence, "ECE (baseline, all rows)", group)
        assert (one["note"], one["verdict"], one["n"]) == ("fewer than 5 raters", "inconclusive", 0)
        assert math.isnan(one["value"])
    table = calibration.reliability(groups)
    small = table["group"].isin(few)
    assert table.loc[small, ["n", "events", "mean_score", "event_rate", "low", "high"]].isna().all(axis=None)
    everyone = table[(table["group"] == "all") & (table["model"] == "baseline, all rows")]
    assert everyone["n"].sum() == 13_036
    assert ((everyone["low"] < everyone["event_rate"]) & (everyone["event_rate"] < everyone["high"])).all()
    schema.shape(evidence, schema.EVIDENCE)


def test_popquorn_maps_repair_the_baseline(popquorn):
    maps = calibration.maps(popquorn[0], settings=QUICK).set_index(["model", "map"])
    for name in ("logistic", "isotonic"):
        assert maps.loc[("baseline", name), "ece"] < 0.25 * maps.loc[("baseline", "none"), "ece"]
        assert maps.loc[("baseline", name), "verdict"] == "pass"


@pytest.mark.parametrize("seed", range(4))
def test_binned_measures_agree_with_scikit_learn(seed):
    y, s = draw(700, seed=seed)
    s = np.round(s, 2)  # ties, and scores on the edges of bins
    rate, score = calibration_curve(y, s, n_bins=10)
    b = calibration.bin_of(s)
    share = np.bincount(b)[np.bincount(b) > 0] / len(y)
    assert calibration.ece(y, s) == pytest.approx(float((share * np.abs(rate - score)).sum()), abs=1e-9)
    parts = calibration.brier_parts(y, s)
    assert parts["brier"] == pytest.approx(brier_score_loss(y, s), abs=1e-9)
    assert parts["reliability"] == pytest.approx(float((share * (rate - score) ** 2).sum()), abs=1e-9)
    assert parts["reliability"] - parts["resolution"] + parts["uncertainty"] == pytest.approx(parts["brier"], abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_slope_agrees_with_statsmodels(seed):
    import statsmodels.api as sm

    y, s = draw(500, seed=seed, shift=0.05)
    s = np.clip(s, 1e-4, 1 - 1e-4)
    fit = sm.GLM(y, sm.add_constant(np.log(s / (1 - s))), family=sm.families.Binomial()).fit(tol=1e-14)
    assert calibration.slope(y, s) == pytest.approx(tuple(fit.params), abs=1e-9)


def test_debiased_error_is_the_published_correction():
    """Kumar, Liang and Ma (2019): sum of share * (gap^2 - rate * (1 - rate) / (n - 1)), scores constant in a bin."""
    y = np.repeat([0, 1, 0, 1], [30, 10, 5, 15]).astype(float)
    s = np.repeat([0.55, 0.85], [40, 20])
    by_hand = 40 / 60 * (0.3**2 - 0.25 * 0.75 / 39) + 20 / 60 * (0.1**2 - 0.75 * 0.25 / 19)
    assert calibration.debiased(y, s) == pytest.approx(math.sqrt(by_hand), abs=1e-12)
    twice = calibration.debiased(np.repeat(y, 2), np.repeat(s, 2), np.repeat(np.arange(60), 2))
    assert twice == pytest.approx(math.sqrt(by_hand), abs=1e-12)  # answers that are alike count once


def test_one_gap_is_reported_and_named():
    evidence = assess(*world(4000, gap=0.15))
    table = calibration.gates(evidence)
    table = table[table["measure"] == GAP].set_index("group")
    assert table.loc["served.language=es", "verdict"] == "fail"
    assert table.loc["served.language=es", "low"] < 0.15 < table.loc["served.language=es", "high"]
    assert table.loc["served.language=en", "verdict"] != "fail"
    assert table.index[0] == "served.language=es"
    answer = calibration.answer(evidence)
    assert "The widest: for people served with language es (offensive) the event happens" in answer
    assert "more often" in answer


def test_the_harmed_cohort_of_the_sample_world_fails():
    """The logged score is planted to be too low for one served language: that group, in every component."""
    made = sample.world()
    items = made["items"].set_index("item_id")
    fed = made["feedback"].dropna(subset=["label"])
    served = items.loc[fed["item_id"]]
    judgements = fed[["feedback_id", "item_id", "component", "rater_id", "label"]].assign(
        weight=1.0, unit_id=None, score=served["score"].to_numpy(),
        **{"served.language": served["cohort.language"].to_numpy()},
    )  # fmt: skip
    predictions = pd.DataFrame(columns=["item_id", "component", "split", "baseline", "candidate"])
    rows = calibration.judged(judgements, predictions)
    groups = calibration.samples(rows, made["components"], settings=QUICK)
    evidence = calibration.assess(groups, settings=QUICK, rng=np.random.default_rng(0))
    gaps = evidence[evidence["measure"] == f"{GAP} (baseline, all rows)"]
    harmed = gaps[gaps["group"] == made["truth"]["harmed_cohort"]["group"]]
    assert len(harmed) == len(made["components"])
    assert (harmed["verdict"] == "fail").all()
    assert (harmed["low"] > 0.05).all()
    widest = gaps[gaps["group"] != "all"].sort_values("value", key=abs).groupby("component")["group"].last()
    assert (widest == made["truth"]["harmed_cohort"]["group"]).all()


def test_flagged_raters_do_not_count_and_train_rows_are_not_for_the_candidate():
    judgements, predictions = world()
    judgements.loc[judgements.index[:100], "weight"] = 0.0
    evidence = assess(judgements, predictions)
    assert value(evidence, "ECE (baseline, all rows)", column="n") == 700
    tested = predictions.loc[predictions["split"] == "test", "item_id"]
    kept = judgements[(judgements["weight"] > 0) & judgements["item_id"].isin(tested)]
    assert value(evidence, "ECE (candidate)", column="n") == len(kept) == value(evidence, "ECE (baseline)", column="n")


def test_shuffled_rows_give_equal_results():
    judgements, predictions = world()
    mixed = judgements.sample(frac=1, random_state=1), predictions.sample(frac=1, random_state=2)
    pd.testing.assert_frame_equal(assess(judgements, predictions), assess(*mixed), check_exact=True)
    rows = calibration.judged(judgements, predictions)
    again = rows.sample(frac=1, random_state=3)
    for of in (
        lambda r: calibration.abstention(r, COMPONENT, risk_max=0.3, settings=QUICK),
        lambda r: calibration.maps(r, settings=QUICK),
        lambda r: calibration.reliability(calibration.samples(r, COMPONENT, settings=QUICK)),
    ):
        pd.testing.assert_frame_equal(of(rows), of(again), check_exact=True)


def test_a_group_of_few_people_is_named_and_nothing_else_is_hidden():
    """Four items, or four raters with many answers, have no number; five have; all other rows stay as they are."""
    judgements, predictions = world(400)
    place = judgements["item_id"].str[1:].astype(int)
    judgements["served.size"] = np.select([place < 8, place < 17], ["four", "five"], "more")  # of the test items
    rater = judgements["rater_id"].str[1:].astype(int)
    judged = [rater.isin([0, 1, 2, 3]), rater.isin([8, 9, 10, 11, 16])]  # these answer about test items
    judgements["rater.size"] = np.select(judged, ["four", "five"], "more")
    plain = assess(judgements.drop(columns=["served.size", "rater.size"]), predictions)
    evidence = assess(judgements, predictions)
    rows = calibration.judged(judgements, predictions)
    table = calibration.reliability(calibration.samples(rows, COMPONENT, settings=QUICK))
    for group, unit in (("served.size", "items"), ("rater.size", "raters")):
        mine = evidence[evidence["group"] == f"{group}=four"]
        mine = mine if unit == "raters" else mine[~mine["measure"].str.contains("all rows")]
        assert mine["value"].isna().all()
        assert set(mine["note"]) == {f"fewer than 5 {unit}"}
        assert (mine["n"] == 0).all()
        bins = table[(table["group"] == f"{group}=four") & (table["model"] == "candidate")]
        assert (bins["note"] == f"fewer than 5 {unit}").all()
        assert bins["n"].isna().all()
        assert not math.isnan(value(evidence, "ECE (candidate)", f"{group}=five"))
    everyone = evidence["group"] == "all"
    number = [c for c in evidence if c not in ("low", "high")]
    pd.testing.assert_frame_equal(evidence.loc[everyone, number].reset_index(drop=True),
                                  plain.loc[plain["group"] == "all", number].reset_index(drop=True))  # fmt: skip
    workload = calibration.abstention(rows, COMPONENT, risk_max=0.4, settings=QUICK).set_index("group")
    assert workload.loc["served.size=four", "note"] == "fewer than 5 items"
    assert math.isnan(workload.loc["served.size=four", "n"])
    assert workload.loc["served.size=five", "n"] == 5


def test_a_component_of_few_items_is_named():
    judgements, predictions = world(8)
    evidence = assess(judgements[judgements["item_id"] < "i00004"], predictions)
    assert value(evidence, "ECE (baseline, all rows)", column="note") == "fewer than 5 items"
    maps = calibration.maps(calibration.judged(judgements, predictions), settings=QUICK)
    assert set(maps["note"]) == {"fewer than 5 items"}


def test_crossed_groups_are_leads_and_never_get_a_verdict():
    judgements, predictions = world(3000, gap=0.3)
    groups = samples(aged(judgements), predictions, CROSSED)
    evidence = calibration.assess(groups, settings=CROSSED, rng=np.random.default_rng(0))
    name = "served.language=es & age_band=60+"
    rows = calibration.judged(aged(judgements), predictions)
    part = rows[(rows["served.language"] == "es") & (rows["served.age_band"] == "60+")]
    assert value(evidence, "ECE (baseline, all rows)", name) == calibration.ece(part["label"], part["score"])
    assert value(evidence, "ECE (baseline, all rows)", name, "n") == len(part)
    crossed = evidence[evidence["group"].str.contains(" & ")]
    assert value(evidence, f"{GAP} (candidate)", name, "low") > 0.2  # far beyond the target
    assert set(crossed["verdict"]) == {"info"}
    assert value(evidence, f"{GAP} (candidate)", "served.language=es", "verdict") == "fail"
    assert name in set(calibration.reliability(groups)["group"])
    assert name in set(calibration.leads(evidence)["group"])
    assert name not in set(calibration.gates(evidence)["group"])


def test_intervals_of_main_groups_hold_together_and_others_by_themselves():
    """Sidak over the main groups of at least 30 rows, for all components at once; by hand for the gap in the large."""
    judgements, predictions = world(600)
    judgements = aged(judgements)
    judgements["rater_id"] = judgements["rater_id"].sample(frac=1, random_state=0).to_numpy()
    place = judgements["item_id"].str[1:].astype(int)
    judgements["served.tiny"] = np.where(place < 20, "few rows", "many")
    judgements["component"] = np.where(place % 5 == 0, "other", "offensive")
    predictions["component"] = np.where(np.arange(600) % 5 == 0, "other", "offensive")
    components = pd.DataFrame({"component": ["offensive", "other"], "threshold": [0.5, 0.5]})
    groups = calibration.samples(calibration.judged(judgements, predictions), components, settings=CROSSED)
    evidence = calibration.assess(groups, settings=CROSSED, rng=np.random.default_rng(0))
    judged = [s for s in groups if s.view.name == "candidate" and s.cohort and s.cohort.main and s.n >= 30]
    assert len(judged) == 10
    for s in (s for s in groups if s.view.name == "candidate" and s.n >= 30):
        main = s.cohort is not None and s.cohort.main
        level = 0.95 ** (1 / 10) if main else 0.95
        mine = evidence[(evidence["component"] == s.component) & (evidence["group"] == s.group)]
        one = row(mine, f"{GAP} (candidate)", s.group)
        assert (one["low"], one["high"]) == estimates.gap(s.y, s.s, s.clusters, level=level)[1:]
    tiny = row(evidence[evidence["component"] == "offensive"], f"{GAP} (candidate)", "served.tiny=few rows")
    assert (tiny["verdict"], tiny["note"]) == ("inconclusive", "only 16 rows: too few to judge beside other groups")


def test_resampled_intervals_of_main_groups_are_wider_than_alone():
    judgements, predictions = world(2000, gap=0.1)
    judgements["served.shard"] = "s" + (np.arange(len(judgements)) // 2 % 10).astype(str)
    beside = assess(judgements, predictions)
    alone = assess(judgements.drop(columns="served.shard"), predictions)
    for measure in ("ECE", "debiased calibration error"):
        one, many = (row(e, f"{measure} (candidate)", "served.language=es") for e in (alone, beside))
        assert many["value"] == one["value"]
        assert many["high"] > one["high"]


def test_a_component_without_a_score_is_held_against_its_base_rate():
    judgements, predictions = world(600)
    judgements["score"] = np.nan
    predictions["baseline"] = 0.3
    evidence = assess(judgements, predictions)
    logged = evidence[evidence["measure"].str.contains("all rows")]
    assert logged["value"].isna().all()
    assert set(logged["note"]) == {"no score was logged"}
    assert value(evidence, "ECE (baseline)") == pytest.approx(abs(value(evidence, f"{GAP} (baseline)")))
    assert "constant" in value(evidence, "calibration slope (baseline)", column="note")
    assert not math.isnan(value(evidence, "calibration slope (candidate)"))
    assert "No score was logged for offensive: the baseline there is the base rate." in calibration.answer(evidence)
    maps = calibration.maps(calibration.judged(judgements, predictions), settings=QUICK).set_index(["model", "map"])
    assert maps.loc[("baseline", "logistic"), "note"] == "the map cannot be fitted to these scores"


def test_a_score_missing_for_a_group_is_told_apart_from_too_few_people():
    judgements, predictions = world(400)
    judgements.loc[judgements["served.language"] == "es", "score"] = np.nan
    evidence = assess(judgements, predictions)
    assert value(evidence, "ECE (baseline, all rows)", "served.language=es", "note") == "no score was logged"
    assert "400 rows without a score left out" in value(evidence, "ECE (baseline, all rows)", column="note")


def test_rows_about_one_person_go_together_and_widen_intervals():
    """Ten items of one person with the same event: the same values, wider intervals, and clusters in maps too."""
    judgements, predictions = world(800, answers=1)
    judgements["rater_id"] = None
    place = judgements["item_id"].str[1:].astype(int)
    s = np.random.default_rng(3).uniform(0.05, 0.6, 80)
    judgements["score"] = predictions["baseline"] = predictions["candidate"] = s[place // 10]
    judgements["label"] = (np.random.default_rng(4).random(80) < s)[place // 10].astype(int)
    alone = assess(judgements, predictions)
    judgements["unit_id"] = "p" + (place // 10).astype(str)
    together = assess(judgements, predictions)
    pd.testing.assert_series_equal(
        alone.loc[alone["measure"].str.startswith("ECE"), "value"],
        together.loc[together["measure"].str.startswith("ECE"), "value"],
    )
    for measure in (GAP, "ECE", "Brier score", "calibration slope"):
        one, many = (row(e, f"{measure} (baseline, all rows)") for e in (alone, together))
        assert many["high"] - many["low"] > 1.5 * (one["high"] - one["low"]), measure
    wide, narrow = (
        calibration.maps(calibration.judged(j, predictions.assign(candidate=s[place // 10] / 2)), settings=QUICK)
        .set_index(["model", "map"]).loc[("candidate", "logistic")]
        for j in (judgements, judgements.assign(unit_id=None))
    )  # fmt: skip
    assert wide["high"] - wide["low"] > 1.5 * (narrow["high"] - narrow["low"])


def test_answers_of_one_rater_go_together_and_widen_intervals():
    """Forty raters who always say the same, against anonymous answers that count one each."""
    judgements, predictions = world(800, answers=1)
    judgements["label"] = (judgements["rater_id"].str[1:].astype(int) % 3 == 0).astype(int)
    named, anonymous = (assess(j, predictions) for j in (judgements, judgements.assign(rater_id=None)))
    for measure in (GAP, "ECE", "Brier score"):
        many, one = (row(e, f"{measure} (baseline, all rows)") for e in (named, anonymous))
        assert many["value"] == one["value"]
        assert many["high"] - many["low"] > 1.5 * (one["high"] - one["low"]), measure


def test_the_people_served_of_the_population_stand_there_without_rows():
    judgements, predictions = world()
    declared = pd.DataFrame({"cohort": ["language", "language"], "group": ["pt", "es"]})
    evidence = assess(judgements, predictions, population=declared)
    absent = row(evidence, "ECE (candidate)", "served.language=pt")
    assert (absent["note"], absent["verdict"], absent["n"]) == ("no judged test rows", "inconclusive", 0)


def test_a_group_without_events_is_judged_on_exact_bounds():
    """No event on a hundred items scored about a third: by Clopper and Pearson the gap fails; there is no slope."""
    judgements, predictions = world(400)
    judgements["rater_id"] = None
    judgements.loc[judgements["served.language"] == "es", "label"] = 0
    evidence = assess(judgements, predictions)
    one = row(evidence, f"{GAP} (candidate)", "served.language=es")
    score, level = predictions.loc[predictions.index % 4 == 0, "candidate"], 0.95 ** (1 / 2)  # two groups hold together
    rise, half = intervals.exact(0, 100, level)[1], t.ppf(0.5 + level / 2, 99) * score.std() / 10
    assert one["verdict"] == "fail"
    assert one["value"] == pytest.approx(-score.mean())
    assert (one["low"], one["high"]) == pytest.approx((-score.mean() - half, -score.mean() + math.hypot(rise, half)))
    assert math.isnan(value(evidence, "calibration slope (candidate)", "served.language=es"))
    assert "one class" in value(evidence, "ECE (candidate)", "served.language=es", "note")


def edit(name):
    """A judgements table that something is wrong with."""
    judgements, predictions = world(120)
    if name == "empty":
        judgements = judgements.iloc[:0]
    elif name == "one row":
        judgements = judgements.iloc[:1]
    elif name == "one class":
        judgements["label"] = 0
    elif name == "one item":
        judgements["item_id"] = "i00000"
    elif name == "one person":
        judgements["unit_id"] = "p"
    elif name == "one rater":
        judgements["rater_id"] = "u"
    elif name == "constant score":
        judgements["score"] = predictions["baseline"] = predictions["candidate"] = 0.3
    elif name == "no baseline":
        judgements["score"] = predictions["baseline"] = np.nan
    elif name == "some scores missing":
        judgements.loc[judgements.index[:20], "score"] = np.nan
        predictions.loc[predictions.index[:10], "baseline"] = np.nan
    elif name == "perfect":
        first = judgements.groupby("item_id")["label"].transform("first")
        judgements["label"] = first
        judgements["score"] = first.astype(float)
        by_item = judgements.drop_duplicates("item_id").set_index("item_id")["score"]
        predictions["baseline"] = predictions["candidate"] = by_item.loc[predictions["item_id"]].to_numpy()
    elif name == "weights zero":
        judgements["weight"] = 0.0
    elif name == "no predictions":
        predictions = predictions.iloc[:0]
    elif name == "anonymous":
        judgements["rater_id"] = None
        judgements["rater.age"] = "young"
    elif name == "group missing":
        judgements["served.language"] = None
    elif name == "some groups missing":
        judgements.loc[judgements["served.language"] == "en", "served.language"] = None
    elif name == "one group":
        judgements["served.language"] = "es"
    elif name == "group without positives":
        judgements.loc[judgements["served.language"] == "es", "label"] = 0
    elif name == "ties":
        predictions["candidate"] = predictions["candidate"].round(1)
    return judgements, predictions


BROKEN = [
    "empty", "one row", "one class", "one item", "one person", "one rater", "constant score", "no baseline",
    "some scores missing", "perfect", "weights zero", "no predictions", "anonymous", "group missing",
    "some groups missing", "one group", "group without positives", "ties",
]  # fmt: skip
TARGETED = ("ECE", GAP)


@pytest.mark.parametrize("name", BROKEN)
def test_degenerate_input_is_told_apart_from_zero(name):
    evidence = assess(*edit(name), calibration.Settings(n_boot=50))
    schema.shape(evidence, schema.EVIDENCE)
    assert measures.undeclared(evidence["measure"].unique(), "calibration") == []
    undefined, target = evidence["value"].isna(), evidence["measure"].str.startswith(TARGETED)
    assert (evidence.loc[undefined & target, "verdict"] == "inconclusive").all()
    assert (evidence.loc[~target, "verdict"] == "info").all()
    assert (evidence.loc[undefined, "note"] != "").all()
    no_interval = evidence["low"].isna()
    assert (evidence.loc[no_interval, "note"] != "").all()
    assert not evidence.loc[evidence["low"].notna(), "note"].str.contains("no interval").any()
    assert set(evidence.loc[no_interval, "verdict"]) <= {"inconclusive", "info"}
    assert not ((evidence["low"] == evidence["high"]) & evidence["low"].notna()).any()
    if name in ("empty", "one row", "one item", "weights zero"):
        assert undefined.all()
    if name in ("one person", "one rater"):
        assert value(evidence, "ECE (candidate)") > 0
        assert no_interval[target].all()
    if name == "no baseline":
        assert evidence[evidence["measure"].str.contains("baseline")]["value"].isna().all()
        assert value(evidence, "ECE (baseline)", column="note") == "no baseline score"
        assert not math.isnan(value(evidence, "ECE (candidate)"))
    if name == "constant score":
        assert "constant" in value(evidence, "calibration slope (candidate)", column="note")
    if name == "perfect":
        assert value(evidence, "ECE (candidate)") == 0 < value(evidence, "ECE (candidate)", column="high")
    if name == "some scores missing":
        assert "20 rows without a score" in value(evidence, "ECE (baseline, all rows)", column="note")
    if name == "some groups missing":
        assert "served.language=not stated" in set(evidence["group"])
    if name == "group missing":
        assert not evidence["group"].str.contains("language").any()
    if name == "anonymous":
        assert value(evidence, "ECE (candidate)", "rater.age=young", "n") == 120
    assert 3 < len(calibration.answer(evidence).split()) < 80
    calibration.metrics(evidence)
    calibration.details(evidence)
    calibration.leads(evidence)


@pytest.mark.parametrize("name", BROKEN)
def test_other_tables_say_why_a_number_is_missing(name):
    tables = edit(name)
    rows, settings = calibration.judged(*tables), calibration.Settings(n_boot=50)
    maps, table = calibration.maps(rows, settings=settings), calibration.reliability(samples(*tables, settings))
    alone = calibration.abstention(rows, COMPONENT, risk_max=0.2, settings=settings)
    for frame, number in ((maps, "brier"), (table, "event_rate"), (alone, "automated"), (alone, "risk")):
        assert (frame.loc[frame[number].isna(), "note"] != "").all(), number
    for frame, number, low, high in (
        (table, "event_rate", "low", "high"), (alone, "risk", "risk_low", "risk_high"),
        (maps, "difference", "low", "high"),
    ):  # fmt: skip
        given = frame[frame[low].notna()]
        assert (given[low] <= given[number] + 1e-9).all()
        assert (given[number] <= given[high] + 1e-9).all()
    assert (maps.loc[maps["difference"].isna() & (maps["map"] != "none"), "verdict"] == "inconclusive").all()
    if name in ("empty", "weights zero"):
        assert not len(maps)
        assert table["event_rate"].isna().all()
        assert (alone["verdict"] == "inconclusive").all()
    calibration.curve(table)
    calibration.widest(table, calibration.gates(assess(*tables, settings)))


def test_public_measures_of_nothing_are_undefined():
    for y, s in (([], []), ([1.0], [math.nan]), ([math.nan], [0.2])):
        assert math.isnan(calibration.ece(y, s))
        assert math.isnan(calibration.debiased(y, s))
        assert all(math.isnan(v) for v in calibration.slope(y, s))
        assert all(math.isnan(v) for v in calibration.brier_parts(y, s).values())
    assert not len(calibration.bin_of([]))
    assert all(math.isnan(v) for v in calibration.slope([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]))
    assert all(math.isnan(v) for v in calibration.slope([0, 0, 1, 1], [0.1, 0.2, 0.2, 0.9]))  # quasi-separated


ONE, ZERO = np.ones(6), np.zeros(6)
MIXED, SAME = np.array([0.0, 1, 0, 1, 1, 0]), np.full(6, 0.5)


@pytest.mark.parametrize("make", [calibration.logistic, calibration.isotonic])
def test_maps_that_cannot_be_fitted_are_none(make):
    """A constant score, and for the logistic map one class and labels that the score separates."""
    assert make(MIXED, SAME) is None
    if make is calibration.logistic:
        assert make(ONE, np.linspace(0.1, 0.9, 6)) is None
        assert make(np.repeat([0.0, 1.0], 3), np.linspace(0.1, 0.9, 6)) is None


def test_public_measures_of_one_row_one_class_ties_and_a_perfect_score():
    """By hand; a slope that does not exist is missing, never 0 or 1."""
    assert calibration.ece([1], [0.4]) == pytest.approx(0.6)
    assert math.isnan(calibration.debiased([1], [0.4]))
    assert calibration.brier_parts([1], [0.4])["uncertainty"] == 0
    for y, s in ((ONE, SAME), (ZERO, SAME), (MIXED, SAME), (MIXED, MIXED), ([1], [0.4])):
        assert math.isnan(calibration.slope(y, s)[1])
    assert calibration.ece(MIXED, SAME) == calibration.debiased(MIXED, SAME) == 0
    assert calibration.ece(MIXED, MIXED) == calibration.brier_parts(MIXED, MIXED)["brier"] == 0
    assert calibration.ece([0, 1, math.nan], [0.5, 0.5, 0.9]) == 0


def coverage(*, n, answers, shift, worlds=120):
    """Share of worlds that give each interval, and of those the share that hold the truth (a gap of `shift`)."""
    truth = {"ECE": shift, "debiased calibration error": shift, GAP: shift}
    given, held = dict.fromkeys(truth, 0), dict.fromkeys(truth, 0)
    for i in range(worlds):
        rng = np.random.default_rng([n, answers, i])
        s = rng.choice([0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75], n)
        p = np.repeat(s + shift, answers)
        if answers > 1:  # answers on one item go together
            p = np.repeat(rng.beta(s + shift, 1 - s - shift), answers)
        y, item = (rng.random(n * answers) < p).astype(float), np.repeat(np.arange(n), answers)
        estimated, _ = estimates.estimate(
            y, np.repeat(s, answers), [item], threshold=0.5, n_boot=150, level=0.95, rng=rng
        )
        for name, figure in truth.items():
            _, low, high = estimated[name]
            given[name] += not math.isnan(low)
            held[name] += low <= figure + 1e-9 <= high + 2e-9
    return {k: v / worlds for k, v in given.items()}, {k: v / max(given[k], 1) for k, v in held.items()}


@pytest.mark.parametrize(("n", "answers", "shift"), [(60, 1, 0.0), (60, 1, 0.15), (300, 1, 0.03), (60, 4, 0.0)])
def test_intervals_cover_the_truth(n, answers, shift):
    """Short form of tests/campaigns/calibration.py: 93 % less what chance does in 120 worlds; hardly any without."""
    given, held = coverage(n=n, answers=answers, shift=shift)
    assert min(given.values()) > 0.95, given
    assert min(held.values()) >= 0.93 - 2 * math.sqrt(0.93 * 0.07 / 120), held


@pytest.mark.parametrize("p", [0.02, 0.3, 0.98])
@pytest.mark.parametrize("n", [5, 30, 200])
def test_bands_of_bins_cover_every_rate(n, p):
    """Exact, not sampled: the probability of the counts whose bounds hold p, rows independent."""
    k = np.arange(n + 1)
    chance = np.array([math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in k])
    ends = [estimates.mean((np.arange(n) < i).astype(float), [np.arange(n)])[1:] for i in k]
    assert sum(c for c, (low, high) in zip(chance, ends, strict=True) if low <= p <= high) >= 0.95


def test_means_in_the_unit_interval_by_hand():
    """A rate of independent rows has the bounds of Clopper and Pearson; alike answers count as one."""
    y = np.repeat([0.0, 1.0], [12, 8])
    assert estimates.mean(y, [np.arange(20)])[1:] == pytest.approx(intervals.exact(8, 20))
    assert estimates.mean(np.zeros(20), [np.arange(20) // 4])[1:] == pytest.approx(intervals.exact(0, 5))
    assert estimates.worth(20, [np.arange(20) // 4]) == pytest.approx(5)
    assert all(math.isnan(v) for v in estimates.mean(y, [np.zeros(20, int)])[1:])
    assert all(math.isnan(v) for v in estimates.mean(np.array([]), [np.array([], int)]))


def test_abstention_keeps_its_promise():
    """The bound is a valid p value: with losses exactly at the risk it is below 5 % in at most 5 % of worlds."""
    rng = np.random.default_rng(0)
    wrong = np.mean([surprise((rng.random(200) < 0.1).astype(float), 0.1) <= 0.05 for _ in range(2000)])
    assert wrong <= 0.05
    rows = calibration.judged(*world(3000))
    table = calibration.abstention(rows, COMPONENT, risk_max=0.3, settings=QUICK).set_index("group")
    assert table.loc["all", "verdict"] == "pass"
    assert table.loc["all", "risk"] <= 0.3
    assert 0 < table.loc["all", "automated"] < 1
    assert set(table.loc[table.index != "all", "verdict"]) == {"info"}


def test_abstention_counts_people_and_not_their_items():
    """The same losses as one item each of many people, and as many items of three people: three prove nothing."""
    judgements, predictions = world(3000)
    judgements["unit_id"] = "p" + (judgements["item_id"].str[1:].astype(int) % 3).astype(str)
    rows = calibration.judged(judgements, predictions)
    table = calibration.abstention(rows, COMPONENT, risk_max=0.3, settings=QUICK)
    assert table.iloc[0]["verdict"] == "inconclusive"


def test_a_map_that_helps_and_one_that_does_not_have_verdicts():
    """By hand: scores halved are repaired, and the difference is the mean difference of the rows' log losses."""
    judgements, predictions = world(2000)
    rows = calibration.judged(judgements, predictions.assign(candidate=predictions["candidate"] / 2))
    maps = calibration.maps(rows, settings=QUICK).set_index(["model", "map"])
    assert maps.loc[("candidate", "logistic"), "verdict"] == "pass"
    assert maps.loc[("candidate", "none"), "verdict"] == "info"
    assert maps.loc[("baseline", "logistic"), "verdict"] == "inconclusive"
    gain = maps["log_loss"] - maps["log_loss"].groupby("model").transform("first")
    given = maps["difference"].notna()
    assert np.allclose(maps.loc[given, "difference"], gain[given])
