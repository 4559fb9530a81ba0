"""Response consistency: is the same text scored alike, whoever it was served to?

Near-identical texts (shared.learn.text_groups) that were served to several groups are compared pair by pair, across
groups and inside a group: what pairs across differ by beyond pairs inside goes with the group and not with the text.
Pairs are never listed: counts, sums and ranks give their totals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from hfkit.fairness.assess import verdict_of
from hfkit.fairness.effective import Floats
from hfkit.fairness.rows import MODELS, Ints
from hfkit.fairness.terms import LEVEL, OFF, Cohort, Measured, Terms, box, cohorts, outward, share, withheld
from hfkit.shared import evidence, learn, stats

COLUMNS = ["component", "group", "model", "measure", "texts", "pairs", "value", "low", "high", "verdict", "note"]
SIGNED = "signed score difference, same text"
ACROSS, INSIDE, BEYOND = (
    ("score difference across groups", "decision disagreement across groups"),
    ("score difference inside a group", "decision disagreement inside a group"),
    ("score difference beyond that inside", "decision disagreement beyond that inside"),
)
FEWEST = 10  # texts: fewer do not carry an interval
_Row = dict[str, Any]


def consistency(
    items: pd.DataFrame, components: pd.DataFrame, predictions: pd.DataFrame, population: pd.DataFrame, *,
    margin: float | None = None, terms: Terms = OFF,
) -> Measured:  # fmt: skip
    """Does the model say the same of the same text to everyone? A row a component, group, model and measure.

    Test rows with a text that also stands in another item. Row `served.x`: pairs of items from different groups of x;
    row `served.x=g`: items of g against others. Each text counts once, with the mean over its pairs, so no long list of
    copies decides. `texts` and `pairs` are the number of both. Score differences are absolute, 0..1, and decisions
    disagree where score >= threshold for one of a pair only, 0..1; 0 is best. "Inside" and "beyond" (across minus
    inside, -1..1) are of texts with pairs of both kinds. The signed difference (-1..1) is the group's mean score minus
    that of others on the same texts: 0 is best, above 0 the group is scored higher.

    Texts are independent units: Student t with texts - 1 degrees of freedom, corrected for skewness; shares of
    disagreement have exact bounds (Clopper and Pearson 1934), a share varies at most like a coin. Where all texts show
    the same, the bounds are what an unseen share of texts could move (exact bound of 0 of so many). Fewer than 10
    texts: no interval, with a note.
    Signed differences hold together over the groups and models of a component (Sidak 1967), others one at a time. With
    a `margin` (score) a signed difference fails where all of its interval lies beyond it on either side and passes
    where none does; None = info. "Not stated" is a group like others, though its people may belong to any.
    """
    rows, left = _rows(items, components, predictions, population)
    found: tuple[list[_Row], list[_Row]] = ([], [])
    for component in sorted(set(components["component"])):
        own = rows[rows["component"] == component].reset_index(drop=True)
        _component(found, component, own, population, (margin, terms))
    out = evidence.table(found[1])
    if left:
        many = out["measure"] == "texts served to two groups"
        out.loc[many, "note"] += f"; {box(left, terms.round_to)[0]:.0f} test items without a text are left out"
    return Measured(pd.DataFrame(found[0], columns=COLUMNS), out)


def _rows(
    items: pd.DataFrame, components: pd.DataFrame, predictions: pd.DataFrame, population: pd.DataFrame
) -> tuple[pd.DataFrame, int]:
    """Test rows with text group, threshold and cohorts, sorted; how many items without a text were left out."""
    known = items.sort_values("item_id", ignore_index=True)
    known = known.assign(text=known.get("text"))
    known["same"] = learn.text_groups(known)
    for absent in sorted(set(population["cohort"]) - {c.removeprefix("cohort.") for c in known}):
        known[f"cohort.{absent}"] = pd.Series(np.nan, index=known.index, dtype="object")
    test = predictions[predictions["split"] == "test"]
    rows = test.merge(components[["component", "threshold"]], on="component").merge(known.drop(columns="component"),
                                                                                    on="item_id")  # fmt: skip
    rows = rows.sort_values(["component", "item_id"], ignore_index=True)
    blank = rows["same"] == "item " + rows["item_id"].astype("str")
    return rows[~blank], int(rows.loc[blank, "item_id"].nunique())


@dataclass(frozen=True)
class _Pairs:
    """Texts by groups, as arrays over the cells (text, group) that occur in texts served to two groups.

    `n` items, `outside` items of other groups; `signed` the difference of means; `across` and `inside`: (pairs, sum of
    absolute differences, disagreements), a row each.
    """

    text: Ints
    group: Ints
    n: Floats
    outside: Floats
    signed: Floats
    across: Floats
    inside: Floats


def pairs(text: Ints, group: Ints, score: Floats, yes: Floats) -> _Pairs:
    """What do pairs of items of one text show, across groups and inside them? Sums only, no pair is listed.

    The absolute differences of a sorted list follow from ranks and running sums, so n rows cost n log n.

    >>> found = pairs(np.zeros(3, int), np.array([0, 0, 1]), np.array([0.1, 0.3, 0.6]), np.array([0.0, 0.0, 1.0]))
    >>> found.across.round(6).tolist()[0], found.inside.round(6).tolist()[0]  # 2 pairs, 0.5 + 0.3; 1 pair, 0.2
    ([2.0, 0.8, 2.0], [1.0, 0.2, 0.0])
    """
    width = int(group.max(initial=-1)) + 1
    place = text * max(width, 1) + group
    cells, at = np.unique(place, return_inverse=True)
    start = np.unique(text, return_index=True, return_inverse=True)
    low = np.full(len(start[0]), np.inf)
    np.minimum.at(low, start[2], score)
    x = score - low[start[2]]  # differences do not change, and equal scores give exactly 0
    within = np.bincount(at, weights=_distances(place, x), minlength=len(cells)) / 2
    reach = np.bincount(at, weights=_distances(text, x), minlength=len(cells))
    total = [np.bincount(at, weights=w, minlength=len(cells)).astype(float) for w in (np.ones(len(x)), x, yes)]
    own = np.unique(cells // max(width, 1), return_inverse=True)[1]
    rest = [np.bincount(own, weights=w, minlength=1)[own] - w for w in total]
    n, sums, acts = total
    use = rest[0] > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        signed = sums / n - rest[1] / rest[0]
    apart = acts * (rest[0] - rest[2]) + (n - acts) * rest[2]
    across = np.column_stack([n * rest[0], np.maximum(reach - 2 * within, 0), apart])
    inside = np.column_stack([n * (n - 1) / 2, within, acts * (n - acts)])
    return _Pairs(own[use], (cells % max(width, 1))[use], n[use], rest[0][use], signed[use], across[use], inside[use])


def _distances(part: Ints, x: Floats) -> Floats:
    """The sum of absolute differences of each row to all rows of its part."""
    order = np.lexsort((x, part))
    sorted_x, codes = x[order], np.unique(part[order], return_inverse=True)[1]
    size = np.bincount(codes)
    first = np.cumsum(size) - size
    run = np.concatenate([[0.0], np.cumsum(sorted_x)])
    rank = np.arange(len(x)) - first[codes]
    below = run[first[codes] + rank] - run[first[codes]]
    above = run[first[codes] + size[codes]] - run[first[codes] + rank]
    out = np.empty(len(x))
    out[order] = sorted_x * rank - below + above - sorted_x * (size[codes] - rank)
    return np.maximum(out, 0.0)


def _component(
    found: tuple[list[_Row], list[_Row]], component: str, own: pd.DataFrame, population: pd.DataFrame,
    how: tuple[float | None, Terms],
) -> None:  # fmt: skip
    """All rows of one component; the family of signed differences is counted before they are judged."""
    text = pd.factorize(own["same"], sort=True)[0].astype(np.int64)
    parts: list[tuple[Cohort, str, _Pairs]] = []
    for cohort in cohorts(own, "served", population, how[1].intersections):
        for model in MODELS:
            score = own[model].to_numpy(float)
            yes = (score >= own["threshold"].to_numpy(float)).astype(float)
            use = ~np.isnan(score)
            parts.append((cohort, model, pairs(text[use], cohort.code[use], score[use], yes[use])))
    family = 0
    for cohort, _, p in parts:
        enough = int((np.bincount(p.group, minlength=len(cohort.groups)) >= FEWEST).sum())
        family += 1 if enough == 2 == len(np.unique(p.group)) else enough
    level = LEVEL ** (1 / max(family, 1))
    for cohort, model, p in parts:
        _attribute(found, (component, model), (cohort, p), level, how)
    if not parts:
        found[1].append(evidence.row("texts served to two groups", value=math.nan, n=0, component=component,
                                     verdict="cannot tell", note="no item carries a cohort"))  # fmt: skip


def _attribute(
    found: tuple[list[_Row], list[_Row]], at: tuple[str, str], what: tuple[Cohort, _Pairs], level: float,
    how: tuple[float | None, Terms],
) -> None:  # fmt: skip
    """The rows of one attribute and model: all its groups together, then each group against the others."""
    cohort, p = what
    terms = how[1]
    count = range(len(cohort.groups))
    inside = np.array([p.n[p.group == g].sum() for g in count]).astype(np.int64)
    outside = np.array([p.outside[p.group == g].sum() for g in count]).astype(np.int64)
    hide, notes = withheld(inside, outside, terms, "items")
    texts = len(np.unique(p.text))
    few = f"fewer than {terms.suppress_below} items" if 0 < p.n.sum() < terms.suppress_below else ""
    rows = _measured(p, np.ones(len(p.n), bool), (few, level, terms.round_to), signed=False)
    for g in count:
        limits = (notes[g] if hide[g] else "", level, terms.round_to)
        rows += [{**r, "group": cohort.groups[g]} for r in _measured(p, p.group == g, limits, signed=True)]
    for r in rows:
        row = {"component": at[0], "group": cohort.name, "model": at[1], **r}
        row["verdict"] = _verdict(row, how[0])
        found[0].append(row)
        if row["measure"] in (SIGNED, ACROSS[1]) or row["group"] == cohort.name:
            found[1].append(_told(row))
    if at[1] == MODELS[-1]:
        shown = float(box(texts, terms.round_to)[0]) if not few else math.nan
        note = few or ("no text was served to two groups" if texts == 0 else "")
        note = note or ("" if texts >= FEWEST else f"fewer than {FEWEST} texts were served to two groups")
        found[1].append(evidence.row(
            "texts served to two groups", value=shown, n=0 if few else int(box(p.n.sum(), terms.round_to)[0]),
            component=at[0], group=cohort.name, verdict="cannot tell" if note else "info", note=note,
        ))  # fmt: skip


def _measured(p: _Pairs, use: Any, limits: tuple[str, float, int], *, signed: bool) -> list[_Row]:
    """The measures of the cells in use: signed for a group, then differences and disagreements, each text once."""
    hidden, level, base = limits
    code = np.unique(p.text[use], return_inverse=True)[1]
    texts = int(code.max(initial=-1)) + 1
    half = 1.0 if signed else 0.5  # every pair across is seen from both of its groups
    across = np.array([half * np.bincount(code, weights=v, minlength=texts) for v in p.across[use].T]).reshape(3, -1)
    inside = np.array([np.bincount(code, weights=v, minlength=texts) for v in p.inside[use].T]).reshape(3, -1)
    out = []
    if signed:
        out.append({"measure": SIGNED, **_mean(p.signed[use], across[0].sum(), (hidden, level, base), ends=(-1, 1))})
    both = inside[0] > 0
    for k in (0, 1):
        with np.errstate(divide="ignore", invalid="ignore"):
            there, here = across[k + 1] / across[0], inside[k + 1] / inside[0]
        own = (hidden, LEVEL, base)
        ends = (0, 1 - k)  # a disagreement is a share: exact bounds
        out.append({"measure": ACROSS[k], **_mean(there, across[0].sum(), own, ends=ends)})
        out.append({"measure": INSIDE[k], **_mean(here[both], inside[0].sum(), own, ends=ends)})
        beyond = (there - here)[both]
        out.append({"measure": BEYOND[k], **_mean(beyond, across[0][both].sum(), own, ends=(-1, 1))})
    return out


def _mean(x: Floats, count: float, limits: tuple[str, float, int], *, ends: tuple[int, int]) -> _Row:
    """The mean over texts as it is shown, with bounds; `ends` of the scale, (0, 0) for a share with exact bounds."""
    hidden, level, base = limits
    if hidden:
        nothing = dict.fromkeys(["texts", "pairs", "value", "low", "high"], math.nan)
        return {**nothing, "note": f"{hidden}: not shown"}
    n = len(x)
    shown = {"texts": float(box(n, base)[0]), "pairs": float(box(count, base)[0])}
    if n == 0:
        return {**shown, "value": math.nan, "low": math.nan, "high": math.nan, "note": "undefined: no such pairs"}
    note = "" if n >= FEWEST else f"no interval: fewer than {FEWEST} texts"
    if ends == (0, 0):
        found = share(x.sum(), n, effect=np.array(1.0), level=level, base=base, whole=False)
        value, low, high = (float(v) for v in found)
        if math.isnan(value) and not note:
            note = "too near 0 % or 100 % to give a number: bounds only"
    else:
        value, low, high = outward(*_student(x, level, ends), base)
    if n < FEWEST:
        low = high = math.nan
    return {**shown, "value": value, "low": low, "high": high, "note": note}


def _student(x: Floats, level: float, ends: tuple[int, int]) -> tuple[float, float, float]:
    """Student's t interval of a mean within the ends of the scale, further out on the side of a long tail.

    The tail's side is moved by Johnson's (1978, JASA 73:536) correction for skewness, one and a half times since few
    values show too little of it. All alike: what unseen texts could move. Fewer than 3: no bounds.
    """
    value, n = float(x.mean()), len(x)
    if n < 3:
        return value, math.nan, math.nan
    if np.ptp(x) < 1e-9:
        unseen = float(stats.exact(0, n, level)[1])
        return value, value - unseen * (value - ends[0]), value + unseen * (ends[1] - value)
    t, spread = float(stdtrit(n - 1, 0.5 + level / 2)), float(x.std(ddof=1))
    skewness = float(((x - value) ** 3).mean() / x.std() ** 3) * math.sqrt(n * (n - 1)) / (n - 2)
    tail = 1.5 * skewness * (1 + 2 * t**2) * spread / (6 * n)
    half = t * spread / math.sqrt(n)
    low, high = value - half + min(tail, 0.0), value + half + max(tail, 0.0)
    return value, max(low, float(ends[0])), min(high, float(ends[1]))


def _verdict(row: _Row, margin: float | None) -> str:
    """Only signed differences are judged, in both directions."""
    if margin is None or row["measure"] != SIGNED:
        return "info"
    if math.isnan(row["low"]):
        return "cannot tell"
    return verdict_of(row["low"], row["high"], margin=margin, better="none")


def _told(row: _Row) -> _Row:
    """A row of the table as an evidence row."""
    note = row["note"] or ("the interval reaches across the margin" if row["verdict"] == "cannot tell" else "")
    return evidence.row(
        f"{row['measure']} ({row['model']})", value=row["value"], low=row["low"], high=row["high"],
        n=0 if math.isnan(row["texts"]) else int(row["texts"]), component=row["component"], group=row["group"],
        better="none" if row["measure"] == SIGNED else "lower", verdict=row["verdict"], note=note,
    )  # fmt: skip
