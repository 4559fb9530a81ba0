"""The long versions of the error rates of scores by group; they print what docs/error_rates.md says.

HFKIT_CAMPAIGN=1 python -m pytest tests/campaigns/test_campaign_scores.py -o testpaths= -q -s
"""

import numpy as np
import pytest
from scipy.special import expit, logit, ndtri

from hfkit import fairness
from hfkit.fairness import bounds, influence

WORLDS = 300
RATES = (0.02, 0.1, 0.5, 0.9, 0.98)
SIZES = (5, 12, 30, 100, 400)
MANY = 300_000


def rows(member, y, score, *, rater=None, item=None):
    """One perspective of one component; without raters every row is its own item."""
    one = np.arange(len(y))
    return fairness.Perspective(
        "served" if rater is None else "rater", ("c",), np.zeros(len(y), np.int64), np.asarray(y, np.int64),
        (score >= 0.5).astype(np.int64), one if rater is None else rater, one if item is None else item, ("served.g",),
        (tuple(f"served.g={k:03d}" for k in range(member.max() + 1)),), (member,), score,
    )  # fmt: skip


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


def parts(p, groups):
    found = influence.cases(p, 0)
    member = p.member[0][found.order]
    return influence.measured(found, [member == g for g in range(groups)])


def share(event, auc, kind, size):
    """Worlds with an interval and worlds where it misses, of every measure: candidate alone, and change."""
    seed = ["calibrated", "similar", "timid", "no base rate", "noise"].index(kind)
    rng = np.random.default_rng([int(event * 100), int(auc * 100), seed, size])
    y = rng.random(MANY) < event
    truth = parts(rows(np.zeros(MANY, np.int64), y, scored(rng, y, event, auc, kind)), 1).value[0]
    given, missed = np.zeros((2, 2, 4))
    for _ in range(3):
        y = rng.random(size * WORLDS // 3) < event
        found = parts(rows(np.repeat(np.arange(WORLDS // 3), size), y, scored(rng, y, event, auc, kind)), WORLDS // 3)
        alone, change = bounds.alone(found, 0.95), bounds.changes(found, 0.95)
        for k, (low, high, true) in enumerate(
            ((alone[1][:, 1], alone[2][:, 1], truth[1]), (change[1], change[2], truth[2]))
        ):
            given[k] += (~np.isnan(low)).sum(axis=0)
            missed[k] += ((low > true) | (high < true)).sum(axis=0)
    return given, missed


@pytest.mark.parametrize("kind", ["calibrated", "similar", "timid", "no base rate", "noise"])
def test_intervals_cover(kind):
    """Each row of the table: all rates of the event and abilities; 300 worlds each."""
    abilities = (0.5,) if kind == "noise" else (0.5, 0.8, 0.95)
    for size in SIZES:
        found = np.array([share(event, auc, kind, size) for event in RATES for auc in abilities])
        given, missed = found[:, 0], found[:, 1]
        often = given >= WORLDS / 2
        for k, name in enumerate(("alone", "change")):
            cells = []
            for j in range(4):
                use = often[:, k, j]
                held = 1 - missed[use, k, j] / given[use, k, j]
                middle = 1 - missed[use, k, j].sum() / max(given[use, k, j].sum(), 1)
                cells.append(f"{held.min():.3f} ({middle:.3f}, {use.sum()})" if use.any() else "none given")
            print(f"\n| {kind} | {name} | {size} | {' | '.join(cells)} | {missed[:, k].max() / WORLDS:.3f} |", end="")
        assert (missed / WORLDS <= 0.07 + 2 * np.sqrt(0.07 * 0.93 / WORLDS)).all()
        assert (1 - missed / np.maximum(given, 1) >= 0.93 - 3 * np.sqrt(0.07 * 0.93 / WORLDS))[often].all()


def world(rng, groups, size, *, event=0.4, ability=0.85):
    """Groups of `size` rows; both models are calibrated and equally good."""
    member = np.repeat(np.arange(groups), size)
    y, d = rng.random(len(member)) < event, np.sqrt(2) * ndtri(np.repeat(np.broadcast_to(ability, groups), size))
    one, two = rng.normal(size=(2, len(member)))
    x = d * y + np.array([one, 0.7 * one + np.sqrt(0.51) * two])
    return rows(member, y, expit(logit(event) + d * x - d * d / 2).T)


def read(evidence):
    """Any fail of a gap, of a change; all gaps and all changes hold 0."""
    low, high = evidence["low"], evidence["high"]
    change = evidence["measure"].str.endswith("change").to_numpy()
    compared = change | evidence["measure"].str.contains(r" gap \(").to_numpy()
    off, fail = ((low > 0) | (high < 0)).to_numpy() & compared, (evidence["verdict"] == "fail").to_numpy()
    return [(fail & ~change).any(), (fail & change).any(), not (off & ~change).any(), not (off & change).any()]


@pytest.mark.parametrize("groups", [2, 4, 8, 12, 24])
def test_identical_groups_rarely_fail(groups):
    for size, worlds in ((10, 100), (50, 100), (200, 100)):
        rng = np.random.default_rng([groups, size])
        judged = dict.fromkeys(fairness.SCORES, 0.0)
        found = [read(fairness.scores([world(rng, groups, size)], judged=judged).evidence) for _ in range(worlds)]
        print(f"\n| {groups} | {size} | {' | '.join(f'{v:.2f}' for v in np.mean(found, axis=0))} |", end="")
        assert (np.mean(found, axis=0)[:2] <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / worlds)).all()
        assert (np.mean(found, axis=0)[2:] >= 0.93 - 2 * np.sqrt(0.07 * 0.93 / worlds)).all()


def answers(rng, groups, raters, *, each=8):
    """Answers of raters who differ, on items that differ and are shared; the score sees the item and not the rater."""
    rater = np.repeat(np.arange(groups * raters), each)
    item = rng.integers(0, max(len(rater) // 3, 8), len(rater))
    hard, strict = rng.normal(size=item.max() + 1), rng.normal(size=groups * raters)
    y = hard[item] + strict[rater] + rng.normal(size=len(rater)) > 0
    s = expit(1.2 * hard[item])
    t = expit(1.2 * (0.8 * hard + 0.6 * rng.normal(size=len(hard)))[item])
    return rows(rater // raters, y, np.column_stack([s, t]), rater=rater, item=item)


@pytest.mark.parametrize("raters", [12, 25, 60])
def test_intervals_of_answers_cover(raters):
    """Worlds of two groups of raters: coverage of the first group's intervals, and false fails of its gap."""
    rng = np.random.default_rng(raters)
    truth = influence.measured(influence.cases(big := answers(rng, 1, 40_000), 0), [np.ones(len(big.y), bool)]).value[0]
    given, missed, failed, worlds = np.zeros((3, 4)), np.zeros((3, 4)), 0, 150
    for _ in range(worlds):
        p = answers(rng, 2, raters)
        found = parts(p, 2)
        alone, change = bounds.alone(found, 0.95), bounds.changes(found, 0.95)
        low, high = (np.concatenate([alone[k][0], change[k][:1]]) for k in (1, 2))
        given += ~np.isnan(low)
        missed += (low > truth) | (high < truth)
        out = fairness.scores([p], judged=dict.fromkeys(fairness.SCORES, 0.0)).evidence
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
    """AUC 0.70 in one group of 400, 0.85 elsewhere."""
    rng, found = np.random.default_rng(groups), np.zeros(2)
    for _ in range(60):
        p = world(rng, groups, 400, ability=np.array([0.70, *[0.85] * (groups - 1)]))
        for k, margin in enumerate((0.0, 0.05)):
            out = fairness.scores([p], judged={"AUC": margin}).evidence
            mine = out[(out["measure"] == "AUC gap (candidate)") & (out["group"] == "served.g=000")]
            found[k] += mine["verdict"].iloc[0] == "fail"
    print(f"\n| {groups} | {' | '.join(f'{v:.2f}' for v in found / 60)} |", end="")
    assert found[0] / 60 >= 0.9
