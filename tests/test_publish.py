"""Publishing: two publications around somebody's withdrawal find nobody; many people later the pages go out again."""

import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import Loop

from hfkit import aggregate, fairness
from hfkit.commands import publish
from hfkit.commands.sample import world
from hfkit.shared.errors import StageError

KEY = b"a key of the test" * 2
RULE = {"min_group": 10, "suppress_below": 10, "round_to": 5}


@pytest.fixture(scope="module")
def made():
    """One component of the sample world: judgements and predictions of a candidate that is the baseline shaken."""
    whole = world()
    trust = pd.DataFrame({"rater_id": whole["raters"]["rater_id"], "flagged": False})
    found = aggregate.aggregate(whole["feedback"], whole["items"], whole["raters"], trust)
    judgements = found.judgements[found.judgements["component"] == "safety"]
    items = judgements.drop_duplicates("item_id")
    shaken = (items["score"] + np.random.default_rng(1).normal(0, 0.15, len(items))).clip(0, 1)
    predictions = items[["item_id", "component"]].assign(
        split=np.where(items["item_id"].str[-1] < "4", "test", "train"), baseline=items["score"], candidate=shaken
    )
    served = whole["items"][whole["items"]["component"] == "safety"]
    return whole["components"], judgements.dropna(subset=["score"]), predictions, served


def release(made, judgements, **rule):
    """What would be published, and who stands behind it: labels by majority of the answers that are there."""
    components, _, predictions, items = made
    share = judgements.groupby("item_id")["label"].mean()
    labels = share.gt(0.5).astype(int).reset_index().assign(component="safety")
    rows = fairness.perspectives(components, judgements, labels, predictions, intersections=[])
    out = fairness.assess(rows, **rule)
    tables = {"evidence": out.evidence, "groups": out.groups, "changes": out.changes}
    groups = sorted(set(out.groups["group"]))
    return tables, publish.people(judgements, predictions, items, groups, KEY)


def differ(old, new):
    return not all(old[name].equals(new[name]) for name in old)


def test_two_publications_around_a_withdrawal_find_nobody(made):
    """One rater or one item goes: exact tables show it nearly always; what goes out never does."""
    judgements, rng = made[1], np.random.default_rng(5)
    exact, (before, people) = release(made, judgements)[0], release(made, judgements, **RULE)
    shown = refused = located = 0
    test = judgements[judgements["item_id"].str[-1] < "4"]
    who = [(c, x) for c in ("rater_id", "item_id") for x in rng.choice(test[c].dropna().unique(), 8, replace=False)]
    for column, gone in who:
        rest = judgements[judgements[column] != gone]
        shown += column == "item_id" and differ(exact, release(made, rest)[0])
        after, left = release(made, rest, **RULE)
        touched = publish.few(people, left, 10)
        assert touched
        stopped = bool(publish.changed(before, after, touched))
        refused += stopped
        located += differ(before, after) and not stopped
    assert shown == 8
    assert refused >= 8
    assert located == 0


def test_many_people_later_the_pages_go_out(made):
    judgements = made[1]
    before, people = release(made, judgements, **RULE)
    later = judgements[judgements["item_id"].str[-2].isin(list("02468"))]  # half of all items, in every group
    after, left = release(made, later, **RULE)
    assert differ(before, after)
    touched = publish.few(people, left, 10)
    groups = {g for _, g in touched}
    size = people[(people["view"] == "test") & (people["kind"] == "item_id")].groupby("group").size()
    large = size.index[size.index.str.startswith("served.") & (size > 40)]
    assert len(large) >= 5
    assert not groups & set(large)
    lines = publish.changed(before, after, touched)
    assert all(any(g in line for g in groups) for line in lines)
    with pytest.raises(StageError, match="fewer people stand behind"):
        publish.refuse(["groups: safety, served.age_band=60+"], 10)


def test_a_new_model_alone_stops_nothing(made):
    judgements = made[1]
    before, people = release(made, judgements, **RULE)
    components, _, predictions, items = made
    other = predictions.assign(candidate=1 - predictions["candidate"])
    after, same = release((components, judgements, other, items), judgements, **RULE)
    assert differ(before, after)
    assert publish.few(people, same, 10) == set()
    assert publish.changed(before, after, set()) == []


