"""Experiment: published figures of the open bandit data, other libraries' intervals, hand arithmetic, coverage."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.proportion import confint_proportions_2indep

from hfkit import experiment
from hfkit.commands.sample import world as sample_world
from hfkit.shared import schema

DATA = Path(__file__).parents[2] / "shared" / "data"
FIGURES = DATA / "reference_figures.json"
EMPTY_POLICY = pd.DataFrame({"context": pd.Series(dtype=str), "action": pd.Series(dtype=str), "probability": []})


def items(**columns: object) -> pd.DataFrame:
    frame = pd.DataFrame(columns)
    frame.insert(0, "item_id", [f"i{k:06d}" for k in range(len(frame))])
    return schema.shape(frame if "component" in frame else frame.assign(component="chat"), schema.ITEMS)


def tried(a: list[float], b: list[float]) -> pd.DataFrame:
    return items(arm=["A"] * len(a) + ["B"] * len(b), reward=[*a, *b])


def ab(frame: pd.DataFrame, *, min_difference: float = 0.0, min_n: int = 30) -> pd.DataFrame:
    arms = experiment.compare_arms(frame, control="A")
    ratio = experiment.sample_ratio(frame, split={})
    groups = experiment.compare_groups(frame, control="A", min_n=min_n)
    return experiment.ab_evidence(arms, ratio, groups, control="A", min_difference=min_difference, min_n=min_n)


def one(evidence: pd.DataFrame, measure: str) -> pd.Series:
    rows = evidence[(evidence["measure"] == measure) & (evidence["group"] == "all")]
    assert len(rows) == 1, evidence["measure"].tolist()
    return rows.iloc[0]


@pytest.fixture(scope="module")
def bandit() -> tuple[pd.DataFrame, pd.DataFrame]:
    if not FIGURES.is_file():
        pytest.skip("shared/data is absent")
    parts = [pd.read_csv(DATA / "obd_all" / f"all_{arm}.csv.gz") for arm in ("random", "bts")]
    log = pd.concat(parts, ignore_index=True)
    frame = items(
        component="recommendation", arm=log["behavior_policy"].tolist(), action=log["item_id"].astype(str).tolist(),
        context=("pos" + log["position"].astype(str)).tolist(), propensity=log["propensity_score"].tolist(),
        reward=log["click"].tolist(),
    )  # fmt: skip
    wide = pd.read_csv(DATA / "obd_all" / "all_bts_action_dist.csv")
    long = wide.rename_axis("action").reset_index().melt("action", var_name="context", value_name="probability")
    return frame, schema.shape(long.astype({"action": str}), schema.POLICY)


@pytest.fixture(scope="module")
def figures() -> dict[str, tuple[object, object]]:
    if not FIGURES.is_file():
        pytest.skip("shared/data is absent")
    return {f["what"]: (f["value"], f["tol"]) for f in json.loads(FIGURES.read_text())["figures"]}


class TestOpenBandit:
    """Saito et al. (2021), the project's own quickstart notebook; see SOURCE.md beside the data."""

    def values(self, bandit: tuple[pd.DataFrame, pd.DataFrame]) -> pd.DataFrame:
        rows = experiment.logged(bandit[0], logging_arm="random")
        found = experiment.policy_value(rows, bandit[1], rng=np.random.default_rng(0))
        return found.set_index("estimator")

    def test_means_of_both_arms(self, bandit, figures) -> None:
        arms = experiment.compare_arms(bandit[0], control="random").set_index("arm")
        for arm, what in {
            "random": "mean click, random policy",
            "bts": "mean click, bts policy (on-policy truth)",
        }.items():
            value, tolerance = figures[what]
            assert arms.loc[arm, "mean"] == pytest.approx(value, abs=tolerance)

    def test_published_estimates(self, bandit, figures) -> None:
        ipw = self.values(bandit).loc["IPW"]
        value, tolerance = figures["IPW estimate of bts from random logs"]
        assert ipw["value"] == pytest.approx(value, abs=tolerance)
        value, tolerance = figures["relative policy value bts/random by IPW"]
        assert ipw["relative"] == pytest.approx(value, abs=tolerance)
        value, tolerance = figures["relative error of IPW vs on-policy"]
        assert abs(ipw["value"] - 0.0042) / 0.0042 == pytest.approx(value, abs=tolerance)
        (low, high), tolerance = figures["IPW 95% bootstrap CI"]
        assert ipw["low"] == pytest.approx(low, abs=tolerance)
        assert ipw["high"] == pytest.approx(high, abs=tolerance)

    def test_self_normalised_and_weights(self, bandit, figures) -> None:
        snipw, ess, largest = figures["SNIPW bts from random; ESS; max weight"][0]
        rows = experiment.logged(bandit[0], logging_arm="random")
        found = experiment.diagnose(rows, bandit[1]).iloc[0]
        assert self.values(bandit).loc["self-normalised IPW", "value"] == pytest.approx(snipw, abs=3e-5)
        assert found["ess"] == pytest.approx(ess, abs=1)
        assert found["max_weight"] == pytest.approx(largest, abs=0.01)
        assert "fewer than 30" in found["refusal"]  # 38 clicks, of which few look like the target policy

    def test_doubly_robust_is_near_the_published_one(self, bandit) -> None:
        # 0.004727 in the quickstart notebook, with another reward model
        robust = self.values(bandit).loc["doubly robust"]
        assert robust["value"] == pytest.approx(0.004727, abs=1e-4)
        assert robust["low"] < 0.0042 < robust["high"]

    def test_an_arm_evaluated_by_itself_gives_its_own_mean(self, bandit) -> None:
        rows = experiment.logged(bandit[0], logging_arm="bts")
        found = experiment.policy_value(rows, bandit[1], rng=np.random.default_rng(0)).set_index("estimator")
        # not exactly: the log's propensities moved while it ran, the table is their average
        assert found["value"].to_numpy() == pytest.approx(0.0042, abs=3e-4)

    def test_nothing_is_claimed(self, bandit) -> None:
        arms = experiment.compare_arms(bandit[0], control="random")
        ratio = experiment.sample_ratio(bandit[0], split={})
        groups = experiment.compare_groups(bandit[0], control="random")
        rows = experiment.logged(bandit[0], logging_arm="random")
        values = experiment.policy_value(rows, bandit[1], rng=np.random.default_rng(0))
        evidence = experiment.evidence(
            experiment.ab_evidence(arms, ratio, groups, control="random"),
            experiment.policy_evidence(experiment.diagnose(rows, bandit[1]), values, logging_arm="random"),
        )
        assert one(evidence, "A/B difference, arm bts")["verdict"] == "inconclusive"
        assert one(evidence, "policy gain")["verdict"] == "inconclusive"
        assert "a few lucky rows carry it" in one(evidence, "policy gain")["note"]
        shown = experiment.readable(values, experiment.diagnose(rows, bandit[1]))
        assert shown[["value", "low", "high", "gain", "relative"]].isna().all(axis=None)


