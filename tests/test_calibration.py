"""Calibration against published figures, other libraries, hand arithmetic, a planted truth and known error rates."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from hfkit import aggregate, calibration
from hfkit.calibration import means
from hfkit.calibration.abstain import surprise
from hfkit.calibration.curves import rate_interval
from hfkit.calibration.measure import measure
from hfkit.calibration.parity import equal_calibration
from hfkit.calibration.smooth import error_at
from hfkit.commands import sample
from hfkit.shared import disclosure, schema, stats

SHARED = Path(__file__).parents[2] / "shared" / "data"
COMPONENT = pd.DataFrame({"component": ["offensive"], "threshold": [0.5]})
QUICK = calibration.Settings(n_boot=200)
EXACT = calibration.Settings(n_boot=200, suppress_below=1, round_to=1)


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
        "component": "offensive", "rater_id": [f"u{i % 40:02d}" for i in range(n * answers)], "channel": "thumbs",
        "label": label, "weight": 1.0, "score": s[who], "served.language": np.where(spanish[who], "es", "en"),
    })  # fmt: skip
    predictions = pd.DataFrame({
        "item_id": [f"i{i:05d}" for i in range(n)], "component": "offensive",
        "split": np.where(np.arange(n) % 4 < 2, "test", "calibrate"), "baseline": s, "candidate": s,
    })  # fmt: skip
    return judgements, predictions


def assess(judgements, predictions, settings=QUICK):
    rows = calibration.judged(judgements, predictions)
    return calibration.assess(rows, COMPONENT, settings=settings, rng=np.random.default_rng(1))


def value(evidence, measure, group="all", column="value"):
    found = evidence[(evidence["measure"] == measure) & (evidence["group"] == group)]
    assert len(found) == 1, (measure, group, len(found))
    return found[column].iloc[0]


@pytest.fixture(scope="module")
def popquorn():
    folder = SHARED / "popquorn"
    if not folder.is_dir():
        pytest.skip("shared/data is absent")
    ratings = pd.read_csv(folder / "offensiveness_ratings.csv", keep_default_na=False)
    v0 = pd.read_csv(folder / "offensiveness_model_v0_predictions.csv").set_index("instance_id")["apc_prob_offensive"]
    judgements = pd.DataFrame({
        "feedback_id": [f"f{i:05d}" for i in range(len(ratings))], "item_id": ratings["instance_id"].astype(str),
        "component": "offensive", "rater_id": "u" + ratings["user_id"].astype(str), "channel": "annotation",
        "label": (ratings["offensiveness"].astype(float) >= 3).astype(int), "weight": 1.0,
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
    return rows, calibration.assess(rows, COMPONENT, settings=QUICK, rng=np.random.default_rng(0))


def test_popquorn_gives_the_reference_figures(popquorn):
    rows, evidence = popquorn
    figures = {f["what"]: f for f in json.loads((SHARED / "reference_figures.json").read_text())["figures"]}
    auc, brier, ece = figures[next(w for w in figures if w.startswith("v0 (alt-profanity-check 1.9.1), rating"))][
        "value"
    ]
    black, white, sixties = figures["v0 ECE by race Black / White; by age 60-64"]["value"]
    assert len(rows) == 13_036
    assert stats.auc(rows["label"], rows["baseline"]) == pytest.approx(auc, abs=0.001)
    assert value(evidence, "Brier score (baseline, all rows)") == pytest.approx(brier, abs=0.001)
    assert value(evidence, "ECE (baseline, all rows)") == pytest.approx(ece, abs=0.001)
    for group, known in {
        "rater.race=Black or African American": black, "rater.race=White": white, "rater.age=60-64": sixties,
    }.items():  # fmt: skip
        assert value(evidence, "ECE (baseline, all rows)", group) == pytest.approx(known, abs=0.002)


def test_popquorn_verdicts_and_cohorts_of_few_raters(popquorn):
    rows, evidence = popquorn
    assert value(evidence, "ECE (baseline, all rows)", column="verdict") == "fail"
    people = rows.groupby("rater.race")["rater_id"].nunique()
    for race, n in people[people < 10].items():
        row = evidence[
            (evidence["measure"] == "ECE (baseline, all rows)") & (evidence["group"] == f"rater.race={race}")
        ]
        assert row["value"].isna().all()
        assert row["note"].iloc[0] == "fewer than 10 raters"
        assert row["verdict"].iloc[0] == "cannot tell"
        assert n < 10
    table = calibration.reliability(rows, EXACT)
    few = table["group"].isin([f"rater.race={r}" for r in people[people < 10].index])
    assert few.any()
    assert table.loc[few, ["n", "events", "mean_score", "event_rate", "low", "high"]].isna().all(axis=None)
    assert (table.loc[few, "note"] == "fewer than 10 raters").all()
    everyone = table[(table["group"] == "all") & (table["model"] == "baseline, all rows")]
    assert everyone["n"].sum() == 13_036
    assert ((everyone["low"] < everyone["event_rate"]) & (everyone["event_rate"] < everyone["high"])).all()
    schema.shape(evidence, schema.EVIDENCE)


def test_popquorn_maps_repair_the_serving_model(popquorn):
    maps = calibration.maps(popquorn[0], QUICK).set_index(["model", "map"])
    for name in ("logistic", "isotonic", "beta"):
        assert maps.loc[("baseline", name), "ece"] < 0.25 * maps.loc[("baseline", "none"), "ece"]
        assert maps.loc[("baseline", name), "log_loss"] < maps.loc[("baseline", "none"), "log_loss"]


@pytest.mark.parametrize("seed", range(4))
def test_binned_measures_agree_with_scikit_learn(seed):
    y, s = draw(700, seed=seed)
    s = np.round(s, 2)  # ties, and scores on the edges of bins
    rate, said = calibration_curve(y, s, n_bins=10)
    b = calibration.bin_of(s)
    share = np.bincount(b)[np.bincount(b) > 0] / len(y)
    assert calibration.ece(y, s) == pytest.approx(float((share * np.abs(rate - said)).sum()), abs=1e-9)
    parts = calibration.brier_parts(y, s)
    assert parts["brier"] == pytest.approx(brier_score_loss(y, s), abs=1e-9)
    assert parts["reliability"] == pytest.approx(float((share * (rate - said) ** 2).sum()), abs=1e-9)
    assert parts["reliability"] - parts["resolution"] + parts["uncertainty"] == pytest.approx(parts["brier"], abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.1])
def test_smooth_error_agrees_with_relplot(shift):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from relplot.metrics import smECE, smECE_sigma
    y, s = draw(800, seed=3, shift=shift)
    assert calibration.smooth(y, s) == pytest.approx(smECE(s, y, return_width=True), abs=1e-9)
    assert error_at(s, s - y, 0.07) == pytest.approx(float(smECE_sigma(s, y, 0.07)), abs=1e-9)


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


def test_beta_map_recovers_its_own_parameters():
    rng = np.random.default_rng(5)
    s = rng.uniform(0.02, 0.98, 200_000)
    p = 1 / (1 + np.exp(-(0.3 + 0.5 * np.log(s) - 1.5 * np.log(1 - s))))
    fitted = calibration.beta((rng.random(len(s)) < p).astype(float), s)
    assert np.abs(fitted(s) - p).max() < 0.015


def test_one_gap_is_found_and_named():
    evidence = assess(*world(4000, gap=0.15))
    table = calibration.gaps(evidence).set_index("group")
    assert table.loc["served.language=es", "verdict"] == "fail"
    assert table.loc["served.language=es", "low"] < 0.15 < table.loc["served.language=es", "high"]
    assert table.loc["served.language=en", "verdict"] != "fail"
    assert value(evidence, "equal calibration p, served.language (candidate)") <= 0.001
    assert "A gap remains for served.language=es" in calibration.answer(evidence)
    assert "more often" in calibration.answer(evidence)


def test_the_harmed_cohort_of_the_sample_world_is_found():
    """The serving model is planted to be too low for one served language: that group, in every component."""
    made = sample.world()
    items = made["items"].set_index("item_id")
    fed = made["feedback"].dropna(subset=["label"])
    served = items.loc[fed["item_id"]]
    judgements = fed[["feedback_id", "item_id", "component", "rater_id", "label"]].assign(
        weight=1.0, score=served["score"].to_numpy(), **{"served.language": served["cohort.language"].to_numpy()}
    )
    rows = calibration.judged(
        judgements, pd.DataFrame(columns=["item_id", "component", "split", "baseline", "candidate"])
    )
    evidence = calibration.assess(rows, made["components"], settings=QUICK, rng=np.random.default_rng(0))
    gap = evidence[evidence["measure"] == "calibration in the large (baseline, all rows)"]
    harmed = gap[gap["group"] == made["truth"]["harmed_cohort"]["group"]]
    assert len(harmed) == len(made["components"])
    assert (harmed["verdict"] == "fail").all()
    assert (harmed["low"] > 0.05).all()
    widest = gap[gap["group"] != "all"].sort_values("value", key=abs).groupby("component")["group"].last()
    assert (widest == made["truth"]["harmed_cohort"]["group"]).all()


def test_flagged_raters_do_not_count_and_train_rows_are_not_for_the_candidate():
    judgements, predictions = world()
    judgements.loc[judgements.index[:100], "weight"] = 0.0
    evidence = assess(judgements, predictions, EXACT)
    assert value(evidence, "ECE (baseline, all rows)", column="n") == 700
    tested = predictions.loc[predictions["split"] == "test", "item_id"]
    kept = judgements[(judgements["weight"] > 0) & judgements["item_id"].isin(tested)]
    assert value(evidence, "ECE (candidate)", column="n") == len(kept) == value(evidence, "ECE (baseline)", column="n")


def test_shuffled_rows_give_equal_results():
    judgements, predictions = world()
    again = assess(judgements.sample(frac=1, random_state=1), predictions.sample(frac=1, random_state=2))
    pd.testing.assert_frame_equal(assess(judgements, predictions), again, check_exact=True)
    rows = calibration.judged(judgements, predictions)
    mixed = rows.sample(frac=1, random_state=3)
    alone, again = (calibration.abstention(r, COMPONENT, risk_max=0.3, settings=QUICK) for r in (rows, mixed))
    pd.testing.assert_frame_equal(alone, again, check_exact=True)
    pd.testing.assert_frame_equal(calibration.maps(rows, QUICK), calibration.maps(mixed, QUICK), check_exact=True)
    pd.testing.assert_frame_equal(
        calibration.reliability(rows, QUICK), calibration.reliability(mixed, QUICK), check_exact=True
    )


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
    elif name == "constant score":
        judgements["score"] = predictions["baseline"] = predictions["candidate"] = 0.3
    elif name == "no baseline":
        judgements["score"] = predictions["baseline"] = np.nan
    elif name == "some scores missing":
        judgements.loc[judgements.index[:20], "score"] = np.nan
        predictions.loc[predictions.index[:10], "baseline"] = np.nan
    elif name == "perfect":
        known = judgements.groupby("item_id")["label"].transform("first")
        judgements["label"] = known
        judgements["score"] = known.astype(float)
        by_item = judgements.drop_duplicates("item_id").set_index("item_id")["score"]
        predictions["baseline"] = predictions["candidate"] = by_item.loc[predictions["item_id"]].to_numpy()
    elif name == "weights zero":
        judgements["weight"] = 0.0
    elif name == "no predictions":
        predictions = predictions.iloc[:0]
    elif name == "no raters known":
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


BOTH = [calibration.Settings(n_boot=50), calibration.Settings(n_boot=50, suppress_below=1, round_to=1)]
BROKEN = [
    "empty", "one row", "one class", "one item", "constant score", "no baseline", "some scores missing", "perfect",
    "weights zero", "no predictions", "no raters known", "group missing", "some groups missing", "one group",
    "group without positives", "ties",
]  # fmt: skip


@pytest.mark.parametrize("settings", BOTH, ids=["published", "exact"])
@pytest.mark.parametrize("name", BROKEN)
def test_degenerate_input_is_told_apart_from_zero(name, settings):
    judgements, predictions = edit(name)
    rows = calibration.judged(judgements, predictions)
    evidence = calibration.assess(rows, COMPONENT, settings=settings, rng=np.random.default_rng(0))
    schema.shape(evidence, schema.EVIDENCE)
    undefined = evidence["value"].isna()
    assert (evidence.loc[undefined, "verdict"] == "cannot tell").all()
    assert (evidence.loc[undefined, "note"] != "").all()
    no_interval = evidence["low"].isna() & ~evidence["measure"].str.startswith("equal")
    assert (evidence.loc[no_interval, "note"] != "").all()
    assert not evidence.loc[evidence["low"].notna(), "note"].str.contains("no interval").any()
    assert not (no_interval & (evidence["verdict"] == "pass")).any()
    assert not ((evidence["low"] == evidence["high"]) & evidence["low"].notna()).any()
    if name in ("empty", "one row", "one class", "one item", "weights zero"):
        assert undefined.all()
    if name == "group without positives":
        mine = evidence[evidence["group"] == "served.language=es"]
        assert len(mine) == 36
        assert mine["value"].isna().all()
        assert mine["note"].str.contains("of one of the classes").all()
    if name == "no baseline":
        assert evidence[evidence["measure"].str.contains("baseline")]["value"].isna().all()
        assert value(evidence, "ECE (baseline)", column="note") == "no baseline score"
        assert not math.isnan(value(evidence, "ECE (candidate)"))
    if name == "constant score":
        assert "constant" in value(evidence, "calibration slope (candidate)", column="note")
    if name == "perfect":
        assert value(evidence, "ECE (candidate)") == 0 < value(evidence, "ECE (candidate)", column="high")
        assert value(evidence, "AUC (candidate)", column="low") < value(evidence, "AUC (candidate)") == 1
    if name == "some scores missing":
        assert "20 rows without a baseline score" in value(evidence, "ECE (baseline, all rows)", column="note")
    if name == "some groups missing":
        assert "served.language=not stated" in set(evidence["group"])
    if name == "no raters known":
        assert "no rater_id" in value(evidence, "ECE (candidate)", "rater.age=young", "note")
    tokens = calibration.answer(evidence).split()
    assert 3 < len(tokens) < 80
    calibration.metrics(evidence)
    calibration.gaps(evidence)
    calibration.summary(evidence)


@pytest.mark.parametrize("settings", BOTH, ids=["published", "exact"])
@pytest.mark.parametrize("name", BROKEN)
def test_other_tables_say_why_a_number_is_missing(name, settings):
    rows = calibration.judged(*edit(name))
    maps, table = calibration.maps(rows, settings), calibration.reliability(rows, settings)
    alone = calibration.abstention(rows, COMPONENT, risk_max=0.2, settings=settings)
    for frame, number in ((maps, "brier"), (table, "event_rate"), (alone, "automated"), (alone, "risk")):
        assert (frame.loc[frame[number].isna(), "note"] != "").all(), number
    for frame, number, low, high in (
        (table, "event_rate", "low", "high"), (alone, "risk", "risk_low", "risk_high"),
        (maps, "difference", "low", "high"),
    ):  # fmt: skip
        told = frame[frame[number].notna()]
        assert (told[low] <= told[number] + 1e-9).all()
        assert (told[number] <= told[high] + 1e-9).all()
    assert (maps.loc[maps["difference"].isna() & (maps["map"] != "none"), "verdict"] == "cannot tell").all()
    if name in ("empty", "weights zero"):
        assert not len(maps) + len(table)
        assert (alone["verdict"] == "cannot tell").all()
    calibration.curve(table)


def test_public_measures_of_nothing_are_undefined():
    for y, s in (([], []), ([1.0], [math.nan]), ([math.nan], [0.2])):
        assert math.isnan(calibration.ece(y, s))
        assert math.isnan(calibration.debiased(y, s))
        assert all(math.isnan(v) for v in (*calibration.smooth(y, s), *calibration.slope(y, s)))
        assert all(math.isnan(v) for v in calibration.brier_parts(y, s).values())
    assert not len(calibration.bin_of([]))
    assert all(math.isnan(v) for v in calibration.slope([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]))
    assert math.isnan(equal_calibration(np.ones(4), np.ones(4), np.zeros(4, np.int64), [np.arange(4)])[0])


ONE, ZERO = np.ones(6), np.zeros(6)
MIXED, SAME = np.array([0.0, 1, 0, 1, 1, 0]), np.full(6, 0.5)


@pytest.mark.parametrize("make", [calibration.logistic, calibration.isotonic, calibration.beta])
def test_maps_that_cannot_be_fitted_are_none(make):
    """A constant score, one class (for the logistic kinds) and labels the score separates."""
    assert make(MIXED, SAME) is None
    if make is not calibration.isotonic:
        assert make(ONE, np.linspace(0.1, 0.9, 6)) is None
        assert make(np.repeat([0.0, 1.0], 3), np.linspace(0.1, 0.9, 6)) is None


def test_public_measures_of_one_row_one_class_ties_and_a_perfect_score():
    """By hand; a slope that does not exist is missing, never 0 or 1."""
    assert calibration.ece([1], [0.4]) == pytest.approx(0.6)
    assert math.isnan(calibration.debiased([1], [0.4]))
    assert calibration.smooth([1], [0.4])[0] > 0
    assert calibration.brier_parts([1], [0.4])["uncertainty"] == 0
    for y, s in ((ONE, SAME), (ZERO, SAME), (MIXED, SAME), (MIXED, MIXED), ([1], [0.4])):
        assert math.isnan(calibration.slope(y, s)[1])
    assert calibration.ece(MIXED, SAME) == calibration.debiased(MIXED, SAME) == 0
    assert calibration.ece(MIXED, MIXED) == calibration.brier_parts(MIXED, MIXED)["brier"] == 0
    assert calibration.ece([0, 1, math.nan], [0.5, 0.5, 0.9]) == 0


def coverage(*, n, answers, shift, worlds=120):
    """Share of worlds that give each interval, and the share of those that hold the truth (a gap of `shift` in every
    bin)."""
    truth = {"ECE": shift, "debiased calibration error": shift, "calibration in the large": shift}
    given, held = dict.fromkeys(truth, 0), dict.fromkeys(truth, 0)
    for i in range(worlds):
        rng = np.random.default_rng([n, answers, i])
        s = rng.choice([0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75], n)
        p = np.repeat(s + shift, answers)
        if answers > 1:  # answers on one item go together
            p = np.repeat(rng.beta(s + shift, 1 - s - shift), answers)
        y, item = (rng.random(n * answers) < p).astype(float), np.repeat(np.arange(n), answers)
        found, _ = measure(y, np.repeat(s, answers), [item], threshold=0.5, n_boot=150, level=0.95, rng=rng)
        for name, known in truth.items():
            _, low, high = found.get(name, (math.nan,) * 3)
            given[name] += not math.isnan(low)
            held[name] += low <= known + 1e-9 <= high + 2e-9
    return {k: v / worlds for k, v in given.items()}, {k: v / max(given[k], 1) for k, v in held.items()}


@pytest.mark.parametrize(("n", "answers", "shift"), [(60, 1, 0.0), (60, 1, 0.15), (300, 1, 0.03), (60, 4, 0.0)])
def test_intervals_cover_the_truth(n, answers, shift):
    """Short form of tests/campaigns/calibration.py: 93 % less what chance does in 120 worlds; hardly any withheld."""
    given, held = coverage(n=n, answers=answers, shift=shift)
    assert min(given.values()) > 0.95, given
    assert min(held.values()) >= 0.93 - 2 * math.sqrt(0.93 * 0.07 / 120), held


@pytest.mark.parametrize("p", [0.02, 0.3, 0.98])
@pytest.mark.parametrize("n", [5, 30, 200])
def test_bands_of_bins_cover_every_rate(n, p):
    """Exact, not sampled: the probability of the counts whose bounds hold p, rows independent."""
    k = np.arange(n + 1)
    chance = np.array([math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in k])
    ends = [rate_interval((np.arange(n) < i).astype(float), [np.arange(n)]) for i in k]
    assert sum(c for c, (low, high) in zip(chance, ends, strict=True) if low <= p <= high) >= 0.95


def test_means_in_the_unit_interval_by_hand():
    """A rate of independent rows has the bounds of Clopper and Pearson; alike answers count as one."""
    y = np.repeat([0.0, 1.0], [12, 8])
    assert means.mean(y, [np.arange(20)], 0.95)[1:] == pytest.approx(stats.exact(8, 20))
    assert means.mean(np.zeros(20), [np.arange(20) // 4], 0.95)[1:] == pytest.approx(stats.exact(0, 5))
    assert means.independent([np.arange(20) // 4]) == 5
    assert all(math.isnan(v) for v in means.mean(y, [np.zeros(20, int)], 0.95)[1:])
    assert all(math.isnan(v) for v in means.mean(np.array([]), [np.array([], int)], 0.95))


def test_abstention_keeps_its_promise():
    """The bound is a valid p value: with losses exactly at the risk it is below 5 % in at most 5 % of worlds."""
    rng = np.random.default_rng(0)
    wrong = np.mean([surprise((rng.random(200) < 0.1).astype(float), 0.1) <= 0.05 for _ in range(2000)])
    assert wrong <= 0.05
    judgements, predictions = world(3000)
    table = calibration.abstention(calibration.judged(judgements, predictions), COMPONENT, risk_max=0.3, settings=QUICK)
    everyone = table[table["group"] == "all"].iloc[0]
    assert everyone["verdict"] == "pass"
    assert everyone["risk"] <= 0.3
    assert 0 < everyone["automated"] < 1


def test_equal_calibration_keeps_its_level():
    """Eight groups calibrated alike: at most 5 % of worlds (and chance) find a difference."""
    found = []
    for seed in range(200):
        y, s = draw(400, seed=seed)
        member = np.random.default_rng(seed).integers(0, 8, 400)
        found.append(equal_calibration(y, s, member, [np.arange(400)])[0] < 0.05)
    assert np.mean(found) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 200)


@pytest.fixture(scope="module")
def sampled():
    """The sample world as calibration sees it, its published tables, and what thresholds alone would have shown."""
    made = sample.world()
    trust = pd.DataFrame({"rater_id": made["raters"]["rater_id"], "flagged": False})
    found = aggregate.aggregate(made["feedback"], made["items"], made["raters"], trust)
    said = found.labels.merge(made["items"][["item_id", "component", "score"]], on=["item_id", "component"])
    shaken = (said["score"] + np.random.default_rng(1).normal(0, 0.15, len(said))).clip(0, 1)
    predictions = said[["item_id", "component"]].assign(
        split=np.where(said["item_id"].str[-1] < "3", "test", "train"), baseline=said["score"], candidate=shaken
    )
    rows = calibration.judged(found.judgements, predictions, intersections=[["language", "age_band"]])
    one = made["components"][made["components"]["component"] == "safety"]
    rows = rows[rows["component"] == "safety"].reset_index(drop=True)
    settings = calibration.Settings(n_boot=20)
    evidence = calibration.assess(rows, one, settings=settings, rng=np.random.default_rng(0))
    return rows, one, evidence, calibration.reliability(rows, settings)


def attacked(sampled, reliability, settings, every):
    """What an attacker gets back of every so many withheld counts, from all counts of one model together."""
    rows, one, evidence, _ = sampled
    pairs = calibration.claims(reliability, evidence, rows, view="candidate", component="safety",
                               threshold=float(one["threshold"].iloc[0]), settings=settings)  # fmt: skip
    told = []
    for said, cells in pairs:
        goal = np.cumsum(said["count"].isna()) % every == 0
        told.append(disclosure.attack([said.assign(goal=goal)], cells=cells, threshold=10, base=settings.round_to))
    return pd.concat(told)


def test_no_withheld_count_of_the_published_tables_is_recovered(sampled):
    told = attacked(sampled, sampled[3], calibration.Settings(), every=25)
    assert len(told) >= 20
    assert told["recovered"].sum() == 0
    assert told["width"].min() >= 1


def test_the_same_attack_breaks_thresholds_without_rounding(sampled):
    rows = sampled[0]
    bare = calibration.reliability(rows, calibration.Settings(suppress_below=10, round_to=1))
    told = attacked(sampled, bare, calibration.Settings(suppress_below=10, round_to=1), every=25)
    assert told["recovered"].sum() > 0


def test_published_numbers_keep_the_rule(sampled):
    """Counts in steps, rates that follow from them, means of three decimals, nothing of few people, never 0 or 1."""
    rows, _, evidence, reliability = sampled
    seen = reliability["n"].notna()
    assert (reliability.loc[seen, ["n", "events"]] % 5 == 0).all(axis=None)
    assert (reliability.loc[~seen, ["events", "mean_score", "event_rate", "low", "high"]]).isna().all(axis=None)
    rate = reliability["event_rate"].dropna()
    assert not rate.isin([0, 1]).any()
    assert np.allclose(rate, (reliability["events"] / reliability["n"])[rate.index])
    assert (evidence["n"] % 5 == 0).all()
    numbers = evidence[["value", "low", "high"]].to_numpy(float).ravel()
    numbers = numbers[~np.isnan(numbers)] * 1000
    assert np.allclose(numbers, np.round(numbers), atol=1e-6)
    test = rows[rows["split"] == "test"]
    for attribute, who in (("served.language", "item_id"), ("rater.age_band", "rater_id")):
        people = test.groupby(attribute)[who].nunique()
        for value_, n in people.items():
            mine = evidence[evidence["group"] == f"{attribute}={value_}"]
            assert n >= 10 or mine[mine["measure"].str.endswith("(candidate)")]["value"].isna().all()
    where = evidence.set_index(["group", "measure"])["value"]
    everyone = test["label"].mean()
    counted = disclosure.round_counts([test["label"].sum(), len(test)])
    p = counted[0] / counted[1]
    assert where["all", "uncertainty (candidate)"] == pytest.approx(p * (1 - p), abs=5e-4)
    assert p != everyone


def test_rounding_never_narrows_an_interval():
    """The same rows, shown as they are and as published: bounds only move outwards, verdicts follow the shown ones."""
    rows = calibration.judged(*world(300, gap=0.1))
    exact, shown = (
        calibration.assess(rows, COMPONENT, settings=s, rng=np.random.default_rng(0)) for s in BOTH[::-1]
    )  # fmt: skip
    told = shown["value"].notna() & shown["low"].notna()
    assert told.any()
    assert (shown.loc[told, "low"] <= exact.loc[told, "low"] + 1e-9).all()
    assert (shown.loc[told, "high"] >= exact.loc[told, "high"] - 1e-9).all()
    error = shown[shown["measure"].str.startswith("ECE") & told]
    assert ((error["verdict"] == "pass") == (error["high"] <= 0.05)).all()


def test_a_single_small_group_takes_the_next_with_it():
    judgements, predictions = world(300)
    judgements["served.language"] = judgements["served.language"].where(judgements["item_id"] > "i00008", "pt")
    judgements.loc[judgements["item_id"].between("i00050", "i00120"), "served.language"] = "fr"
    evidence = assess(judgements, predictions)
    note = evidence[evidence["measure"] == "ECE (baseline, all rows)"].set_index("group")["note"]
    assert note["served.language=pt"] == "fewer than 10 items"
    assert note["served.language=fr"] == "withheld so that a smaller group cannot be worked out"
    assert note["served.language=en"] == note["served.language=es"] == ""


def test_crossed_attributes_have_groups_of_their_own():
    judgements, predictions = world(600)
    judgements["served.age_band"] = np.where(np.arange(1200) // 2 % 3 == 0, "60+", "18-29")
    rows = calibration.judged(judgements, predictions, intersections=[["language", "age_band"], ["language", "none"]])
    name = "served.language=es & age_band=60+"
    part = rows[(rows["served.language"] == "es") & (rows["served.age_band"] == "60+")]
    evidence = calibration.assess(rows, COMPONENT, settings=EXACT, rng=np.random.default_rng(0))
    assert value(evidence, "ECE (baseline, all rows)", name) == calibration.ece(part["label"], part["baseline"])
    assert value(evidence, "ECE (baseline, all rows)", name, "n") == len(part)
    assert name in set(calibration.reliability(rows, EXACT)["group"])
    assert name in set(calibration.gaps(evidence)["group"])
    assert (evidence["measure"] == "equal calibration p, served.language & age_band (candidate)").any()


def test_a_map_that_helps_and_one_that_harms_have_verdicts():
    """By hand: scores halved are repaired, and the difference is the mean difference of the rows' log losses."""
    judgements, predictions = world(2000)
    rows = calibration.judged(judgements, predictions.assign(candidate=predictions["candidate"] / 2))
    maps = calibration.maps(rows, EXACT).set_index(["model", "map"])
    assert maps.loc[("candidate", "logistic"), "verdict"] == "pass"
    assert maps.loc[("candidate", "none"), "verdict"] == "info"
    assert maps.loc[("baseline", "logistic"), "verdict"] == "cannot tell"
    gain = maps["log_loss"] - maps["log_loss"].groupby("model").transform("first")
    known = maps["difference"].notna()
    assert np.allclose(maps.loc[known, "difference"], gain[known])
