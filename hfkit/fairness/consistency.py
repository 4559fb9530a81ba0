"""Response consistency: is the same text scored alike, whoever it was served to?

Near-identical texts (shared.learn.text_groups) that were served to several groups are compared pair by pair, across
groups and inside a group: what pairs across differ by beyond pairs inside goes with the group and not with the text.
Pairs are never listed: counts, sums and ranks give their totals. Each text counts once, with the mean over its pairs,
so no long list of copies decides; texts are independent units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtrit

from hfkit.fairness.comparison import Comparison, Row
from hfkit.fairness.perspective import Floats, Part, Perspective
from hfkit.shared import cluster, evidence, intervals, learn
from hfkit.shared.cohorts import Codes
from hfkit.shared.measures import MODELS, SAME_TEXT

COLUMNS = ["component", "group", "model", "measure", "texts", "pairs", "value", "low", "high", "note"]
KINDS = ("score difference", "decision disagreement")
FEWEST = 10  # texts: fewer do not carry an interval


def texts(view: Perspective, items: pd.DataFrame) -> npt.NDArray[np.object_]:
    """The set of near-identical texts that each row of a perspective belongs to; empty for a row without a text."""
    ordered = items.sort_values("item_id", ignore_index=True)
    names = learn.text_groups(ordered).to_numpy(object)
    rows = pd.Series(names, index=ordered["item_id"].to_numpy(object)).reindex(view.items).to_numpy(object)
    alone = np.array([f"item {i}" for i in view.items], object)
    return np.where(pd.isna(rows) | (rows == alone), "", rows).astype(object)


@dataclass(frozen=True)
class Pairs:
    """Texts by groups, as arrays over the cells (text, group) that occur in texts served to two groups.

    `n` items, `outside` items of other groups; `signed` the difference of means; `across` and `inside`: (pairs, sum of
    absolute differences, disagreements), a row each.
    """

    text: Codes
    group: Codes
    n: Floats
    outside: Floats
    signed: Floats
    across: Floats
    inside: Floats


def pairs(text: Codes, group: Codes, score: Floats, yes: Floats) -> Pairs:
    """What do pairs of items of one text show, across groups and inside them? Sums only, no pair is listed.

    The absolute differences of a sorted list follow from ranks and running sums, so n rows cost n log n.

    >>> p = pairs(np.zeros(3, int), np.array([0, 0, 1]), np.array([0.1, 0.3, 0.6]), np.array([0.0, 0.0, 1.0]))
    >>> p.across.round(6).tolist()[0], p.inside.round(6).tolist()[0]  # 2 pairs, 0.5 + 0.3; 1 pair, 0.2
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
    return Pairs(own[use], (cells % max(width, 1))[use], n[use], rest[0][use], signed[use], across[use], inside[use])


def _distances(part: Codes, x: Floats) -> Floats:
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


@dataclass(frozen=True)
class SameText:
    """The same texts in several groups of one component and cohort, for each model; `left` rows have no text."""

    part: Part
    pairs: tuple[Pairs, ...]
    left: int

    @classmethod
    def of(cls, part: Part, text: npt.NDArray[np.object_]) -> SameText:
        """The pairs of a part; `text` as `texts` gives it."""
        rows = part.rows
        both = []
        for m in range(len(MODELS)):
            use = rows[(text[rows] != "") & (part.view.acted[rows, m] >= 0)]
            acted = (part.view.acted[use, m] == 1).astype(float)
            code = cluster.codes(text[use].astype(str))
            both.append(pairs(code, part.cohort.code[use], part.view.score[use, m], acted))
        return cls(part, tuple(both), int((text[rows] == "").sum()))

    def compare(self, level: float) -> list[Comparison]:
        """Each group's mean score minus that of others on the same texts: 0 is best, above 0 it is scored higher.

        Student's t with texts - 1 degrees of freedom, corrected for skewness; where all texts show the same, what an
        unseen share of texts could move. Fewer than 10 texts: no interval, with a note.
        """
        out = []
        for model, p in zip(MODELS, self.pairs, strict=True):
            for g in range(len(self.part.cohort.groups)):
                x = p.signed[p.group == g]
                value, low, high, note = _mean(x, level, (-1, 1))
                error = float(x.std(ddof=1)) / math.sqrt(len(x)) if len(x) >= FEWEST else math.nan
                out.append(Comparison(SAME_TEXT, "", model, self.part, g, value, low, high, error, len(x), note))
        return out

    def alone(self) -> pd.DataFrame:
        """The table of the cohort: differences and disagreements across groups, inside one, and beyond that.

        Row `served.x`: pairs of items from different groups; row `served.x=g`: items of g against others, with the
        signed difference. Differences are absolute, 0..1; decisions disagree where one of a pair only is acted on,
        0..1; 0 is best. "Inside" and "beyond" (across minus inside, -1..1) are of texts with pairs of both kinds.
        """
        rows = []
        for model, p in zip(MODELS, self.pairs, strict=True):
            whole = np.ones(len(p.n), bool)
            places = [(self.part.cohort.name, whole)]
            places += [(str(g), p.group == i) for i, g in enumerate(self.part.cohort.groups)]
            for name, use in places:
                at = {"component": self.part.component, "group": name, "model": model}
                rows += [{**at, **r} for r in _measured(p, use, signed=use is not whole)]
        return pd.DataFrame(rows, columns=COLUMNS)

    def reach(self) -> Row:
        """How many texts were served to two groups, and how many rows have no text? An evidence row."""
        count = len(np.unique(self.pairs[-1].text))
        note = "" if count >= FEWEST else f"fewer than {FEWEST} texts were served to two groups"
        left = f"{self.left} rows without a text are left out" if self.left else ""
        return evidence.row("texts served to two groups", value=float(count), n=int(self.pairs[-1].n.sum()),
                            component=self.part.component, group=self.part.cohort.name,
                            note="; ".join(t for t in (note, left) if t))  # fmt: skip