@pytest.fixture(scope="module")
def world() -> dict[str, pd.DataFrame]:
    return sample_world()


class TestSampleWorld:
    def test_planted_effect_is_found_and_inside(self, world) -> None:
        truth = world["truth"]["experiment"]
        arms = experiment.compare_arms(world["items"], control=truth["control"])
        row = arms[arms["arm"] == truth["treatment"]].iloc[0]
        assert row["component"] == truth["component"]
        assert row["difference_low"] <= truth["effect"] <= row["difference_high"]
        assert row["difference_low"] > 0

    def test_planted_policy_value_is_inside(self, world) -> None:
        truth = world["truth"]["logged_policy"]
        rows = experiment.logged(world["items"])
        values = experiment.policy_value(rows, world["policy"], rng=np.random.default_rng(0)).set_index("estimator")
        for name in ("self-normalised IPW", "doubly robust"):
            assert values.loc[name, "low"] <= truth["target"] <= values.loc[name, "high"]
        assert values.loc["doubly robust", "gain_low"] <= truth["gain"] <= values.loc["doubly robust", "gain_high"]
        assert experiment.diagnose(rows, world["policy"])["refusal"].tolist() == [""]

    def test_answer_names_both_in_few_words(self, world) -> None:
        items = world["items"]
        arms, ratio = experiment.compare_arms(items, control="control"), experiment.sample_ratio(items, split={})
        groups = experiment.compare_groups(items, control="control")
        rows = experiment.logged(items)
        values = experiment.policy_value(rows, world["policy"], rng=np.random.default_rng(0))
        evidence = experiment.evidence(
            experiment.ab_evidence(arms, ratio, groups, control="control"),
            experiment.policy_evidence(experiment.diagnose(rows, world["policy"]), values),
        )
        answer = experiment.answer(evidence)
        assert answer.startswith("Arm treatment is better for ranking")
        assert "target policy is better for policy" in answer
        assert len(answer.split()) <= 60


