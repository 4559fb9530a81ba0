"""Whose labels count: hand arithmetic, brute force over all sets of raters, planted worlds, and what cannot be said."""

import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student
from sklearn.metrics import accuracy_score, log_loss

from hfkit import fairness
from hfkit.fairness.labels.deciders import _greedy, _moments, by_interval, by_sign, fewest_raters
from hfkit.fairness.labels.rules import answers, by_rule, poststratified
from hfkit.shared import cluster, measures, schema

COMPONENTS = pd.DataFrame({"component": ["safety"], "threshold": [0.5]})
NOBODY = pd.DataFrame({"cohort": pd.Series(dtype=str), "group": pd.Series(dtype=str), "share": pd.Series(dtype=float)})


def tables(said, baseline, candidate, **cohorts):
    """The input tables of a world: what was said is (item, rater, label), scores one an item, cohorts one a rater."""
    frame = pd.DataFrame(said, columns=["item", "rater", "label"])
    judgements = pd.DataFrame({
        "feedback_id": [f"f{k:05d}" for k in range(len(frame))], "component": "safety", "weight": 1.0,
        "item_id": [f"i{k:04d}" for k in frame["item"].astype(int)], "label": frame["label"].astype(int),
        "rater_id": [f"r{k:03d}" for k in frame["rater"].astype(int)],
        **{f"rater.{c}": [groups[int(r)] for r in frame["rater"]] for c, groups in cohorts.items()},
    })  # fmt: skip
    predictions = pd.DataFrame({
        "item_id": [f"i{k:04d}" for k in range(len(baseline))], "component": "safety", "split": "test",
        "baseline": np.asarray(baseline, float), "candidate": np.asarray(candidate, float),
    })  # fmt: skip
    return COMPONENTS, judgements, predictions


