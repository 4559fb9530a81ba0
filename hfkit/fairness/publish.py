"""What may be published of a group, and the attack on everything that is.

All published rates, gaps and changes follow from a few counts rounded to a base (see effective.sides). A group behind
which stand too few persons shows nothing; one with too few persons with (or without) the event shows its selection rate
and the rate of the others, but nothing made of both. `claims` lists every count that the tables are made of, and
`attacked` tries to get a withheld one back from all of them together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.fairness.effective import CORE, FLIPS, ROUGH, Bools
from hfkit.fairness.rows import BOTTOM, MODELS, UNIT, Ints, Perspective, cells
from hfkit.shared import disclosure

Words = npt.NDArray[np.object_]
SMALL_FLIPS = tuple(f"flips {i}" for i in range(4))
BLOCKS = (slice(0, 5), slice(5, 10), slice(10, 15))  # statistics of the baseline, of the candidate, of the change


@dataclass(frozen=True)
class Shown:
    """Of each group: why a statistic is not shown (component, group, statistic; empty where it is), and for which model
    (component, group, model) it is rough: too few persons with or without the event.
    """

    why: Words
    rough: Bools


def persons(p: Perspective, attribute: int) -> tuple[Ints, Ints]:
    """How many persons have rows inside each group, and outside of it? Component, group, statistic.

    Persons are items (served) or raters (rater) with a row in the statistic's denominator. A rater with rows in several
    groups stands outside of each of them too.
    """
    size = len(p.groups[attribute])
    inside = np.zeros((len(p.components), size, len(BOTTOM)), np.int64)
    outside = inside.copy()
    if p.name == "served":  # one row an item
        inside[:] = np.tensordot(cells(p, attribute)[0], BOTTOM, axes=([-3, -2, -1], [1, 2, 3]))
        return inside, inside.sum(axis=1, keepdims=True) - inside
    counted = BOTTOM[:, p.y, p.decisions[:, 0] % 3, p.decisions[:, 1] % 3] > 0
    for s, c in np.ndindex(len(BOTTOM), len(p.components)):
        use = counted[s] & (p.component == c)
        inside[c, :, s], outside[c, :, s] = _distinct(p.member[attribute][use], p.unit[use], size)
    return inside, outside


def _distinct(member: Ints, unit: Ints, groups: int) -> tuple[Ints, Ints]:
    """Distinct persons in each group, and distinct persons with a row outside of it."""
    pairs = np.unique(np.column_stack([member, unit]), axis=0)
    here = np.bincount(pairs[:, 0], minlength=groups)
    _, first, many = np.unique(pairs[:, 1], return_index=True, return_counts=True)
    alone = np.bincount(pairs[first, 0][many == 1], minlength=groups)
    return here, len(first) - alone


def shown(p: Perspective, attribute: int, *, min_group: int, suppress_below: int = 1) -> Shown:
    """What of the groups of an attribute may be shown?

    Groups of fewer than `min_group` items or raters, or that leave fewer outside, show nothing. A block of statistics
    on fewer than `suppress_below` persons inside or outside is withheld; where only those with (or without) the event
    are fewer, their rate and all that is made of both kinds is, but for the selection rate. A threshold of 1 withholds
    nothing.
    """
    units = cells(p, attribute)[1]
    rest = units.sum(axis=1, keepdims=True) - units
    inside, outside = persons(p, attribute)
    few = (inside < suppress_below) | ((outside > 0) & (outside < suppress_below))
    for block in BLOCKS:  # nobody outside with (or without) the event would say so of everybody there
        both = slice(block.start + 1, block.start + 3)
        few[..., both] |= (outside[..., both] == 0) & (outside[..., block.start, None] > 0)
    few &= suppress_below > 1
    hidden = np.zeros(inside.shape, bool)
    rough = np.zeros((*units.shape, 2), bool)
    for b, block in enumerate(BLOCKS):
        nothing, kinds = few[..., block.start], few[..., block.start + 1 : block.start + 3]
        either = kinds.any(axis=-1)
        some = [nothing if b < 2 else either, kinds[..., 0], kinds[..., 1], either, either]
        hidden[..., block] = np.stack(some, axis=-1) | nothing[..., None]
        if b < 2:
            rough[..., b] = either & ~nothing
    why = np.where(hidden, disclosure.SMALL.format(threshold=suppress_below), "").astype(object)
    why[..., 13] = np.where(why[..., 3] != "", why[..., 3], why[..., 8])  # precision has no pairs
    small = (units < min_group) | ((rest > 0) & (rest < min_group))
    why[small] = f"fewer than {min_group} {UNIT[p.name]} in this group or outside of it: not shown"
    return Shown(why, rough)


def coarse(table: pd.DataFrame, *, counts: list[str], values: list[str], round_to: int) -> pd.DataFrame:
    """A table of measures that are no rates of a group (slices, rules of the vote), fit to be published.

    `counts` are rounded, `values` (value, low, high, others) go outward in steps of 0.001. A base of 1 changes nothing.
    """
    if round_to == 1:
        return table
    rounded = {c: disclosure.round_counts(table[c].to_numpy(float), round_to) for c in counts}
    return disclosure.outward(table.assign(**rounded), *values)


def claims(p: Perspective, *, min_group: int = 10, suppress_below: int = 10, round_to: int = 5) -> pd.DataFrame:
    """Every count that the tables of one perspective are made of, as sums of cells for disclosure.attack.

    Columns: component; one a group ("all" = everyone); one a count (see `_sums`); `count` as published, missing where
    it is withheld; `most`: a withheld number of items below `suppress_below` is taken to be known as that, which is
    more than the tables say.
    """
    known = suppress_below if p.name == "served" else 0  # few items are few rows; few raters may answer much
    out: list[dict[str, object]] = []
    for a, names in enumerate(p.groups):
        counts = cells(p, a)[0]
        what = shown(p, a, min_group=min_group, suppress_below=suppress_below)
        total = counts.sum(axis=1)
        for c, component in enumerate(p.components):
            out += _lines({"component": component}, total[c], dict.fromkeys(_sums(), False), round_to, known)
            for g, name in enumerate(names):
                hidden = {
                    k: bool(what.why[c, g, s]) for k, (_, s) in _sums().items()
                    if not k.startswith("rough") or what.rough[c, g, s // 5]
                }  # fmt: skip
                out += _lines({"component": component, name: "True"}, counts[c, g], hidden, round_to, known)
    return pd.DataFrame(out)


def _sums() -> dict[str, tuple[Ints, int]]:
    """The rows (label, both decisions) behind each published count, and the statistic with which it is shown."""
    core = {f"core {i}": (mask, 5 * (i // 4) + 1 + i % 4 // 2) for i, mask in enumerate(CORE)}
    flips = {f"flips {i}": (mask, 11 + (i // 2 if i < 4 else i - 4)) for i, mask in enumerate(FLIPS)}
    return core | flips | {f"rough {i}": (mask, 5 * (i // 2)) for i, mask in enumerate(ROUGH)}


def _lines(
    place: dict[str, object], counts: Ints, hidden: dict[str, bool], base: int, known: int
) -> list[dict[str, object]]:
    out = []
    for name, withheld in hidden.items():
        n = int((counts * _sums()[name][0]).sum())
        small = base > 1 and name in SMALL_FLIPS and n < 2 * base  # published as that, and as nothing else
        said = math.nan if withheld or small else float(disclosure.round_counts(n, base))
        most = 2 * base - 1 if small and not withheld else known - 1 if n < known else math.inf
        out.append({**place, name: "True", "count": said, "most": most, "goal": withheld})
    return out


def possible(p: Perspective) -> pd.DataFrame:
    """The cells there may be: combinations of groups that the tables name, crossed with label and both decisions."""
    single = [names for attribute, names in zip(p.attributes, p.groups, strict=True) if " & " not in attribute]
    places = pd.MultiIndex.from_product(single).to_frame(index=False)
    known = pd.DataFrame({name: (places == name).any(axis=1) for names in single for name in names})
    for names in (g for a, g in zip(p.attributes, p.groups, strict=True) if " & " in a):
        crossed = {name: [name.split(" & ")[0], *(f"{p.name}.{x}" for x in name.split(" & ")[1:])] for name in names}
        known = known.assign(**{name: known[parts].all(axis=1) for name, parts in crossed.items()})
        known = known[known[list(names)].any(axis=1)]
    grid = pd.MultiIndex.from_product([range(2), range(3), range(3)], names=["label", *MODELS]).to_frame(index=False)
    grid = grid.assign(**{name: rows.ravel() > 0 for name, (rows, _) in _sums().items()})
    seen = np.unique(p.decisions) % 3
    grid = grid[grid["baseline"].isin(seen) & grid["candidate"].isin(seen)]
    return known.astype("str").merge(grid.astype("str"), how="cross")


def attacked(
    p: Perspective, *, min_group: int = 10, suppress_below: int = 10, round_to: int = 5, every: int = 1
) -> pd.DataFrame:
    """What can be worked out of the counts that are withheld, from all tables of a perspective together?

    One row a component: withheld counts, how many of them an attacker gets back exactly (`recovered`, 0 is wanted), and
    the least and the median range that is left. `every` tries only one in so many, still from all that is known.
    """
    told = claims(p, min_group=min_group, suppress_below=suppress_below, round_to=round_to)
    grid, out = possible(p), []
    for component, part in told.groupby("component", sort=True):
        goal = part["goal"] & (np.cumsum(part["goal"]) % every == 0)
        found = disclosure.attack([part.drop(columns="component").assign(goal=goal)], cells=grid, base=round_to)
        out.append({
            "perspective": p.name, "component": component, "withheld": len(found),
            "recovered": int(found["recovered"].sum()), "least width": found["width"].min(),
            "median width": found["width"].median(),
        })  # fmt: skip
    columns = ["perspective", "component", "withheld", "recovered", "least width", "median width"]
    return pd.DataFrame(out, columns=columns)