class TestArms:
    def test_counts_agree_with_newcombe_1998(self) -> None:
        # table II of the paper, method 10: 56/70 against 48/80
        found = experiment.compare_arms(tried([1.0] * 48 + [0.0] * 32, [1.0] * 56 + [0.0] * 14), control="A").iloc[1]
        assert found[["difference", "difference_low", "difference_high"]].tolist() == pytest.approx(
            [0.2, 0.0524, 0.3339], abs=1e-4
        )

    def test_other_rewards_agree_with_scipy(self) -> None:
        rng = np.random.default_rng(1)
        a, b = rng.normal(3, 1, 40), rng.normal(3.4, 2, 25)
        found = experiment.compare_arms(tried(a, b), control="A").iloc[1]
        welch = scipy_stats.ttest_ind(b, a, equal_var=False).confidence_interval()
        assert found[["difference_low", "difference_high"]].tolist() == pytest.approx([welch.low, welch.high])

    def test_lift_is_close_to_the_score_interval_of_a_ratio(self) -> None:
        a, b = [1.0] * 60 + [0.0] * 140, [1.0] * 90 + [0.0] * 110
        found = experiment.compare_arms(tried(a, b), control="A").iloc[1]
        low, high = confint_proportions_2indep(90, 200, 60, 200, compare="ratio", method="score")
        assert found["lift"] == pytest.approx(0.5)
        assert [found["lift_low"], found["lift_high"]] == pytest.approx([low - 1, high - 1], abs=0.03)

    def test_detectable_difference_is_found_8_times_in_10(self) -> None:
        rng = np.random.default_rng(2)
        base = np.repeat([0.0, 1.0], [700, 300])
        reach = experiment.detectable(experiment.alone(base), experiment.alone(np.zeros(1000)))
        found = [experiment.effect(experiment.alone(rng.binomial(1, 0.3 + reach, 1000)),
                                   experiment.alone(rng.binomial(1, 0.3, 1000)))[1] > 0
                 for _ in range(300)]  # fmt: skip
        assert 0.72 < np.mean(found) < 0.88

    def test_intervals_hold_what_they_promise(self) -> None:
        rng = np.random.default_rng(3)
        truth, covered = 0.05, 0
        for _ in range(400):
            _, low, high = experiment.effect(
                experiment.alone(rng.binomial(1, 0.15, 150)), experiment.alone(rng.binomial(1, 0.10, 150))
            )
            covered += low <= truth <= high
        assert covered / 400 > 0.92

    def test_a_confidence_sequence_survives_every_look(self) -> None:
        rng = np.random.default_rng(4)
        looks = range(100, 1001, 50)
        once = often = 0
        for _ in range(200):
            x, y = rng.normal(size=1000), rng.normal(size=1000)
            seen = [(experiment.alone(x[:n]), experiment.alone(y[:n])) for n in looks]
            once += any(not low <= 0 <= high for _, low, high in (experiment.effect(*s) for s in seen))
            often += any(not low <= 0 <= high for _, low, high in (experiment.effect(*s, planned_n=2000) for s in seen))
        assert once / 200 > 0.12  # peeking breaks the fixed interval ...
        assert often / 200 <= 0.05  # ... and not the sequence

    def test_several_arms_hold_together(self) -> None:
        three = items(arm=list("ABC") * 100, reward=np.tile([0, 1, 1, 0, 0, 1], 50).astype(float))
        both = experiment.compare_arms(three, control="A").set_index("arm")
        alone = experiment.compare_arms(three[three["arm"] != "C"], control="A").set_index("arm")
        assert both.loc["B", "difference_high"] > alone.loc["B", "difference_high"]

    def test_broken_split_is_found_and_silences_the_difference(self) -> None:
        # Fabijan et al. (2019): 821,588 against 815,482 users is no even split
        many = pd.DataFrame({"component": "c", "arm": np.repeat(["A", "B"], [821_588, 815_482]), "reward": 1.0})
        expected = scipy_stats.chisquare([821_588, 815_482]).pvalue
        assert experiment.sample_ratio(many, split={})["p_split"][0] == pytest.approx(expected)
        evidence = ab(tried([0.0, 1.0] * 300, [1.0] * 300))
        assert one(evidence, "sample ratio")["verdict"] == "fail"
        assert one(evidence, "A/B difference, arm B")["verdict"] == "inconclusive"

    def test_declared_split(self) -> None:
        frame = tried([0.0, 1.0] * 300, [1.0] * 300)
        assert experiment.sample_ratio(frame, split={"A": 2, "B": 1})["p_split"][0] == 1.0
        stray = experiment.sample_ratio(frame, split={"A": 1}).iloc[0]
        assert (stray["p_split"], stray["note"]) == (0.0, "not in the planned split: B")

    def test_rewards_missing_in_one_arm_only(self) -> None:
        evidence = ab(tried([0.0, 1.0] * 100, [1.0] * 100 + [math.nan] * 100))
        row = one(evidence, "A/B difference, arm B")
        assert row["verdict"] == "inconclusive"
        assert "missing more often" in row["note"]

    def test_clear_effects_and_a_minimum(self) -> None:
        frame = tried([0.0, 1.0] * 200, [1.0, 1.0, 1.0, 0.0] * 100)
        assert one(ab(frame), "A/B difference, arm B")["verdict"] == "pass"
        assert one(ab(frame, min_difference=0.5), "A/B difference, arm B")["verdict"] == "fail"
        assert "better for chat" in experiment.answer(ab(frame))

    def test_groups_hold_together_and_none_disappears(self) -> None:
        rng = np.random.default_rng(5)
        frame = items(arm=np.tile(["A", "B"], 300), reward=rng.binomial(1, 0.5, 600).astype(float))
        frame["cohort.language"] = np.resize(["en"] * 300 + ["es"] * 280 + [None] * 20, 600)
        groups = experiment.compare_groups(frame, control="A").set_index("group")
        assert groups.index.tolist() == ["served.language=en", "served.language=es", "served.language=not stated"]
        assert math.isnan(groups.loc["served.language=not stated", "difference"])
        # a group without the control arm gives no interval, and so takes nothing from the others
        frame.loc[frame["cohort.language"].eq("es") & frame["arm"].eq("A"), "reward"] = None
        fewer = experiment.compare_groups(frame, control="A").set_index("group")
        assert fewer.loc["served.language=en", "difference_high"] < groups.loc["served.language=en", "difference_high"]
        # alone, the same group has a narrower interval than among two
        part = frame[frame["cohort.language"] == "en"]
        alone = experiment.compare_arms(part, control="A").iloc[1]
        assert groups.loc["served.language=en", "difference_high"] > alone["difference_high"]

    @pytest.mark.parametrize(
        ("frame", "why"),
        [
            (items(score=[0.1, 0.2]), "no item names an arm"),
            (tried([], [1.0, 0.0] * 50), "control arm A"),
            (tried([1.0, 0.0], [1.0, 0.0]), "fewer than 30"),
            (tried([math.nan] * 40, [math.nan] * 40), "control arm A"),
        ],
    )
    def test_what_cannot_be_told(self, frame: pd.DataFrame, why: str) -> None:
        evidence = ab(frame)
        rows = evidence[evidence["measure"].str.startswith("A/B difference")]
        assert rows["verdict"].tolist() == ["inconclusive"]
        assert why in rows["note"].iloc[0]
        assert len(experiment.answer(evidence)) > 10

    def test_order_of_rows_is_of_no_account(self) -> None:
        rng = np.random.default_rng(6)
        frame = tried(rng.normal(size=100), rng.normal(size=100))
        pd.testing.assert_frame_equal(ab(frame), ab(frame.sample(frac=1, random_state=1)))


