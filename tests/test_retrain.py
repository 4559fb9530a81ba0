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
from sklearn.metrics import log_loss, roc_auc_score

from hfkit import retrain
from hfkit.retrain import mitigate
from hfkit.shared import evidence as ev
from hfkit.shared import learn
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
    answer = (rng.random((n, 2)) < p[:, None]).astype(int)
    judged = pd.DataFrame({"feedback_id": [f"f{k}" for k in range(2 * n)], "item_id": np.repeat(ids, 2),
                           "component": "c", "channel": "x", "label": answer.ravel(), "weight": 1.0})  # fmt: skip
    share = answer.mean(axis=1)
    labels = pd.DataFrame({"item_id": ids, "component": "c", "p": share, "label": (share > 0.5).astype(int)})
    rows = labels[["item_id", "component"]].assign(use="exploit", weight=1.0)
    parts = pd.DataFrame({"component": ["c"], "threshold": 0.5, "cost_false_alarm": 1.0, "cost_miss": 1.0})
    return {"items": items, "labels": labels, "judgements": judged, "rows": rows, "components": parts}


def run(world: dict[str, pd.DataFrame], **recipe: object) -> tuple[retrain.Retrained, pd.DataFrame]:
    splits = retrain.split(world["items"], seed=1, test=0.3, calibrate=0.2)
    tables = {k: world[k] for k in ("labels", "judgements", "rows", "components")}
    return retrain.retrain(world["items"], splits, **tables, recipe=retrain.Recipe(**recipe)), splits


def compare(world: dict[str, pd.DataFrame], margin: float = 0.0, **recipe: object) -> pd.DataFrame:
    made, splits = run(world, **recipe)
    rows = retrain.held_out(made.predictions, splits, world["judgements"])
    found = retrain.evidence(rows, made.training, margin=margin, level=0.95, n_boot=200, rng=np.random.default_rng(0))
    return found.set_index("measure")


# --- the split


def test_near_texts_are_one_group_exactly_as_by_brute_force():
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS[:14], rng.integers(3, 13))) for _ in range(150)]
    texts += [f"{t} extra" for t in texts[:40]]
    items = pd.DataFrame({"item_id": [str(i) for i in range(len(texts))], "text": texts})
    groups = learn.text_groups(items, near=0.8)
    sets = [set(t.split()) for t in texts]
    parent = list(range(len(texts)))
    for _ in range(12):  # label propagation until nothing changes
        for i in range(len(texts)):
            for j in range(i):
                if len(sets[i] & sets[j]) / len(sets[i] | sets[j]) >= 0.8:
                    parent[i] = parent[j] = min(parent[i], parent[j])
    pairs = pd.DataFrame({"ours": groups, "brute": parent})
    assert pairs.drop_duplicates()["ours"].is_unique
    assert pairs["ours"].nunique() == pairs["brute"].nunique() > 50


def test_no_text_is_on_two_sides_and_shares_are_as_asked():
    items = make(n=1500)["items"]
    shout = items.assign(item_id="x" + items["item_id"], text=items["text"].str.upper() + " !!!")
    splits = retrain.split(pd.concat([items, shout]), seed=7, test=0.3, calibrate=0.2)
    both = splits.set_index("item_id")["split"]
    assert (both[items["item_id"]].to_numpy() == both["x" + items["item_id"]].to_numpy()).all()
    share = splits["split"].value_counts(normalize=True)
    assert share["test"] == pytest.approx(0.3, abs=0.04)
    assert share["calibrate"] == pytest.approx(0.2, abs=0.04)
    assert not splits.equals(retrain.split(pd.concat([items, shout]), seed=8, test=0.3, calibrate=0.2))


def test_items_without_a_text_are_split_by_item():
    items = pd.DataFrame({"item_id": [str(i) for i in range(100)], "text": pd.Series([None] * 100, dtype="str")})
    assert retrain.split(items, seed=1, test=0.3, calibrate=0.2)["group"].nunique() == 100


# --- the fit


def test_soft_labels_are_fractions_of_rows():
    x = np.array([[0.0], [1.0], [3.0]])
    ours = learn.fit_soft(x, np.array([0.25, 0.5, 0.75]), np.ones(3), penalty=0.5)
    y = [1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0]  # each row four times, a quarter each
    theirs = LogisticRegression(C=2.0, max_iter=2000).fit(np.repeat(x, 4, axis=0), y, sample_weight=np.full(12, 0.25))
    assert ours.coef_[0, 0] == pytest.approx(theirs.coef_[0, 0], abs=1e-4)
    assert ours.intercept_[0] == pytest.approx(theirs.intercept_[0], abs=1e-4)


def test_overconfident_baseline_is_beaten_and_the_true_one_is_not():
    beaten = compare(make())
    assert beaten.loc["log loss difference", "verdict"] == "pass"
    assert beaten.loc["log loss difference", "high"] < -0.1
    level = compare(make(baseline="true"))
    assert level.loc["log loss difference", "verdict"] != "pass"
    assert abs(level.loc["log loss difference", "value"]) < 0.05
    assert compare(make(), margin=5.0).loc["log loss difference", "verdict"] == "fail"


