"""Which verdicts flip when the label is decided otherwise? People disagree, and somebody's answers must count.

The comparison of candidate and baseline is repeated with every rule by which answers become a label. Items are the
rows: the intervals take the labels as given and do not know that one rater answered many items; `deciders` does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.fairness.perspective import Floats
from hfkit.shared import cluster, cohorts, evidence, intervals, schema

BETTER = {"log loss": "lower", "accuracy": "higher"}
RULES = ["component", "rule", "value", "low", "high", "n", "verdict", "flips", "note"]
MAJORITY = "majority vote"
DRAWS = 20  # shuffles of the raters among the groups
_TIE = 1e-9  # shares this close to one half are a tie
_CLIP = 1e-6  # as stats.log_loss: a probability of exactly 0 or 1 costs a finite log loss


@dataclass(frozen=True)
class _World:
    """The counting answers of one component, with the change of every item if it had no event, and if it had."""

    name: str
    rows: pd.DataFrame
    item: Any
    change: Floats
    measure: str
    minimum: int
    rng: np.random.Generator | None

    @property
    def sign(self) -> float:
        """1 where a higher change is better, -1 where a lower one is."""
        return 1.0 if BETTER[self.measure] == "higher" else -1.0

    def share(self, weight: Floats) -> Floats:
        """Each item's share of answers that say event, NaN where none counts."""
        size = len(self.change)
        total = np.bincount(self.item, weights=weight, minlength=size)
        says = np.bincount(self.item, weights=weight * self.rows["label"].to_numpy(float), minlength=size)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(total > 0, says / total, np.nan)

    def under(self, label: Floats) -> Floats:
        """The change of every item when its label is 0, 1, or one half for a tie."""
        out: Floats = (1 - label) * self.change[:, 0] + label * self.change[:, 1]
        return out


def answers(
    components: pd.DataFrame, judgements: pd.DataFrame, predictions: pd.DataFrame, *, measure: str = "log loss"
) -> pd.DataFrame:
    """Which answers judge the candidate, and what does each one say about it?

    One row an answer of weight above 0 to a test item that both models scored: the judgement's columns, `rater` (an
    anonymous answer is a rater of its own), and candidate minus baseline if the item has no event (`if_0`) or has
    (`if_1`). Log loss: nats, negative is better. Accuracy at the component's threshold: -1, 0 or 1, positive is better.
    Rows are sorted by answer, whatever their order.
    """
    test = predictions[predictions["split"] == "test"].dropna(subset=["baseline", "candidate"])
    test = test.merge(components[["component", "threshold"]], on="component", validate="many_to_one")
    score = test[["baseline", "candidate"]].to_numpy(float)
    if measure == "log loss":
        score = np.clip(score, _CLIP, 1 - _CLIP)
        right = [-np.log1p(-score), -np.log(score)]
    else:
        acts = score >= test[["threshold"]].to_numpy(float)
        right = [~acts * 1.0, acts * 1.0]
    test = test[["item_id", "component"]].assign(**{f"if_{y}": right[y][:, 1] - right[y][:, 0] for y in (0, 1)})
    counted = judgements[judgements["weight"] > 0].drop(columns="score", errors="ignore")
    rows = counted.merge(test, on=["item_id", "component"]).sort_values("feedback_id", ignore_index=True)
    named = rows["rater_id"].astype("object")
    return rows.assign(rater=named.where(named.notna(), "answer " + rows["feedback_id"].astype(str)).astype(str))


def decided(share: npt.ArrayLike) -> Floats:
    """The label that a share of votes decides: 1 above one half, 0 below, one half for a tie, NaN for no vote.

    >>> decided([0.6, 0.5, 0.1, np.nan]).tolist()
    [1.0, 0.5, 0.0, nan]
    """
    share = np.asarray(share, float)
    return np.where(np.isnan(share), np.nan, np.where(np.abs(share - 0.5) < _TIE, 0.5, share > 0.5))


def poststratified(item: npt.ArrayLike, group: npt.ArrayLike, weight: npt.ArrayLike, share: dict[str, float]) -> Floats:
    """By how much must each answer count so that an item's answers mirror the population?

    Weight times share of the group / its share among the item's answers, shares taken over the groups that answered the
    item. An answer whose group the population does not list keeps its weight, so that an item without any listed
    group falls back to the plain vote; listed groups of share 0 do not count beside others. Post-stratification: Holt
    and Smith (1979), JRSS A 142:33.

    >>> poststratified([0, 0, 0, 0], ["a", "a", "a", "b"], [1, 1, 1, 1], {"a": 0.5, "b": 0.5}).round(4).tolist()
    [0.6667, 0.6667, 0.6667, 2.0]
    """
    frame = pd.DataFrame({"item": item, "group": group, "weight": np.asarray(weight, float)})
    frame["target"] = frame["group"].map(share).astype(float)
    listed = frame["target"].notna()
    part = frame[listed]
    cell = part.groupby(["item", "group"])["weight"].transform("sum")
    total = part.groupby("item")["weight"].transform("sum")
    once = part["target"].where(~part.duplicated(["item", "group"]), 0.0)
    present = once.groupby(part["item"]).transform("sum")
    out = frame["weight"].copy()
    use = part.index[present > 0]
    out[use] = (part["weight"] * part["target"] / present * total / cell)[use]
    return np.asarray(out, float)


