"""Retrospective against hand-made records, hand arithmetic, and channels whose worth was planted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from hfkit import retrospective as ro
from hfkit.shared import evidence as ev
from hfkit.shared.errors import BadValue


def now() -> pd.DataFrame:
    rows = [
        ev.row("AUC (baseline)", component="c", value=0.80, low=0.75, high=0.85, n=90),
        ev.row("AUC (candidate)", component="c", value=0.90, low=0.88, high=0.92, n=90),
        ev.row("selection_rate", component="c", group="served.language=es", value=0.4, low=0.3, high=0.5, n=50),
        ev.row("ece", value=float("nan"), n=3, note="too few rows"),
    ]
    return ev.table(rows).assign(room="retrain")


def promise(measure: str, promised: float, better: str = "higher", **more: str) -> dict[str, object]:
    return {"measure": measure, "promised": promised, "better": better, "component": "c", **more}


@pytest.mark.parametrize(
    ("given", "outcome", "note"),
    [
        (promise("AUC (baseline)", 0.7), "kept", ""),
        (promise("AUC (baseline)", 0.86), "broken", ""),
        (promise("AUC (baseline)", 0.8), "inconclusive", "contains the promise"),
        (promise("AUC (baseline)", 0.9, "lower"), "kept", ""),
        (promise("AUC (candidate)", 0.87), "broken", "measured as AUC (baseline)"),  # the candidate of then serves now
        (promise("selection_rate", 0.2, group="served.language=es"), "kept", ""),
        (promise("selection_rate", 0.2), "inconclusive", "no evidence"),
        (promise("AUC", 0.7), "kept", "measured as AUC (baseline)"),
        (promise("ece", 0.1, "lower", component="all"), "inconclusive", "too few rows"),
        (promise("log loss change", -0.1, "lower"), "inconclusive", "older one no longer runs"),
        (promise("AUC (baseline)", 0.7, "target"), "inconclusive", "which direction"),
    ],
)
def test_promises(given, outcome, note):
    row = ro.promises({"release": "v0", "promises": [given]}, now()).iloc[0]
    assert row["outcome"] == outcome
    assert note in row["note"]


def test_the_latest_record_counts_and_a_broken_one_is_named():
    old = {"release": "v0", "date": "2026-02-01", "promises": []}
    new = {"release": "a-hotfix", "date": "2026-05-01", "promises": [promise("x", 1)]}
    assert ro.last_release([("1.json", new), ("2.json", old)]) == new
    unclear = [{"measure": "x"}], [promise("x", float("nan"))]
    for bad in (
        [],
        {"release": "v1"},
        {"release": 1, "promises": []},
        *({"release": "v", "promises": u} for u in unclear),
    ):
        with pytest.raises(BadValue, match=r"releases/b\.json"):
            ro.last_release([("a.json", old), ("b.json", bad)])


def test_without_a_record_nothing_is_claimed():
    record = ro.last_release([])
    kept = ro.promises(record, now())
    found = ro.evidence(kept, pd.DataFrame(columns=ro._PAYOFF))
    assert found["verdict"].tolist() == ["inconclusive"]
    assert "no release record" in found["note"].iloc[0]
    assert "No release is recorded" in ro.answer(kept, pd.DataFrame(columns=ro._PAYOFF))


def world(n: int = 1200) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Four channels on all items: three honest ones, and `liar`, a program that says the opposite."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=n)
    ids = np.array([f"i{k:04d}" for k in range(n)])
    items = pd.DataFrame({"item_id": ids, "text": pd.Series([None] * n, dtype="str"), "score": np.nan, "feature.z": z})
    said = {c: (rng.random(n) < expit(2 * z)).astype(int) for c in ("good", "fine", "fair", "liar")}
    said["liar"] = 1 - said["liar"]
    parts = [pd.DataFrame({"item_id": ids, "channel": c, "label": y}) for c, y in said.items()]
    judged = pd.concat(parts, ignore_index=True).assign(component="c", weight=1.0)
    judged["feedback_id"] = judged.index.astype(str)
    judged["rater_kind"] = np.where(judged["channel"] == "liar", "code", "human")
    split = np.where(rng.random(n) < 0.5, "train", "test")
    return items, judged, pd.DataFrame({"item_id": ids, "component": "c", "split": split})


def payoff(items, judged, predictions) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return ro.payoff(items, judged, predictions, min_people=5, penalty=1.0, n_boot=200, rng=rng)


def test_the_liar_costs():
    found = payoff(*world()).set_index("name")
    assert found.loc[["liar", "code"], "outcome"].tolist() == ["cost us", "cost us"]
    assert found.loc["liar", "answers"] == 1200
    assert (found["rows_lost"] == 0).all()  # every item was answered through every channel
    assert "cost us: liar" in ro.answer(ro.promises({}, now()), found.reset_index())


def test_an_honest_channel_that_labels_what_no_other_does_pays_off():
    items, judged, predictions = world(600)
    rng = np.random.default_rng(2)
    items = items.assign(**{f"feature.noise{k}": rng.normal(size=600) for k in range(25)})
    train = predictions.loc[predictions["split"] == "train", "item_id"].to_numpy()
    shared = set(train[: len(train) // 5])
    kept = (judged["channel"] == "good") | judged["item_id"].isin(shared) | ~judged["item_id"].isin(train)
    found = payoff(items, judged[kept & (judged["channel"] != "liar")], predictions).set_index("name")
    assert found.loc["good", "outcome"] == "paid off"
    assert found.loc["good", "rows_lost"] == len(train) - len(shared)
    assert "paid off: good" in ro.answer(ro.promises({}, now()), found.reset_index())


def test_a_channel_alone_and_flagged_answers_say_nothing():
    items, judged, predictions = world(300)
    alone = payoff(items, judged[judged["channel"] == "good"], predictions)
    assert set(alone["note"]) == {"it is the only source: nothing to compare with"}
    assert set(alone["outcome"]) == {"inconclusive"}
    muted = payoff(items, judged.assign(weight=(judged["channel"] != "liar").astype(float)), predictions)
    assert "liar" not in set(muted["name"])


def test_rows_lost_are_those_only_this_channel_labels():
    items, judged, predictions = world(300)
    train = set(predictions.loc[predictions["split"] == "train", "item_id"])
    some = sorted(train)[:40]
    fewer = judged[(judged["channel"] == "good") | ~judged["item_id"].isin(some)]
    found = payoff(items, fewer, predictions).set_index("name")["rows_lost"]
    assert found["good"] == 40
    assert found["fair"] == 0


def test_order_of_rows_is_immaterial_and_components_are_pooled():
    items, judged, predictions = world(300)
    both = pd.concat([judged, judged.assign(component="d", feedback_id="d" + judged["feedback_id"])])
    said = pd.concat([predictions, predictions.assign(component="d")])
    one = payoff(items, both, said)
    pd.testing.assert_frame_equal(
        one, payoff(items.sample(frac=1, random_state=1), both.sample(frac=1, random_state=2), said)
    )
    total = ro.total(one).set_index("name")
    parts = one[one["component"] != "all"].groupby("name")
    assert total.loc["good", "value"] == pytest.approx(parts["value"].mean()["good"])
    assert total.loc["good", "answers"] == 600


def test_rater_kind_and_evidence_and_metrics():
    items, judged, predictions = world(300)
    feedback = judged[["feedback_id", "rater_kind"]].iloc[1:]
    kinds = ro.with_kind(judged.drop(columns="rater_kind"), feedback)["rater_kind"]
    assert kinds.iloc[0] == "not stated"
    assert (kinds.iloc[1:] == judged["rater_kind"].iloc[1:]).all()
    kept = ro.promises({"release": "v0", "promises": [promise("AUC (baseline)", 0.7)]}, now())
    paid = payoff(items, judged, predictions)
    found = ro.evidence(kept, paid)
    assert found.loc[found["verdict"] != "info", "verdict"].tolist() == ["pass"]
    assert len(found) == 1 + len(paid)
    assert ro.metrics(kept, paid)["promises_kept"] == 1
    assert "Promises of v0: 1 kept, 0 broken, 0 inconclusive." in ro.answer(kept, paid)
