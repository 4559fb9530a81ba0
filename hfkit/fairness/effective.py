"""What is known of each group and of everyone else: counts as they are published, and how many rows they are worth.

Of a group, the rows with and without the event are published, and how many of each a model acted on; every rate and gap
follows from these few counts. A change follows from them and from the rows that flipped, of which fewer than two bases
are published as just that. Rounded to a base, each count stands for a range, and bounds hold for all of it. (More
counts, each rounded by itself, would narrow one another down: see publish.attacked.) Counts of everyone else are those
of all rows less the group's. Of a `rough` group, with too few rows of one kind, its rows and those acted on are
published as two counts of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from hfkit.fairness.rows import BOTTOM, DOWN, TOP, UP, Ints, Perspective, cells
from hfkit.shared import disclosure

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
STEP = 2**0.25  # a design effect is published as the next power of this
CORE = np.array([(TOP[s + 1], BOTTOM[s + 1], TOP[s + 2], BOTTOM[s + 2]) for s in (0, 5)]).reshape(8, 2, 3, 3)
FLIPS = np.array([UP[1], DOWN[1], UP[2], DOWN[2], BOTTOM[11], BOTTOM[12]])
ROUGH = np.array([TOP[0], BOTTOM[0], TOP[5], BOTTOM[5]])


@dataclass(frozen=True)
class Side:
    """Groups, or everyone else: axes component, group, statistic (see rows.fractions).

    `top` and `bottom` are numerators and denominators of the measures of both models, with a first axis: as published,
    where the rate is lowest, where it is highest. `up`, `down` and `paired` are rows that go from 0 to 1, from 1 to 0,
    and all, as published, least, most. `weight` is the design effect (1 = independent rows), `df` the degrees of
    freedom of its estimate (inf = known). `core` are the counts themselves, of each model: rows with the event that it
    acted on, all rows with the event, rows without it acted on, all without it.
    """

    units: Ints
    top: Floats
    bottom: Floats
    up: Floats
    down: Floats
    paired: Floats
    weight: Floats
    df: Floats
    core: Floats
    base: int = 1  # what counts are rounded to
    complete: bool = True

    @property
    def rounded(self) -> bool:
        """Do counts stand for a range?"""
        return self.base > 1

    def net(self) -> tuple[Floats, Floats] | None:
        """The least and the most of rows up minus rows down that the core allows; None where some rows lack a score."""
        if not self.complete:
            return None
        hit, false = (
            np.stack([self.core[1, ..., 4 + i] - self.core[2, ..., i], self.core[2, ..., 4 + i] - self.core[1, ..., i]])
            for i in (0, 2)
        )
        none = np.zeros_like(hit)
        ends = np.stack([hit + false, hit, false, none, hit - false[::-1]], axis=-1)
        return ends[0], ends[1]

    def effective(self) -> tuple[Floats, Floats]:
        """Published numerators and denominators of both models' measures, divided by the design effect."""
        return self.top[0] / self.weight[..., :10], self.bottom[0] / self.weight[..., :10]


def sides(p: Perspective, attribute: int, base: int = 1, rough: Bools | None = None) -> tuple[Side, Side]:
    """Each group of an attribute, and everyone else, with counts, units and design effects.

    `base` is what counts are rounded to; `rough` (component, group, model) says which groups have too few rows with or
    without the event. The variance of a rate among answers is that of its residuals summed by rater plus that summed by
    item minus that by row (Cameron, Gelbach and Miller 2011, JBES 29:238), never below that of independent rows. Where
    all answers are alike no variance can be seen: the rows then count as many as there are raters.
    """
    counts, units = cells(p, attribute)
    rough = np.zeros((*counts.shape[:2], 2), bool) if rough is None else rough
    weight, df = _weights(p, attribute, base)
    complete = bool((p.decisions >= 0).all())
    whole, own = _known(counts.sum(axis=1, keepdims=True), base), _known(counts, base)
    rest = [less(a, b) for a, b in zip(whole, own, strict=True)]
    rest_units = units.sum(axis=1, keepdims=True) - units
    return (
        Side(units, *_statistics(own, rough, complete), weight[0], df[0], own[0], base, complete),
        Side(rest_units, *_statistics(rest, rough, complete), weight[1], df[1], rest[0], base, complete),
    )


