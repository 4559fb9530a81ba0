"""How many independent rows are the rows worth? Design effects of answers that go together by rater and by item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from hfkit.fairness.rows import BOTTOM, TOP, Ints, Perspective, cells, fractions

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Side:
    """Counts of groups, or of everyone else: axes component, group (and statistic, see rows.fractions).

    `weight` is the design effect (1 = independent rows) and `df` the degrees of freedom of its estimate (inf = known).
    """

    counts: Ints
    units: Ints
    weight: Floats
    df: Floats

    def effective(self) -> tuple[Floats, Floats]:
        """Numerators and denominators divided by the design effect."""
        top, bottom = fractions(self.counts)
        return top / self.weight, bottom / self.weight


def sides(p: Perspective, attribute: int) -> tuple[Side, Side]:
    """Each group of an attribute, and everyone else, with counts, units and design effects.

    The variance of a rate among answers is that of its residuals summed by rater plus that summed by item minus that by
    row (Cameron, Gelbach and Miller 2011, JBES 29:238), never below that of independent rows. Where all answers are
    alike no variance can be seen: the rows then count as many as there are raters.
    """
    counts, units = cells(p, attribute)
    rest_counts = counts.sum(axis=1, keepdims=True) - counts
    rest_units = units.sum(axis=1, keepdims=True) - units
    shape = (*counts.shape[:2], len(TOP))
    if p.name == "served":
        one, known = np.ones(shape), np.full(shape, np.inf)
        return Side(counts, units, one, known), Side(rest_counts, rest_units, one, known)
    weight, df = np.ones((2, *shape)), np.full((2, *shape), np.inf)
    cell = (slice(None), p.y, p.decisions[:, 0] % 3, p.decisions[:, 1] % 3)
    top, bottom = TOP[cell].T.astype(float), BOTTOM[cell].T.astype(float)
    for c, g in np.ndindex(shape[:2]):
        inside, here = p.member[attribute] == g, p.component == c
        for side, rows in enumerate((here & inside, here & ~inside)):
            weight[side, c, g], df[side, c, g] = _design(top[rows], bottom[rows], p.unit[rows], p.item[rows])
    return Side(counts, units, weight[0], df[0]), Side(rest_counts, rest_units, weight[1], df[1])


def _design(top: Floats, bottom: Floats, unit: Ints, item: Ints) -> tuple[Floats, Floats]:
    """Design effect and degrees of freedom of each statistic (column) of rows clustered two ways."""
    n = bottom.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = np.nan_to_num(top - top.sum(axis=0) / n * bottom)
        alone = (residual**2).sum(axis=0)
        by_unit, raters = _clustered(residual, bottom, unit)
        by_item, items = _clustered(residual, bottom, item)
        effect = np.where(alone > 1e-12, (by_unit + by_item - alone) / alone, n / raters)
    return np.fmax(effect, 1.0), np.minimum(raters, items) - 1.0


def _clustered(residual: Floats, bottom: Floats, cluster: Ints) -> tuple[Floats, Floats]:
    """Sum of squared cluster sums with the small-sample factor, and the number of clusters with a row that counts."""
    codes = np.unique(cluster, return_inverse=True)[1]
    rows = np.arange(len(codes))
    gather = csr_array((np.ones(len(codes)), (codes, rows)), shape=(codes.max(initial=-1) + 1, len(codes)))
    groups = ((gather @ bottom) > 0).sum(axis=0).astype(float)
    return groups / (groups - 1) * ((gather @ residual) ** 2).sum(axis=0), groups
