"""Route: misfiled comments are found, a world without misfiling is left alone, people decide where nothing is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hfkit import route
from hfkit.commands.sample import world
from hfkit.shared import schema
from hfkit.shared.errors import ParamError
from hfkit.shared.intervals import wilson

TOPICS = {
    "search": ["results", "ranking", "query", "missing", "found", "irrelevant", "list", "order", "page", "keyword"],
    "billing": ["invoice", "charged", "refund", "card", "price", "twice", "receipt", "payment", "amount", "month"],
    "voice": ["microphone", "accent", "heard", "noise", "speech", "cut", "sentence", "audio", "loud", "volume"],
}
COMMON = ["the", "was", "very", "not", "and", "it", "again", "today", "please", "why", "still", "bad", "wrong", "this"]
COMPONENTS = pd.DataFrame({"component": list(TOPICS)})


def feedback(n: int, *, misfiled: float, told: bool = True, seed: int = 3) -> tuple[pd.DataFrame, pd.Series]:
    """Comments about a component, a share of them filed under another; `told`: the words depend on the component."""
    rng = np.random.default_rng(seed)
    names = np.array(list(TOPICS))
    true = rng.integers(0, 3, n)
    filed = np.where(rng.random(n) < misfiled, (true + rng.integers(1, 3, n)) % 3, true)
    about = true if told else rng.integers(0, 3, n)
    text = [" ".join([*rng.choice(COMMON, 4), *rng.choice(TOPICS[names[a]], 4)]) for a in about]
    frame = pd.DataFrame({
        "feedback_id": [f"f{i:04d}" for i in range(n)], "component": names[filed], "value_text": text,
        "rater_id": [f"u{i}" for i in rng.integers(0, n // 5, n)],
    })  # fmt: skip
    return frame, pd.Series(names[true], index=frame["feedback_id"])


def test_misfiled_comments_are_found() -> None:
    frame, truth = feedback(900, misfiled=0.08)
    routes, _ = route.assign(frame, COMPONENTS)
    moved = routes[routes["method"] == "model"]
    right = moved["routed"].to_numpy() == truth[moved["feedback_id"]].to_numpy()
    misfiled = (routes["filed"].to_numpy() != truth[routes["feedback_id"]].to_numpy()).sum()
    assert right.mean() >= 0.95  # precision
    assert right.sum() / misfiled >= 0.6  # recall
    assert (moved["confidence"] >= 0.8).all()


def test_words_that_say_nothing_move_nothing() -> None:
    """Null world: comments do not depend on the component. The model has no skill, so it is not used at all."""
    frame, _ = feedback(900, misfiled=0.0, told=False)
    routes, held_out = route.assign(frame, COMPONENTS)
    assert (routes["method"] == "filed").all()
    assert (routes["routed"] == routes["filed"]).all()
    low, base = route.skill(held_out)
    assert low <= base
    table = route.evidence(routes, held_out)
    assert table.set_index("measure").loc["held-out accuracy", "verdict"] in ("fail", "inconclusive")


def test_correct_filing_is_left_alone() -> None:
    frame, _ = feedback(900, misfiled=0.0)
    routes, _ = route.assign(frame, COMPONENTS)
    assert (routes["method"] == "model").mean() <= 0.002


def test_vague_comments_go_to_a_person() -> None:
    frame, _ = feedback(900, misfiled=0.02)
    rng = np.random.default_rng(1)
    frame.loc[:59, "value_text"] = [" ".join(rng.choice(COMMON, 6)) for _ in range(60)]
    routes, _ = route.assign(frame, COMPONENTS, abstain_below=0.5)
    vague = routes["feedback_id"] <= "f0059"
    assert (
        (routes.loc[vague, "method"] == "abstain").mean()
        > 0.5
        > 0.1
        > (routes.loc[~vague, "method"] == "abstain").mean()
    )
    assert routes.loc[routes["method"] == "abstain", ["routed", "confidence"]].isna().all(axis=None)


def test_no_comment_is_judged_by_a_model_that_saw_it() -> None:
    """A comment of made-up words filed under billing, copied: its twin must not teach the model the answer."""
    frame, _ = feedback(600, misfiled=0.0)
    twin = frame.head(2).assign(
        feedback_id=["z1", "z2"], rater_id=["p", "q"], component="billing", value_text="zxq vvk"
    )
    _, held_out = route.assign(pd.concat([frame, twin]), COMPONENTS)
    seen = held_out.set_index("feedback_id").loc[["z1", "z2"]]
    assert seen["group"].nunique() == 1
    assert (seen["p_filed"] < 0.6).all()


def test_order_of_rows_does_not_matter() -> None:
    frame, _ = feedback(400, misfiled=0.1)
    first = route.assign(frame, COMPONENTS)
    again = route.assign(frame.sample(frac=1, random_state=5), COMPONENTS.iloc[::-1])
    for a, b in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(a, b)


def test_without_text_everything_stays_as_filed() -> None:
    """open_bandit and popquorn: no comments, one component."""
    frame = pd.DataFrame(
        {"feedback_id": ["b", "a"], "component": "recommendation", "value_text": None, "rater_id": None}
    )
    routes, held_out = route.assign(frame, pd.DataFrame({"component": ["recommendation"]}))
    assert routes[["feedback_id", "routed", "method"]].values.tolist() == [
        ["a", "recommendation", "filed"],
        ["b", "recommendation", "filed"],
    ]
    table = route.evidence(routes, held_out)
    assert set(table.loc[table["measure"].str.endswith("accuracy"), "verdict"]) == {"inconclusive"}
    assert "not enough data" in route.answer(routes, table)
    assert route.curve(held_out)["accuracy"].isna().all()
    assert route.metrics(routes, held_out, table)["answers"] == 2


def test_nothing_at_all() -> None:
    empty = pd.DataFrame({c: pd.Series(dtype="str") for c in ("feedback_id", "component", "value_text", "rater_id")})
    routes, held_out = route.assign(empty, COMPONENTS)
    table = route.evidence(routes, held_out)
    assert len(routes) == 0
    assert table["value"].isna().all()
    assert len(route.moves(routes)) == 0


def test_shares_are_counts() -> None:
    frame, _ = feedback(300, misfiled=0.1)
    routes, held_out = route.assign(frame, COMPONENTS, rules=[{"component": "billing", "words": ["refund"]}])
    table = route.evidence(routes, held_out)
    row = table[(table["measure"] == "share rule") & (table["component"] == "all")].iloc[0]
    hits = frame["value_text"].str.split().map(lambda w: "refund" in w).sum()
    assert row["value"] == pytest.approx(hits / 300)
    assert (row["low"], row["high"]) == pytest.approx([float(v) for v in wilson(hits, 300)])
    counted = route.moves(routes)
    assert counted["n"].sum() == 300
    assert counted.groupby("filed")["share"].sum().to_numpy() == pytest.approx(np.ones(3))
    assert list(table.columns) == [c.name for c in schema.EVIDENCE.columns]


@pytest.mark.parametrize("rule", [{"component": "nowhere", "words": ["x"]}, {"component": "voice", "words": []}, {}])
def test_a_rule_that_cannot_work_is_an_error(rule: dict[str, object]) -> None:
    frame, _ = feedback(30, misfiled=0.0)
    with pytest.raises(ParamError, match=r"route\.rules\[0\]"):
        route.assign(frame, COMPONENTS, rules=[rule])


def test_one_rater_stays_in_one_fold() -> None:
    text = pd.Series([f"t{i}" for i in range(12)])
    group = route.groups(text, pd.Series(["u", "u", *[None] * 10]))
    assert group[0] == group[1]
    assert len(set(group)) == 11


def test_sample_world() -> None:
    """The planted misrouted comments: 95 of 100 moves are right, and two of three misrouted comments are moved."""
    made = world()
    planted = pd.Series(made["truth"]["misrouted"])
    routes, held_out = route.assign(made["feedback"], made["components"])
    planted = planted[planted.index.isin(routes["feedback_id"])]
    moved = routes[routes["method"] == "model"].set_index("feedback_id")["routed"]
    right = (moved == planted.reindex(moved.index)).sum()
    assert right / len(moved) >= 0.95
    assert right / len(planted) >= 0.65
    table = route.evidence(routes, held_out).set_index(["measure", "component"])
    assert table.loc[("held-out accuracy", "all"), "verdict"] == "pass"
    # "Thanks" and its like are filed everywhere and must not move.
    thanks = made["feedback"]["value_text"].fillna("").str.contains("thanks")
    assert not moved.index.isin(made["feedback"].loc[thanks, "feedback_id"]).any()
