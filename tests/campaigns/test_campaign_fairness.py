"""The long versions of the error rates of fairness. `make campaign` runs them and prints what docs/error_rates.md says.

HFKIT_CAMPAIGN=1 python -m pytest tests/campaigns/test_campaign_fairness.py -o testpaths= -q -s
"""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from hfkit.fairness.gates import Targets, gated
from hfkit.fairness.perspective import Part, Perspective
from hfkit.fairness.rates.compare import Rates
from hfkit.shared import cohorts, intervals
from hfkit.shared.costs import Costs
from hfkit.shared.evidence import GATE_LEVEL

GROUPS, SIZES, WORLDS = (2, 4, 8, 12, 24), (10, 30, 100, 200), 300
JUDGED = ("true positive rate", "false positive rate", "accuracy")
LEVEL = GATE_LEVEL["fairness"]
# Rates of events from 1 in 200 to 199 in 200; sizes of groups from 5 rows
P = np.round(np.concatenate([[0.005, 0.01, 0.02, 0.03], np.arange(0.05, 0.96, 0.05), [0.97, 0.98, 0.99, 0.995]]), 3)
SOME = (*range(5, 21), 25, 30, 40, 60, 100, 200)
LEVELS = (0.95, 0.99, 0.999, 0.9998)


def part(member, y, acted, *, rater=None, unit=None):
    """One component and cohort; without raters or persons every row stands for itself."""
    one, names = np.arange(len(y)), np.array([f"g{k:02d}" for k in range(int(member.max()) + 1)])
    name = "served" if rater is None else "rater"
    groups = cohorts.of(pd.DataFrame({f"{name}.g": names[member]}), name, family=f"{name}.")
    people = one if rater is None else rater
    clusters = () if rater is None and unit is None else (unit,) if rater is None else (rater, unit)
    view = Perspective(
        name=name, components=("c",), costs=(Costs(1.0, 1.0),), component=np.zeros(len(y), np.int64),
        event=np.asarray(y, np.int64), score=np.asarray(acted, float), acted=np.asarray(acted, np.int64), people=people,
        clusters=clusters, cohorts=tuple(groups), items=one.astype(str).astype(object),
    )  # fmt: skip
    return Part(view, 0, groups[0])


def world(rng, groups, size, *, rates=None, event=0.5, false_alarm=0.2):
    """Groups of `size` rows; the candidate redraws 3 decisions in 10, so both models have the same true rates."""
    member = np.repeat(np.arange(groups), size)
    y = rng.random(len(member)) < event
    p = np.where(y, np.repeat(np.full(groups, 0.7) if rates is None else rates, size), false_alarm)
    baseline = rng.random(len(member)) < p
    candidate = np.where(rng.random(len(member)) < 0.3, rng.random(len(member)) < p, baseline)
    return part(member, y, np.column_stack([baseline, candidate]))