def log(n: int, rng: np.random.Generator, *, wrong: float = 1.0) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """A log of a known policy over two contexts and three actions, a target policy, and its true value."""
    behave = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]])
    target = np.array([[0.2, 0.3, 0.5], [0.1, 0.2, 0.7]])
    reward = np.array([[0.2, 0.4, 0.6], [0.1, 0.5, 0.7]])
    c = rng.binomial(1, 0.4, n)
    a = (rng.random(n)[:, None] > behave[c].cumsum(axis=1)).sum(axis=1)
    r = rng.binomial(1, reward[c, a]).astype(float)
    names = [np.array(["x", "y"]), np.array(["p", "q", "r"])]
    frame = items(context=names[0][c], action=names[1][a], reward=r, propensity=behave[c, a] ** wrong)
    policy = pd.DataFrame([(x, y, target[i, j]) for i, x in enumerate("xy") for j, y in enumerate("pqr")],
                          columns=["context", "action", "probability"])  # fmt: skip
    return frame, policy, float(np.array([0.6, 0.4]) @ (target * reward).sum(axis=1))


class TestPolicy:
    def run(self, frame: pd.DataFrame, policy: pd.DataFrame, seed: int = 0, **limits: float) -> pd.DataFrame:
        rows = experiment.logged(frame)
        values = experiment.policy_value(rows, policy, rng=np.random.default_rng(seed), n_boot=200)
        return experiment.policy_evidence(experiment.diagnose(rows, policy, **limits), values)

    def test_by_hand(self) -> None:
        frame = items(context=["x"] * 4, action=["p", "p", "q", "q"], reward=[1.0, 0.0, 1.0, 1.0], propensity=[0.5] * 4)
        policy = pd.DataFrame({"context": ["x", "x"], "action": ["p", "q"], "probability": [0.2, 0.8]})
        found = experiment.policy_value(experiment.logged(frame), policy, rng=np.random.default_rng(0), n_boot=50)
        # weights 0.4, 0.4, 1.6, 1.6: (0.4 + 3.2) / 4 and (0.4 + 3.2) / 4.0
        assert found["value"].tolist()[:2] == pytest.approx([0.9, 0.9])
        assert found["relative"].tolist()[0] == pytest.approx(0.9 / 0.75)
        diagnostics = experiment.diagnose(experiment.logged(frame), policy).iloc[0]
        assert diagnostics["ess"] == pytest.approx(4.0**2 / (2 * 0.16 + 2 * 2.56))

    def test_intervals_hold_what_they_promise(self) -> None:
        rng = np.random.default_rng(7)
        covered = np.zeros(3)
        wide = np.zeros(3)
        for _ in range(100):
            frame, policy, truth = log(500, rng)
            found = experiment.policy_value(experiment.logged(frame), policy, rng=rng, n_boot=200)
            covered += ((found["low"] <= truth) & (truth <= found["high"])).to_numpy()
            wide += (found["high"] - found["low"]).to_numpy()
        assert (covered / 100 > 0.88).all()
        assert wide[1] < wide[0]  # self-normalised is sharper than plain,
        assert wide[2] < wide[0]  # and so is doubly robust

    def test_better_and_worse_policies(self) -> None:
        frame, policy, _ = log(3000, np.random.default_rng(8))
        assert one(self.run(frame, policy), "policy gain")["verdict"] == "pass"
        worst = policy.assign(probability=np.where(policy["action"] == "p", 1.0, 0.0))
        assert one(self.run(frame, worst), "policy gain")["verdict"] == "fail"

    def test_wrong_propensities_are_refused(self) -> None:
        frame, policy, _ = log(3000, np.random.default_rng(9), wrong=0.5)
        evidence = self.run(frame, policy)
        assert one(evidence, "mean weight")["verdict"] == "fail"
        gain = one(evidence, "policy gain")
        assert gain["verdict"] == "inconclusive"
        assert math.isnan(gain["value"])
        assert "propensities" in gain["note"]

    def test_the_reward_model_never_sees_its_own_row(self) -> None:
        frame, policy, _ = log(40, np.random.default_rng(15))
        rows = experiment.logged(frame)
        found = experiment.policy_value(rows, policy, rng=np.random.default_rng(0), n_boot=2)["value"].iloc[2]
        target = policy.set_index(["context", "action"])["probability"]
        scores = []
        for i, row in rows.iterrows():
            rest = rows.drop(index=i)
            model = {}
            for context, action in target.index:
                same = rest[rest["action"] == action]
                mean = (same["reward"].sum() + 20 * rest["reward"].mean()) / (len(same) + 20)
                cell = same[same["context"] == context]
                model[context, action] = (cell["reward"].sum() + 20 * mean) / (len(cell) + 20)
            key = (row["context"], row["action"])
            direct = sum(target[row["context"], action] * model[row["context"], action] for action in "pqr")
            scores.append(direct + target[key] / row["propensity"] * (row["reward"] - model[key]))
        assert found == pytest.approx(np.mean(scores))

    def test_right_propensities_are_rarely_refused(self) -> None:
        rng = np.random.default_rng(10)
        refused = 0
        for _ in range(120):
            frame, policy, _ = log(400, rng)
            refused += experiment.diagnose(experiment.logged(frame), policy)["refusal"][0] != ""
        assert refused <= 2  # 1 in 1,000 is promised

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            (lambda f, p: (f.assign(propensity=math.nan), p), "log the propensity"),
            (lambda f, p: (f.head(0), p), "log the propensity"),
            (lambda f, p: (f, EMPTY_POLICY), "no target policy"),
            (lambda f, p: (f.assign(propensity=0.0), p), "propensity 0"),
            (lambda f, p: (f, p.assign(probability=p["probability"] / 2)), "sum to 0.5"),
            (lambda f, p: (f[f["action"] != "r"], p), "never logged"),
            (lambda f, p: (f.assign(context="elsewhere"), p), "never logged"),
            (lambda f, p: (f.assign(context=None), p), "never logged"),
            (lambda f, p: (f.head(60), p), "effective sample size"),
            (lambda f, p: (f.head(1), p), "never logged"),
        ],
    )
    def test_what_cannot_be_told(self, change, why: str) -> None:
        frame, policy, _ = log(600, np.random.default_rng(11))
        evidence = self.run(*change(frame, policy))
        gain = one(evidence, "policy gain")
        assert (gain["verdict"], math.isnan(gain["value"])) == ("inconclusive", True)
        assert why in gain["note"]
        assert "inconclusive" in experiment.answer(evidence) or "No propensities" in experiment.answer(evidence)

    def test_only_the_logging_arm_counts(self) -> None:
        frame, _, _ = log(100, np.random.default_rng(12))
        frame["arm"] = ["A", "B"] * 50
        assert len(experiment.logged(frame, logging_arm="A")) == 50
        assert len(experiment.logged(frame)) == 100

    def test_order_of_rows_is_of_no_account(self) -> None:
        frame, policy, _ = log(800, np.random.default_rng(13))
        mixed = frame.sample(frac=1, random_state=1), policy.sample(frac=1, random_state=2)
        pd.testing.assert_frame_equal(self.run(frame, policy), self.run(*mixed))

    def test_metrics_and_curve(self) -> None:
        frame, policy, _ = log(800, np.random.default_rng(14))
        evidence = self.run(frame, policy)
        assert experiment.metrics(evidence)["chat: policy gain"] == one(evidence, "policy gain")["value"]
        assert experiment.curve(evidence)["label"].tolist() == ["chat: policy gain"]


