"""The long versions of the error rates of scores by group; they print what docs/error_rates.md says.

HFKIT_CAMPAIGN=1 python -m pytest tests/campaigns/test_campaign_scores.py -o testpaths= -q -s
"""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit, ndtri

from hfkit.fairness.gates import Targets, gated
from hfkit.fairness.perspective import Part, Perspective
from hfkit.fairness.scores import bounds, influence
from hfkit.fairness.scores.compare import Scores
from hfkit.shared import cohorts
from hfkit.shared.costs import Costs
from hfkit.shared.measures import SCORES

WORLDS = 300
RATES = (0.02, 0.1, 0.5, 0.9, 0.98)
SIZES = (5, 12, 30, 100, 400)
KINDS, ABLE = ("calibrated", "similar", "timid", "no base rate", "noise"), (0.5, 0.8, 0.95)
MANY = 300_000
NAMES = [s.name for s in SCORES]


def part(member, y, score, *, rater=None, unit=None):
    """One component and cohort; without raters or persons every row stands for itself."""
    one, names = np.arange(len(y)), np.array([f"g{k:03d}" for k in range(int(member.max()) + 1)], object)
    name = "served" if rater is None else "rater"
    groups = cohorts.of(pd.DataFrame({f"{name}.g": names[member]}), name, family=f"{name}.")
    view = Perspective(
        name=name, components=("c",), costs=(Costs(1.0, 1.0),), component=np.zeros(len(y), np.int64),
        event=np.asarray(y, np.int64), score=score, acted=(score >= 0.5).astype(np.int64),
        people=one if rater is None else rater, clusters=() if rater is None else (rater, unit), cohorts=tuple(groups),
        items=one.astype(str).astype(object),
    )  # fmt: skip
    return Part(view, 0, groups[0])


def measured(at):
    """What `influence` measures of each group of a part."""
    found = influence.cases(at.view, 0)
    member = at.cohort.code[found.order]
    return influence.measured(found, [member == g for g in range(len(at.cohort.groups))])


def scored(rng, y, event, auc, kind):
    """Scores of both models, equally far apart between the classes (binormal); `kind` says what is wrong with them."""
    d = np.sqrt(2) * ndtri(auc)
    one, two = rng.normal(size=(2, len(y)))
    x, z = one + d * y, (0.3 * two + 0.95 * one if kind == "similar" else two) + d * y
    good = expit(logit(event) + d * x - d * d / 2)
    other = {
        "calibrated": expit(logit(event) + d * z - d * d / 2), "similar": expit(logit(event) + d * z - d * d / 2),
        "timid": expit((logit(event) + d * x - d * d / 2) / 2), "no base rate": expit(d * x - d * d / 2),
        "noise": rng.random(len(y)),
    }[kind]  # fmt: skip
    return np.column_stack([good, other])


def share(event, auc, kind, size):
    """Worlds with an interval and worlds where it misses, of every measure: candidate alone, and change."""
    rng = np.random.default_rng([int(event * 100), int(auc * 100), KINDS.index(kind), size])
    y = rng.random(MANY) < event
    truth = measured(part(np.zeros(MANY, np.int64), y, scored(rng, y, event, auc, kind))).value[0]
    y = rng.random(size * WORLDS) < event
    found = measured(part(np.repeat(np.arange(WORLDS), size), y, scored(rng, y, event, auc, kind)))
    alone, change = bounds.alone(found, 0.95), bounds.changes(found, 0.95)
    sides = ((alone[1][:, 1], alone[2][:, 1], truth[1]), (change[1], change[2], truth[2]))
    given = np.array([(~np.isnan(low)).sum(axis=0) for low, _, _ in sides])
    missed = np.array([((low > true) | (high < true)).sum(axis=0) for low, high, true in sides])
    return given, missed


@pytest.mark.parametrize("size", SIZES)
def test_intervals_cover(size):
    """Each row of the table: all rates of the event, abilities and kinds of scores; 300 worlds each."""
    found = np.array([share(e, a, k, size) for k in KINDS for e in RATES for a in ((0.5,) if k == "noise" else ABLE)])
    given, missed = found[:, 0], found[:, 1]
    often = given >= WORLDS / 2
    for k, name in enumerate(("alone", "change")):
        cells = []
        for j in range(4):
            use = often[:, k, j]
            held = 1 - missed[use, k, j] / given[use, k, j]
            middle = 1 - missed[use, k, j].sum() / max(given[use, k, j].sum(), 1)
            cells.append(f"{held.min():.3f} ({middle:.3f}, {use.sum()})" if use.any() else "none given")
        print(f"\n| {name} | {size} | {' | '.join(cells)} | {missed[:, k].max() / WORLDS:.3f} |", end="")
    assert (missed / WORLDS <= 0.07 + 2 * np.sqrt(0.07 * 0.93 / WORLDS)).all()
    assert (1 - missed / np.maximum(given, 1) >= 0.93 - 3 * np.sqrt(0.07 * 0.93 / WORLDS))[often].all()