def split_world(n=40, raters=10):
    """Two groups of raters; a sees the event nowhere, b everywhere; the candidate says event, the baseline not."""
    said = [(i, r, int(r >= raters)) for i in range(n) for r in range(2 * raters) if r < raters or r % 2]
    return tables(said, [0.2, 0.3] * (n // 2), [0.8, 0.6] * (n // 2), side=["a"] * raters + ["b"] * raters)


def pick(frame, rule):
    found = frame[frame["rule"] == rule]
    assert len(found) == 1
    return found.iloc[0]


def test_the_majority_row_is_the_paired_difference_of_scikit_learn():
    rng = np.random.default_rng(1)
    said = [(i, 3 * k + i % 3, int(rng.random() < 0.5)) for i in range(60) for k in range(3)]
    world = tables(said, rng.random(60), rng.random(60))
    y = (pd.DataFrame(said).groupby(0)[2].mean() > 0.5).astype(int)
    p = world[2].set_index("item_id")
    for measure, peer in (
        ("log loss", lambda s: log_loss(y, s)),
        ("accuracy", lambda s: accuracy_score(y, s >= 0.5)),
    ):
        row = pick(by_rule(*world, NOBODY, measure=measure), "majority vote")
        assert row["value"] == pytest.approx(peer(p["candidate"]) - peer(p["baseline"]), abs=1e-12)
        assert (row["n"], row["flips"]) == (60, "no")
        assert row["low"] < row["value"] < row["high"]


def test_poststratification_by_hand():
    """Three of a say 0, one of b says 1, one unlisted says 1; population 40 : 60. Vote: 2/5 event; weighted .68."""
    weight = poststratified([0] * 5, list("aaabx"), [1.0] * 5, {"a": 0.4, "b": 0.6, "c": 0.0})
    assert weight == pytest.approx([0.4 * 4 / 3] * 3 + [0.6 * 4, 1.0])
    assert weight.sum() == pytest.approx(5)
    assert (weight[3] + weight[4]) / 5 == pytest.approx((0.6 * 4 + 1) / 5)  # 0.68: the event, against the plain vote
    only = poststratified([1, 1], ["a", "a"], [1.0, 1.0], {"a": 0.4, "b": 0.6})
    assert only.tolist() == [1.0, 1.0]  # shares over the groups that answered
    none = poststratified([2, 2], ["x", "c"], [1.0, 1.0], {"a": 1.0, "c": 0.0})
    assert none.tolist() == [1.0, 1.0]  # nobody of a group with a share: the plain vote


def test_a_planted_dispute_flips_where_b_counts():
    """10 of a against 5 of b an item: the majority is a's, the population 20 : 80 and a left out make it b's."""
    world = split_world()
    people = pd.DataFrame({"cohort": "side", "group": ["a", "b"], "share": [0.2, 0.8]})
    out = by_rule(*world, people, measure="log loss", min_people=5)
    assert pick(out, "majority vote")["verdict"] == "fail"
    flipped = set(out.loc[out["flips"] == "yes", "rule"])
    assert flipped == {"post-stratified vote (rater.side)", "without rater.side=a"}
    assert set(out.loc[out["flips"] == "yes", "verdict"]) == {"pass"}
    assert pick(out, "worst cohort label (rater.side)")["value"] == pick(out, "majority vote")["value"]  # already worst
    facts = fairness.statements(out, fewest_raters(*world))
    by_group = facts.set_index("group")
    assert set(facts["verdict"]) == {"info"}  # no target was declared
    assert by_group.loc["labels=without rater.side=a", "note"].startswith(
        "the verdict depends on whose labels count: pass here"
    )
    assert by_group.loc["labels=majority vote", "note"] == "fail"
    assert list(facts.columns) == [c.name for c in schema.EVIDENCE.columns]
    assert measures.undeclared(facts["measure"], "fairness") == []


def test_the_worst_cohort_label_is_least_favourable_to_the_candidate():
    """b wins the vote and favours the candidate; the worst label is a's everywhere, the value is a's value by hand."""
    said = [(i, r, int(r >= 5)) for i in range(40) for r in range(15)]
    world = tables(said, [0.2, 0.3] * 20, [0.8, 0.6] * 20, side=["a"] * 5 + ["b"] * 10)
    for measure, sign in (("log loss", -1), ("accuracy", 1)):
        out = by_rule(*world, NOBODY, measure=measure, min_people=5)
        worst = pick(out, "worst cohort label (rater.side)")
        assert worst["flips"] == "yes"
        assert worst["verdict"] == "fail"
        assert worst["value"] == pytest.approx(pick(out, "without rater.side=b")["value"])
        assert sign * worst["value"] <= sign * out["value"].min() if sign == 1 else worst["value"] >= out["value"].max()


def test_a_worst_label_by_chance_is_told_from_a_dispute():
    """Groups that disagree lie outside what shuffled raters give; groups drawn by lot lie inside."""
    rng = np.random.default_rng(5)
    real = [(i, r, int(r >= 12)) for i in range(60) for r in rng.choice(24, 6, replace=False)]
    lot = [(i, r, int(rng.random() < 0.5)) for i in range(60) for r in rng.choice(24, 6, replace=False)]
    inside = []
    for said in (real, lot):
        world = tables(said, [0.2] * 60, [0.8] * 60, side=["a"] * 12 + ["b"] * 12)
        out = by_rule(*world, NOBODY, measure="accuracy", rng=np.random.default_rng(0))
        row = pick(out, "worst cohort label (rater.side)")
        low, high = (float(v) for v in row["note"].split("groups give ")[1].split(";")[0].split(" to "))
        inside.append(low <= row["value"] <= high)
    assert inside == [False, True]


def test_ties_count_half_and_lost_items_leave_both_sides():
    said = [(0, 0, 1), (0, 1, 0), (1, 0, 1), (2, 1, 1), (2, 2, 1)]
    world = tables(said, [0.4, 0.4, 0.4], [0.6, 0.6, 0.6], side=["a", "b", "b"])
    out = by_rule(*world, NOBODY, measure="accuracy", min_people=1)
    assert pick(out, "majority vote")["value"] == pytest.approx(2 / 3)  # the tie: half +1, half -1
    without = pick(out, "without rater.side=a")
    assert (without["n"], without["value"]) == (2, 0.0)
    assert "1 items have no other answer and are left out of both sides" in without["note"]


def test_small_groups_are_named_and_not_numbered():
    rng = np.random.default_rng(2)
    side = ["large"] * 30 + ["middle"] * 12 + ["tiny"] * 3
    said = [(i, r, int(rng.random() < 0.5)) for i in range(30) for r in range(45)]
    world = tables(said, rng.random(30), rng.random(30), side=side)
    out = by_rule(*world, NOBODY, min_people=5)
    tiny = pick(out, "without rater.side=tiny")
    assert math.isnan(tiny["value"])
    assert (tiny["n"], tiny["verdict"], tiny["flips"]) == (0, "inconclusive", "inconclusive")
    assert tiny["note"] == "fewer than 5 raters: named, not numbered"
    assert not math.isnan(pick(out, "without rater.side=middle")["value"])
    facts = fairness.statements(out, fewest_raters(*world)).set_index("group")
    assert math.isnan(facts.loc["labels=without rater.side=tiny", "value"])


def interval_verdict(gain, weight, kept):
    """By hand: the clustered t interval of a weighted mean over the raters kept."""
    g, w, m = gain[kept], weight[kept], len(kept)
    mean = g.sum() / w.sum()
    half = student.ppf(0.975, m - 1) * math.sqrt(m / (m - 1) * ((g - mean * w) ** 2).sum()) / w.sum()
    return "pass" if mean - half > 0 else "fail" if mean + half < 0 else "inconclusive"


def brute(gain, weight):
    """The size of every smallest set, by trying all sets of raters: (sign, interval); None = no set."""
    raters, everyone = len(gain), range(len(gain))
    before, side = interval_verdict(gain, weight, np.arange(raters)), np.sign(gain.sum())
    found = {"sign": None, "interval": None}
    for k in range(1, raters):
        for gone in combinations(everyone, k):
            kept = np.array([r for r in everyone if r not in gone])
            if found["sign"] is None and np.sign(gain[kept].sum()) != side:
                found["sign"] = k
            if found["interval"] is None and len(kept) > 1 and interval_verdict(gain, weight, kept) != before:
                found["interval"] = k
    return before, found


def worlds(count, seed):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        raters = int(rng.integers(4, 10))
        weight = rng.integers(1, 6, raters).astype(float)
        yield weight * rng.normal(rng.choice([-1.0, -0.4, 0.0, 0.6, 1.5]), 1.0, raters), weight


@pytest.mark.parametrize("seed", range(5))
def test_exact_search_equals_brute_force_and_bounds_bracket_it(seed):
    for gain, weight in worlds(8, seed):
        before, found = brute(gain, weight)
        sign, interval = by_sign(gain), by_interval(gain, weight)
        assert interval["verdict"] == before
        for row, truth in ((sign, found["sign"]), (interval, found["interval"])):
            assert row["exact"] == "yes"
            assert row["smallest_known"] == pytest.approx(math.nan if truth is None else truth, nan_ok=True)
        state = {"pass": 1, "fail": -1, "inconclusive": 0}[before]
        greedy = _greedy(_moments(gain, weight), state)
        last = len(gain) - 2 if found["interval"] is None else found["interval"]
        assert greedy is None or (found["interval"] is not None and greedy >= found["interval"])
        assert last >= 1
        bound = by_interval(gain, weight, most=0)
        assert bound["lower_bound"] <= (last if found["interval"] else last + 1)


def test_where_sets_are_too_many_the_bracket_starts_at_what_was_tried():
    """50 raters clearly for the candidate: no pair flips it (all were tried), removing the largest gains does."""
    rng = np.random.default_rng(6)
    gain, weight = rng.normal(1.0, 1.0, 50) * 5, np.full(50, 5.0)
    row = by_interval(gain, weight, most=2000)
    assert (row["verdict"], row["lower_bound"], row["exact"]) == ("pass", 3, "no")
    gone = np.argsort(-gain)[: int(row["smallest_known"])]
    assert interval_verdict(gain, weight, np.setdiff1d(np.arange(50), gone)) != "pass"
    assert row["smallest_known"] <= by_sign(gain)["smallest_known"]


def test_the_interval_is_that_of_shared_stats():
    rng = np.random.default_rng(8)
    rater = np.repeat(np.arange(12), rng.integers(1, 9, 12))
    for shift in (-0.9, -0.2, 0.0, 0.3, 0.9):
        x = rng.normal(shift, 1, len(rater))
        _, low, high = cluster.mean_interval(x, rater)
        row = by_interval(np.bincount(rater, weights=x), np.bincount(rater))
        assert row["verdict"] == ("pass" if low > 0 else "fail" if high < 0 else "inconclusive")


def test_two_planted_raters_who_decide_are_found():
    """30 raters of 4 answers stand slightly against the candidate, 2 with 100 answers each for it."""
    said = [(i % 200, r, int(i % 5 == 0)) for r in range(30) for i in range(4 * r, 4 * r + 4)]
    said += [(i, 30 + r, 1) for r in range(2) for i in range(100 * r, 100 * r + 100)]
    world = tables(said, np.full(200, 0.4), np.full(200, 0.6))
    for measure in ("log loss", "accuracy"):
        out = fewest_raters(*world, measure=measure).set_index("criterion")
        assert out.loc["sign", ["verdict", "smallest_known", "exact"]].tolist() == ["pass", 2.0, "yes"]
        assert out.loc["sign", "share_of_raters"] == 2 / 32
        assert out.loc["interval", ["smallest_known", "lower_bound", "exact"]].tolist() == [2.0, 2.0, "yes"]
        assert out.loc["interval", "verdict"] == "inconclusive"  # with rater as cluster, two people settle nothing


def test_nothing_hangs_on_anybody_where_nobody_differs():
    """Equal models: no side, no verdict, no flips; and no number where there is none."""
    said = [(i, r, (i + r) % 2) for i in range(20) for r in range(5)]
    world = tables(said, np.full(20, 0.3), np.full(20, 0.3), side=list("aabbb"))
    out, few = by_rule(*world, NOBODY, min_people=1), fewest_raters(*world)
    assert "yes" not in set(out["flips"])
    assert out["low"].isna().all()
    assert few["smallest_known"].isna().all()
    assert few["note"].str.contains("undefined").all()


@pytest.mark.parametrize("measure", ["log loss", "accuracy"])
def test_null_worlds_flip_rarely_when_one_group_is_left_out(measure):
    """Groups drawn by lot and a candidate no better: either side decides in at most 5 %, so 10 % may flip."""
    flips = total = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        said = [(i, int(r), int(rng.random() < 0.5)) for i in range(80) for r in rng.choice(40, 5, replace=False)]
        world = tables(said, rng.random(80), rng.random(80), side=list("abcd") * 10)
        out = by_rule(*world, NOBODY, measure=measure, min_people=5)
        left = out["rule"].str.startswith("without")
        flips, total = flips + (out.loc[left, "flips"] == "yes").sum(), total + left.sum()
    assert flips / total <= 0.1 + 2 * math.sqrt(0.1 * 0.9 / 60)


@pytest.mark.parametrize("measure", ["log loss", "accuracy"])
@pytest.mark.parametrize("said", [[], [(0, 0, 1)], [(0, 0, 1), (1, 0, 1)], [(0, 0, 1), (0, 1, 1)]],
                         ids=["none", "one", "one rater", "one item and class"])  # fmt: skip
def test_degenerate_worlds_say_cannot_tell_with_a_note(said, measure):
    world = tables(said, [0.4, 0.3], [0.6, 0.7], side=["a", "b"])
    out, few = by_rule(*world, NOBODY, measure=measure), fewest_raters(*world, measure=measure)
    assert set(out["verdict"]) == {"inconclusive"}
    assert (out["value"].notna() | (out["note"] != "")).all()
    assert "undefined: the population table lists no cohort of raters" in set(out["note"])
    assert few["smallest_known"].isna().all()
    assert (few["note"] != "").all()
    assert len(fairness.statements(out, few, measure=measure)) == len(out) + 2


def test_anonymous_flagged_and_unscored_answers():
    components, judgements, predictions = split_world(n=20)
    judgements.loc[judgements["rater_id"] == "r000", "rater_id"] = None
    judgements.loc[judgements["rater_id"] == "r001", "weight"] = 0.0
    predictions.loc[0, "baseline"] = math.nan
    predictions.loc[1, "split"] = "train"
    rows = answers(components, judgements, predictions)
    assert not set(rows["item_id"]) & {"i0000", "i0001"}
    assert "r001" not in set(rows["rater"])
    out = fewest_raters(components, judgements, predictions)
    assert out["raters"].tolist() == [8 + 5 + 18] * 2  # of a, of b, and each anonymous answer
    assert out["note"].str.contains("18 anonymous answers").all()


def test_order_of_rows_is_immaterial():
    components, judgements, predictions = split_world(n=20)
    people = pd.DataFrame({"cohort": "side", "group": ["a", "b"], "share": [0.3, 0.7]})
    mixed = [frame.sample(frac=1, random_state=3) for frame in (judgements, predictions, people)]
    for made, other in (
        (by_rule(components, judgements, predictions, people), by_rule(components, *mixed)),
        (fewest_raters(components, judgements, predictions), fewest_raters(components, *mixed[:2])),
    ):
        pd.testing.assert_frame_equal(made, other, check_exact=True)


def test_popquorn_verdicts_and_deciders():
    """Real raters: rules keep to named groups, and the two bounds meet or bracket."""
    folder = Path(__file__).parents[2] / "shared" / "data" / "popquorn"
    if not folder.is_dir():
        pytest.skip("shared/data is absent")
    ratings = pd.read_csv(folder / "offensiveness_ratings.csv")
    said = pd.read_csv(folder / "offensiveness_model_v0_predictions.csv").set_index("instance_id")
    score = said["apc_prob_offensive"].reindex(ratings["instance_id"].unique()).dropna()
    keep = ratings[ratings["instance_id"].isin(score.index)]
    judgements = pd.DataFrame({
        "feedback_id": keep.index.astype(str), "item_id": keep["instance_id"].astype(str), "component": "safety",
        "rater_id": keep["user_id"].astype(str), "label": (keep["offensiveness"] >= 3).astype(int), "weight": 1.0,
        "rater.race": keep["race"],
    })  # fmt: skip
    predictions = pd.DataFrame({"item_id": score.index.astype(str), "component": "safety", "split": "test",
                                "baseline": score.to_numpy(), "candidate": 0.5 * score.to_numpy() + 0.15})  # fmt: skip
    out = by_rule(COMPONENTS, judgements, predictions, NOBODY, min_people=10)
    few = judgements.groupby("rater.race")["rater_id"].nunique()
    for race, raters in few.items():
        left_out = pick(out, f"without rater.race={race}")
        assert math.isnan(left_out["value"]) == (raters < 10)
    row = fewest_raters(COMPONENTS, judgements, predictions, most=1000).iloc[1]
    assert row["raters"] == 262
    assert math.isnan(row["smallest_known"]) or row["lower_bound"] <= row["smallest_known"]