def _measured(p: Pairs, use: Any, *, signed: bool) -> list[Row]:
    """The measures of the cells in use: signed for a group, then differences and disagreements, each text once."""
    code = np.unique(p.text[use], return_inverse=True)[1]
    count = int(code.max(initial=-1)) + 1
    half = 1.0 if signed else 0.5  # every pair across is seen from both of its groups
    across = np.array([half * np.bincount(code, weights=v, minlength=count) for v in p.across[use].T]).reshape(3, -1)
    inside = np.array([np.bincount(code, weights=v, minlength=count) for v in p.inside[use].T]).reshape(3, -1)
    out = [_row(SAME_TEXT.name, p.signed[use], across[0].sum(), (-1, 1))] if signed else []
    both = inside[0] > 0
    for k, kind in enumerate(KINDS):
        with np.errstate(divide="ignore", invalid="ignore"):
            there, here = across[k + 1] / across[0], inside[k + 1] / inside[0]
        ends = (0, 1 - k)  # a disagreement is a share: exact bounds
        out.append(_row(f"{kind} across groups", there, across[0].sum(), ends))
        out.append(_row(f"{kind} inside a group", here[both], inside[0].sum(), ends))
        out.append(_row(f"{kind} beyond that inside", (there - here)[both], across[0][both].sum(), (-1, 1)))
    return out


def _row(measure: str, x: Floats, count: float, ends: tuple[int, int]) -> Row:
    value, low, high, note = _mean(x, 0.95, ends)
    return {"measure": measure, "texts": len(x), "pairs": int(count), "value": value, "low": low, "high": high,
            "note": note}  # fmt: skip


def _mean(x: Floats, level: float, ends: tuple[int, int]) -> tuple[float, float, float, str]:
    """The mean over texts with bounds and a note; `ends` of the scale, (0, 0) for a share with exact bounds."""
    n = len(x)
    if n == 0:
        return math.nan, math.nan, math.nan, "undefined: no such pairs"
    if n < FEWEST:
        return float(x.mean()), math.nan, math.nan, f"no interval: fewer than {FEWEST} texts"
    if ends == (0, 0):
        low, high = (float(v) for v in intervals.exact(x.sum(), n, level))
        return float(x.mean()), low, high, ""
    return *_student(x, level, ends), ""


def _student(x: Floats, level: float, ends: tuple[int, int]) -> tuple[float, float, float]:
    """Student's t interval of a mean within the ends of the scale, further out on the side of a long tail.

    The tail's side is moved by Johnson's (1978, JASA 73:536) correction for skewness, one and a half times since few
    values show too little of it. All alike: what unseen texts could move. Fewer than 3: no bounds.
    """
    value, n = float(x.mean()), len(x)
    if n < 3:
        return value, math.nan, math.nan
    if np.ptp(x) < 1e-9:
        unseen = float(intervals.exact(0, n, level)[1])
        return value, value - unseen * (value - ends[0]), value + unseen * (ends[1] - value)
    t, spread = float(stdtrit(n - 1, 0.5 + level / 2)), float(x.std(ddof=1))
    skewness = float(((x - value) ** 3).mean() / x.std() ** 3) * math.sqrt(n * (n - 1)) / (n - 2)
    tail = 1.5 * skewness * (1 + 2 * t**2) * spread / (6 * n)
    half = t * spread / math.sqrt(n)
    low, high = value - half + min(tail, 0.0), value + half + max(tail, 0.0)
    return value, max(low, float(ends[0])), min(high, float(ends[1]))