@pytest.mark.parametrize("small", ["A", "B"])
def test_an_arm_of_too_few_rows_settles_nothing_whichever_it_is(small):
    """20 rows against 500 with a difference nobody could miss: inconclusive, for everyone and for each group."""
    few, many = [0.0, 0.1] * 10, [0.9, 1.0] * 250
    frame = tried(few, many) if small == "A" else tried(many, few)
    frame = frame.assign(**{"cohort.age": "old & wise"})
    arms, ratio = experiment.compare_arms(frame, control="A"), experiment.sample_ratio(frame, split={})
    for min_n, settled in ((30, False), (20, True)):
        groups = experiment.compare_groups(frame, control="A", min_n=min_n)
        evidence = experiment.ab_evidence(arms, ratio, groups, control="A", check_split=False, min_n=min_n)
        assert (one(evidence, "A/B difference, arm B")["verdict"] != "inconclusive") == settled
        row = evidence[evidence["group"] == 'served.age="old & wise"'].iloc[0]
        assert math.isnan(row["value"]) != settled


def served(seed: int, *, people: int = 300, rows: int = 20, icc: float = 0.3, binary: bool = False) -> pd.DataFrame:
    """Nothing differs between the arms; people were assigned, and each brings about `rows` rows that go together."""
    rng = np.random.default_rng(seed)
    size = 1 + rng.geometric(1 / rows, people)
    who = np.repeat(np.arange(people), size)
    arm = np.where(rng.permutation(people) % 2, "A", "B")[who]
    own = rng.normal(size=people)[who]
    value = np.sqrt(icc) * own + np.sqrt(1 - icc) * rng.normal(size=len(who))
    frame = items(arm=arm, reward=(value > 0.5).astype(float) if binary else value)
    return frame.assign(unit_id=pd.array([f"u{k:03d}" for k in who], dtype="str"))


