"""Retrain against planted truths, other libraries, hand arithmetic, and two real worlds."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from fairlearn.metrics import demographic_parity_difference
from fairlearn.postprocessing import ThresholdOptimizer
from fairlearn.reductions import DemographicParity, ErrorRate, ExponentiatedGradient
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, log_loss, roc_auc_score

from hfkit import retrain
from hfkit.retrain import mitigate
from hfkit.shared import cohorts, learn, schema
from hfkit.shared.errors import BadValue, NothingLeft, OneClass, ParamError

SHARED = Path(__file__).parents[2] / "shared" / "data"
WORDS = [a + b for a in ("ba", "ke", "lo", "mi", "nu", "ro") for b in ("da", "fe", "ga", "ho", "ji", "ku")]


def make(n: int = 900, seed: int = 3, baseline: str = "overconfident") -> dict[str, pd.DataFrame]:
    """A world whose event has probability expit(1.5 z), z seen through feature.z and words; the group shifts it."""
    rng = np.random.default_rng(seed)
    group = np.where(rng.random(n) < 0.5, "a", "b")
    z = rng.normal(size=n) + np.where(group == "b", 0.8, 0.0)
    p = expit(1.5 * z)
    ids = [f"i{k:04d}" for k in range(n)]
    text = [
        " ".join(rng.choice(WORDS, 8)) + (" awful" if s > 1 else "") + f" mark{i}" for i, s in zip(ids, z, strict=True)
    ]
    score = {"overconfident": expit(6 * z + 1), "true": p}[baseline]
    items = pd.DataFrame({"item_id": ids, "component": "c", "text": text, "score": score, "feature.z": z,
                          "feature.kind": rng.choice(["x", "y"], n), "cohort.group": group})  # fmt: skip
    items["unit_id"] = None
    answer = (rng.random((n, 2)) < p[:, None]).astype(int)
    judged = pd.DataFrame({"feedback_id": [f"f{k}" for k in range(2 * n)], "item_id": np.repeat(ids, 2),
                           "component": "c", "channel": "x", "label": answer.ravel(), "weight": 1.0})  # fmt: skip
    share = answer.mean(axis=1)
    labels = pd.DataFrame({"item_id": ids, "component": "c", "p": share, "label": (share > 0.5).astype(int)})
    labels["tied"] = share == 0.5
    rows = labels[["item_id", "component"]].assign(use="exploit", weight=1.0)
    parts = pd.DataFrame({"component": ["c"], "threshold": 0.5, "cost_false_alarm": 1.0, "cost_miss": 1.0})
    return {"items": items, "labels": labels, "judgements": judged, "rows": rows, "components": parts}


def run(world: dict[str, pd.DataFrame], **recipe: object) -> tuple[retrain.Retrained, pd.DataFrame]:
    splits = learn.split(world["items"], seed=1, test=0.3, calibrate=0.2)
    tables = {k: world[k] for k in ("labels", "judgements", "rows", "components")}
    return retrain.train(world["items"], splits, **tables, recipe=retrain.Recipe(**recipe)), splits


def compare(world: dict[str, pd.DataFrame], targets: retrain.Targets | None = None, **recipe: object) -> pd.DataFrame:
    """The evidence about everyone, by measure."""
    return evidence(world, targets, **recipe).query("group == 'all'").set_index("measure")


def evidence(world: dict[str, pd.DataFrame], targets: retrain.Targets | None = None, **recipe: object) -> pd.DataFrame:
    made, splits = run(world, **recipe)
    return retrain.evidence(held_out(made, splits, world), made.training, world["components"],
                            targets=targets or retrain.Targets())  # fmt: skip


def held_out(made: retrain.Retrained, splits: pd.DataFrame, world: dict[str, pd.DataFrame]) -> pd.DataFrame:
    tables = {k: world[k] for k in ("judgements", "labels", "items")}
    return retrain.test_rows(made.predictions, splits, **tables)


# --- the split


def test_no_text_is_on_two_sides_and_shares_are_as_asked():
    items = make(n=1500)["items"]
    shout = items.assign(item_id="x" + items["item_id"], text=items["text"].str.upper() + " !!!")
    splits = learn.split(pd.concat([items, shout]), seed=7, test=0.3, calibrate=0.2)
    both = splits.set_index("item_id")["split"]
    assert (both[items["item_id"]].to_numpy() == both["x" + items["item_id"]].to_numpy()).all()
    share = splits["split"].value_counts(normalize=True)
    assert share["test"] == pytest.approx(0.3, abs=0.04)
    assert share["calibrate"] == pytest.approx(0.2, abs=0.04)
    assert not splits.equals(learn.split(pd.concat([items, shout]), seed=8, test=0.3, calibrate=0.2))


def test_items_without_a_text_are_split_by_item():
    items = pd.DataFrame({"item_id": [str(i) for i in range(100)], "text": pd.Series([None] * 100, dtype="str")})
    assert learn.split(items, seed=1, test=0.3, calibrate=0.2)["group"].nunique() == 100


# --- the fit


def test_soft_labels_are_fractions_of_rows():
    x = np.array([[0.0], [1.0], [3.0]])
    ours = learn.fit_soft(x, np.array([0.25, 0.5, 0.75]), np.ones(3), penalty=0.5)
    y = [1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0]  # each row four times, a quarter each
    theirs = LogisticRegression(C=2.0, max_iter=2000).fit(np.repeat(x, 4, axis=0), y, sample_weight=np.full(12, 0.25))
    assert ours.coef_[0, 0] == pytest.approx(theirs.coef_[0, 0], abs=1e-4)
    assert ours.intercept_[0] == pytest.approx(theirs.intercept_[0], abs=1e-4)


def test_overconfident_baseline_is_beaten_in_log_loss_by_recalibration_alone():
    """An overconfident score at its right threshold decides as well as any: less log loss is no lower cost."""
    found = compare(make(3000))
    assert found.loc["log loss change", "high"] < -0.1
    assert found.loc["log loss change by recalibration", "value"] / found.loc["log loss change", "value"] > 0.85
    assert found.loc["cost per 1,000 change", "verdict"] != "pass"
    level = compare(make(baseline="true"))
    assert abs(level.loc["log loss change", "value"]) < 0.05
    assert level.loc["cost per 1,000 change", "verdict"] != "pass"


def test_a_candidate_that_saves_passes_and_one_that_costs_fails():
    """A score that says the opposite: its decisions cost about 700 of 1,000, the candidate's about 250."""
    world = make(2000)
    world["items"]["score"] = 1 - world["items"]["score"]
    found = compare(world)
    assert found.loc["cost per 1,000 change", ["verdict", "better"]].tolist() == ["pass", "lower"]
    assert found.loc["cost per 1,000 change", "high"] < -300
    assert compare(world, retrain.Targets(min_saving=900)).loc["cost per 1,000 change", "verdict"] == "fail"
    made, splits = run(world)
    rows = held_out(made, splits, world)
    swapped = rows.rename(columns={"baseline": "candidate", "candidate": "baseline"})
    worse = retrain.evidence(swapped, made.training, world["components"], targets=retrain.Targets())
    whole = worse[worse["group"] == "all"].set_index("measure")
    assert whole.loc["cost per 1,000 change", "verdict"] == "fail"
    groups = worse[(worse["group"] != "all") & (worse["measure"] == "cost per 1,000 change")]
    assert groups["verdict"].tolist() == ["fail", "fail"]
    assert retrain.recommend(worse, made.training)["recommendation"].tolist() == ["keep the baseline"]
    assert "The cost rises, beyond chance, for served.group=" in retrain.answer(worse, made.training)