def alone(counts: Ints, base: int = 1) -> Side:
    """Independent rows counted by component, group, label and both decisions, as one side."""
    units = counts.sum(axis=(-3, -2, -1))
    shape = (*units.shape, len(TOP))
    known = _known(counts, base)
    told = _statistics(known, np.zeros((*units.shape, 2), bool), True)
    return Side(units, *told, np.ones(shape), np.full(shape, np.inf), known[0], base)


def _known(counts: Ints, base: int) -> list[Floats]:
    core, flips, rough = (_behind(counts, masks, base) for masks in (CORE, FLIPS, ROUGH))
    if base > 1:
        small = np.tensordot(counts, FLIPS, axes=([-3, -2, -1], [1, 2, 3])) < 2 * base
        small[..., 4:] = False  # those are all rows that both models decided
        ends = (np.nan, 0.0, 2.0 * base - 1)
        flips = np.stack([np.where(small, end, part) for end, part in zip(ends, flips, strict=True)])
    return [core, flips, rough]


def _behind(counts: Ints, masks: Ints, base: int) -> Floats:
    """Counts as published, and the least and the most that may stand behind each (first axis); masks on the last."""
    shown = disclosure.round_counts(np.tensordot(counts, masks, axes=([-3, -2, -1], [1, 2, 3])), base)
    return np.stack([shown, *disclosure.behind(shown, base)])


def less(whole: Floats, part: Floats) -> Floats:
    """What is left of the whole without a part, and the least and the most it can be."""
    ends = np.stack([whole[0] - part[0], whole[1] - part[2], whole[2] - part[1]])
    left: Floats = np.maximum(ends, 0.0)
    return left


