"""Audit: alpha against the krippendorff package and a published figure; flags and gaps against planted truths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
import pandas as pd
import pytest

from hfkit import audit
from hfkit.audit import by_group
from hfkit.audit.reliability import compare, votes
from hfkit.commands.sample import world
from hfkit.shared import cohorts, schema

POPQUORN = Path(__file__).parents[2] / "shared" / "data" / "popquorn" / "offensiveness_ratings.csv"
RULES = audit.Rules(n_boot=200)


def shaped(name: str, **columns: object) -> pd.DataFrame:
    return schema.shape(pd.DataFrame(columns), schema.TABLES[name])


def crowd(seed: int, *, spam: int = 0, brigade: int = 0, raters: int = 60, items: int = 600) -> dict[str, pd.DataFrame]:
    """A product with 5 answers an item by raters who are right 9 times in 10; the last raters may be planted."""
    rng = np.random.default_rng(seed)
    truth = rng.random(items) < 0.3
    item = np.repeat(np.arange(items), 5)
    rater = np.concatenate([rng.choice(raters, 5, replace=False) for _ in range(items)])
    right = rng.random(len(item)) < 0.9
    label = np.where(right, truth[item], ~truth[item])
    label = np.where(rater >= raters - spam, rng.random(len(item)) < 0.5, label)
    day = rng.integers(0, 90, len(item)) + rng.random(len(item))
    if brigade:
        pushed = rng.choice(items, (brigade, 8))
        item = np.concatenate([item, pushed.ravel()])
        rater = np.concatenate([rater, np.repeat(np.arange(raters, raters + brigade), 8)])
        label = np.concatenate([label, np.ones(brigade * 8, bool)])
        day = np.concatenate([day, 40 + 2 * rng.random(brigade * 8)])
    n = len(item)
    feedback = shaped(
        "feedback", feedback_id=[f"f{i:06d}" for i in range(n)], item_id=[f"i{i:05d}" for i in item],
        rater_id=[f"r{i:03d}" for i in rater], rater_kind=["human"] * n, channel=["thumbs"] * n, question=["thumb"] * n,
        value=np.where(label, "up", "down"), component=["safety"] * n, label=label.astype(float),
        created_at=pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(day, unit="D"), seconds_spent=[20.0] * n,
    )  # fmt: skip
    people = raters + brigade
    return {
        "items": shaped("items", item_id=[f"i{i:05d}" for i in range(items)], component=["safety"] * items),
        "feedback": feedback,
        "raters": shaped("raters", rater_id=[f"r{i:03d}" for i in range(people)]),
        "population": shaped("population", cohort=[], group=[], share=[]),
    }


def run(world: dict[str, pd.DataFrame], rules: audit.Rules = RULES) -> audit.Audit:
    return audit.assess(**world, rules=rules, rng=np.random.default_rng(0))


def matrix(unit: np.ndarray, rater: np.ndarray, value: np.ndarray) -> np.ndarray:
    return pd.DataFrame({"u": unit, "r": rater, "v": value}).pivot(index="r", columns="u", values="v").to_numpy(float)


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_alpha_equals_the_krippendorff_package(level: str) -> None:
    rng = np.random.default_rng(5)
    for _ in range(10):
        data = rng.integers(1, 6, (6, 40)).astype(float)
        data[rng.random(data.shape) < 0.4] = np.nan
        rater, unit = np.nonzero(~np.isnan(data))
        alpha = audit.krippendorff_alpha(unit, data[rater, unit], level=level)[0]
        assert alpha == pytest.approx(krippendorff.alpha(data, level_of_measurement=level), abs=1e-12)


@pytest.mark.parametrize(("level", "expected"), [("ordinal", 0.2865), ("interval", 0.2872), ("nominal", 0.1339)])
def test_alpha_of_popquorn(level: str, expected: float) -> None:
    if not POPQUORN.is_file():
        pytest.skip("shared/data is absent")
    data = pd.read_csv(POPQUORN)
    alpha, low, high = audit.krippendorff_alpha(
        data["instance_id"], data["offensiveness"], level=level, rater=data["user_id"]
    )
    assert alpha == pytest.approx(expected, abs=0.0005)
    assert low < alpha < high < low + 0.08


def test_alpha_by_hand() -> None:
    # two raters, four items, one disagreement: n = 8, zeros 3, ones 5; Do = 2/8, De = 2*3*5/(8*7)
    value = audit.krippendorff_alpha([1, 1, 2, 2, 3, 3, 4, 4], [0, 0, 1, 1, 0, 1, 1, 1], level="nominal")[0]
    assert value == pytest.approx(1 - (2 / 8) / (30 / 56))


@pytest.mark.parametrize("unit", [[], [1, 2, 3], [1, 1, 2, 2]])
def test_alpha_is_undefined_without_pairs_or_variety(unit: list[int]) -> None:
    assert np.isnan(audit.krippendorff_alpha(unit, np.ones(len(unit)), level="nominal")).all()


def test_alpha_of_ready_counts_equals_the_krippendorff_package() -> None:
    counts = np.random.default_rng(4).multinomial(5, [0.1, 0.2, 0.3, 0.4], size=300)
    for level in ("nominal", "ordinal", "interval"):
        expected = krippendorff.alpha(value_counts=counts, value_domain=[0, 1, 2, 3], level_of_measurement=level)
        assert audit.alpha_of_counts(counts, [0, 1, 2, 3], level=level) == pytest.approx(expected, abs=1e-12)


def test_what_raters_add_to_alpha_equals_leaving_them_out() -> None:
    """The share of a rater is the derivative by their weight: about alpha less alpha without them."""
    rng = np.random.default_rng(3)
    truth, skill = rng.integers(1, 6, 400), rng.choice([0.3, 1.5], 40)
    unit = np.repeat(np.arange(400), 5)
    rater = np.concatenate([rng.choice(40, 5, replace=False) for _ in range(400)])
    value = np.clip(np.round(truth[unit] + skill[rater] * rng.normal(size=2000)), 1, 5)
    _, low, high = audit.krippendorff_alpha(unit, value, level="interval", rater=rater)
    without = np.array([audit.krippendorff_alpha(unit[rater != r], value[rater != r], level="interval")[0]
                        for r in range(40)])  # fmt: skip
    jackknife = np.sqrt(39 / 40 * ((without - without.mean()) ** 2).sum())
    # the jackknife over raters alone is the larger part of the variance here
    assert jackknife * 2 == pytest.approx((high - low) / 2, rel=0.25)


def test_the_interval_of_alpha_covers_where_raters_differ() -> None:
    """Three in ten of 20 raters are careless; an interval that resamples items alone covers about .8."""

    def answers(seed: int, raters: int, items: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        truth, skill = rng.normal(size=items), np.where(rng.random(raters) < 0.3, 1.5, 0.5)
        unit = np.repeat(np.arange(items), 4)
        rater = np.concatenate([rng.choice(raters, 4, replace=False) for _ in range(items)])
        value = truth[unit] + 0.5 * rng.normal(size=raters)[rater] + skill[rater] * rng.normal(size=len(unit))
        return unit, rater, np.clip(np.round(value + 3), 1, 5)

    unit, _, value = answers(0, 2000, 8000)
    limit = audit.krippendorff_alpha(unit, value, level="interval")[0]
    hits = 0
    for seed in range(1, 101):
        unit, rater, value = answers(seed, 20, 120)
        low, high = audit.krippendorff_alpha(unit, value, level="interval", rater=rater)[1:]
        hits += low <= limit <= high
    assert hits >= 84


def test_the_interval_of_alpha_covers() -> None:
    rng = np.random.default_rng(8)
    hits = 0
    for _ in range(100):
        truth = rng.random(80) < 0.5
        data = np.where(rng.random((4, 80)) < 0.85, truth, ~truth)
        unit = np.tile(np.arange(80), 4)
        low, high = audit.krippendorff_alpha(unit, data.ravel(), level="nominal")[1:]
        hits += low <= 0.49 <= high  # two raters agree 0.745 of the time, by chance 0.5: (0.745 - 0.5) / 0.5 = 0.49
    assert hits >= 88


def test_agreement_with_the_others_by_hand() -> None:
    # item a: r1 and r2 say 1, r3 says 0; item b: r1 says 1, r2 says 0; item c: only r1
    feedback = shaped(
        "feedback", feedback_id=list("123456"), item_id=list("aaabbc"), rater_id=["r1", "r2", "r3", "r1", "r2", "r1"],
        rater_kind=["human"] * 6, channel=["x"] * 6, question=["q"] * 6, component=["k"] * 6,
        label=[1.0, 1.0, 0.0, 1.0, 0.0, 1.0],
    )  # fmt: skip
    seen = compare(votes(feedback))
    # r1 on a: others split, not shared; r3 on a: others say 1, disagrees; on b both disagree; c is not shared
    assert seen["shared"].tolist() == [False, False, True, True, True, False]
    assert seen["agrees"].dropna().tolist() == [0.0, 0.0, 0.0]
    trust = audit.trust(feedback, min_answers=1, rng=np.random.default_rng(0)).set_index("rater_id")
    assert trust.loc["r1", ["n_answers", "n_shared", "agreement"]].tolist() == [3, 1, 0.0]


def test_repeated_answers_of_one_rater_are_one_vote() -> None:
    feedback = shaped(
        "feedback", feedback_id=list("12345"), item_id=["a"] * 5, rater_id=["r1", "r1", "r1", "r2", None],
        rater_kind=["human"] * 5, channel=["x"] * 5, question=["q"] * 5, component=["k"] * 5, label=[1.0, 1, 0, 0, 0],
    )  # fmt: skip
    assert sorted(votes(feedback)["label"]) == [0, 0, 1]


def test_spam_raters_are_found_and_the_others_are_not() -> None:
    # 50 answers each, 10 of 60 raters answering by coin
    found = pd.concat([run(crowd(seed, spam=10)).rater_trust.assign(seed=seed) for seed in range(5)])
    spam = found["rater_id"] >= "r050"
    assert (found["flagged"] & spam).sum() / spam.sum() >= 0.8  # recall; one in six is careless
    assert (found["flagged"] & spam).sum() / found["flagged"].sum() >= 0.95  # precision
    assert set(found.loc[found["flagged"], "reason"]) == {"careless"}


@pytest.fixture(scope="module")
def sample() -> tuple[dict[str, Any], audit.Audit]:
    made = world()
    tables = {name: made[name] for name in ("items", "feedback", "raters", "population")}
    return made["truth"], audit.assess(**tables, rules=audit.Rules(), rng=np.random.default_rng(1))


def test_the_planted_raters_of_the_sample_world_are_found(sample: tuple[dict[str, Any], audit.Audit]) -> None:
    truth, found = sample
    reasons = found.rater_trust.set_index("rater_id")["reason"]
    spam = {*truth["spam"]["random"], *truth["spam"]["constant"]}
    brigade = set(truth["brigade"]["raters"])
    flagged = set(reasons[reasons != ""].index)
    assert spam <= flagged
    assert set(reasons[reasons.str.contains("brigade")].index) >= brigade
    assert len(flagged & (spam | brigade | set(truth["harmful_cluster"]["raters"]))) / len(flagged) >= 0.9  # precision
    assert all("constant" in reasons[r] for r in truth["spam"]["constant"])
    days = found.bursts.loc[found.bursts["component"] == truth["brigade"]["component"], "day"]
    assert days.dt.strftime("%Y-%m-%d").between(truth["brigade"]["from"], truth["brigade"]["before"]).all()
    assert len(days) == 3


def test_the_quiet_cohort_of_the_sample_world_is_found(sample: tuple[dict[str, Any], audit.Audit]) -> None:
    truth, found = sample
    rows = found.evidence[found.evidence["measure"] == "rater coverage"].set_index("group")
    quiet = rows.loc[truth["quiet_cohort"]["group"]]
    assert quiet["verdict"] == "fail"
    expected = truth["quiet_cohort"]["share_of_raters"] / truth["quiet_cohort"]["share_of_population"]
    assert quiet["low"] <= expected <= quiet["high"]
    assert found.metrics["groups_heard_less"] == 1
    assert truth["quiet_cohort"]["group"] in audit.answer(found)


def test_a_brigade_is_found() -> None:
    found = run(crowd(3, brigade=15))
    brigade = set(found.rater_trust.loc[found.rater_trust["reason"].str.contains("brigade"), "rater_id"])
    planted = {f"r{i:03d}" for i in range(60, 75)}
    assert len(brigade & planted) >= 14
    assert len(brigade - planted) <= 1
    assert set(found.bursts["day"].dt.strftime("%m-%d")) <= {"02-10", "02-11"}


def test_nobody_is_flagged_where_nobody_is_unreliable() -> None:
    # stated rate: three tests at 0.05 a world, 30 worlds: fewer than 5 expected
    worlds = [run(crowd(seed, raters=40, items=150), RULES._replace(n_boot=1)) for seed in range(100, 130)]
    assert sum(w.rater_trust["flagged"].any() for w in worlds) <= 5
    assert sum(len(w.bursts) > 0 for w in worlds) <= 3


def test_too_fast_and_constant_answers_are_flagged() -> None:
    world = crowd(4)
    feedback = world["feedback"]
    feedback.loc[feedback["rater_id"] == "r001", "seconds_spent"] = 0.5
    feedback.loc[feedback["rater_id"] == "r002", "label"] = 1.0
    feedback.loc[feedback["rater_id"] == "r002", "value"] = "up"
    hasty = feedback["rater_id"] == "r003"
    feedback.loc[hasty, "seconds_spent"] = 0.5
    feedback.loc[hasty, "label"] = np.random.default_rng(0).integers(0, 2, hasty.sum()).astype(float)
    found = run(world).rater_trust.set_index("rater_id")
    assert found.loc["r001", "reason"] == ""  # quick and right: no second sign
    assert "constant" in found.loc["r002", "reason"]
    assert "too fast" in found.loc["r003", "reason"]
    assert found["flagged"].sum() == 2


def test_a_tap_of_two_seconds_is_no_haste_where_everybody_taps() -> None:
    world = crowd(5)
    world["feedback"]["seconds_spent"] = 2.0
    assert run(world).rater_trust["flagged"].sum() <= 1


def test_79_of_80_answers_alike_are_near_constant() -> None:
    world = crowd(6, raters=20, items=320)
    feedback = world["feedback"]
    mine = feedback.index[feedback["rater_id"] == "r001"]
    feedback.loc[mine, ["label", "value"]] = [1.0, "up"]
    feedback.loc[mine[0], ["label", "value"]] = [0.0, "down"]
    found = run(world).rater_trust.set_index("rater_id")
    assert "near-constant" in found.loc["r001", "reason"]
    assert found["flagged"].sum() == 1


def test_agreement_is_rescored_without_the_flagged() -> None:
    world = crowd(7, spam=15)
    found = run(world).rater_trust
    flagged = set(found.loc[found["flagged"], "rater_id"])
    assert len(flagged) >= 12
    honest = world["feedback"][~world["feedback"]["rater_id"].isin(flagged)]
    alone = compare(votes(honest)).groupby("rater_id")["agrees"].mean()
    kept = found[~found["flagged"]].set_index("rater_id")["agreement"]
    assert kept.to_numpy() == pytest.approx(alone.reindex(kept.index).to_numpy())


def test_a_double_click_is_no_brigade() -> None:
    """Three people click one answer many times on one day; three people make no campaign."""
    world = crowd(8)
    extra = world["feedback"].head(3).copy()
    many = pd.concat([extra] * 12, ignore_index=True)
    many["feedback_id"] = [f"x{k:03d}" for k in range(len(many))]
    many["created_at"] = pd.Timestamp("2026-02-10", tz="UTC") + pd.to_timedelta(np.arange(len(many)), unit="s")
    world["feedback"] = pd.concat([world["feedback"], many], ignore_index=True)
    found = run(world)
    assert found.bursts.empty
    assert not found.rater_trust["reason"].str.contains("brigade").any()


def test_who_states_nothing_is_set_apart() -> None:
    """A third does not state their age; among those who do, shares equal the population: nobody is heard less."""
    raters = [f"r{k:03d}" for k in range(300)]
    age = ["old"] * 100 + ["young"] * 100 + [None] * 100
    feedback = shaped("feedback", feedback_id=raters, item_id=raters, rater_id=raters, rater_kind=["human"] * 300,
                      channel=["x"] * 300, question=["q"] * 300, component=["k"] * 300, label=[1.0] * 300)  # fmt: skip
    items = shaped("items", item_id=raters, component=["k"] * 300)
    people = shaped("raters", rater_id=raters, **{"cohort.age": pd.array(age, dtype="str")})
    population = shaped("population", cohort=["age"] * 2, group=["old", "young"], share=[0.5, 0.5])
    found = by_group(items, feedback, people, population, min_ratio=0.8, min_people=5).set_index("group")
    assert found.loc[["rater.age=old", "rater.age=young"], "ratio"].tolist() == [1.0, 1.0]
    assert found.loc["rater.age=old", "verdict"] == "pass"
    apart = found.loc["rater.age=not stated"]
    assert (apart["n"], np.isnan(apart["ratio"]), apart["verdict"]) == (100, True, "inconclusive")
    assert "set apart" in apart["note"]


def test_worst_cases_by_hand() -> None:
    """4 of 10 items answered, 1 of them an event: between 1 and 7 of 10. Acting pays from .4: 3 of 6 silent ones."""
    items = shaped("items", item_id=list("abcdefghij"), component=["k"] * 10)
    feedback = shaped("feedback", feedback_id=list("1234"), item_id=list("abcd"), rater_kind=["human"] * 4,
                      channel=["x"] * 4, question=["q"] * 4, component=["k"] * 4, label=[1.0, 0, 0, 0])  # fmt: skip
    parts = pd.DataFrame({"component": ["k"], "threshold": 0.5, "cost_false_alarm": 2.0, "cost_miss": 3.0})
    row = audit.worst_cases(items, feedback, parts).iloc[0]
    assert row[["answered", "event_share", "lowest", "highest"]].tolist() == pytest.approx([0.4, 0.25, 0.1, 0.7])
    assert row[["turns_at", "silent_needed", "odds_ratio"]].tolist() == pytest.approx([0.4, 0.5, 3.0])


def test_what_tilts_answers_by_hand() -> None:
    """Through the app everybody sees the event, elsewhere nobody; those who were shown a prediction follow it."""
    n = 30
    names = [f"i{k:02d}" for k in range(n)]
    feedback = shaped(
        "feedback", feedback_id=[f"f{k:03d}" for k in range(2 * n)], item_id=names * 2,
        rater_id=["r1"] * n + ["r2"] * n, rater_kind=["human"] * 2 * n, channel=["app"] * n + ["web"] * n,
        question=["q"] * 2 * n, component=["k"] * 2 * n, label=[1.0] * n + [0.0] * n, shown=[1.0] * n + [np.nan] * n,
        value_text=["text"] * n + [None] * n,
    )  # fmt: skip
    raters = shaped("raters", rater_id=["r1", "r2"], **{"cohort.age": ["old", "young"]})
    tilted = audit.skews(feedback, raters, min_people=1)
    assert tilted.channels.set_index("channel")["value"].to_dict() == {"app": 1.0, "web": -1.0}
    assert tilted.anchoring.loc[0, ["items", "value"]].tolist() == [n, 1.0]
    blank = tilted.blanks.set_index(["field", "group"])["value"]
    assert blank[("value_text", "channel=web")] == 1.0
    assert ("value_text", "rater.age=young") not in blank  # the web never asked for it: no sign about the young
    assert tilted.divided.loc[0, ["one", "share_one", "other", "share_other"]].tolist() == [
        "rater.age=old", 1.0, "rater.age=young", 0.0,
    ]  # fmt: skip


def test_a_minority_view_is_not_flagged() -> None:
    # a fifth of raters sees the event in 15 % more items, in all of them alike: they differ, but follow the items
    world = crowd(6)
    feedback = world["feedback"]
    mild = (feedback["rater_id"] >= "r048") & (feedback["item_id"].str[-2:].astype(int) < 15)
    feedback.loc[mild, "label"] = 1.0
    assert run(world).rater_trust["flagged"].sum() <= 1


def test_coverage_by_hand() -> None:
    raters = shaped("raters", rater_id=[f"r{i}" for i in range(100)], **{"cohort.age": ["old"] * 20 + ["young"] * 80})
    items = shaped("items", item_id=[f"i{i}" for i in range(200)], component=["k"] * 200,
                   **{"cohort.lang": ["es"] * 100 + ["en"] * 100})  # fmt: skip
    feedback = shaped("feedback", feedback_id=[f"f{i}" for i in range(100)], rater_id=[f"r{i}" for i in range(100)],
                      item_id=[f"i{i}" for i in range(80, 180)], rater_kind=["human"] * 100, channel=["x"] * 100,
                      question=["q"] * 100, component=["k"] * 100, label=[1.0] * 100)  # fmt: skip
    population = shaped("population", cohort=["age", "age"], group=["old", "young"], share=[0.4, 0.6])
    found = by_group(items, feedback, raters, population, min_ratio=0.8, min_people=5).set_index("group")
    assert found.loc["rater.age=old", ["share", "reference", "ratio"]].tolist() == pytest.approx([0.2, 0.4, 0.5])
    assert found.loc["rater.age=old", "verdict"] == "fail"
    assert found.loc["rater.age=young", "verdict"] == "pass"
    # 20 of the 100 items with feedback are es, and half of the items served
    assert found.loc["served.lang=es", ["n", "share", "ratio", "verdict"]].tolist() == [100, 0.2, 0.4, "fail"]
    assert found.loc["rater.age=old", "low"] == pytest.approx(0.1334 / 0.4, abs=1e-3)  # Wilson 20/100: 0.1334, 0.2888


def test_groups_of_few_raters_are_named_and_not_numbered() -> None:
    world = crowd(2)
    world["raters"]["cohort.age"] = ["a"] * 4 + ["b"] * 16 + ["c & d"] * 40
    found = run(world)
    evidence = found.evidence[found.evidence["group"].str.startswith("rater.age=")].set_index(["measure", "group"])
    for measure in ("rater coverage", "flagged share"):
        small, next_, large = (evidence.loc[(measure, f"rater.age={g}")] for g in ("a", "b", '"c & d"'))
        assert small["note"] == "fewer than 5 raters: named, not numbered"
        assert np.isnan([small["value"], small["low"]]).all()
        assert small["verdict"] in ("inconclusive", "info")
        assert (small["n"], next_["n"], large["n"]) == (0, 0, 40)  # 60 less 40 and 16 would be the small one


def test_agreement_alone_gates_nothing() -> None:
    """A low alpha is a finding: it stands in the evidence without a target, and says so."""
    rows = run(crowd(2)).evidence
    alphas = rows[rows["measure"].str.startswith("alpha ")]
    assert len(alphas)
    assert set(alphas["verdict"]) == {"info"}


def test_unknown_cohorts_are_a_group() -> None:
    world = crowd(2)
    world["raters"]["cohort.age"] = pd.array(["a"] * 30 + [None] * 30, dtype="str")
    groups = set(run(world).coverage["group"])
    assert groups == {"rater.age=a", "rater.age=not stated"}


def test_feedback_without_raters_dates_and_times_is_measured_as_far_as_it_goes() -> None:
    # like logged clicks: one anonymous answer an item
    n = 300
    items = shaped("items", item_id=[f"i{i}" for i in range(n)], component=["recommendation"] * n)
    feedback = shaped("feedback", feedback_id=[f"f{i}" for i in range(n)], item_id=[f"i{i}" for i in range(n)],
                      rater_kind=["human"] * n, channel=["log"] * n, question=["click"] * n, value=["0"] * n,
                      component=["recommendation"] * n, label=[0.0] * n)  # fmt: skip
    world = {"items": items, "feedback": feedback, "raters": shaped("raters", rater_id=[]),
             "population": shaped("population", cohort=[], group=[], share=[])}  # fmt: skip
    found = run(world)
    assert len(found.rater_trust) == 0
    rows = found.evidence.set_index("measure")
    for measure, column in {
        "alpha nominal": "rater_id",
        "flagged share": "rater_id",
        "burst days": "created_at",
    }.items():
        assert rows.loc[measure, "verdict"] == "info"
        assert np.isnan(rows.loc[measure, "value"])
        assert column in rows.loc[measure, "note"]
    assert rows.loc["feedback share", "value"] == 1.0
    assert audit.answer(found).startswith(
        "No rater is known. Raters agree enough on 0 questions and too little on 0; on 1 "
    )


def test_popquorn_runs_and_few_raters_are_flagged() -> None:
    if not POPQUORN.is_file():
        pytest.skip("shared/data is absent")
    world = popquorn() | {"levels": dict.fromkeys(popquorn()["feedback"]["question"].unique(), "ordinal")}
    found = run(world)
    ordinal = found.agreement[found.agreement["group"] == "all"].set_index("level").loc["ordinal"]
    assert ordinal["value"] == pytest.approx(0.2865, abs=0.0005)
    assert ordinal["verdict"] == "fail"
    assert len(found.rater_trust) == 262
    assert found.rater_trust["flagged"].mean() < 0.1
    assert "too fast" not in set(found.rater_trust["reason"])


def popquorn() -> dict[str, pd.DataFrame]:
    data = pd.read_csv(POPQUORN)
    n = len(data)
    cohorts = ["gender", "race", "age", "occupation", "education"]
    people = data.drop_duplicates("user_id")
    feedback = shaped(
        "feedback", feedback_id=[f"f{i:05d}" for i in range(n)], item_id=data["instance_id"].astype(str),
        rater_id=data["user_id"].astype(str), rater_kind=["human"] * n, channel=["annotation"] * n,
        question=["offensiveness"] * n, value=data["offensiveness"].astype(int).astype(str),
        component=["offensive"] * n, label=(data["offensiveness"] >= 3).astype(float),
    )  # fmt: skip
    items = sorted(set(feedback["item_id"]))
    return {
        "items": shaped("items", item_id=items, component=["offensive"] * len(items)),
        "feedback": feedback,
        "raters": shaped(
            "raters", rater_id=people["user_id"].astype(str), **{f"cohort.{c}": people[c] for c in cohorts}
        ),
        "population": shaped("population", cohort=[], group=[], share=[]),
    }


def test_the_order_of_rows_does_not_matter() -> None:
    world = crowd(7, spam=5, brigade=10)
    mixed = {name: table.sample(frac=1, random_state=1) for name, table in world.items()}
    one, two = run(world), run(mixed)
    for a, b in zip(one, two, strict=True):
        if isinstance(a, pd.DataFrame):
            pd.testing.assert_frame_equal(a, b)
        else:
            assert a == b


def test_no_total_gives_a_small_group_back() -> None:
    """For every attribute: what is unnumbered is nobody, or several groups of together at least min_people."""
    rng = np.random.default_rng(3)
    for _ in range(200):
        sizes = rng.integers(0, 12, rng.integers(1, 6))
        hidden = np.array([note != "" for note in cohorts.withheld(sizes, 5)])
        assert hidden[(sizes > 0) & (sizes < 5)].all()
        rest = (sizes > 0) & ~hidden
        if hidden.any() and rest.any():
            assert hidden.sum() > 1
            assert sizes[hidden].sum() >= 5
    world = crowd(1)
    raters = world["raters"].assign(
        **{"cohort.kind": ["rare"] * 3 + ["some"] * 10 + ["most"] * (len(world["raters"]) - 13)}
    )
    found = run(world | {"raters": raters})
    rows = found.coverage[found.coverage["group"].str.startswith("rater.kind=")].set_index("group")
    assert rows.loc[["rater.kind=rare", "rater.kind=some"], ["share", "ratio", "low"]].isna().all(axis=None)
    assert (rows.loc[["rater.kind=rare", "rater.kind=some"], "n"] == 0).all()
    assert rows.loc["rater.kind=most", "n"] > 0
