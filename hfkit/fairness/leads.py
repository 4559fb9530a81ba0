"""Leads: everything wider than the gates, ranked by how sure it is, under a declared false discovery rate.

Groups of one attribute are similar more often than not, and a crossed group is like its two parents: estimates are
pulled towards that by partial pooling (Efron and Morris 1975, JASA 70:311; Gelman, Hill and Yajima 2012, J. Res. Educ.
Eff. 5:189), as far as the data say that groups are alike. A lead never gates a decision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr

from hfkit.fairness.comparison import Comparison
from hfkit.fairness.perspective import Bools, Floats
from hfkit.shared import evidence, schema
from hfkit.shared.cohorts import Group
from hfkit.shared.measures import Measure

SPREADS = np.append(0.0, np.geomspace(0.02, 10.0, 24))  # of true differences between groups, in margins


def harm(comparisons: Sequence[Comparison], margin: Callable[[Measure], float]) -> Floats:
    """How likely is each difference beyond its margin on the bad side, given all others of its kind? In 0..1.

    Comparisons of one measure, form, component and perspective are one family. NaN where there is no interval: what is
    too unsure for one is too unsure for a lead, and tells nothing about others.
    """
    out = np.full(len(comparisons), np.nan)
    families: dict[tuple[str, ...], list[int]] = {}
    for i, c in enumerate(comparisons):
        key = (c.measure.name, c.form, c.model, c.part.component, c.part.cohort.perspective)
        families.setdefault(key, []).append(i)
    for places in families.values():
        family = [comparisons[i] for i in places]
        out[places] = _family(family, margin(family[0].measure))
    return out


def _family(family: Sequence[Comparison], margin: float) -> Floats:
    """Main cohorts first, each pooled by itself; then crossed ones, pulled towards what their parents say."""
    value, error = (np.array([getattr(c, k) for c in family], float) for k in ("value", "error"))
    usable = np.array([c.usable for c in family], bool) & (error > 0)
    main = np.array([c.part.cohort.main for c in family], bool)
    scale = margin if margin > 0 else float(np.median(error[usable])) if usable.any() else 1.0
    parents: dict[Group, tuple[float, float]] = {}
    out = np.full(len(family), np.nan)
    for cohort in dict.fromkeys(c.part.cohort.name for c in family):
        own = np.array([c.part.cohort.name == cohort for c in family]) & usable
        if not own.any():
            continue
        centre, spread = _prior(family, own, main, parents, value, error, scale)
        mean, sd, weight = _pooled(value[own], error[own], centre, spread, scale)
        groups = [c.part.cohort.groups[c.group] for c, o in zip(family, own, strict=True) if o]
        first = weight @ mean
        second = weight @ (sd**2 + mean**2)
        if main[own][0]:
            parents |= dict(zip(groups, zip(first, second - first**2, strict=True), strict=True))
        out[own] = np.clip(weight @ _beyond(mean, sd, margin, family[0].measure.better), 0.0, 1.0)
    return out


def _prior(
    family: Sequence[Comparison], own: Bools, main: Bools, parents: dict[Group, tuple[float, float]], value: Floats,
    error: Floats, scale: float,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Where each estimate is pulled to, and with which variance that is known.

    A gap to none; a change to that of the median group, which one harmed group does not move, however large; a crossed
    group to the sum of what its parents differ by.
    """
    centre = 0.0
    if main[own][0]:
        centre = _median(value[own], 1 / (error[own] ** 2 + scale**2)) if family[0].form == "change" else 0.0
        return np.full(own.sum(), centre), np.zeros(own.sum())
    if family[0].form == "change":  # what two parents have in common is everybody's change
        rows = np.array([c.n for c, o in zip(family, own, strict=True) if o], float)
        centre = float(rows @ value[own] / rows.sum()) if rows.sum() else 0.0
    places, spreads = [], []
    for c, o in zip(family, own, strict=True):
        if o:
            g = c.part.cohort.groups[c.group]
            single = [Group(g.perspective, (a,), (v,)) for a, v in zip(g.attributes, g.values, strict=True)]
            both = [parents[s] for s in single if s in parents]
            places.append(centre + sum(m - centre for m, _ in both))
            spreads.append(sum(v for _, v in both))
    return np.array(places), np.array(spreads)


