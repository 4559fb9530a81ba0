"""Are the groups of one attribute calibrated alike? One test an attribute."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import special

from hfkit.calibration import publish
from hfkit.calibration.binned import Codes, Floats
from hfkit.calibration.groups import Group, Settings, clusterings
from hfkit.shared import evidence


def equal_calibration(y: Floats, s: Floats, member: Codes, clusters: list[Codes]) -> tuple[float, int]:
    """How surprising is it, if all groups are calibrated alike, that one is this far from the rest?

    Gives (p value, code of the most different group). Each group is compared with everyone on two counts: the mean
    residual (label minus score), and its product with the centred score; two-way cluster robust, Student's t with one
    degree of freedom less than the group's clusters, Sidak over groups and counts. A large p never shows equality.
    Group codes below 0 belong to no group compared. One group, one class, or no variation: (NaN, -1).
    """
    names = np.unique(member[member >= 0])
    if len(names) < 2 or y.min() == y.max():
        return math.nan, -1
    best, driver, looked = 1.0, -1, 0
    for moment in (y - s, (y - s) * (s - s.mean())):
        for g in names:
            p = _p_value(moment, member == g, clusters)
            if not math.isnan(p):
                looked += 1
                if p < best or driver < 0:
                    best, driver = p, int(g)
    return (-math.expm1(looked * math.log1p(-best)) if best < 1 else 1.0, driver) if looked else (math.nan, -1)


def _p_value(moment: Floats, inside: np.ndarray, clusters: list[Codes]) -> float:
    """Two-sided p of the difference between the mean of a moment inside a group and overall."""
    n, size = len(moment), int(inside.sum())
    if size in (0, n):
        return math.nan
    mean, own, rest = moment.mean(), moment[inside].mean(), moment[~inside].mean()
    influence = np.where(inside, (moment - own) / size, (rest - moment) / (n - size)) * (1 - size / n)
    spread, fewest = [], n
    for codes in clusters:
        groups = len(np.unique(codes[inside]))
        if groups < 2:
            return math.nan
        fewest = min(fewest, groups)
        spread.append(float((np.bincount(codes, influence) ** 2).sum()) * groups / (groups - 1))
    alike = float((((moment - mean) * (inside / size - 1 / n)) ** 2).sum()) * size / (size - 1)
    two_way = sum(spread) - float((influence**2).sum()) * (len(spread) - 1)
    variance = max(two_way, *spread, alike)  # the last, as if all were alike, keeps the level in small groups
    if variance <= 1e-24:
        return math.nan
    return float(2 * special.stdtr(fewest - 1, -abs(own - mean) / math.sqrt(variance)))


def parity(
    rows: pd.DataFrame, model: str, view: str, component: str, usable: list[Group], settings: Settings
) -> list[dict[str, object]]:
    """One evidence row an attribute, its p value rounded upwards; `usable` are the groups large enough to compare."""
    out = []
    clusters = clusterings(rows) if len(rows) else []
    for attribute in sorted({g.attribute for g in usable}):
        compared = [g for g in usable if g.attribute == attribute]
        member = np.full(len(rows), -1, dtype=np.int64)
        for code, g in enumerate(compared):
            member[g.rows] = code
        p, driver = equal_calibration(rows["label"].to_numpy(float), rows[model].to_numpy(float), member, clusters)
        note = "fewer than two groups are large enough to compare" if driver < 0 else (
            f"the most different group is {compared[driver].name}; a large p does not show equality")  # fmt: skip
        shown = p if settings.exact or math.isnan(p) else max(math.ceil(p * 1000 - 1e-9), 1) / 1000
        out.append(evidence.row(
            f"equal calibration p, {attribute} ({view})", component=component, value=shown,
            n=publish.size(int((member >= 0).sum()), settings),
            verdict="cannot tell" if math.isnan(p) else "info", note=note,
        ))  # fmt: skip
    return out