def test_where_only_recalibration_pays_that_is_recommended():
    """A score shifted off its threshold, and nothing else to learn from: recalibrating alone brings it back."""
    world = make(4000, baseline="true")
    world["items"]["score"] = expit(logit(world["items"]["score"]) - 2.0)
    options = {"use_text": False, "use_features": False}
    found = evidence(world, **options)
    made, _ = run(world, **options)
    advice = retrain.recommend(found, made.training).iloc[0]
    assert advice["recalibration_change"] < -50
    assert advice["recommendation"] == "recalibrate only"
    assert "recalibrate only" in retrain.answer(found, made.training)


def test_where_learning_adds_to_recalibration_the_candidate_is_recommended():
    world = make(3000)
    world["items"]["score"] = 0.5 + 0.001 * np.random.default_rng(0).normal(size=3000)
    found, made = evidence(world), run(world)[0]
    assert retrain.recommend(found, made.training)["recommendation"].tolist() == ["ship the retrained model"]


def test_costs_and_rates_equal_a_confusion_matrix():
    world = make()
    world["components"] = world["components"].assign(cost_false_alarm=2.0, cost_miss=5.0, threshold=0.3)
    made, splits = run(world)
    rows = held_out(made, splits, world)
    rows = rows[rows["p"] != 0.5]
    found = compare(world)
    cost = {}
    for model in ("baseline", "recalibrated", "candidate"):
        (tn, fp), (fn, tp) = confusion_matrix(rows["label"], rows[model] >= 0.3)
        cost[model] = 1000 * (2 * fp + 5 * fn) / len(rows)
        assert found.loc[f"cost per 1,000 ({model})", "value"] == pytest.approx(cost[model])
        assert found.loc[f"true positive rate ({model})", "value"] == pytest.approx(tp / (tp + fn))
        assert found.loc[f"false positive rate ({model})", "value"] == pytest.approx(fp / (fp + tn))
        assert found.loc[f"selection rate ({model})", "value"] == pytest.approx((tp + fp) / len(rows))
    assert found.loc["cost per 1,000 change", "value"] == pytest.approx(cost["candidate"] - cost["baseline"])
    against = found.loc["cost per 1,000 change against recalibration", "value"]
    assert against == pytest.approx(cost["candidate"] - cost["recalibrated"])
    groups = evidence(world)
    for g in "ab":
        own = rows[rows["cohort.group"] == g]
        moved = [
            np.where(own["label"] == 1, 5 * (own[m] < 0.3), 2 * (own[m] >= 0.3)) for m in ("baseline", "candidate")
        ]
        row = groups[(groups["group"] == f"served.group={g}") & (groups["measure"] == "cost per 1,000 change")].iloc[0]
        assert row["value"] == pytest.approx(1000 * (moved[1] - moved[0]).mean())
        assert row["n"] == len(own)


