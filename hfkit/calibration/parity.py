"""Are the groups of one attribute calibrated alike? One test an attribute."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from hfkit.calibration.binned import Codes, Floats
from hfkit.calibration.rows import Sample
from hfkit.shared import cluster, evidence


def equal_calibration(y: Floats, s: Floats, member: Codes, clusters: Sequence[Codes]) -> tuple[float, int]:
    """How surprising is it, if all groups are calibrated alike, that one is this far from the rest?

    Gives (p value, code of the most different group). Each group is compared with everyone on two counts: the mean
    residual (label minus score), and its product with the centred score; two-way cluster robust, Student's t with one
    degree of freedom less than the group's clusters, Sidak over groups and counts. A large p never shows equality.
    Group codes below 0 belong to no group compared. One group, one class, or no variation: (NaN, -1).
    """
    names = np.unique(member[member >= 0])
    if len(names) < 2 or y.min() == y.max():
        return math.nan, -1
    pairs = [(m, g) for m in (y - s, (y - s) * (s - s.mean())) for g in names]
    p = np.array([_p_value(moment, member == g, clusters) for moment, g in pairs])
    if np.isnan(p).all():
        return math.nan, -1
    best = int(np.nanargmin(p))
    tests = int((~np.isnan(p)).sum())
    return float(-np.expm1(tests * np.log1p(-p[best]))) if p[best] < 1 else 1.0, int(pairs[best][1])


def _p_value(moment: Floats, inside: NDArray[np.bool_], clusters: Sequence[Codes]) -> float:
    """Two-sided p of the difference between the mean of a moment inside a group and overall."""
    n, size = len(moment), int(inside.sum())
    count = cluster.effective(inside.astype(float), *clusters)
    if size in (0, n) or count < 2:
        return math.nan
    mean, own, rest = moment.mean(), moment[inside].mean(), moment[~inside].mean()
    influence = np.where(inside, (moment - own) / size, (rest - moment) / (n - size)) * (1 - size / n)
    alike = float((((moment - mean) * (inside / size - 1 / n)) ** 2).sum()) * size / (size - 1)
    clustered = float(cluster.variance(influence, *clusters)[0]) * count / (count - 1)
    variance = max(clustered, alike)  # the second, as if all were alike, keeps the level in small groups
    if variance <= 1e-24:
        return math.nan
    return float(2 * stdtr(count - 1, -abs(own - mean) / math.sqrt(variance)))


def statement(group_samples: Sequence[Sample]) -> dict[str, object]:
    """The evidence row of one attribute: are its groups calibrated alike? `group_samples` are all groups of one cohort.

    Groups without a number are compared with nobody, and their rows still belong to everyone. Always `info`.
    """
    first, compared = group_samples[0], [g.n > 0 for g in group_samples]
    y, s = (np.concatenate([getattr(g, k) for g in group_samples]) for k in ("y", "s"))
    clusters = [np.concatenate([g.clusters[i] for g in group_samples]) for i in range(len(first.clusters))]
    member = np.repeat(np.where(compared, np.arange(len(compared)), -1), [len(g.y) for g in group_samples])
    p, driver = equal_calibration(y, s, member, clusters)
    note = f"the most different group is {group_samples[driver].group}; a large p does not show equality"
    if driver < 0:
        note = "no two groups can be compared" if len(y) else first.note
    cohort = first.cohort.name if first.cohort else ""
    return evidence.row(f"equal calibration p ({first.view.name})", component=first.component, group=cohort, value=p,
                        n=int((member >= 0).sum()), note=note)  # fmt: skip
