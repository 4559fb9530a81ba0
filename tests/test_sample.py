"""The sample world: the same bytes every time, and every planted trouble is really there, by plain arithmetic."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from hfkit import clean, formats
from hfkit.commands.sample import generate, sample, world
from hfkit.shared import learn, params
from hfkit.shared.errors import WouldOverwrite

ROOT = Path(__file__).parents[1]
RAW, TRUTH = ROOT / "data" / "raw", ROOT / "tests" / "planted_truth.json"


@pytest.fixture(scope="module")
def made():
    return world()


@pytest.fixture(scope="module")
def items(made):
    """The items with their latent event."""
    return made["items"].assign(event=made["items"]["item_id"].isin(made["truth"]["event_items"]).astype(int))


@pytest.fixture(scope="module")
def answers(made, items):
    """The labelled answers with the latent event of their item and whether they are right."""
    own = items[["item_id", "event", "decision", "text"]]
    found = made["feedback"].dropna(subset="label").merge(own, on="item_id")
    return found.assign(right=found["label"] == found["event"])


@pytest.fixture(scope="module")
def cleaned():
    section = params.section("clean")
    section.pop("bins", None)
    section["consent"] = clean.consented(section["consent"], section.pop("assume_consent"))
    return clean.clean(formats.read_sources(section["sources"]), **section)


def plain(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {
        p.relative_to(folder).as_posix(): gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes()
        for p in files
    }


def test_the_exports_and_the_truth_are_what_the_generator_makes(tmp_path):
    generate(tmp_path / "raw", truth=tmp_path / "truth.json")
    assert (tmp_path / "truth.json").read_bytes() == TRUTH.read_bytes()
    again, kept = plain(tmp_path / "raw"), plain(RAW)
    assert {name: kept.get(name) for name in again} == again


def test_the_exports_are_small_enough_to_be_in_a_repository():
    sizes = [p.stat().st_size for p in RAW.rglob("*") if p.is_file()]
    assert sum(sizes) < 3_000_000
    assert max(sizes) < 1_000_000


def test_another_seed_is_another_world_and_a_small_one_keeps_its_troubles(tmp_path):
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        options = ["--out", str(tmp_path / name), "--seed", seed, "--truth", str(tmp_path / f"{name}.json")]
        assert CliRunner().invoke(sample, ["--items", "1500", *options]).exit_code == 0
    assert plain(tmp_path / "a") == plain(tmp_path / "b")
    assert plain(tmp_path / "a") != plain(tmp_path / "c")
    truth = json.loads((tmp_path / "a.json").read_bytes())
    assert truth["made_with"] == {"items": 1500, "seed": 1, "answers": 5000, "raters": 150}
    assert min(len(truth[k]) for k in ("personal_data", "duplicates", "conflicts", "misrouted")) >= 5


def fill(folder, *options):
    """`hfkit sample` into a folder: its output, or the sentence with which it refuses."""
    arguments = ["--items", "1500", "--out", str(folder / "raw"), "--truth", str(folder / "truth.json"), *options]
    done = CliRunner().invoke(sample, arguments)
    if done.exit_code:
        assert isinstance(done.exception, WouldOverwrite), done.exception
    return str(done.exception) if done.exit_code else done.output


def plain_bytes(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_committed_world_may_be_written_again_without_a_flag(tmp_path):
    """As `make sample` does, on a copy: nothing is written at all, also where gzip packs the same in another way."""
    shutil.copytree(RAW, tmp_path / "raw")
    shutil.copyfile(TRUTH, tmp_path / "truth.json")
    packed = tmp_path / "raw" / "feedback" / "tool_log.jsonl.gz"
    packed.write_bytes(gzip.compress(gzip.decompress(packed.read_bytes()), 1))
    before, times = plain_bytes(tmp_path), {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    assert "left alone" not in fill(tmp_path, "--items", "6000")
    assert plain_bytes(tmp_path) == before
    assert times == {p: p.stat().st_mtime_ns for p in times}


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        ("raw/items/items.csv", "items/items.csv (differs)"), ("raw/feedback/tool_log.jsonl.gz", "gz (differs)"),
        ("raw/mine.csv", "mine.csv (not of the sample)"), ("truth.json", "truth.json (differs)"),
        ("raw/signoffs/legal.json", "signoffs/legal.json (not of the sample)"),
    ],
)  # fmt: skip
def test_files_of_a_person_stop_it_and_only_the_samples_own_are_ever_replaced(tmp_path, name, phrase):
    fill(tmp_path)
    made = plain_bytes(tmp_path)
    (tmp_path / name).write_bytes(b"mine")
    message = fill(tmp_path)
    assert phrase in message
    assert "--overwrite" in message
    assert plain_bytes(tmp_path) == made | {name: b"mine"}
    output = fill(tmp_path, "--overwrite")
    foreign = "not of the sample" in phrase
    assert ("left alone" in output) == foreign
    assert not foreign or name.removeprefix("raw/") in output
    assert plain_bytes(tmp_path) == made | ({name: b"mine"} if foreign else {})


def test_a_folder_with_other_files_is_no_place_for_the_sample(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "exports.csv").write_text("mine", "utf-8")
    assert "exports.csv (not of the sample)" in fill(tmp_path)
    assert plain_bytes(tmp_path) == {"raw/exports.csv": b"mine"}


@pytest.mark.parametrize("name", ["raw/items", "raw/items/items.csv"])
def test_nothing_is_written_through_a_link_even_when_asked(tmp_path, name):
    fill(tmp_path)
    (tmp_path / name).rename(tmp_path / "elsewhere")
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    linked = {n: b for n, b in plain_bytes(tmp_path).items() if n.startswith("elsewhere")}
    assert "items" in fill(tmp_path)
    assert ("items (in the way)" in fill(tmp_path, "--overwrite")) == (name == "raw/items")
    assert linked.items() <= plain_bytes(tmp_path).items()


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "raw").write_text("mine", "utf-8")
    assert "raw (in the way)" in fill(tmp_path, "--overwrite")
    assert plain_bytes(tmp_path) == {"raw": b"mine"}


def test_the_counts(made, items):
    assert items["component"].value_counts().to_dict() == {"ranking": 2000, "policy": 2000, "safety": 2000}
    assert made["truth"]["made_with"]["answers"] == 20_000
    assert set(made["feedback"]["channel"]) == {"thumbs", "survey", "annotation", "chat", "tool_log"}
    weeks = (items["served_at"].max() - items["served_at"].min()).days // 7 + 1
    assert weeks == 26
    assert not made["feedback"].duplicated(["rater_id", "item_id"]).any()


def test_clean_makes_of_the_exports_what_the_world_says(made, cleaned):
    for name in ("items", "feedback", "raters", "population", "policy", "components"):
        key = list(made[name].columns[:2])
        made_here = [c for c in ("text_group", "source", "line", "file_sha256") if c in made[name]]
        expected = made[name].sort_values(key, ignore_index=True).drop(columns=made_here)
        ours = getattr(cleaned, name).sort_values(key, ignore_index=True)
        pd.testing.assert_frame_equal(ours.drop(columns=made_here), expected)
        assert ours[made_here].notna().all(axis=None)


def test_clean_rejects_what_was_planted_for_it(made, cleaned):
    truth, found = made["truth"], cleaned.rejects.groupby(["source", "reason"]).size()
    for source, reasons in truth["broken"].items():
        for reason, n in reasons.items():
            assert found[source, reason] == n, (source, reason)
    assert found["thumbs", "duplicate"] == len(truth["duplicates"])
    assert found["thumbs", "conflict"] == 2 * len(truth["conflicts"])
    gone = set(truth["withdrawn"]["feedback"]) | set(truth["withdrawn"]["refused_scope"]) | set(truth["conflicts"])
    assert not gone & set(cleaned.feedback["feedback_id"])
    assert len(cleaned.feedback) == truth["made_with"]["answers"] - len(gone)


def test_personal_data_is_in_the_exports_and_masked_in_the_tables(made, cleaned):
    planted = made["truth"]["personal_data"]
    assert len(planted) == 60
    exports = b"".join(plain(RAW / "feedback").values()).decode()
    comments = " ".join(cleaned.feedback["value_text"].dropna())
    for kind, secret in planted.values():
        assert secret in exports
        assert secret not in comments
        if kind == "iban":
            compact = secret.replace(" ", "")
            assert int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1
    left = made["feedback"].loc[made["feedback"]["feedback_id"].isin(planted), "value_text"]
    assert left.str.contains(r"\[(?:email|phone|card|iban)\]$").all()


def test_the_serving_model_misses_more_of_one_language(made, items):
    cohort = made["truth"]["harmed_cohort"]["group"].partition("=")[2]
    es = items["cohort.language"] == cohort
    miss = lambda rows: 1 - rows.loc[rows["event"] == 1, "decision"].mean()  # noqa: E731
    for component, rows in items.groupby("component"):
        assert miss(rows[es[rows.index]]) - miss(rows[~es[rows.index]]) > 0.08, component
    assert (items["score"] - items["event"])[es].mean() < -0.12
    assert abs((items["score"] - items["event"])[~es].mean()) < 0.04


def test_the_serving_model_is_overconfident(items):
    other = items[items["cohort.language"] != "es"]
    sure = other[other["score"].between(0.9, 1)]
    assert sure["score"].mean() - sure["event"].mean() > 0.08
    safe = other[other["score"].between(0, 0.1)]
    assert safe["event"].mean() - safe["score"].mean() > 0.04


def test_spam_is_fast_and_no_better_than_chance(made, answers):
    spam = made["truth"]["spam"]
    own = answers[answers["rater_id"].isin(spam["random"] + spam["constant"])]
    assert len(own) > 400
    assert own["seconds_spent"].max() <= spam["max_seconds"] < answers["seconds_spent"].median()
    random = own[own["rater_id"].isin(spam["random"])]
    assert abs(random["right"].mean() - 0.5) < 0.1
    assert own[own["rater_id"].isin(spam["constant"])].groupby("channel")["value"].nunique().max() == 1


def test_the_brigade_hits_one_topic_in_three_days(made, answers):
    brigade = made["truth"]["brigade"]
    own = answers[answers["rater_id"].isin(brigade["raters"])]
    assert own["value"].eq("down").all()
    assert own["created_at"].between(brigade["from"], brigade["before"], inclusive="left").all()
    assert set(own["item_id"]) <= set(brigade["items"])
    topic = made["truth"]["topics"][brigade["component"]][brigade["topic"]]
    assert own["text"].map(lambda t: any(w in topic for w in t.replace(",", "").split())).all()
    assert own["right"].mean() < 0.4


def test_the_quiet_cohort_is_rare_and_answers_little(made):
    quiet = made["truth"]["quiet_cohort"]
    people = made["raters"][~made["raters"]["rater_id"].str.startswith("tool")]
    group = people.loc[people["cohort.age_band"] == quiet["group"].partition("=")[2], "rater_id"]
    assert len(group) / len(people) < 0.08 < quiet["share_of_population"]
    spoke = made["feedback"][made["feedback"]["channel"].isin(["thumbs", "survey", "chat"])]
    counts = spoke["rater_id"].value_counts().reindex(people["rater_id"]).fillna(0)
    assert counts[group].mean() < 0.5 * counts.mean()


def test_inputs_drift_and_latency_jumps_on_the_date(made, items):
    drift = made["truth"]["drift"]
    after = items["served_at"] >= pd.Timestamp(drift["date"], tz="UTC")
    shift = items.loc[after, drift["feature"]].mean() - items.loc[~after, drift["feature"]].mean()
    assert abs(shift - drift["shift"]) < 1.5
    log = np.log(items["latency_ms"])
    assert abs(np.exp(log[after].mean() - log[~after].mean()) - drift["latency_factor"]) < 0.06


def test_the_treatment_arm_has_its_effect(made, items):
    planted = made["truth"]["experiment"]
    tried = items[items["arm"].notna()]
    assert tried["arm"].value_counts().to_dict() == {"control": 1000, "treatment": 1000}
    mean = tried.groupby("arm")["reward"].mean()
    error = np.sqrt((mean * (1 - mean)).sum() / 1000)
    assert abs(mean["treatment"] - mean["control"] - planted["effect"]) < 2.5 * error


def test_weighting_the_log_gives_the_value_of_the_target_policy(made, items):
    planted = made["truth"]["logged_policy"]
    log = items[items["propensity"].notna()].merge(made["policy"], on=["context", "action"])
    assert len(log) == 2000
    for policy, weight in (("target", log["probability"] / log["propensity"]), ("logging", 1.0)):
        terms = log["reward"] * weight
        assert abs(terms.mean() - planted[policy]) < 2.5 * terms.std() / np.sqrt(len(log)), policy
    # by hand: new .4 * (.03+.36+.09+.04), regular .4 * (.1+.035+.42+.03), business .2 * (.035+.08+.09+.325)
    assert planted["target"] == pytest.approx(0.4 * 0.52 + 0.4 * 0.585 + 0.2 * 0.53)


def test_misrouted_comments_read_like_their_true_component(made):
    truth = made["truth"]["misrouted"]
    said = made["feedback"].dropna(subset="value_text")
    away = said["feedback_id"].isin(truth)
    model = LogisticRegression(max_iter=300)
    words = TfidfVectorizer().fit(said["value_text"])
    model.fit(words.transform(said["value_text"][~away]), said["component"][~away])
    guess = model.predict(words.transform(said["value_text"][away]))
    assert (guess == said["feedback_id"][away].map(truth)).mean() > 0.95
    assert (said["component"][away] == said["feedback_id"][away].map(truth)).sum() == 0


def test_hardly_two_texts_are_near_duplicates(items):
    assert learn.text_groups(items).value_counts().max() <= 3


def _fit(items, labelled, train):
    """Held-out probabilities of the simplest text model, trained on the mean label of each item."""
    p = items["item_id"].map(labelled.groupby("item_id")["label"].mean())
    numbers = csr_matrix(items[["feature.gap"]].to_numpy() - 0.5)
    x = hstack([TfidfVectorizer().fit_transform(items["text"]), numbers]).tocsr()
    rows = train & p.notna().to_numpy()
    model = LogisticRegression(max_iter=300).fit(x[rows], p[rows] > 0.5)
    return model.predict_proba(x[~train])[:, 1]


def test_a_retrained_text_model_is_clearly_better_on_held_out_items(made, items, answers):
    own = items.assign(u=learn.unit(items["item_id"], seed=1, salt="test"))
    troubles = {r for k in ("brigade", "harmful_cluster") for r in made["truth"][k]["raters"]}
    answers = answers[~answers["rater_id"].isin(troubles)]
    for component, rows in own.groupby("component"):
        train = (rows["u"] >= 0.3).to_numpy()
        held, new = rows[~train], _fit(rows, answers, train)
        assert log_loss(held["event"], held["score"]) - log_loss(held["event"], new) > 0.03, component
        assert roc_auc_score(held["event"], new) > roc_auc_score(held["event"], held["score"]) + 0.02, component
        threshold = made["components"].set_index("component")["threshold"][component]
        es = (held["cohort.language"] == "es") & (held["event"] == 1)
        assert (new >= threshold)[es].mean() > held["decision"][es].mean() + 0.1, component


def test_training_on_the_clique_makes_the_model_worse_on_its_topic(made, items, answers):
    planted = made["truth"]["harmful_cluster"]
    rows = items[items["component"] == planted["component"]]
    topic = rows["text"].map(lambda t: any(w in planted["words"] for w in t.replace(",", "").split()))
    assert topic.sum() == planted["items_of_topic"]
    clique = answers["rater_id"].isin(planted["raters"])
    inside = answers["item_id"].isin(planted["items"])
    assert answers.loc[clique & inside, "right"].mean() < 0.5
    assert answers.loc[clique & ~answers["item_id"].isin(rows.loc[topic, "item_id"]), "right"].mean() > 0.75
    train = learn.unit(rows["item_id"], seed=1, salt="test") >= 0.3
    here = topic[~train].to_numpy()
    event = rows.loc[~train, "event"][here]
    losses = [log_loss(event, _fit(rows, said, train)[here]) for said in (answers, answers[~(clique & inside)])]
    assert losses[0] - losses[1] > 0.1