def test_ties_are_left_out_of_rates_and_costs_and_counted():
    world = make()
    made, splits = run(world)
    rows = held_out(made, splits, world)
    ties = int(rows["tied"].sum())
    assert ties > 20
    found = compare(world)
    assert found.loc["ties left out", ["value", "n"]].tolist() == [ties, len(rows)]
    assert found.loc["cost per 1,000 (candidate)", "n"] == len(rows) - ties
    assert found.loc["log loss (candidate)", "n"] == rows["n"].sum()  # a split answer still tells on a probability


def test_thresholds_stand_beside_those_that_the_costs_imply():
    """At costs of 1 and 4 acting pays from 0.2; a calibrated score at a threshold of 0.6 loses by not moving there."""
    world = make(3000, baseline="true")
    world["components"] = world["components"].assign(cost_miss=4.0, threshold=0.6)
    made, splits = run(world)
    moved = retrain.thresholds(retrain.decided(held_out(made, splits, world), world["components"])).set_index("model")
    assert moved["declared"].tolist() == [0.6] * 3
    assert moved["implied"].tolist() == pytest.approx([0.2] * 3)
    assert (moved.loc[["baseline", "candidate"], "high"] < 0).all()
    assert moved["change"].tolist() == pytest.approx((moved["cost_implied"] - moved["cost"]).tolist())


def test_groups_of_few_people_are_named_and_groups_of_few_rows_get_no_verdict():
    world = make(1200)
    test = run(world)[1].query("split == 'test'")["item_id"]
    small = dict(zip(test[:3], ["few"] * 3, strict=True)) | dict(zip(test[3:20], ["some"] * 17, strict=True))
    world["items"]["cohort.group"] = world["items"]["item_id"].map(small).fillna(world["items"]["cohort.group"])
    rows = evidence(world).query("measure == 'cost per 1,000 change' and group != 'all'").set_index("group")
    assert np.isnan(rows.loc["served.group=few", "value"])
    assert "named, not numbered" in rows.loc["served.group=few", "note"]
    assert rows.loc["served.group=some", "verdict"] == "inconclusive"
    assert "too few to judge" in rows.loc["served.group=some", "note"]