def _median(value: Floats, weight: Floats) -> float:
    """The weighted median."""
    order = np.argsort(value, kind="stable")
    reached = np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)
    return float(value[order][min(reached, len(value) - 1)])


def _pooled(
    value: Floats, error: Floats, centre: Floats, spread: Floats, scale: float
) -> tuple[Floats, Floats, Floats]:
    """Mean and deviation of every true difference for each spread between groups, and how likely each spread is.

    The spread has a half-Cauchy prior on the scale of the margin (Gelman 2006, Bayesian Analysis 1:515).
    """
    tau = (SPREADS * scale)[:, None]
    total = error**2 + spread + tau**2
    fit = -0.5 * (np.log(total) + (value - centre) ** 2 / total).sum(axis=1)
    step = np.gradient(SPREADS)
    weight = np.exp(fit - fit.max()) * step / (1 + SPREADS**2)
    before = spread + tau**2
    pull = before / (before + error**2)
    mean = centre + pull * (value - centre)
    return mean, np.sqrt(np.maximum(pull, 1e-12)) * error, weight / weight.sum()


def _beyond(mean: Floats, sd: Floats, margin: float, better: str) -> Floats:
    """The probability of a normal beyond the margin on the bad side (both sides where none is better)."""
    high, low = ndtr((mean - margin) / sd), ndtr((-margin - mean) / sd)
    return np.asarray({"lower": high, "higher": low}.get(better, high + low), float)


def below(value: npt.ArrayLike, error: npt.ArrayLike, least: float) -> Floats:
    """How likely is each ratio below `least`? In 0..1, from a normal of its standard error; NaN where one is missing.

    >>> below([0.8, 2.0], [0.1, 0.1], 0.8).round(3).tolist()
    [0.5, 0.0]
    """
    value, error = np.asarray(value, float), np.asarray(error, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(error > 0, ndtr((least - value) / error), np.nan), float)


def verdicts(beyond: Floats, fdr: float) -> tuple[list[str], Floats]:
    """Verdicts of leads from how likely each is beyond its margin, and q, the expected share of wrong ones down to it.

    The surest come first; as many get a verdict as keep the expected share of wrong verdicts at `fdr` (Mueller,
    Parmigiani, Robert and Rousseau 2004, JASA 99:990). Others, and missing ones, are inconclusive.

    >>> found, q = verdicts(np.array([0.99, 0.001, 0.5, np.nan]), 0.05)
    >>> found, q.round(4).tolist()
    (['fail', 'pass', 'inconclusive', 'inconclusive'], [0.0055, 0.001, 0.1703, nan])
    """
    doubt = np.minimum(beyond, 1 - beyond)
    q = np.full(len(beyond), np.nan)
    order = np.flatnonzero(~np.isnan(doubt))
    order = order[np.argsort(doubt[order], kind="stable")]
    q[order] = np.cumsum(doubt[order]) / np.arange(1, len(order) + 1)
    return [
        schema.INCONCLUSIVE if not share <= fdr else "fail" if p > 0.5 else "pass"
        for p, share in zip(beyond, q, strict=True)
    ], q  # fmt: skip


def table(rows: Sequence[dict[str, object]], beyond: Floats, fdr: float) -> pd.DataFrame:
    """Evidence rows with how likely each is beyond its margin, as the agreed table of leads; proven ones first."""
    judged, q = verdicts(beyond, fdr)
    frame = evidence.table(list(rows)).assign(verdict=judged, q=q)
    return schema.shape(evidence.proven_first(frame), schema.LEADS)