def answers(rng, groups, raters):
    """Answers of raters who differ, 5 each, on items that differ and are shared between all groups."""
    rater = np.repeat(np.arange(groups * raters), 5)
    item = rng.integers(0, max(groups * raters * 5 // 4, 8), len(rater))
    hard, strict = rng.normal(size=item.max() + 1), rng.normal(size=groups * raters)
    says = hard[item] > 0
    y = hard[item] + strict[rater] + rng.normal(size=len(rater)) > 0
    return part(rater // raters, y, np.column_stack([says, says]), rater=rater, unit=item)


def people(rng, groups, persons):
    """Persons who differ in how often they are decided rightly, 6 items each."""
    person = np.repeat(np.arange(groups * persons), 6)
    right = rng.random(len(person)) < np.clip(0.7 + 0.2 * rng.normal(size=groups * persons), 0, 1)[person]
    return part(person // persons, np.ones(len(person)), np.column_stack([right, right]), unit=person)


def judge(at, margin, judged=JUDGED):
    """The gates of one part."""
    topic = Rates.of(at)
    return gated(
        [topic], topic.compare(0.95), Targets(judged=judged, main=[at.cohort.name], margin=margin, min_people=1)
    )[0]


@pytest.mark.parametrize("groups", GROUPS)
def test_identical_groups_rarely_fail(groups):
    """| groups | size | any gap fails, any change fails at margin 0 | at 0.05 | all gaps and changes hold 0 |"""
    for size in SIZES:
        rng = np.random.default_rng([groups, size])
        failed, held, worlds = np.zeros((2, 2)), 0, WORLDS if groups < 12 else WORLDS // 2
        for _ in range(worlds):
            at = world(rng, groups, size)
            for k, margin in enumerate((0.0, 0.05)):
                out = judge(at, margin)
                change = out["measure"].str.endswith("change")
                fails = out["verdict"] == "fail"
                failed[k] += [(fails & ~change).any(), (fails & change).any()]
            held += bool(((out["low"] <= 0) & (out["high"] >= 0) | out["low"].isna()).all())
        rates = " | ".join(f"{v:.3f}" for v in (failed / worlds).ravel())
        print(f"\n| {groups} | {size} | {rates} | {held / worlds:.3f} |", end="")
        assert (failed / worlds <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / worlds)).all()
        assert held / worlds >= 0.93


DRAWS = [(2, 20, answers), (8, 20, answers), (2, 60, answers), (2, 20, people), (8, 20, people)]


@pytest.mark.parametrize(("groups", "count", "draw"), DRAWS)
def test_identical_groups_of_raters_and_of_persons_rarely_fail(groups, count, draw):
    rng = np.random.default_rng([groups, count, 5])
    failed = np.mean([(judge(draw(rng, groups, count), 0.0)["verdict"] == "fail").any() for _ in range(400)])
    print(f"\n| {draw.__name__} | {groups} | {count} | {failed:.3f} |", end="")
    assert failed <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


@pytest.mark.parametrize("groups", GROUPS)
def test_planted_gap_is_found(groups):
    """A true positive rate of 0.65 in one group and 0.80 in all others, 400 rows with the event in each group.

    Found: the interval of its gap lies below 0 (so that harm is said to be clear). Whether the verdict is "fail" too
    depends on the margin: a gap of 0.15 must then be shown to exceed it.
    """
    found = {}
    for judged, margin in ((["true positive rate"], 0.05), (JUDGED, 0.05), (JUDGED, 0.1)):
        rng, hits = np.random.default_rng([groups, 15]), np.zeros(2)
        for _ in range(100):
            member, y = np.repeat(np.arange(groups), 800), np.tile([1, 0], groups * 400)
            says = rng.random(len(member)) < np.where(y == 1, np.where(member == 0, 0.65, 0.80), 0.2)
            out = judge(part(member, y, np.column_stack([says, says])), margin, judged)
            one = out[(out["measure"] == "true positive rate gap (candidate)") & (out["group"] == "served.g=g00")]
            hits += [one["high"].item() < 0, one["verdict"].item() == "fail"]
        found[len(judged), margin] = hits / 100
    print(f"\n| {groups} | " + " | ".join(f"{v[0]:.2f}, {v[1]:.2f}" for v in found.values()) + " |", end="")
    assert min(v[0] for v in found.values()) >= 0.9


@pytest.mark.parametrize("level", LEVELS)
def test_rates_cover(level):
    """Exact: the probability of every outcome, summed where the interval holds the true rate."""
    worst = {"room": 1.0, "wilson": 1.0}
    for n in SOME:
        k = np.arange(n + 1)
        found = {"room": intervals.rate(k, n, level)[1:3], "wilson": intervals.wilson(k, n, level)}
        for name, (low, high) in found.items():
            worst[name] = min(worst[name], *(((low <= p) & (p <= high)) @ binom.pmf(k, n, p) for p in P))
    print(f"\n| rate | {level} | {worst['room']:.4f} | Wilson's {worst['wilson']:.4f} |", end="")
    assert worst["room"] >= level


def at_place(found):
    return "{:.4f} at {} and {} rows, rates {} and {}".format(found[0], *found[1])


def held(low, high, left, right):
    """Coverage at every pair of rates: rate of the first x rate of the second."""
    out = np.empty((len(P), len(P)))
    for a in range(len(P)):
        gap = P[a] - P
        inside = (low[..., None] <= gap + 1e-12) & (gap - 1e-12 <= high[..., None])
        out[a] = np.einsum("i,ijb,jb->b", left[:, a], inside, right)
    return out


@pytest.mark.parametrize("level", LEVELS)
def test_gaps_cover(level):
    """Exact over both binomials, every pair of rates, sizes 5 to 200, at the levels that simultaneous intervals use.

    Least coverage at any size, and where the smaller side has at least 30 rows, as a gate needs; and of what the
    interval is made of: square-and-add alone, Agresti and Caffo's alone.
    """
    least = dict.fromkeys(("gap", "gap, 30 rows", "square-and-add alone", "Agresti-Caffo alone"), (1.0, ()))
    for n in SOME:
        for m in (m for m in SOME if m >= n):
            k, j = np.arange(n + 1)[:, None], np.arange(m + 1)[None]
            first, second = intervals.rate(k, n, level), intervals.rate(j, m, level)
            left, right = binom.pmf(k, n, P), binom.pmf(j.T, m, P)
            both = intervals.difference(first, second)
            added = intervals.mover((first.value, *first.near), (second.value, *second.near))
            centre, half = first.centre - second.centre, np.hypot(first.half, second.half)
            bounds = {"gap": both[1:], "square-and-add alone": added[1:],
                      "Agresti-Caffo alone": (centre - half, centre + half)}  # fmt: skip
            for name, (low, high) in bounds.items():
                if name != "gap" and level not in (0.95, 0.999):
                    continue
                cover = held(low, high, left, right)
                a, b = np.unravel_index(cover.argmin(), cover.shape)
                here = (float(cover[a, b]), (n, m, P[a], P[b]))
                least[name] = min(least[name], here)
                if name == "gap" and n >= 30:
                    least["gap, 30 rows"] = min(least["gap, 30 rows"], here)
    for name, found in least.items():
        if found[1]:
            print(f"\n| {name} | {level} | {at_place(found)} |", end="")
    assert least["gap"][0] >= level - 0.02
    assert 1 - least["gap, 30 rows"][0] <= 2.5 * (1 - level)


@pytest.mark.parametrize("level", LEVELS)
def test_changes_cover(level):
    """Exact over the paired multinomial: rows that go up and rows that go down.

    Least coverage at any size, where at most 95 of 100 rows move, and where a gate may rest on them besides.
    """
    least = dict.fromkeys(("paired change", "paired change, not all move", "the same, 30 rows"), (1.0, ()))
    for n in (*range(5, 13), 15, 18, 19, 20, 22, 25, 30, 40, 60):
        up, down = np.array([(u, d) for u in range(n + 1) for d in range(n + 1 - u)]).T
        _, low, high = intervals.paired(up, down, n, level)
        for p in P:
            for q in P[1 - p + 1e-9 > P]:
                weight = binom.pmf(up, n, p) * binom.pmf(down, n - up, min(q / (1 - p), 1.0))
                here = (float(weight[(low <= p - q + 1e-12) & (p - q - 1e-12 <= high)].sum()), (n, n, p, q))
                stay = p + q <= 0.95 + 1e-9
                for name, use in zip(least, (True, stay, stay and n >= 30), strict=True):
                    least[name] = min(least[name], here) if use else least[name]
    for name, found in least.items():
        print(f"\n| {name} | {level} | {at_place(found)} |", end="")
    assert least["paired change"][0] >= level - 0.03
    assert least["paired change, not all move"][0] >= level - 0.02
    assert 1 - least["the same, 30 rows"][0] <= 5 * (1 - level)


@pytest.mark.parametrize("groups", [4, 12, 24])
def test_gaps_of_different_groups_cover_together(groups):
    """True positive rates from 0.5 to 0.95: all gaps and changes of a measure hold their truth, given the rows."""
    for size in (10, 30, 100):
        rng = np.random.default_rng([groups, size, 2])
        rates, held_all, worlds = np.linspace(0.5, 0.95, groups), 0, 300
        for _ in range(worlds):
            at = world(rng, groups, size, rates=rates)
            out = judge(at, 0.0, ["true positive rate"])
            n = np.bincount(at.cohort.code[at.view.event == 1], minlength=groups)
            truth = rates - (rates @ n - rates * n) / (n.sum() - n)
            target = np.where(out["measure"].str.endswith("change"), 0.0, truth[out["group"].str[-2:].astype(int)])
            held_all += not ((out["low"] > target) | (out["high"] < target)).any()
        print(f"\n| {groups} | {size} | {held_all / worlds:.3f} |", end="")
        assert held_all / worlds >= LEVEL - 2 * np.sqrt(LEVEL * (1 - LEVEL) / worlds)