def world(rng, groups, size, *, event=0.4, ability=0.85):
    """Groups of `size` rows; both models are calibrated and equally good."""
    member = np.repeat(np.arange(groups), size)
    y, d = rng.random(len(member)) < event, np.sqrt(2) * ndtri(np.repeat(np.broadcast_to(ability, groups), size))
    one, two = rng.normal(size=(2, len(member)))
    x = d * y + np.array([one, 0.7 * one + np.sqrt(0.51) * two])
    return part(member, y, expit(logit(event) + d * x - d * d / 2).T)


def judge(at, judged, margin):
    """The gates of one part."""
    topic = Scores.of(at)
    targets = Targets(judged=judged, main=[at.cohort.name], margins=dict.fromkeys(judged, margin), min_people=1)
    return gated([topic], topic.compare(0.95), targets)[0]


@pytest.mark.parametrize("groups", [2, 4, 8, 12, 24])
def test_identical_groups_rarely_fail(groups):
    """| groups | size | any gap fails, any change fails at margin 0 | all gaps, all changes hold 0 |"""
    for size in (10, 50, 200):
        rng, found, worlds = np.random.default_rng([groups, size]), np.zeros(4), 100
        for _ in range(worlds):
            out = judge(world(rng, groups, size), NAMES, 0.0)
            change = out["measure"].str.endswith("change").to_numpy()
            off, fail = ((out["low"] > 0) | (out["high"] < 0)).to_numpy(), (out["verdict"] == "fail").to_numpy()
            found += [
                (fail & ~change).any(),
                (fail & change).any(),
                not (off & ~change).any(),
                not (off & change).any(),
            ]
        print(f"\n| {groups} | {size} | {' | '.join(f'{v:.2f}' for v in found / worlds)} |", end="")
        assert (found[:2] / worlds <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / worlds)).all()
        assert (found[2:] / worlds >= 0.93 - 2 * np.sqrt(0.07 * 0.93 / worlds)).all()


def answers(rng, groups, raters, *, each=8):
    """Answers of raters who differ, on items that differ and are shared; the score sees the item and not the rater."""
    rater = np.repeat(np.arange(groups * raters), each)
    item = rng.integers(0, max(len(rater) // 3, 8), len(rater))
    hard, strict = rng.normal(size=item.max() + 1), rng.normal(size=groups * raters)
    y = hard[item] + strict[rater] + rng.normal(size=len(rater)) > 0
    s = expit(1.2 * hard[item])
    t = expit(1.2 * (0.8 * hard + 0.6 * rng.normal(size=len(hard)))[item])
    return part(rater // raters, y, np.column_stack([s, t]), rater=rater, unit=item)


@pytest.mark.parametrize("raters", [12, 25, 60])
def test_intervals_of_answers_cover(raters):
    """Worlds of two groups of raters: coverage of the first group's intervals, and false fails of its gap."""
    rng = np.random.default_rng(raters)
    truth = measured(answers(rng, 1, 40_000)).value[0]
    given, missed, failed, worlds = np.zeros((3, 4)), np.zeros((3, 4)), 0, 150
    for _ in range(worlds):
        at = answers(rng, 2, raters)
        found = measured(at)
        alone, change = bounds.alone(found, 0.95), bounds.changes(found, 0.95)
        low, high = (np.concatenate([alone[k][0], change[k][:1]]) for k in (1, 2))
        given += ~np.isnan(low)
        missed += (low > truth) | (high < truth)
        out = judge(at, NAMES, 0.0)
        failed += bool((out["measure"].str.contains(r" gap \(") & (out["verdict"] == "fail")).any())
    with np.errstate(invalid="ignore"):
        held = 1 - missed / given
    for k, name in enumerate(("baseline", "candidate", "change")):
        cells = [f"{h:.3f}" if g else "none given" for h, g in zip(held[k], given[k], strict=True)]
        print(f"\n| {raters} | {name} | {' | '.join(cells)} | {failed / worlds:.3f} |", end="")
    assert failed / worlds <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / worlds)
    assert (missed / worlds <= 0.07 + 2 * np.sqrt(0.07 * 0.93 / worlds)).all()


@pytest.mark.parametrize("groups", [2, 4, 12])
def test_planted_gap_is_found(groups):
    """AUC 0.70 in one group of 400, 0.85 elsewhere: the share of worlds in which its gap fails at margin 0 and 0.05."""
    rng, found = np.random.default_rng(groups), np.zeros(2)
    for _ in range(60):
        at = world(rng, groups, 400, ability=np.array([0.70, *[0.85] * (groups - 1)]))
        for k, margin in enumerate((0.0, 0.05)):
            out = judge(at, ["AUC"], margin)
            mine = out[(out["measure"] == "AUC gap (candidate)") & (out["group"] == "served.g=g000")]
            found[k] += mine["verdict"].iloc[0] == "fail"
    print(f"\n| {groups} | {' | '.join(f'{v:.2f}' for v in found / 60)} |", end="")
    assert found[0] / 60 >= 0.9