def by_rule(
    components: pd.DataFrame, judgements: pd.DataFrame, predictions: pd.DataFrame, population: pd.DataFrame, *,
    measure: str = "log loss", min_people: int = 5, rng: np.random.Generator | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Which verdicts flip when the label is decided otherwise? One row a component and rule.

    `value` is the mean over test items of candidate minus baseline, 95 % interval: "log loss" (nats, lower is better;
    Student t) or "accuracy" (-1..1, higher is better; exact bounds on the items that go up and down, MOVER). Verdict
    pass = the candidate is better, fail = worse. Rules: majority vote; votes post-stratified to each population
    cohort; the worst cohort label (of the groups' majority labels of an item the one least favourable to the candidate:
    a bound, not an estimate); each rater group left out. `flips` compares with the majority vote on the same items:
    "yes", "no", or "inconclusive" where the rule gives nothing. A tie counts half for each label. Groups of fewer than
    `min_people` raters are named, not numbered. No correction for many rules: they describe, not test.
    Few answers a group make a bad worst label by chance: with `rng`, its note says what the rule gives when the raters
    are shuffled among the groups (20 times, as if they were alike in which items they answer).
    """
    rows, out = answers(components, judgements, predictions, measure=measure), []
    for name in sorted(components["component"]):
        world = _world(rows[rows["component"] == name].reset_index(drop=True), name, measure, min_people, rng)
        weight = world.rows["weight"].to_numpy(float)
        plain = decided(world.share(weight))
        first = _row(world, MAJORITY, plain, plain, "")
        out.append(first)
        for rule, label, note in [*_strata(world, weight, population), *_cohorts(world, weight, plain)]:
            out.append(_row(world, rule, label, plain, note))
    return pd.DataFrame(out, columns=RULES)


def _world(rows: pd.DataFrame, name: str, measure: str, minimum: int, rng: np.random.Generator | None) -> _World:
    item, _ = pd.factorize(rows["item_id"], sort=True)
    first = rows.drop_duplicates("item_id").sort_values("item_id")
    return _World(name, rows, item, first[["if_0", "if_1"]].to_numpy(float), measure, minimum, rng)


def _strata(world: _World, weight: Floats, population: pd.DataFrame) -> Iterator[tuple[str, Floats | None, str]]:
    listed = [c for c in sorted(population["cohort"].unique()) if f"rater.{c}" in world.rows]
    if not listed:
        yield "post-stratified vote", None, "undefined: the population table lists no cohort of raters"
    for cohort in listed:
        part = population[population["cohort"] == cohort]
        share = dict(zip(part["group"].astype(str), part["share"].astype(float), strict=True))
        group = cohorts.words(world.rows[f"rater.{cohort}"]).to_numpy()
        label = decided(world.share(poststratified(world.item, group, weight, share)))
        bare = np.bincount(world.item, weights=np.isin(group, list(share)), minlength=len(label)) == 0
        note = f"{int(bare.sum())} items fall back to the plain vote: no answer of a listed group"
        yield f"post-stratified vote (rater.{cohort})", label, note if bare.any() else ""


def _cohorts(world: _World, weight: Floats, plain: Floats) -> Iterator[tuple[str, Floats | None, str]]:
    """The worst cohort label and each group left out, attribute by attribute."""
    attributes = schema.cohorts(world.rows, "rater.")
    if not attributes:
        yield "worst cohort label", None, "undefined: no answer carries a cohort of its rater"
    for attribute in attributes:
        member = cohorts.words(world.rows[attribute])
        raters = world.rows["rater"].groupby(member).nunique()
        few = cohorts.too_few(raters.to_numpy(), world.minimum, "raters")
        enough = list(raters.index[few == ""])
        yield _worst(world, attribute, enough, plain)
        for g, note in zip(raters.index, few, strict=True):
            rest = None if note else decided(world.share(weight * (member != g).to_numpy()))
            yield f"without {attribute}={g}", rest, f"{note}: named, not numbered" if note else ""


def _worst(world: _World, attribute: str, enough: list[str], plain: Floats) -> tuple[str, Floats | None, str]:
    rule = f"worst cohort label ({attribute})"
    if len(enough) < 2:
        return rule, None, f"undefined: fewer than two groups of at least {world.minimum} raters"
    member = cohorts.words(world.rows[attribute]).to_numpy()
    label = _least(world, member, enough, plain)
    note = f"a bound: {int((label != plain).sum())} labels differ"
    if world.rng is not None:
        codes, who = pd.factorize(world.rows["rater"], sort=True)
        of = np.empty(len(who), object)
        of[codes] = member
        draws = [_least(world, world.rng.permutation(of)[codes], enough, plain) for _ in range(DRAWS)]
        values = [float(world.under(d).mean()) for d in draws]
        note += f"; raters shuffled among the groups give {min(values):.3g} to {max(values):.3g}"
    return rule, label, note


def _least(world: _World, member: Any, groups: list[str], plain: Floats) -> Floats:
    """Of the groups' majority labels of each item the one least favourable to the candidate; none: the plain vote."""
    weight = world.rows["weight"].to_numpy(float)
    inside = np.array([decided(world.share(weight * (member == g))) for g in groups])
    harm = np.array([-world.sign * world.under(label) for label in inside])
    label = inside[np.where(np.isnan(harm), -np.inf, harm).argmax(axis=0), np.arange(len(plain))]
    return np.where(np.isnan(label), plain, label)


def _row(world: _World, rule: str, label: Floats | None, plain: Floats, note: str) -> dict[str, object]:
    where = {"component": world.name, "rule": rule}
    use = np.zeros(len(plain), bool) if label is None else ~np.isnan(label)
    if label is None or not use.any():
        note = note or "undefined: no test item has an answer that counts and a score of both models"
        return {**where, "value": math.nan, "low": math.nan, "high": math.nan, "n": 0, "verdict": "inconclusive",
                "flips": "no" if rule == MAJORITY else "inconclusive", "note": note}  # fmt: skip
    value, low, high = _interval(world.under(label)[use], world.measure)
    here, before = (verdict(*_interval(world.under(a)[use], world.measure)[1:], measure=world.measure)
                     for a in (label, plain))  # fmt: skip
    lost = int((~use).sum())
    notes = [note, f"{lost} items have no other answer and are left out of both sides" if lost else ""]
    notes.append("undefined bounds: the items do not differ" if math.isnan(low) else "")
    notes.append(f"majority vote on these items: {before}" if here != before else "")
    return {**where, "value": value, "low": low, "high": high, "n": int(use.sum()), "verdict": here,
            "flips": "no" if here == before else "yes", "note": "; ".join(filter(None, notes))}  # fmt: skip


def _interval(x: Floats, measure: str) -> tuple[float, float, float]:
    n = len(x)
    if measure == "log loss":
        value, low, high = cluster.mean_interval(x)
        return (value, low, high) if high > low else (value, math.nan, math.nan)
    mean = intervals.paired(int((x > 0).sum()), int((x < 0).sum()), n)
    return float(mean.value), float(mean.low), float(mean.high)


def verdict(low: float, high: float, *, measure: str) -> str:
    """Is the candidate better? pass where the whole interval is strictly better, fail where it is strictly worse.

    >>> verdict(-0.2, -0.1, measure="log loss"), verdict(-0.2, -0.1, measure="accuracy")
    ('pass', 'fail')
    >>> verdict(0.0, 0.0, measure="accuracy"), verdict(math.nan, math.nan, measure="log loss")
    ('inconclusive', 'inconclusive')
    """
    if BETTER[measure] == "lower":
        low, high = -high, -low
    return "pass" if low > 0 else "fail" if high < 0 else "inconclusive"


def statements(rules: pd.DataFrame, deciders: pd.DataFrame, *, measure: str = "log loss") -> pd.DataFrame:
    """What goes into the evidence: `<measure> change by label rule` and `raters that decide`, from the two tables.

    None of it has a target; where a rule flips the verdict, the note says so.
    """
    out = []
    for r in rules.itertuples():
        depends = f"the verdict depends on whose labels count: {r.verdict} here" if r.flips == "yes" else r.verdict
        out.append(evidence.row(
            f"{measure} change by label rule", value=r.value, low=r.low, high=r.high, n=r.n, component=r.component,
            group=f"labels={r.rule}", better=BETTER[measure], note="; ".join(filter(None, [depends, r.note])),
        ))  # fmt: skip
    for d in deciders.itertuples():
        out.append(evidence.row(
            f"raters that decide ({d.criterion})", value=d.smallest_known, low=d.lower_bound, high=d.smallest_known,
            n=d.raters, component=d.component, better="higher", note=d.note,
        ))  # fmt: skip
    return evidence.table(out)
