"""Who counts: careless raters found and honest ones spared, noisy labels, judges that help, people as the unit.

Planted worlds; the rates are in docs/error_rates.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from hfkit import aggregate, audit, experiment, monitor
from hfkit.shared import schema

START = pd.Timestamp("2026-01-05", tz="UTC")
KINDS = ("coin", "base rate", "always no", "79 of 80 yes")


def crowd(seed: int, *, items: int, base: float, each: int, bad: int) -> tuple[pd.DataFrame, dict[str, str]]:
    """80 raters of differing skill on items of differing difficulty; 15 % see one item in eight otherwise than most;
    the last `bad` of each kind answer without looking."""
    rng = np.random.default_rng(seed)
    raters = 80
    truth = rng.random(items) < base
    other = np.where(rng.random(items) < 0.12, ~truth, truth)
    kind = np.array(["minority"] * 12 + ["honest"] * 68, dtype=object)
    for i, name in enumerate(KINDS):
        kind[raters - bad * (i + 1) : raters - bad * i] = name
    item = np.repeat(np.arange(items), each)
    rater = np.concatenate([rng.choice(raters, each, replace=False) for _ in range(items)])
    right = rng.random(len(item)) < rng.beta(20, 2.5, raters)[rater] * (0.7 + 0.3 * rng.beta(8, 1.5, items)[item])
    sees = np.where(kind[rater] == "minority", other[item], truth[item])
    says = np.where(right, sees, ~sees)
    says = np.where(kind[rater] == "coin", rng.random(len(item)) < 0.5, says)
    says = np.where(kind[rater] == "base rate", rng.random(len(item)) < base, says)
    says = np.where(kind[rater] == "always no", False, says)
    for r in np.flatnonzero(kind == "79 of 80 yes"):
        mine = np.flatnonzero(rater == r)
        says[mine] = True
        says[mine[::80]] = False
    n = len(item)
    feedback = schema.shape(pd.DataFrame({
        "feedback_id": [f"f{i:06d}" for i in range(n)], "item_id": [f"i{i:05d}" for i in item],
        "rater_id": [f"r{i:03d}" for i in rater], "rater_kind": "human", "channel": "x", "question": "q",
        "value": np.where(says, "up", "down"), "component": "k", "label": says.astype(float),
    }), schema.FEEDBACK)  # fmt: skip
    return feedback, {f"r{i:03d}": str(k) for i, k in enumerate(kind)}


@pytest.mark.timeout(1200)
def test_careless_raters_are_found_and_honest_ones_spared() -> None:
    settings: list[dict[str, Any]] = [
        {"items": 700, "base": 0.3, "each": 5, "bad": 2}, {"items": 700, "base": 0.5, "each": 5, "bad": 2},
        {"items": 1500, "base": 0.3, "each": 5, "bad": 2}, {"items": 1000, "base": 0.3, "each": 5, "bad": 5},
        {"items": 1200, "base": 0.3, "each": 3, "bad": 2}, {"items": 700, "base": 0.2, "each": 5, "bad": 2},
        {"items": 700, "base": 0.1, "each": 5, "bad": 2}, {"items": 700, "base": 0.3, "each": 5, "bad": 0},
    ]  # fmt: skip
    for setting in settings:
        rows = []
        for seed in range(60):
            feedback, kind = crowd(seed, **setting)
            made = audit.trust(feedback, min_answers=5, rng=np.random.default_rng(seed))
            made = made[made["n_answers"] >= 40]
            rows.append(made.assign(kind=made["rater_id"].map(kind))[["kind", "flagged"]])
        found = pd.concat(rows)
        honest = found["kind"].isin(["honest", "minority"])
        print(setting, "honest flagged", round(found[honest]["flagged"].mean(), 4), "recall",
              round(found[~honest]["flagged"].mean(), 3),
              found.groupby("kind")["flagged"].mean().round(3).to_dict())  # fmt: skip
        assert found[honest]["flagged"].mean() <= 0.015
        if setting["base"] >= 0.3 and setting["each"] == 5 and 0 < setting["bad"] < 5:
            assert found[~honest]["flagged"].mean() >= (0.95 if setting["items"] > 1000 else 0.85)


@pytest.mark.timeout(1200)
def test_event_shares_of_noisy_labels() -> None:
    for share, sens, spec, people, least in (
        (0.39, 0.85, 0.85, 2, 0.95), (0.1, 0.85, 0.85, 2, 0.95), (0.39, 0.7, 0.95, 2, 0.9), (0.39, 0.95, 0.7, 2, 0.9),
        (0.2, 0.7, 0.95, 4, 0.93), (0.39, 0.85, 0.85, 5, 0.93), (0.3, 0.9, 0.9, 1, 0.95),
    ):  # fmt: skip
        rng = np.random.default_rng(1)
        rows = []
        for _ in range(300):
            event = rng.random(1000) < share
            says = rng.binomial(people, np.where(event, sens, 1 - spec))
            rows.append(aggregate.crowd_errors(says, np.full(1000, people)).share)
        value, low, high = np.array(rows).T
        held = ((low <= share) & (share <= high)).mean()
        print(f"share {share}, sensitivity {sens}, specificity {spec}, {people} people: mean {value.mean():.3f}, "
              f"coverage {held:.3f}, width {(high - low).mean():.3f}")  # fmt: skip
        assert held >= least


@pytest.mark.timeout(600)
def test_judges_help_and_do_not_mislead() -> None:
    for miss, alarm in ((0.4, 0.0), (0.1, 0.1), (0.5, 0.5), (0.0, 0.4)):
        rng = np.random.default_rng(2)
        held, saved = 0, []
        for _ in range(1000):
            event = rng.random(3000) < 0.4
            judge = np.where(event, rng.random(3000) >= miss, rng.random(3000) < alarm).astype(float)
            made = aggregate.powered_mean(event[:200].astype(float), judge[:200], judge[200:])
            held += made.low <= 0.4 <= made.high
            saved.append(200 * ((2 * 1.96 * np.sqrt(0.24 / 200) / (made.high - made.low)) ** 2 - 1))
        print(f"a judge that misses {miss} and alarms falsely in {alarm}: coverage {held / 1000:.3f}, "
              f"saves {np.mean(saved):.0f} of 200 answers")  # fmt: skip
        assert held >= 930


@pytest.mark.timeout(1200)
def test_people_are_the_unit_of_an_experiment() -> None:
    for binary in (False, True):
        held = by_rows = 0
        for seed in range(500):
            rng = np.random.default_rng(seed)
            who = np.repeat(np.arange(300), 20)
            arm = np.where(rng.permutation(300) % 2, "A", "B")[who]
            value = np.sqrt(0.3) * rng.normal(size=300)[who] + np.sqrt(0.7) * rng.normal(size=len(who))
            frame = pd.DataFrame({"item_id": np.arange(len(who)).astype(str), "component": "c", "arm": arm,
                                  "reward": (value > 0.5).astype(float) if binary else value,
                                  "unit_id": who.astype(str)})  # fmt: skip
            for name, table in (("people", frame), ("rows", frame.drop(columns="unit_id"))):
                row = experiment.compare_arms(table, control="A").iloc[1]
                inside = row["difference_low"] <= 0 <= row["difference_high"]
                held, by_rows = held + inside * (name == "people"), by_rows + inside * (name == "rows")
        print(f"A/A, 300 people x 20 rows, ICC .3, {'0/1' if binary else 'normal'} rewards: by people "
              f"{held / 500:.3f}, by rows {by_rows / 500:.3f}")  # fmt: skip
        assert held >= 465


@pytest.mark.timeout(1200)
def test_days_that_differ_raise_no_alarm() -> None:
    alarms = fails = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        day = np.sort(rng.integers(0, 105, 1500))
        z = [np.sqrt(0.1) * rng.normal(size=105)[day] + np.sqrt(0.9) * rng.normal(size=1500) for _ in range(6)]
        items = schema.shape(pd.DataFrame({
            "item_id": [f"i{k:05d}" for k in range(1500)], "component": "chat",
            "served_at": START + pd.to_timedelta(day + np.sort(rng.random(1500)) * 0.9, unit="D"),
            "score": 1 / (1 + np.exp(-z[0])), "latency_ms": np.exp(6 + 0.5 * z[1]), "error": (z[2] > 2).astype(int),
            "feature.turns": z[3], "cohort.language": np.where(z[4] > 0.5, "es", "en"),
            "feature.topic": np.where(z[5] > 0, "a", "b"),
        }), schema.ITEMS)  # fmt: skip
        answers = schema.shape(
            pd.DataFrame(columns=["feedback_id", "item_id", "rater_kind", "channel", "question", "component"]),
            schema.FEEDBACK,
        )
        changes = monitor.find_changes(items, answers, rng=np.random.default_rng(seed), n_perm=400)
        table = monitor.evidence(monitor.weekly(items, answers), changes, [])
        alarms, fails = alarms + changes["changed"].any(), fails + (table["verdict"] == "fail").any()
    print(
        f"day effects of ICC .1, nothing changes: any alarm in {alarms / 200:.3f} of worlds, any fail {fails / 200:.3f}"
    )
    assert alarms <= 17  # .05: 18 or more of 200 have a probability of 1.3 %
