"""Is the same text scored alike? Sums against a list of all pairs, planted differences, coverage over few texts."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binomtest
from test_fairness import compared, given, measured, part, pick, view

from hfkit.fairness.consistency import SameText, pairs, texts
from hfkit.fairness.consistency import _student as bounds_of_a_mean
from hfkit.shared.measures import SAME_TEXT

APART, BEYOND = "score difference across groups", "score difference beyond that inside"


def served(kinds, groups, copies=1):
    """`kinds` different texts, each served `copies` times to every group: text and group of each row."""
    words = [f"{chr(97 + k % 26)}{chr(97 + k // 26)} word" for k in range(kinds)]
    rows = [(w, g) for w in words for g in groups for _ in range(copies)]
    return [r[0] for r in rows], np.array([r[1] for r in rows])


def alike(group, before, after, text, **more):
    world = given(group, [0] * len(group), before, after, text=text, **more)
    at = part(world)
    return SameText.of(at, texts(at.view, world.items))


def test_pairs_equal_a_list_of_all_pairs():
    rng = np.random.default_rng(5)
    text, group = rng.integers(0, 12, 150), rng.integers(0, 4, 150)
    score = rng.random(150).round(1)
    yes = (score >= 0.5).astype(float)
    found = pairs(text, group, score, yes)
    names = np.unique(text)
    for k in range(len(found.n)):
        here = text == names[found.text[k]]
        own, rest = np.flatnonzero(here & (group == found.group[k])), np.flatnonzero(here & (group != found.group[k]))
        apart = [(abs(score[i] - score[j]), yes[i] != yes[j]) for i in own for j in rest]
        same = [(abs(score[i] - score[j]), yes[i] != yes[j]) for i, j in combinations(own, 2)]
        for mine, peer in ((found.across[k], apart), (found.inside[k], same)):
            assert mine == pytest.approx([len(peer), sum(p[0] for p in peer), sum(p[1] for p in peer)])
        assert found.signed[k] == pytest.approx(score[own].mean() - score[rest].mean())


def test_a_text_with_very_many_copies_is_no_list_of_pairs():
    rng = np.random.default_rng(9)
    n = 200_000
    group, score = rng.integers(0, 3, n), rng.random(n)
    found = pairs(np.zeros(n, int), group, score, (score > 0.5).astype(float))
    assert found.across[:, 0].sum() / 2 > 1e10
    assert found.across[:, 1] / found.across[:, 0] == pytest.approx(1 / 3, abs=0.01)  # two uniform numbers


@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_a_model_that_adds_to_the_score_of_one_group_is_found(noise):
    rng = np.random.default_rng(6)
    text, group = served(80, ["a", "b", "c"], copies=2)
    own = dict(zip(sorted(set(text)), rng.uniform(0.2, 0.7, 80), strict=True))
    fair = np.array([own[t] for t in text]) + noise * rng.standard_normal(len(text))
    topic = alike(group, fair, fair + 0.1 * (group == "a"), text)
    a = compared(topic, "", SAME_TEXT.name, group="a", model="candidate")
    assert a.value == pytest.approx(0.1, abs=0.02)
    assert a.low > 0.05
    before = compared(topic, "", SAME_TEXT.name, model="baseline")
    assert all(c.low <= 0 <= c.high for c in before.values())
    table = topic.alone()
    assert pick(table, group="served.g", measure=BEYOND, model="candidate")["low"] > 0
    assert pick(table, group="served.g", measure=BEYOND, model="baseline")["low"] <= 0
    out = measured(group, [0] * len(group), fair, fair + 0.1 * (group == "a"), text=text, judged=[SAME_TEXT.name],
                   targets={"margins": {SAME_TEXT.name: 0.02}})  # fmt: skip
    verdicts = out.gates.set_index("group")["verdict"]
    assert verdicts["served.g=a"] == "fail"
    assert set(out.gates["measure"]) == {f"{SAME_TEXT.name} (candidate)"}


def test_nobody_is_blamed_where_scores_go_with_the_text():
    """Intervals that hold together over five groups and two models leave out 0 in about one world of twenty."""
    rng, wrong = np.random.default_rng(8), 0
    for _ in range(25):
        text, group = served(15, list("abcde"), copies=2)
        own = dict(zip(sorted(set(text)), rng.random(15), strict=True))
        score = np.clip(np.array([own[t] for t in text]) + 0.05 * rng.standard_normal(len(text)), 0, 1)
        topic = alike(group, score, score, text)
        wrong += any(not c.low <= 0 <= c.high for c in topic.compare(0.95 ** (1 / 5)))
    assert wrong <= 4


def test_disagreement_by_hand():
    text, group = served(12, ["a", "b"])
    score = np.where((group == "a") & (np.arange(24) < 6), 0.9, 0.1)
    row = pick(alike(group, score, score, text).alone(), group="served.g=a", model="candidate",
               measure="decision disagreement across groups")  # fmt: skip
    peer = binomtest(3, 12).proportion_ci(0.95)
    assert (row["texts"], row["pairs"], row["value"]) == (12, 12, 0.25)
    assert (row["low"], row["high"]) == pytest.approx((peer.low, peer.high))


@pytest.mark.parametrize("kind", ["signed", "absolute", "skewed", "rare"])
@pytest.mark.parametrize("n", [10, 30])
def test_the_mean_over_few_texts_covers(kind, n):
    rng = np.random.default_rng(10)
    x = 0.1 * rng.standard_normal((1500, n))
    x, truth = {
        "signed": (x, 0.0), "absolute": (abs(x), 0.1 * math.sqrt(2 / math.pi)),
        "skewed": (rng.beta(0.5, 5, x.shape), 1 / 11), "rare": (0.3 * (rng.random(x.shape) < 0.1), 0.03),
    }[kind]  # fmt: skip
    bounds = [bounds_of_a_mean(row, 0.95, (-1, 1)) for row in x]
    assert np.mean([low <= truth <= high for _, low, high in bounds]) >= 0.93


def test_texts_that_nobody_shares_tell_nothing():
    none = alike(["a", "b"] * 10, [0.4] * 20, [0.6] * 20, [f"{w} {'word' * 3}" for w in map(chr, range(97, 117))])
    for comparison in none.compare(0.95):
        assert math.isnan(comparison.value)
        assert comparison.note == "undefined: no such pairs"
    row = none.reach()
    assert (row["value"], row["note"]) == (0, "fewer than 10 texts were served to two groups")
    text, group = served(9, ["a", "b"])
    few = compared(alike(group, [0.4] * 18, [0.6] * 18, text), "", SAME_TEXT.name, group="a", model="candidate")
    assert few.value == 0
    assert not few.usable
    blank = alike(["a", "b"] * 10, [0.4] * 20, [0.6] * 20, [None] * 20)
    assert "20 rows without a text are left out" in blank.reach()["note"]


def test_a_text_that_only_one_group_saw_is_no_pair():
    """Thirty shared texts and many that only a saw: the comparison is of the thirty."""
    text, group = served(30, ["a", "b"])
    more = [f"{chr(97 + k % 26)}{chr(97 + k // 26)}{chr(110 + k // 100)} lonely" for k in range(40)]
    score = np.r_[np.where(group == "a", 0.6, 0.4), np.full(40, 0.99)]
    topic = alike(np.r_[group, ["a"] * 40], score, score, [*text, *more])
    a = compared(topic, "", SAME_TEXT.name, group="a", model="candidate")
    assert (a.n, a.value) == (30, pytest.approx(0.2))


def test_only_the_people_served_share_texts():
    text, group = served(20, ["a", "b"])
    world = given(group, [0] * 40, [0.4] * 40, [0.4] * 40, text=text, side=group)
    assert set(texts(view(world), world.items)) != {""}
    out = measured(group, [0] * 40, [0.4] * 40, [0.4] * 40, text=text, side=group)
    assert set(out.consistency["group"].str.partition(".")[0]) == {"served"}
    assert APART in set(out.consistency["measure"])