def test_intervals_of_main_groups_hold_together():
    """40 groups that are all alike, candidate decisions at random: some group is called dearer in few worlds."""
    rng, wrong = np.random.default_rng(8), 0
    parts = pd.DataFrame({"component": ["c"], "threshold": 0.5, "cost_false_alarm": 1.0, "cost_miss": 1.0})
    for _ in range(60):
        n = 1600
        score = rng.random((n, 2))
        rows = pd.DataFrame({"component": "c", "item_id": np.arange(n), "label": rng.integers(0, 2, n), "p": 1.0,
                             "tied": False,
                             "baseline": score[:, 0], "recalibrated": score[:, 0], "candidate": score[:, 1],
                             "unit": np.arange(n).astype(str), "group": np.arange(n).astype(str),
                             "cohort.g": rng.integers(0, 40, n).astype(str)})  # fmt: skip
        found = retrain.cost.evidence(retrain.decided(rows, parts), retrain.Targets(max_rise=0.0))
        wrong += any(r["verdict"] == "fail" and r["group"] != "all" for r in found)
    assert wrong / 60 <= 0.05  # one by one, 40 groups of 40 would give .6


def test_people_who_come_back_widen_the_intervals():
    world = make(1500)
    world["items"]["score"] = 1 - world["items"]["score"]
    alone = compare(world).loc["cost per 1,000 change"]
    z = world["items"]["feature.z"].rank().astype(int)
    world["items"]["unit_id"] = ["u" + str(k // 15) for k in z]  # people who are alike in what they ask
    together = compare(world).loc["cost per 1,000 change"]
    assert together["value"] == alone["value"]
    assert together["high"] - together["low"] > 1.15 * (alone["high"] - alone["low"])


def test_without_a_score_the_baseline_is_the_base_rate():
    world = make(1200)
    world["items"]["score"] = np.nan
    made, splits = run(world)
    train = splits.loc[splits["split"] == "train", "item_id"]
    rate = world["labels"].set_index("item_id").loc[train, "p"].mean()
    assert made.predictions["baseline"].unique().tolist() == pytest.approx([rate])
    assert made.training.loc[0, "baseline"] == "base rate"
    found = compare(world)
    assert found.loc["cost per 1,000 change", "verdict"] == "pass"
    assert found.loc["AUC (baseline)", "value"] == pytest.approx(0.5)
    assert found["note"].str.contains("serving").sum() == 0


def test_a_missing_score_here_and_there_leaves_the_row_out_and_says_so():
    world = make(900)
    world["items"].loc[world["items"].index % 3 == 0, "score"] = np.nan
    made, splits = run(world)
    rows = held_out(made, splits, world)
    found = compare(world)
    whole = rows["baseline"].notna() & (rows["p"] != 0.5)
    assert found.loc["cost per 1,000 (candidate)", "n"] == whole.sum()
    assert "without a score are left out" in found.loc["cost per 1,000 (candidate)", "note"]


def test_recalibrated_is_the_baseline_after_platts_step():
    world = make(1500)
    made, _ = run(world)
    rows = made.predictions[made.predictions["split"] == "calibrate"].merge(learn.answers(world["judgements"]))
    x = np.repeat(logit(rows["baseline"].clip(1e-6, 1 - 1e-6)), 2).to_numpy().reshape(-1, 1)
    y, w = np.tile([1, 0], len(rows)), np.column_stack([rows["k"], rows["n"] - rows["k"]]).ravel()
    peer = LogisticRegression(C=1000.0, max_iter=2000).fit(x[w > 0], y[w > 0], sample_weight=w[w > 0])
    test = made.predictions[made.predictions["split"] == "test"]
    said = peer.predict_proba(logit(test[["baseline"]].clip(1e-6, 1 - 1e-6)).to_numpy())[:, 1]
    assert test["recalibrated"].to_numpy() == pytest.approx(said, abs=1e-4)
    assert schema.shape(made.predictions, schema.PREDICTIONS).equals(made.predictions)


@pytest.mark.parametrize("step", ["logistic", "isotonic"])
def test_calibration_heals_what_use_of_the_raw_score_breaks(step):
    """A heavy penalty squeezes scores to the mean; the calibration step stretches them again."""
    heavy = {"penalty": 3000.0, "use_text": False, "use_features": False}
    without, healed = compare(make(1200), calibrate="none", **heavy), compare(make(1200), calibrate=step, **heavy)
    assert healed.loc["log loss (candidate)", "value"] < without.loc["log loss (candidate)", "value"] - 0.02


def test_scores_equal_scikit_learn():
    world = make()
    made, splits = run(world)
    found = compare(world)
    rows = world["judgements"].merge(made.predictions[made.predictions["split"] == "test"], on="item_id")
    for model in ("baseline", "recalibrated", "candidate"):
        said = rows[model].clip(1e-6, 1 - 1e-6)
        assert found.loc[f"log loss ({model})", "value"] == pytest.approx(log_loss(rows["label"], said))
        assert found.loc[f"Brier score ({model})", "value"] == pytest.approx(
            ((rows["label"] - rows[model]) ** 2).mean()
        )
        assert found.loc[f"AUC ({model})", "value"] == pytest.approx(roc_auc_score(rows["label"], rows[model]))
    assert found.loc["log loss (candidate)", "n"] == len(rows)
    assert set(made.predictions["split"]) == set(splits["split"]) == {"train", "calibrate", "test"}


def test_intervals_of_scores_equal_a_bootstrap_of_texts():
    world = make(1500)
    made, splits = run(world)
    found, rows = compare(world), held_out(made, splits, world)
    rng = np.random.default_rng(4)
    items = world["judgements"].merge(made.predictions, on=["item_id", "component"]).query("split == 'test'")
    by = dict(iter(items.groupby("item_id")))
    ids = rows["item_id"].to_numpy()
    draws = []
    for _ in range(300):
        part = pd.concat([by[i] for i in rng.choice(ids, len(ids))])
        draws.append([roc_auc_score(part["label"], part["candidate"]) - roc_auc_score(part["label"], part["baseline"]),
                      log_loss(part["label"], part["candidate"]) - log_loss(part["label"], part["baseline"].clip(1e-6, 1 - 1e-6))])  # noqa: E501  # fmt: skip
    for name, spread in zip(("AUC change", "log loss change"), np.std(draws, axis=0), strict=True):
        width = found.loc[name, "high"] - found.loc[name, "low"]
        assert width == pytest.approx(2 * 1.96 * spread, rel=0.15)


def test_toggles_take_their_inputs_away():
    sizes = ["words", "categories", "numbers"]
    full = run(make(300), min_labels=50)[0].training.loc[0, sizes]
    assert (full > 0).all()
    assert full["numbers"] == 2  # feature.z and the baseline's logit
    assert run(make(300), min_labels=50, use_text=False)[0].training.loc[0, "words"] == 0
    assert run(make(300), min_labels=50, use_baseline_score=False)[0].training.loc[0, "numbers"] == 1
    bare = run(make(300), min_labels=50, use_text=False, use_features=False, use_baseline_score=False)[0]
    assert bare.training.loc[0, "status"] == "kept the baseline"
    assert "nothing to learn from" in bare.training.loc[0, "note"]


def test_every_train_row_teaches_unless_excluded():
    world = make(400)
    made, splits = run(world, min_labels=20)
    train = splits.loc[splits["split"] == "train", "item_id"].tolist()
    uses = dict(zip(train[:30], ["exclude"] * 10 + ["none"] * 20, strict=True))
    rows = world["rows"].assign(use=world["rows"]["item_id"].map(uses).fillna("exploit"))
    rows = rows[rows["use"] != "none"]
    fewer = run({**world, "rows": rows}, min_labels=20)[0]
    assert fewer.training.loc[0, "excluded"] == 10
    assert fewer.training.loc[0, "rows"] == made.training.loc[0, "rows"] - 10
    left_out = world["labels"]["item_id"].isin([*train[:10], *splits.loc[splits["split"] == "test", "item_id"]])
    lied = world["labels"].assign(p=world["labels"]["p"].where(~left_out, 1.0))
    told = world["judgements"].assign(label=world["judgements"]["label"].where(
        ~world["judgements"]["item_id"].isin(world["labels"].loc[left_out, "item_id"]), 1))  # fmt: skip
    again = run({**world, "rows": rows, "labels": lied, "judgements": told}, min_labels=20)[0]
    assert again.training.loc[0, "rows_hash"] == fewer.training.loc[0, "rows_hash"] != made.training.loc[0, "rows_hash"]
    assert retrain.model_files(again.models) == retrain.model_files(fewer.models)


def test_the_order_of_rows_does_not_matter():
    world = make(300)
    mixed = {k: v.sample(frac=1, random_state=5) for k, v in world.items()}
    one, two = run(world, min_labels=20)[0], run(mixed, min_labels=20)[0]
    pd.testing.assert_frame_equal(one.predictions, two.predictions)
    assert retrain.model_files(one.models) == retrain.model_files(two.models)


def test_a_word_of_few_people_is_in_no_model_file():
    world = make(600)
    files = retrain.model_files(run(world)[0].models)
    with zipfile.ZipFile(io.BytesIO(files["model_c__skops"])) as z:
        schema = z.read("schema.json").decode()
    assert "awful" in schema
    assert "mark" not in schema  # the item's own word, used once


# --- what cannot be learned


def test_one_class_is_an_error_that_names_the_component():
    world = make(300)
    with pytest.raises(OneClass, match="component c"):
        run({**world, "judgements": world["judgements"].assign(label=0)})


def test_too_few_labels_keep_the_baseline():
    made, _ = run(make(60))
    assert (made.predictions["candidate"] == made.predictions["baseline"]).all()
    assert made.models == {}
    found = compare(make(60))
    assert found.loc["cost per 1,000 change", "value"] == 0
    assert found.loc["cost per 1,000 change", "verdict"] == "inconclusive"
    assert "fewer than 100" in found.loc["training rows", "note"]
    unlabelled = make(600)
    more = pd.concat([unlabelled["components"], unlabelled["components"].assign(component="new")])
    assert run({**unlabelled, "components": more})[0].training["status"].tolist() == ["retrained", "kept the baseline"]


def test_no_labels_and_unknown_choices_are_errors():
    world = make(60)
    with pytest.raises(NothingLeft):
        run({**world, "labels": world["labels"].head(0)})
    with pytest.raises(ParamError, match=r"retrain\.calibrate"):
        retrain.Recipe(calibrate="beta")
    with pytest.raises(ParamError, match="mitigate_cohort"):
        run(world, mitigate="threshold_optimizer", mitigate_cohort="cohort.nobody")


# --- mitigation


def gap(made: retrain.Retrained, world: dict[str, pd.DataFrame]) -> float:
    rows = made.predictions[made.predictions["split"] == "test"].merge(world["items"], on="item_id")
    acts = (rows["candidate"] >= 0.5).astype(int)
    return float(demographic_parity_difference(acts, acts, sensitive_features=rows["cohort.group"]))


@pytest.mark.parametrize("kind", ["threshold_optimizer", "exponentiated_gradient"])
def test_mitigation_closes_the_planted_gap(kind):
    world = make(2000)
    options = {"use_text": False, "constraint": "demographic_parity", "mitigate_cohort": "cohort.group"}
    plain, fair = run(world, **options)[0], run(world, mitigate=kind, **options)[0]
    assert gap(plain, world) > 0.2
    assert gap(fair, world) < 0.12
    moved = (plain.predictions["candidate"] != fair.predictions["candidate"]).mean()
    assert 0 < moved < 0.6  # only where the decision changes
    data = retrain.load_model(retrain.model_files(fair.models)["model_c__skops"])
    again = retrain.predict(data, world["items"])
    assert again == pytest.approx(fair.predictions.sort_values("item_id")["candidate"].to_numpy(), abs=0)


def test_thresholds_act_as_fairlearn_does():
    rng = np.random.default_rng(2)
    score, group = rng.random(600), pd.Series(rng.choice(["a", "b", "c"], 600))
    y = (rng.random(600) < score ** group.map({"a": 1, "b": 2, "c": 0.5})).astype(float).to_numpy()
    for constraint in mitigate.CONSTRAINTS:
        ours = mitigate.act(mitigate.fit_thresholds(score, y, group, constraint=constraint), None, score, group)
        theirs = ThresholdOptimizer(estimator=mitigate.Score(), constraints=constraint, prefit=True,
                                    predict_method="predict_proba", objective="balanced_accuracy_score")  # fmt: skip
        theirs.fit(score.reshape(-1, 1), y.astype(int), sensitive_features=group)
        acting = theirs._pmf_predict(score.reshape(-1, 1), sensitive_features=group)[:, 1]
        assert ours == pytest.approx(acting)


@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
def test_gradient_acts_as_fairlearn_does():
    rng = np.random.default_rng(4)
    x, group = rng.normal(size=(500, 2)), pd.Series(rng.choice(["a", "b"], 500))
    y = (x[:, 0] + (group == "b") + rng.normal(size=500) > 0.5).astype(float).to_numpy()
    found = mitigate.fit_gradient(x, y, group, constraint="demographic_parity", costs=(1.0, 3.0), penalty=1.0)
    theirs = ExponentiatedGradient(LogisticRegression(max_iter=2000), DemographicParity(), max_iter=20,
                                   objective=ErrorRate(costs={"fp": 1 / 3, "fn": 1.0}))  # fmt: skip
    theirs.fit(x, y.astype(int), sensitive_features=group)
    ours = mitigate.act(found, x, np.zeros(500), group)
    assert np.abs(ours - theirs._pmf_predict(x)[:, 1]).mean() < 0.03
    assert sum(p["weight"] for p in found["parts"]) == pytest.approx(1.0)


def test_a_cohort_of_one_group_is_not_mitigated():
    world = make(600)
    world["items"]["cohort.group"] = None
    made = run(world, mitigate="threshold_optimizer", mitigate_cohort="cohort.group")[0]
    assert "not mitigated" in made.training.loc[0, "note"]


# --- model files

MODEL = """
import hashlib, sys
sys.path.insert(0, {tests!r})
import test_retrain as t
from hfkit import retrain
made = t.run(t.make(300), min_labels=50)[0]
print(hashlib.sha256(retrain.model_files(made.models)["model_c__skops"]).hexdigest())
"""


def test_bytes_are_equal_in_other_processes_with_other_hash_seeds():
    made = run(make(300), min_labels=50)[0]
    data = retrain.model_files(made.models)["model_c__skops"]
    code = MODEL.format(tests=str(Path(__file__).parent))
    children = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                         env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"})
        for seed in ("1", "2")
    ]  # fmt: skip
    digests = {child.communicate()[0].strip() for child in children}
    assert digests == {hashlib.sha256(data).hexdigest()}
    again = retrain.predict(retrain.load_model(data), make(300)["items"])
    assert again == pytest.approx(made.predictions.sort_values("item_id")["candidate"].to_numpy(), abs=0)
    assert retrain.model_bytes(retrain.load_model(data)) == data


def test_untrusted_types_and_broken_files_are_refused():
    with pytest.raises(BadValue, match=r"mitigate\.Score"):
        retrain.load_model(skops.io.dumps({"model": mitigate.Score()}))
    for bad in (b"", b"PK\x05\x06" + bytes(18), b"\x80\x04K\x01."):
        with pytest.raises(BadValue, match="not a model file"):
            retrain.load_model(bad)
    with pytest.raises(BadValue):
        retrain.load_model(skops.io.dumps([1, 2]))


# --- real worlds


def real(items: pd.DataFrame, judged: pd.DataFrame, component: str) -> dict[str, pd.DataFrame]:
    judged = judged.assign(feedback_id=judged.index.astype(str), component=component, channel="x", weight=1.0)
    p = judged.groupby("item_id")["label"].mean()
    labels = pd.DataFrame(
        {"item_id": p.index, "component": component, "p": p.to_numpy(), "label": (p > 0.5).astype(int).to_numpy()}
    )
    labels["tied"] = labels["p"] == 0.5
    parts = pd.DataFrame({"component": [component], "threshold": 0.5, "cost_false_alarm": 1.0, "cost_miss": 1.0})
    rows = labels[["item_id", "component"]].assign(use="exploit", weight=1.0)
    return {"items": items.assign(component=component), "labels": labels, "judgements": judged, "rows": rows,
            "components": parts}  # fmt: skip


def ece(p: pd.Series, y: pd.Series) -> float:
    """Expected calibration error, 10 equal-width bins, by its definition."""
    bins = (p * 10).astype(int).clip(upper=9)
    return float(((p - y).groupby(bins).mean().abs() * bins.value_counts(normalize=True)).sum())


def test_popquorn_calibration_error_falls_on_unseen_texts():
    if not SHARED.is_dir():
        pytest.skip("shared/data is absent")
    ratings = pd.read_csv(SHARED / "popquorn" / "offensiveness_ratings.csv")
    said = pd.read_csv(SHARED / "popquorn" / "offensiveness_model_v0_predictions.csv")
    items = ratings.drop_duplicates("instance_id")[["instance_id", "text"]].merge(said, on="instance_id")
    items = pd.DataFrame(
        {
            "item_id": items["instance_id"].astype(str),
            "text": items["text"],
            "score": items["apc_prob_offensive"],
            "unit_id": None,
        }
    )
    judged = pd.DataFrame(
        {"item_id": ratings["instance_id"].astype(str), "label": (ratings["offensiveness"] >= 3).astype(int)}
    )
    world = real(items, judged, "offensive")
    rows = judged.merge(items, on="item_id")
    assert ece(rows["score"], rows["label"]) == pytest.approx(0.1781, abs=0.001)  # the reference figure
    made, _ = run(world)
    test = judged.merge(made.predictions[made.predictions["split"] == "test"], on="item_id")
    assert ece(test["baseline"], test["label"]) > 0.15
    assert ece(test["candidate"], test["label"]) < 0.035
    found = compare(world)
    assert found.loc["log loss change", "high"] < 0
    assert found.loc["log loss change by recalibration", "value"] / found.loc["log loss change", "value"] > 0.9


def test_open_bandit_without_score_or_text_still_gets_a_candidate():
    if not SHARED.is_dir():
        pytest.skip("shared/data is absent")
    logs = pd.concat(
        [pd.read_csv(SHARED / "obd_all" / f"all_{p}.csv.gz") for p in ("random", "bts")], ignore_index=True
    )
    features = [c for c in logs.columns if c.startswith("user_feature") and "affinity" not in c][:4]
    items = logs[features].astype("str").rename(columns=lambda c: f"feature.{c}")
    items = items.assign(
        item_id=[f"r{i:05d}" for i in range(len(logs))],
        text=pd.Series([None] * len(logs), dtype="str"),
        score=np.nan,
        unit_id=None,
    )
    world = real(items, pd.DataFrame({"item_id": items["item_id"], "label": logs["click"]}), "recommendation")
    assert 60 <= logs["click"].sum() <= 100
    made, splits = run(world)
    table = retrain.evidence(
        held_out(made, splits, world), made.training, world["components"], targets=retrain.Targets()
    )
    found = table.query("group == 'all'").set_index("measure")
    assert found.loc["log loss (candidate)", "value"] < 0.035  # the entropy of 80 clicks in 20,000 is 0.0262
    assert found.loc["true positive rate (candidate)", "value"] == 0
    assert 0.05 < found.loc["true positive rate (candidate)", "high"] < 0.3  # none of about 25 is no certainty
    assert found.loc["cost per 1,000 change", "verdict"] == "inconclusive"  # neither ever acts: the base rate is 0.004
    assert found.loc["AUC (baseline)", "value"] == 0.5
    assert "Neither acts on any case: no score reaches the threshold." in retrain.answer(table, made.training)


# --- the page


def test_the_answer_says_the_cost_and_the_rates_before_and_after():
    world = make()
    made, splits = run(world)
    rows, found = held_out(made, splits, world), evidence(world)
    wide = retrain.before_after(found).set_index("measure")
    text = retrain.answer(found, made.training)
    assert f"cost {wide.loc['cost per 1,000', 'baseline']:.0f} points per 1,000 served before" in text
    assert f"{wide.loc['cost per 1,000', 'candidate']:.0f} after" in text
    assert f"recalibrating alone gives {wide.loc['cost per 1,000', 'recalibrated']:.0f}" in text
    assert f"false alarms: {wide.loc['false positive rate', 'baseline']:.0%} before" in text
    assert f"caught: {wide.loc['true positive rate', 'baseline']:.0%} before" in text
    assert retrain.metrics(found, made.training)["components_retrained"] == 1
    curve = retrain.curve(rows)
    assert curve.groupby("model")["answers"].sum().tolist() == [rows["n"].sum()] * 3
    assert float(np.average(curve["share"], weights=curve["answers"])) == pytest.approx(
        rows["k"].sum() / rows["n"].sum()
    )
    assert cohorts.parse(retrain.by_group(found)["group"].iloc[0]).perspective == "served"


def test_logit_is_the_inverse_of_expit():
    p = np.array([0.001, 0.4, 0.9])
    assert learn.logit(p) == pytest.approx(logit(p))