@pytest.mark.parametrize("binary", [False, True])
def test_nothing_differs_between_arms_of_people_who_repeat(binary: bool) -> None:
    """An A/A test by rows leaves out 0 in about half of such worlds."""
    held = by_rows = 0
    for seed in range(60):
        frame = served(seed, binary=binary)
        row = experiment.compare_arms(frame, control="A").iloc[1]
        held += row["difference_low"] <= 0 <= row["difference_high"]
        apart = experiment.compare_arms(frame.drop(columns="unit_id"), control="A").iloc[1]
        by_rows += apart["difference_low"] <= 0 <= apart["difference_high"]
    assert held >= 52  # .93 or more: fewer than 52 of 60 have a probability of 2 %
    assert by_rows <= 45


def test_the_interval_of_people_equals_statsmodels() -> None:
    import statsmodels.formula.api as smf

    frame = served(1)
    row = experiment.compare_arms(frame, control="A").iloc[1]
    codes = pd.factorize(frame["unit_id"])[0]
    fit = smf.ols("reward ~ arm", frame).fit(cov_type="cluster", cov_kwds={"groups": codes})
    assert row["difference"] == pytest.approx(fit.params["arm[T.B]"])
    half = (row["difference_high"] - row["difference_low"]) / 2
    assert half / 1.96 == pytest.approx(fit.bse["arm[T.B]"], rel=0.03)


