"""Gates and leads at the sample world's group sizes: what is found, and how often a verdict is wrong.

HFKIT_CAMPAIGN=1 python -m pytest tests/campaigns/test_campaign_gates.py -o testpaths= -q -s
"""

import numpy as np
import pandas as pd
import pytest

from hfkit.fairness import leads
from hfkit.fairness.comparison import few
from hfkit.fairness.gates import Targets, gated
from hfkit.fairness.perspective import Perspective, parts
from hfkit.fairness.rates.compare import Rates
from hfkit.shared import cohorts, stats
from hfkit.shared.costs import Costs

WORLDS = 400
NAMES = ("policy", "ranking", "safety")
SIZES, EVENTS = (527, 546, 561), (0.42, 0.42, 0.35)  # test items without ties, share of events, as in the sample world
RIGHT = {1: (0.62, 0.56, 0.82), 0: (0.79, 0.72, 0.55)}  # how often the baseline is right, with and without the event
LANGUAGES = {"en": 0.554, "es": 0.182, "fr": 0.127, "de": 0.0875, "pt": 0.0285, "not stated": 0.021}
AGES = {"30-44": 0.297, "45-59": 0.240, "18-29": 0.228, "60+": 0.182, "not stated": 0.053}
REGIONS = {"north": 0.31, "east": 0.23, "south": 0.21, "west": 0.18, "not stated": 0.07}
MAIN = ("served.language", "served.age_band")
JUDGED = ("true positive rate", "false positive rate", "accuracy")


def draw(rng, shares, n):
    return rng.choice(list(shares), n, p=np.array(list(shares.values())) / sum(shares.values()))


def view(name, frame, cohort_columns, crossings=()):
    """A perspective from columns component, event, before, after, person, unit and the cohorts."""
    columns = frame[cohort_columns].rename(columns={c: f"{name}.{c}" for c in cohort_columns})
    acted = frame[["before", "after"]].to_numpy(int)
    person = pd.factorize(frame["person"])[0]
    return Perspective(
        name=name, components=NAMES, costs=(Costs(1.0, 3.0),) * 3, component=frame["component"].to_numpy(int),
        event=frame["event"].to_numpy(int), score=acted.astype(float), acted=acted, people=person,
        clusters=() if name == "served" else (person, frame["unit"].to_numpy(int)),
        cohorts=tuple(cohorts.of(columns, name, family=f"{name}.", crossings=crossings)),
        items=frame["unit"].astype(str).to_numpy(object),
    )  # fmt: skip


def world(rng, harm=0.0, where=None, everyone=0.0):
    """Both perspectives of a world: right decisions become rarer by `harm` in one group, by `everyone` everywhere.

    The baseline is the same for all; one in four of the candidate's decisions is drawn anew, so that both models agree
    as two versions of one model do. Three answers an item, 330 raters who differ, 15 % of answers are wrong.
    """
    rows = []
    for c, (n, share) in enumerate(zip(SIZES, EVENTS, strict=True)):
        event = (rng.random(n) < share).astype(int)
        frame = pd.DataFrame({"component": c, "event": event, "language": draw(rng, LANGUAGES, n),
                              "age_band": draw(rng, AGES, n)})  # fmt: skip
        right = np.where(event == 1, RIGHT[1][c], RIGHT[0][c])
        before = rng.random(n) < right
        after = np.where(rng.random(n) < 0.75, before, rng.random(n) < right)
        inside = (frame[where[0]] == where[1]).to_numpy() if where else np.zeros(n, bool)
        lost = (inside * harm + everyone) / right
        after &= rng.random(n) >= lost
        frame["before"], frame["after"] = (np.where(r, event, 1 - event) for r in (before, after))
        rows.append(frame)
    served = pd.concat(rows, ignore_index=True)
    served["unit"] = served["person"] = np.arange(len(served))
    raters = pd.DataFrame({"age_band": draw(rng, AGES, 330), "region": draw(rng, REGIONS, 330),
                           "error": np.clip(rng.normal(0.15, 0.05, 330), 0.02, 0.4)})  # fmt: skip
    answers = served.loc[np.repeat(served.index, 3), ["component", "event", "before", "after", "unit"]]
    person = rng.choice(330, len(answers), p=(w := rng.pareto(3, 330) + 0.3) / w.sum())
    wrong = rng.random(len(answers)) < raters["error"].to_numpy()[person]
    answers = answers.assign(event=np.where(wrong, 1 - answers["event"], answers["event"]), person=person)
    answers[["age_band", "region"]] = raters[["age_band", "region"]].to_numpy()[person]
    crossed = [("language", "age_band")]
    return [view("served", served, ["language", "age_band"], crossed), view("rater", answers.reset_index(drop=True),
                                                                            ["age_band", "region"])]  # fmt: skip