@pytest.mark.parametrize("step", ["logistic", "isotonic"])
def test_calibration_heals_what_use_of_the_raw_score_breaks(step):
    """A heavy penalty squeezes scores to the mean; the calibration step stretches them again."""
    heavy = {"penalty": 3000.0, "use_text": False, "use_features": False}
    without, healed = compare(make(1200), calibrate="none", **heavy), compare(make(1200), calibrate=step, **heavy)
    assert healed.loc["log loss (candidate)", "value"] < without.loc["log loss (candidate)", "value"] - 0.02


def test_evidence_equals_scikit_learn():
    world = make()
    made, splits = run(world)
    found = compare(world)
    rows = world["judgements"].merge(made.predictions[made.predictions["split"] == "test"], on="item_id")
    for model in ("baseline", "candidate"):
        said = rows[model].clip(1e-6, 1 - 1e-6)
        assert found.loc[f"log loss ({model})", "value"] == pytest.approx(log_loss(rows["label"], said))
        assert found.loc[f"Brier score ({model})", "value"] == pytest.approx(
            ((rows["label"] - rows[model]) ** 2).mean()
        )
        assert found.loc[f"AUC ({model})", "value"] == pytest.approx(roc_auc_score(rows["label"], rows[model]))
        acts = rows[model] >= 0.5
        rate = acts[rows["label"] == 1].mean(), acts[rows["label"] == 0].mean()
        assert found.loc[f"true positive rate ({model})", "value"] == pytest.approx(rate[0])
        assert found.loc[f"false positive rate ({model})", "value"] == pytest.approx(rate[1])
    assert found.loc["log loss (candidate)", "n"] == len(rows)
    assert set(made.predictions["split"]) == set(splits["split"]) == {"train", "calibrate", "test"}


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


def test_only_exploited_train_rows_teach():
    world = make(400)
    made, splits = run(world, min_labels=20)
    train = splits.loc[splits["split"] == "train", "item_id"].tolist()
    uses = dict(zip(train[:30], ["exclude"] * 10 + ["explore"] * 10 + ["none"] * 10, strict=True))
    rows = world["rows"].assign(use=world["rows"]["item_id"].map(uses).fillna("exploit"))
    rows = rows[rows["use"] != "none"]
    fewer = run({**world, "rows": rows}, min_labels=20)[0]
    assert fewer.training.loc[0, ["excluded", "explore", "beyond_budget"]].tolist() == [10, 10, 10]
    assert fewer.training.loc[0, "rows"] == made.training.loc[0, "rows"] - 30
    left_out = world["labels"]["item_id"].isin([*uses, *splits.loc[splits["split"] == "test", "item_id"]])
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
    assert found.loc["log loss difference", "verdict"] == "cannot tell"
    assert "fewer than 100" in found.loc["log loss difference", "note"]
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
        {"item_id": items["instance_id"].astype(str), "text": items["text"], "score": items["apc_prob_offensive"]}
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
    assert compare(world).loc["log loss difference", "verdict"] == "pass"


def test_open_bandit_without_score_or_text_still_gets_a_candidate():
    if not SHARED.is_dir():
        pytest.skip("shared/data is absent")
    logs = pd.concat(
        [pd.read_csv(SHARED / "obd_all" / f"all_{p}.csv.gz") for p in ("random", "bts")], ignore_index=True
    )
    features = [c for c in logs.columns if c.startswith("user_feature") and "affinity" not in c][:4]
    items = logs[features].astype("str").rename(columns=lambda c: f"feature.{c}")
    items = items.assign(
        item_id=[f"r{i:05d}" for i in range(len(logs))], text=pd.Series([None] * len(logs), dtype="str"), score=np.nan
    )
    world = real(items, pd.DataFrame({"item_id": items["item_id"], "label": logs["click"]}), "recommendation")
    assert 60 <= logs["click"].sum() <= 100
    found = compare(world)
    assert found.loc["log loss (candidate)", "value"] < 0.035  # the entropy of 80 clicks in 20,000 is 0.0262
    assert found.loc["log loss difference", "verdict"] == "cannot tell"
    assert found.loc["true positive rate (candidate)", "value"] == 0
    assert 0.05 < found.loc["true positive rate (candidate)", "high"] < 0.3  # none of about 25 is no certainty
    assert "no score of the serving model" in found.loc["log loss difference", "note"]


# --- the page


def test_answer_and_metrics_and_curve():
    world = make()
    made, splits = run(world)
    rows = retrain.held_out(made.predictions, splits, world["judgements"])
    found = retrain.evidence(rows, made.training, margin=0.0, level=0.95, n_boot=50, rng=np.random.default_rng(0))
    assert "better for 1" in retrain.answer(found, made.training)
    assert retrain.metrics(found, made.training)["components_retrained"] == 1
    curve = retrain.curve(rows)
    assert curve.groupby("model")["answers"].sum().tolist() == [rows["n"].sum()] * 2
    assert float(np.average(curve["share"], weights=curve["answers"])) == pytest.approx(
        rows["k"].sum() / rows["n"].sum()
    )
    nothing = ev.table([ev.row("log loss difference", component="c", value=np.nan, n=0, verdict="cannot tell")])
    kept = pd.DataFrame({"component": ["c"], "status": ["kept the baseline"]})
    assert "Kept the baseline: c." in retrain.answer(nothing, kept)


def test_logit_is_the_inverse_of_expit():
    p = np.array([0.001, 0.4, 0.9])
    assert learn.logit(p) == pytest.approx(logit(p))
