# ruff: noqa: E501 - tables as literals
"""Judges that are no people: compared with people, never counted as one. By scikit-learn, by hand, in planted worlds."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score, recall_score

from hfkit import aggregate, audit
from hfkit.shared import schema
from hfkit.shared.errors import ParamError

NO_RATERS = pd.DataFrame({"rater_id": pd.Series(dtype=str)})
TRUST = pd.DataFrame({"rater_id": pd.Series(dtype=str), "flagged": pd.Series(dtype=bool)})


def answers(rows):
    """rater_id, kind, item_id, label and day of each answer, as clean leaves them."""
    frame = pd.DataFrame(rows, columns=["rater_id", "rater_kind", "item_id", "label", "day"])
    return schema.shape(pd.DataFrame({
        "feedback_id": [f"f{k:05}" for k in range(len(frame))], "channel": "x", "question": "q", "component": "c",
        "value": "v", "created_at": pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(frame["day"], "D"),
        "for_training": 1, "for_evaluation": 1, "for_publication": 0, **frame.drop(columns="day").to_dict("list"),
    }), schema.FEEDBACK)  # fmt: skip


def things(n, **more):
    return schema.shape(pd.DataFrame({"item_id": [f"i{k}" for k in range(n)], "component": "c", **more}), schema.ITEMS)


def test_three_judges_do_not_outvote_two_people():
    feedback = answers([(f"m{k}", "model", "i0", 1.0, 0) for k in range(3)] + [("u", "human", "i0", 0.0, 0),
                                                                              ("v", "human", "i0", 0.0, 0)])  # fmt: skip
    judged = aggregate.judgements(feedback, things(1), NO_RATERS, TRUST, drop_flagged=True)
    assert judged["weight"].tolist() == [0.0, 0.0, 0.0, 1.0, 1.0]
    made = aggregate.combine(judged, things(1))
    assert made.labels[["label", "p", "n_answers"]].to_numpy().tolist() == [[0, 0.0, 2]]
    assert "3 answers of models and programs made no label" in aggregate.answer(made)
    counted = aggregate.judgements(feedback, things(1), NO_RATERS, TRUST, drop_flagged=True, judges="count")
    assert aggregate.combine(counted, things(1)).labels["p"].tolist() == [0.6]
    with pytest.raises(ParamError, match="report or count"):
        aggregate.judgements(feedback, things(1), NO_RATERS, TRUST, drop_flagged=True, judges="yes")


def compared(feedback, items, n_boot=400):
    return audit.judges(feedback, items, min_people=5, rng=np.random.default_rng(0), n_boot=n_boot)


def planted(n=600, sens=0.9, spec=0.7, late=0.0, seed=0):
    """A judge with known rates against people who are always right; `late` is what its second half loses."""
    rng = np.random.default_rng(seed)
    event = rng.random(n) < 0.4
    hit = rng.random(n) < np.where(event, sens, spec) - late * (np.arange(n) >= n // 2)
    rows = [(f"u{k % 20}", "human", f"i{k}", float(event[k]), k) for k in range(n)]
    rows += [("gpt", "model", f"i{k}", float(event[k] == hit[k]), k) for k in range(n)]
    return answers(rows), things(n, **{"cohort.language": np.where(np.arange(n) < n - 4, "en", "de")}), event, hit


def test_a_judge_is_compared_as_scikit_learn_compares_it():
    feedback, items, event, hit = planted()
    row = compared(feedback, items).set_index("group").loc["all"]
    says = event == hit
    assert (row["items"], row["people"]) == (600, 20)
    assert row["agreement"] == pytest.approx((event == says).mean())
    assert row["kappa"] == pytest.approx(cohen_kappa_score(event, says))
    assert row["sensitivity"] == pytest.approx(recall_score(event, says))
    assert row["specificity"] == pytest.approx(recall_score(~event, ~says))
    for name, low in (("agreement", "low"), ("kappa", "kappa_low"), ("sensitivity", "sensitivity_low")):
        assert row[low] < row[name]


def test_intervals_hold_what_was_planted():
    held = {"sensitivity": 0, "specificity": 0}
    for seed in range(200):
        feedback, items, *_ = planted(n=150, seed=seed)
        row = compared(feedback, items, n_boot=50).iloc[0]
        for name, truth in (("sensitivity", 0.9), ("specificity", 0.7)):
            held[name] += row[f"{name}_low"] <= truth <= row[f"{name}_high"]
    assert min(held.values()) >= 0.92 * 200


def test_a_judge_that_drifts_is_seen_and_one_that_does_not_is_not():
    drifting = compared(*planted(late=0.3)[:2]).iloc[0]
    assert drifting["shift_high"] < 0
    steady = [compared(*planted(n=200, seed=s)[:2], n_boot=20).iloc[0] for s in range(100)]
    assert np.mean([(r["shift_low"] > 0) | (r["shift_high"] < 0) for r in steady]) <= 0.08


def test_few_items_and_few_people_have_no_number():
    feedback, items, *_ = planted()
    rows = compared(feedback, items).set_index("group")
    assert rows.loc["served.language=de", "note"] == "fewer than 5 people: named, not numbered"
    assert rows.loc["served.language=de", ["agreement", "kappa"]].isna().all()
    assert rows.loc["served.language=en", "items"] == 596
    alone = answers([("gpt", "model", "i0", 1.0, 0), ("u", "human", "i1", 1.0, 0)])
    assert compared(alone, things(2)).iloc[0]["note"] == "fewer than 10 items that people answered too"
    assert compared(answers([("u", "human", "i0", 1.0, 0)]), things(1)).empty


def test_people_have_one_vote_each_and_a_split_says_nothing():
    rows = [("u", "human", "i0", 1.0, d) for d in range(5)] + [
        ("v", "human", "i0", 0.0, 0),
        ("w", "human", "i0", 0.0, 0),
    ]
    rows += [("u", "human", "i1", 1.0, 0), ("v", "human", "i1", 0.0, 0)]
    truth = audit.judges.__globals__["_truth"](answers(rows))
    assert truth.to_numpy().tolist() == [["c", "i0", 0.0]]