GROUPS = [("language", "en"), ("language", "es"), ("language", "fr"), ("language", "de"),
          *(("age_band", a) for a in list(AGES)[:4])]  # fmt: skip


def judged(views, margin):
    """The gates of a world, and its comparisons at 95 %."""
    topics = [Rates.of(p) for p in parts(views)]
    targets = Targets(judged=JUDGED, main=MAIN, margin=margin)
    comparisons = few([c for t in topics for c in t.compare(0.95)], 5)
    return gated(topics, comparisons, targets)[0], comparisons, targets


def truth(c, harm, where):
    """The planted gap or change of a cell of the people served, in the bad direction."""
    group = dict(zip(c.part.cohort.groups[c.group].attributes, c.part.cohort.groups[c.group].values, strict=True))
    frame = pd.DataFrame({a: np.array([g.values[i] for g in x.groups])[x.code] for x in c.part.view.cohorts
                          if not x.main for i, a in enumerate(x.attributes)}).iloc[c.part.rows]  # fmt: skip
    inside = np.logical_and.reduce([frame[a] == v for a, v in group.items()])
    harmed = ((frame[where[0]] == where[1]) * harm).to_numpy()
    rest = harmed[~inside].mean() if c.form == "gap" and (~inside).any() else 0.0
    return float(harmed[inside].mean() - rest)


@pytest.mark.parametrize("margin", [0.05, 0.1])
def test_harm_of_main_groups_is_found(margin):
    """One group harmed by 0.3, in turn: the share of its main cells that fail, and what leads decide."""
    fails, cells, decided, wrong, looked = 0, 0, {}, {}, 0
    for w in range(WORLDS):
        rng = np.random.default_rng([w, 3])
        where = GROUPS[w % len(GROUPS)]
        found, comparisons, targets = judged(world(rng, 0.3, where), margin)
        own = found[found["group"] == f"served.{where[0]}={where[1]}"]
        fails, cells = fails + (own["verdict"] == "fail").sum(), cells + len(own)
        wide = [c for c in comparisons if c.gates and c.part.view.name == "served" and c.measure.name in JUDGED
                and not c.part.cohort.main and c.usable]  # fmt: skip
        beyond = dict(zip(map(id, comparisons), leads.harm(comparisons, targets.of), strict=True))
        own_truth = np.array([truth(c, 0.3, where) for c in wide])
        looked += len(wide)
        for name, verdicts in (("pooled", leads.verdicts(np.array([beyond[id(c)] for c in wide]), 0.05)[0]),
                               ("BH", benjamini_hochberg(wide, margin))):  # fmt: skip
            verdicts = np.array(verdicts)
            decided[name] = decided.get(name, 0) + (verdicts != "inconclusive").sum()
            bad = ((verdicts == "fail") & (own_truth <= margin)) | ((verdicts == "pass") & (own_truth > margin))
            wrong[name] = wrong.get(name, 0) + bad.sum()
    shares = {n: f"{decided[n] / looked:.3f} decided, {wrong[n] / decided[n]:.3f} of them wrong" for n in decided}
    print(f"\n| margin {margin} | {fails / cells:.3f} of {cells} harmed main cells fail | {shares} |")
    assert margin > 0.05 or fails / cells >= 0.55
    assert decided["pooled"] / looked >= 0.30
    assert wrong["pooled"] / decided["pooled"] <= 0.05


def benjamini_hochberg(comparisons, margin):
    """The alternative: both one-sided tests of every cell by itself, adjusted together."""
    from scipy.special import ndtr

    sign = np.array([-1.0 if c.measure.better == "higher" else 1.0 for c in comparisons])
    z = (sign * [c.value for c in comparisons] - margin) / [c.error for c in comparisons]
    q = stats.benjamini_hochberg(np.concatenate([ndtr(-z), ndtr(z)])).reshape(2, -1)
    return np.select([q[0] <= 0.05, q[1] <= 0.05], ["fail", "pass"], "inconclusive")


@pytest.mark.parametrize("margin", [0.05, 0.1])
@pytest.mark.parametrize("kind", ["no harm", "a gap at the margin", "a change at the margin"])
def test_false_gate_fails_are_rare(kind, margin):
    """The share of worlds with any gate that fails, where none should: components and perspectives are one family."""
    failed = 0
    for w in range(WORLDS):
        rng = np.random.default_rng([w, 4])
        where = GROUPS[w % len(GROUPS)] if kind == "a gap at the margin" else None
        everyone = margin if kind == "a change at the margin" else 0.0
        found = judged(world(rng, margin if where else 0.0, where, everyone), margin)[0]
        failed += bool((found["verdict"] == "fail").any())
    print(f"\n| {kind}, margin {margin} | {failed / WORLDS:.4f} of worlds with a false fail |")
    assert failed / WORLDS <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / WORLDS)