def test_tables_of_another_version_are_compared_by_what_both_have():
    old = {"t": pd.DataFrame({"component": ["c"], "group": ["all"], "n": [5.0], "gone": [1.0]})}
    new = {"t": pd.DataFrame({"component": ["c"], "group": ["all"], "n": [5.0], "more": ["x"]})}
    assert publish.changed(old, new, {("c", "all")}) == []
    new["t"]["n"] = 10.0
    assert publish.changed(old, new, {("c", "all")}) == ["t: c, all, 0"]
    assert publish.changed({"t": old["t"].iloc[:0]}, new, {("c", "all")}) == ["t: c, all, 0"]


def by_hand(**changes):
    judgements = pd.DataFrame({
        "feedback_id": list("abcd"), "item_id": ["i", "i", "j", "k"], "component": "c", "weight": [1.0, 1.0, 1.0, 0.0],
        "rater_id": ["r", "s", None, "t"], "served.l": ["es", "es", None, "es"], "rater.a": ["x", "y", None, "x"],
        "label": [1, 0, 1, 1],
    }).assign(**changes)  # fmt: skip
    predictions = pd.DataFrame({"item_id": ["i", "j"], "component": "c", "split": ["test", "train"]})
    items = pd.DataFrame({"item_id": list("ijkz"), "component": "c", "cohort.l": ["es", None, "es", "es"]})
    names = ["served.l=es", "served.l=not stated", "rater.a=x", "served.l", "served.l=es & topic=long"]
    return publish.people(judgements, predictions, items, names, KEY)


def test_people_are_counted_by_hand():
    found = by_hand()
    count = found.groupby(["view", "kind", "group"]).size()
    assert count["all", "item_id"].to_dict() == {"all": 2, "rater.a=x": 1, "served.l=es": 1, "served.l=not stated": 1}
    assert count["all", "rater"].to_dict() == {"all": 3, "rater.a=x": 1, "served.l=es": 2, "served.l=not stated": 1}
    assert count["test", "rater"].to_dict() == {"all": 2, "rater.a=x": 1, "served.l=es": 2}
    assert count["items", "item_id"].to_dict() == {"all": 4, "served.l=es": 3, "served.l=not stated": 1}
    assert not found["person"].isin(list("ijkrst")).any()  # marks, not names
    fewer = found[found["person"] != found.loc[found["group"] == "rater.a=x", "person"].iloc[0]]
    assert ("c", "rater.a=x") in publish.few(found, fewer, 10)
    assert publish.few(found, fewer, 1) == set()
    assert publish.few(found, found, 10) == set()


def test_an_answer_that_changes_counts_as_a_person_who_moved():
    """Nobody came or went, but one rater says something else now."""
    assert ("c", "served.l=es") in publish.few(by_hand(), by_hand(label=[1, 1, 1, 1]), 10)
    assert ("c", "served.l=es") in publish.few(by_hand(), by_hand(weight=[1.0, 0.5, 1.0, 0.0]), 10)


@pytest.mark.loop
def test_the_command_copies_compares_and_refuses(loop: Loop):
    shutil.rmtree(loop.root / "data" / "published", ignore_errors=True)  # of the project the loop was laid out from
    assert "the first publication" in loop("hfkit", "publish", "site")
    assert (loop.root / "site" / "index.html").read_bytes() == (loop.root / "reports" / "index.html").read_bytes()
    kept = loop.root / "data" / "published" / "1"
    evidence = pd.read_parquet(kept / "fairness" / "evidence.parquet")
    evidence.assign(n=evidence["n"] + 5).to_parquet(kept / "fairness" / "evidence.parquet", index=False)
    assert "compared with 1 " in loop("hfkit", "publish", "site")  # nobody came or went: another model changes numbers
    people = pd.read_parquet(kept / "people.parquet")
    people[people["person"] != people["person"].iloc[0]].to_parquet(kept / "people.parquet", index=False)
    out = loop("hfkit", "publish", "other", ok=False)
    assert "fewer people stand behind" in out
    assert not (loop.root / "other").exists()
