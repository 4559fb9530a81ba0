"""An answer is used for what its rater agreed to, and for nothing else: followed through the tables of all rooms.

The law: change or leave out answers without consent to a purpose, and nothing of that purpose may change.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest

from hfkit import aggregate, retrain, route
from hfkit.clean.consent import PURPOSES
from hfkit.retrain import model_files
from hfkit.shared import learn, schema

COMPONENTS = pd.DataFrame({"component": ["c"], "event": ["it is bad"], "threshold": [0.5], "cost_false_alarm": [1.0],
                           "cost_miss": [2.0], "effort_days": [1.0]})  # fmt: skip
TRUST = pd.DataFrame({"rater_id": pd.Series(dtype=str), "flagged": pd.Series(dtype=bool)})


def world(seed: int, n: int = 300) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Items, and answers of people who agreed to any mix of purposes."""
    rng = np.random.default_rng(seed)
    items = schema.shape(pd.DataFrame({
        "item_id": [f"i{k:03}" for k in range(n)], "component": "c", "score": rng.random(n).round(3),
        "text": [" ".join(rng.choice(list("abcdefgh"), 4)) + f" w{k}" for k in range(n)],
        "feature.x": rng.normal(size=n),
    }), schema.ITEMS)  # fmt: skip
    item = rng.integers(0, n, 4 * n)
    feedback = pd.DataFrame({
        "feedback_id": [f"f{k:04}" for k in range(4 * n)], "item_id": items["item_id"].to_numpy()[item],
        "component": "c",
        "rater_id": [f"r{k}" for k in rng.integers(0, 40, 4 * n)], "rater_kind": "human", "channel": "thumbs",
        "question": "q", "value_text": rng.choice(["too slow here", "wrong place", "fine by me", None], 4 * n),
        "label": (rng.random(4 * n) < 0.3 + 0.4 * (items["feature.x"].to_numpy()[item] > 0)).astype(float),
        **{f"for_{p}": rng.integers(0, 2, 4 * n) for p in PURPOSES},
    })  # fmt: skip
    usable = (feedback["for_training"] == 1) | (feedback["for_evaluation"] == 1)
    return items, schema.shape(feedback[usable].reset_index(drop=True), schema.FEEDBACK)


def rooms(items: pd.DataFrame, feedback: pd.DataFrame) -> dict[str, object]:
    """What the rooms that learn and judge make of it."""
    raters = pd.DataFrame({"rater_id": pd.Series(dtype=str)})
    splits = aggregate.split(items, seed=1, test=0.4, calibrate=0.2)
    judged = aggregate.judgements(feedback, items, raters, TRUST, drop_flagged=True, splits=splits)
    labels = aggregate.labels(judged, method="held_out", splits=splits)[0]
    rows = labels[["item_id", "component"]].assign(use="exploit", weight=1.0)
    made = retrain.train(items, splits, labels=labels, judgements=judged, rows=rows, components=COMPONENTS,
                         recipe=retrain.Recipe(min_labels=20, min_people=2))  # fmt: skip
    held = retrain.test_rows(made.predictions, splits, judgements=judged, labels=labels, items=items)
    return {
        "models": {k: hashlib.sha256(v).hexdigest() for k, v in model_files(made.models).items()},
        "learned": labels.merge(splits[splits["split"] != "test"], on="item_id"),
        "counted": learn.answers(judged).merge(splits[splits["split"] != "test"], on="item_id"),
        "judged": held.drop(columns=["baseline", "recalibrated", "candidate"]), "splits": splits,
        "routed": route.cross_fit(feedback[feedback["value_text"].notna()].assign(component=_filed), _texts(feedback)),
    }  # fmt: skip


def _filed(feedback: pd.DataFrame) -> pd.Series:
    return feedback["item_id"].str[-1].isin(list("01234")).map({True: "a", False: "b"})


def _texts(feedback: pd.DataFrame) -> pd.Series:
    said = feedback[feedback["value_text"].notna()]
    return said["value_text"] + " " + said["feedback_id"]


def same(one: object, other: object) -> bool:
    return one.equals(other) if isinstance(one, pd.DataFrame) else one == other


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("purpose", "parts"), [("training", ("models", "learned", "counted")), ("evaluation", ("judged",))]
)
def test_an_answer_without_consent_to_a_purpose_changes_nothing_of_it(seed, purpose, parts):
    items, feedback = world(seed)
    before = rooms(items, feedback)
    against = feedback[f"for_{purpose}"] == 0
    turned = feedback.assign(label=feedback["label"].where(~against, 1 - feedback["label"]))
    left = feedback[~against].reset_index(drop=True)
    for other in (turned, left):
        after = rooms(items, other)
        assert [p for p in parts if not same(before[p], after[p])] == []
    agreed = feedback.assign(label=feedback["label"].where(against, 1 - feedback["label"]))
    after = rooms(items, agreed)
    assert [p for p in parts if same(before[p], after[p])] == []  # the law is not kept by using nobody


def test_a_comment_for_evaluation_teaches_no_router():
    _, feedback = world(5)
    said = feedback[feedback["value_text"].notna()].assign(component=_filed)
    before = route.cross_fit(said, _texts(feedback)).set_index("feedback_id")["predicted"]
    turned = said.assign(component=said["component"].where(said["for_training"] == 1, "b"))
    after = route.cross_fit(turned, _texts(feedback)).set_index("feedback_id")["predicted"]
    assert set(before.index) == set(said["feedback_id"])
    assert (before == after[before.index]).all()


def test_without_consent_to_publication_nobody_is_counted_on_the_card():
    from test_card import MARGIN, made
    from test_card import world as cards

    from hfkit import card

    given = cards(1)
    given["feedback"].loc[given["feedback"]["rater_id"].isin(["r1", "r2", "r3"]), "for_publication"] = 0
    sheet, _, _ = made(given, card.Rounding())
    whole = card.exact(cards(1), MARGIN, 0.8)
    lost = (given["feedback"]["for_publication"] == 0).sum()
    key = ("usage", "all", "all", "answers used")
    assert whole.counts[key] - sheet.counts[key] == lost
    people = ("heard", "all", "all", "people")
    assert whole.counts[people] - sheet.counts[people] == 3
