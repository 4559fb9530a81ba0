"""Monitor: planted changes found on their date, quiet worlds left quiet, what cannot be told; checked against scipy."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from hfkit import monitor
from hfkit.commands.sample import world as sample_world
from hfkit.monitor.signals import distance, summary
from hfkit.shared import schema

START = pd.Timestamp("2026-01-05", tz="UTC")
NO_FEEDBACK = schema.shape(
    pd.DataFrame(columns=["feedback_id", "item_id", "rater_kind", "channel", "question", "component"]), schema.FEEDBACK
)


def world(seed: int, *, n: int = 1500, weeks: int = 15, change: float = 1.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One component; from 60 % of the time on latency is `change` times what it was and scores move with it."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.random(n))
    late = at > 0.6
    items = pd.DataFrame({
        "item_id": [f"i{k:05d}" for k in range(n)], "component": "chat",
        "served_at": START + pd.to_timedelta(at * weeks * 7, unit="D"),
        "text": ["x" * k for k in rng.integers(5, 60, n)],
        "score": rng.beta(2, 3, n) ** np.where(late, 1 / change, 1),
        "latency_ms": rng.lognormal(6, 0.5, n) * np.where(late, change, 1),
        "error": rng.binomial(1, 0.02, n), "cohort.language": rng.choice(["en", "es", None], n, p=[0.6, 0.3, 0.1]),
        "feature.turns": rng.poisson(4, n).astype(float), "feature.topic": rng.choice(list("abcd"), n),
    })  # fmt: skip
    answers = pd.DataFrame({
        "feedback_id": [f"f{k:05d}" for k in range(n)], "item_id": items["item_id"], "rater_kind": "human",
        "channel": "thumbs", "question": "thumb", "created_at": items["served_at"] + pd.Timedelta("1h"),
        "component": "chat", "label": rng.binomial(1, 0.3, n).astype(float),
    })  # fmt: skip
    return schema.shape(items, schema.ITEMS), schema.shape(answers, schema.FEEDBACK)


def run(items: pd.DataFrame, feedback: pd.DataFrame, *, n_perm: int = 2000) -> tuple[pd.DataFrame, ...]:
    series = monitor.weekly(items, feedback)
    changes = monitor.find_changes(items, feedback, rng=np.random.default_rng(0), n_perm=n_perm)
    return series, changes, monitor.evidence(series, changes, monitor.absent(items, feedback))


class TestChanges:
    def test_planted_change_is_found_within_a_week(self) -> None:
        planted = START + pd.Timedelta(days=0.6 * 15 * 7)
        _, changes, evidence = run(*world(1, change=1.5))
        found = changes[changes["changed"]].set_index("signal")
        assert set(found.index) >= {"latency p50", "latency p95", "score"}
        for signal in ("latency p50", "score"):
            assert abs(found.loc[signal, "at"] - planted) <= pd.Timedelta(days=7)
        assert found.loc["latency p50", "after"] / found.loc["latency p50", "before"] == pytest.approx(1.5, rel=0.15)
        verdicts = evidence.set_index("measure")["verdict"]
        assert verdicts["shift, latency p50"] == "fail"
        assert "chat latency p95 changed on" in monitor.answer(evidence)

    def test_stable_signals_are_not_flagged(self) -> None:
        _, changes, _ = run(*world(1, change=1.5))
        stable = changes[~changes["signal"].isin(["latency p50", "latency p95", "score"])]
        assert len(stable) >= 5
        assert not stable["changed"].any()

    def test_quiet_worlds_raise_no_more_alarms_than_stated(self) -> None:
        alarms = [run(*world(seed, n=500), n_perm=400)[1]["changed"].any() for seed in range(100, 140)]
        # at most 5 % of worlds are promised; 6 of 40 or more has a probability of 1.4 % at 5 %
        assert sum(alarms) <= 5

    def test_days_that_differ_raise_no_alarm(self) -> None:
        """Every day has its own mean (ICC .1), nothing changes: rows taken one by one would alarm in half of worlds."""
        alarms = 0
        for seed in range(40):
            rng = np.random.default_rng(seed)
            items, _ = world(seed, n=1500)
            day = (items["served_at"] - START).dt.days.to_numpy()
            for column in ("latency_ms", "score", "feature.turns"):
                z = np.sqrt(0.1) * rng.normal(size=day.max() + 1)[day] + np.sqrt(0.9) * rng.normal(size=len(items))
                items[column] = scipy_stats.norm.cdf(z) if column == "score" else np.exp(5 + 0.5 * z)
            changes = monitor.find_changes(items, NO_FEEDBACK, rng=np.random.default_rng(seed), n_perm=400)
            alarms += changes["changed"].any()
        assert alarms <= 5

    def test_a_shift_is_judged_by_its_interval(self) -> None:
        """Surely changed, but whether by more than the margin is open: inconclusive, not fail."""
        row = {"component": "c", "signal": "score", "at": START, "at_low": START, "at_high": START, "before": 1.0,
               "after": 1.3, "shift": 0.3, "low": 0.15, "high": 0.45, "n": 900, "p": 0.001, "q": 0.01,
               "changed": True}  # fmt: skip
        series = pd.DataFrame(columns=["component", "signal", "week"])
        verdicts = [monitor.evidence(series, pd.DataFrame([row | {"low": low}]), [])["verdict"].iloc[0]
                    for low in (0.15, 0.21)]  # fmt: skip
        assert verdicts == ["inconclusive", "fail"]

    def test_the_date_interval_covers(self) -> None:
        planted = START + pd.Timedelta(days=0.6 * 15 * 7)
        hits = []
        for seed in range(20):
            items, _ = world(seed, n=800, change=1.4)
            changes = monitor.find_changes(items, NO_FEEDBACK, rng=np.random.default_rng(seed), n_perm=400)
            row = changes.set_index("signal").loc["latency p50"]
            hits.append(row["changed"] and row["at_low"] <= planted <= row["at_high"])
        assert sum(hits) >= 17

    def test_a_mix_that_moves(self) -> None:
        items, feedback = world(2)
        late = items["served_at"] > START + pd.Timedelta(days=50)
        rng = np.random.default_rng(3)
        moved = pd.Series(rng.choice(["en", "es"], len(items), p=[0.2, 0.8]), index=items.index)
        items["cohort.language"] = items["cohort.language"].mask(late, moved)
        found = run(items, feedback)[1].set_index("signal").loc["served.language"]
        assert found["changed"]
        assert abs(found["at"] - (START + pd.Timedelta(days=50))) <= pd.Timedelta(days=7)

    def test_values_that_go_missing(self) -> None:
        items, feedback = world(4)
        gone = (items["served_at"] > START + pd.Timedelta(days=70)) & (np.arange(len(items)) % 3 == 0)
        items.loc[gone, "score"] = np.nan
        changes = run(items, feedback)[1].set_index("signal")
        assert changes.loc["missing score", "changed"]
        assert not changes.loc["score", "changed"]


@pytest.fixture(scope="module")
def planted() -> tuple[dict[str, object], tuple[pd.DataFrame, ...]]:
    made = sample_world()
    return made["truth"]["drift"], run(made["items"], made["feedback"])


class TestSampleWorld:
    def test_drift_and_latency_are_dated_within_a_week(self, planted) -> None:
        truth, (_, changes, _) = planted
        date = pd.Timestamp(truth["date"], tz="UTC")
        rows = changes[changes["signal"].isin([truth["feature"], "latency p50", "latency p95"])]
        assert len(rows) == 9
        assert rows["changed"].all()
        assert ((rows["at"] - date).abs() <= pd.Timedelta(days=7)).all()
        assert ((rows["at_low"] <= date) & (date <= rows["at_high"])).all()

    def test_sizes_of_what_was_planted(self, planted) -> None:
        truth, (_, changes, _) = planted
        by = changes.groupby("signal")[["before", "after"]].mean()
        assert by.loc["feature.length", "after"] - by.loc["feature.length", "before"] == pytest.approx(
            truth["shift"], abs=1
        )
        ratio = by.loc["latency p50", "after"] / by.loc["latency p50", "before"]
        assert ratio == pytest.approx(truth["latency_factor"], rel=0.05)

    def test_nothing_else_is_flagged(self, planted) -> None:
        _, (_, changes, evidence) = planted
        assert set(changes.loc[changes["changed"], "signal"]) == {"feature.length", "latency p50", "latency p95"}
        failed = evidence[evidence["verdict"] == "fail"]["measure"]
        assert failed.str.contains("feature.length|latency|largest drift").all()
        assert len(monitor.answer(evidence).split()) <= 60


class TestWeeks:
    def test_weeks_by_hand(self) -> None:
        items = schema.shape(pd.DataFrame({
            "item_id": list("abcd"), "component": "c", "error": [0, 1, 1, 1],
            "served_at": [START, START + pd.Timedelta("6D"), START + pd.Timedelta("7D"), START + pd.Timedelta("22D")],
        }), schema.ITEMS)  # fmt: skip
        series = monitor.weekly(items, NO_FEEDBACK, reference_weeks=1)
        assert series["week"].tolist() == [START + pd.Timedelta(days=d) for d in (0, 7, 21)]
        assert series["value"].tolist() == [0.5, 1.0, 1.0]
        assert series["n"].tolist() == [2, 1, 1]

    def test_distance_tests_agree_with_scipy(self) -> None:
        items, feedback = world(5, change=1.2)
        series = monitor.weekly(items, feedback).set_index(["signal", "week"])
        week = START + pd.Timedelta(weeks=10)
        when = items["served_at"]
        first = items["served_at"].min().normalize()
        assert first == START
        before, here = items[when < START + pd.Timedelta(weeks=4)], items[when.between(week, week + pd.Timedelta("7D"))]
        expected = scipy_stats.ks_2samp(before["latency_ms"], here["latency_ms"], method="asymp").pvalue
        # here the days' spread and their number widen the tail a little
        assert series.loc[("latency p50", week), "p"] == pytest.approx(expected, abs=0.03)
        counts = pd.crosstab(pd.concat([before, here])["feature.topic"], [0] * len(before) + [1] * len(here))
        chi = scipy_stats.chi2_contingency(counts, correction=False).pvalue
        assert series.loc[("feature.topic", week), "p"] == pytest.approx(chi, abs=0.05)  # a day's rows go together

    def test_quiet_weeks_are_rarely_called_drift(self) -> None:
        flagged = [(monitor.weekly(*world(seed, n=600))["q"] <= 0.05).any() for seed in range(200, 230)]
        assert sum(flagged) <= 4

    def test_stability_index_by_hand(self) -> None:
        # two categories, 50:50 against 40:60: (0.1) ln(0.5 / 0.4) + (0.1) ln(0.6 / 0.5), with half a count added each
        when = [START + pd.Timedelta(days=k // 2 % 7) for k in range(1000)]
        when += [START + pd.Timedelta(days=7 + k % 7) for k in range(1000)]
        mix = ["a", "b"] * 500 + ["a"] * 400 + ["b"] * 600
        items = schema.shape(pd.DataFrame({"item_id": [f"{k:04d}" for k in range(2000)], "component": "c",
                                           "served_at": when, "cohort.x": mix}), schema.ITEMS)  # fmt: skip
        series = monitor.weekly(items, NO_FEEDBACK, reference_weeks=1)
        expected = 0.1 * math.log(0.5 / 0.4) + 0.1 * math.log(0.6 / 0.5)
        assert series["psi"].iloc[-1] == pytest.approx(expected, abs=2e-4)
        w = math.sqrt(0.1**2 / 0.45 + 0.1**2 / 0.55 - 1 / 500)
        assert series["drift"].iloc[-1] == pytest.approx(w, abs=1e-3)

    def test_quantile_intervals_cover(self) -> None:
        rng = np.random.default_rng(6)
        truth = {"median": math.exp(6), "p95": math.exp(6 + 0.5 * 1.6449)}
        for kind, value in truth.items():
            bounds = [summary(rng.lognormal(6, 0.5, 200), kind)[1:] for _ in range(300)]
            assert np.mean([low <= value <= high for low, high in bounds]) > 0.92

    def test_distance_intervals_cover(self) -> None:
        rng = np.random.default_rng(7)
        p, q = np.array([0.5, 0.3, 0.2]), np.array([0.35, 0.35, 0.3])
        truth = math.sqrt((2 * (q - p) ** 2 / (p + q)).sum())
        covered = 0
        for _ in range(300):
            one, two = rng.choice(3, 800, p=p).astype(float), rng.choice(3, 300, p=q).astype(float)
            _, low, high = distance(one, two, 3)
            covered += low <= truth <= high
        assert covered / 300 > 0.9


class TestEvidence:
    def test_targets_of_the_last_week(self) -> None:
        items, feedback = world(8)
        series = monitor.weekly(items, feedback)
        changes = monitor.find_changes(items, feedback, rng=np.random.default_rng(0), n_perm=200)
        strict = monitor.evidence(series, changes, [], max_latency_p95_ms=300.0, max_error_rate=0.5, max_drift=3.0)
        verdicts = strict.set_index("measure")["verdict"]
        assert verdicts["latency p95, last week"] == "fail"
        assert verdicts["error rate, last week"] == "pass"
        assert verdicts["largest drift, last week"] == "pass"
        assert "latency p95" in monitor.answer(strict)

    def test_no_dates(self) -> None:
        items, feedback = world(9, n=100)
        items["served_at"], feedback["created_at"] = pd.NaT, pd.NaT
        items, feedback = schema.shape(items, schema.ITEMS), schema.shape(feedback, schema.FEEDBACK)
        series, changes, evidence = run(items, feedback)
        assert series.empty
        assert changes.empty
        assert evidence["verdict"].tolist() == ["inconclusive", "inconclusive"]
        assert evidence["note"].str.contains("no served_at|no created_at").all()
        assert "no created_at" in monitor.answer(evidence) or "no served_at" in monitor.answer(evidence)
        assert monitor.curve(series, monitor.strongest(changes)).empty

    def test_columns_that_are_missing_are_named(self) -> None:
        items, _ = world(10, n=400)
        items = schema.shape(items[["item_id", "component", "served_at", "score"]], schema.ITEMS)
        _, _, evidence = run(items, NO_FEEDBACK)
        notes = evidence.set_index("measure")["note"]
        assert notes["shift, latency p95"] == "no latency_ms"
        assert notes["shift, error rate"] == "no error"
        assert notes["shift, feedback event share"] == "no labelled feedback"

    @pytest.mark.parametrize("n", [0, 1, 3, 159])
    def test_too_few_rows(self, n: int) -> None:
        items, feedback = world(11)
        few = items.sort_values("item_id").head(n), feedback.sort_values("feedback_id").head(n)
        _, changes, evidence = run(*few)
        assert changes["p"].isna().all()
        assert not evidence["verdict"].isin(["pass"]).any() or evidence["measure"].str.contains("last week").any()
        assert len(monitor.answer(evidence)) > 10

    def test_a_constant_has_not_moved(self) -> None:
        items, feedback = world(12)
        items["latency_ms"], items["error"], items["cohort.language"] = 100.0, 0, "en"
        _, changes, evidence = run(items, feedback)
        rows = changes.set_index("signal").loc[["latency p50", "latency p95", "error rate"]]
        assert not rows["changed"].any()
        assert (rows["shift"].abs() < 0.05).all()
        assert evidence.set_index("measure").loc["shift, latency p50", "verdict"] == "pass"

    def test_order_of_rows_is_of_no_account(self) -> None:
        items, feedback = world(13, n=700, change=1.4)
        mixed = items.sample(frac=1, random_state=1), feedback.sample(frac=1, random_state=2)
        for one, two in zip(run(items, feedback), run(*mixed), strict=True):
            pd.testing.assert_frame_equal(one, two)

    def test_metrics_and_curve(self) -> None:
        series, changes, evidence = run(*world(14, change=1.5))
        numbers = monitor.metrics(evidence)
        assert numbers["fail"] == float((evidence["verdict"] == "fail").sum())
        curve = monitor.curve(series, monitor.strongest(changes))
        assert curve.columns.tolist() == ["week", "chat"]
        assert len(curve) == 15
        assert len(monitor.dates(changes, "latency p50")) == 1