def _statistics(known: list[Floats], rough: Bools, complete: bool) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Numerators, denominators and flips of all measures from the published counts."""
    core, flips, plain = known[0], _hidden_flips(known[1], known[0], complete), known[2]
    top, bottom = (
        np.concatenate([a, b], axis=-1) for a, b in zip(_rates(core[..., :4]), _rates(core[..., 4:]), strict=True)
    )
    for model, s in enumerate((0, 5)):
        acted, rows = plain[..., 2 * model], plain[..., 2 * model + 1]
        top[..., s] = np.where(rough[..., model], acted, top[..., s])
        bottom[..., s] = np.where(rough[..., model], rows[[0, 2, 1]], bottom[..., s])
    up, down, paired = _flips(flips)
    return np.clip(top, 0, bottom), bottom, up, down, paired


def _hidden_flips(flips: Floats, core: Floats, complete: bool) -> Floats:
    """Rows that flip, as published: where they are published as few, what follows from the core, else the middle."""
    out = flips.copy()
    for kind, (up, down) in enumerate(((0, 1), (2, 3))):
        net = core[0, ..., 4 + 2 * kind] - core[0, ..., 2 * kind]
        few = np.isnan(flips[0, ..., up]) | np.isnan(flips[0, ..., down])
        for place, follows in ((up, np.maximum(net, 0)), (down, np.maximum(-net, 0))):
            middle = np.where(np.isnan(flips[0, ..., place]), flips[1:, ..., place].mean(axis=0), flips[0, ..., place])
            out[0, ..., place] = np.where(few & complete, follows, middle)
    return out


def _rates(core: Floats) -> tuple[Floats, Floats]:
    """Numerators and denominators of a model's five measures: as published, where each is lowest, where highest.

    From rows with the event, acted on and in all, and rows without, acted on and in all (last axis).
    """
    ends = []
    for lower, upper in ((0, 0), (1, 2), (2, 1)):  # each count at the end that makes the rate low (or high)
        hit, events, false, others = ([core[end, ..., i] for end in (lower, upper)] for i in range(4))
        top = [hit[0] + false[0], hit[0], false[0], hit[0], hit[0] + others[0] - false[1]]
        bottom = [events[1] + others[1], events[1], others[1], hit[0] + false[1], events[1] + others[0]]
        ends.append((np.stack(top, axis=-1), np.stack(bottom, axis=-1)))
    return np.stack([top for top, _ in ends]), np.stack([bottom for _, bottom in ends])


def _flips(known: Floats) -> tuple[Floats, Floats, Floats]:
    up, down, more, fewer, events, others = np.moveaxis(known, -1, 0)
    none = np.zeros_like(up)
    return (
        np.stack([up + more, up, more, none, up + fewer], axis=-1),
        np.stack([down + fewer, down, fewer, none, down + more], axis=-1),
        np.stack([events + others, events, others, none, events + others], axis=-1),
    )


def _weights(p: Perspective, attribute: int, base: int) -> tuple[Floats, Floats]:
    """Design effects and degrees of freedom: side (group, everyone else), component, group, statistic."""
    shape = (2, len(p.components), len(p.groups[attribute]), len(TOP))
    weight, df = np.ones(shape), np.full(shape, np.inf)
    if p.name == "served":
        return weight, df
    cell = (slice(None), p.y, p.decisions[:, 0] % 3, p.decisions[:, 1] % 3)
    top, bottom = TOP[cell].T.astype(float), BOTTOM[cell].T.astype(float)
    for c, g in np.ndindex(shape[1:3]):
        inside, here = p.member[attribute] == g, p.component == c
        for side, rows in enumerate((here & inside, here & ~inside)):
            weight[side, c, g], df[side, c, g] = design(top[rows], bottom[rows], p.unit[rows], p.item[rows])
    return coarse(weight, base), df if base == 1 else np.floor((df + 1) / base) * base - 1


def coarse(effect: Floats, base: int) -> Floats:
    """A design effect as it may stand behind published bounds: upwards to a power of STEP; base 1 leaves it.

    >>> coarse(np.array([1.0, 1.2, 5.0]), 5).round(3).tolist(), coarse(np.array([1.2]), 1).tolist()
    ([1.0, 1.414, 5.657], [1.2])
    """
    power: Floats = STEP ** np.ceil(np.log(effect) / np.log(STEP) - 1e-9)
    return effect if base == 1 else power


def design(top: Floats, bottom: Floats, unit: Ints, item: Ints) -> tuple[Floats, Floats]:
    """Design effect and degrees of freedom of each statistic (column) of rows clustered two ways."""
    n = bottom.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = np.nan_to_num(top - top.sum(axis=0) / n * bottom)
        alone = (residual**2).sum(axis=0)
        by_unit, raters, some = _clustered(residual, bottom, unit)
        by_item, _, others = _clustered(residual, bottom, item)
        effect = np.where(alone > 1e-12, (by_unit + by_item - alone) / alone, n / raters)
    return np.fmax(effect, 1.0), np.minimum(some, others) - 1.0


def _clustered(residual: Floats, bottom: Floats, cluster: Ints) -> tuple[Floats, Floats, Floats]:
    """Sum of squared cluster sums with the small-sample factor, and the number of clusters with a row that counts.

    Also as how many equal clusters they count: a few that hold most rows leave few degrees of freedom (Kish 1965;
    Carter, Schnepel and Steigerwald 2017, REStat 99:698).
    """
    codes = np.unique(cluster, return_inverse=True)[1]
    rows = np.arange(len(codes))
    gather = csr_array((np.ones(len(codes)), (codes, rows)), shape=(codes.max(initial=-1) + 1, len(codes)))
    size = gather @ bottom
    groups = (size > 0).sum(axis=0).astype(float)
    equal = size.sum(axis=0) ** 2 / (size**2).sum(axis=0)
    return groups / (groups - 1) * ((gather @ residual) ** 2).sum(axis=0), groups, equal