def test_people_in_two_arms_are_named_and_left_out() -> None:
    frame = items(arm=list("AABBAB"), reward=[1.0, 0, 1, 0, 1, 1])
    frame["unit_id"] = pd.array(["u1", "u1", "u2", "u3", "u4", "u4"], dtype="str")
    kept, crossed = experiment.assigned(frame)
    assert sorted(set(kept["unit"])) == ["u1", "u2", "u3"]
    assert crossed.to_numpy().tolist() == [["chat", "u4", "A, B", 2]]
    ratio = experiment.sample_ratio(frame, split={}).iloc[0]
    assert (ratio["people"], ratio["arms"], ratio["crossed"]) == (3, "A 1, B 2", 1)
    assert "1 people were in two arms" in ratio["note"]


def test_the_split_is_one_of_people() -> None:
    """150 people an arm, those of one arm come ten times as often: the plan was kept."""
    frame = items(arm=["A"] * 150 + ["B"] * 1500, reward=1.0)
    frame["unit_id"] = pd.array([f"a{k}" for k in range(150)] + [f"b{k % 150}" for k in range(1500)], dtype="str")
    assert experiment.sample_ratio(frame, split={})["p_split"][0] == 1.0
    assert experiment.sample_ratio(frame.drop(columns="unit_id"), split={})["p_split"][0] < 0.001
