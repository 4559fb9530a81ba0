"""What do the answers say once the raters' errors are taken out? A crowd with one sensitivity and one specificity.

Raters differ, but answers of raters drawn at random err like their mean: so many of an item's n people say the event
holds with the mean sensitivity where it does, and with 1 - the mean specificity where it does not. Two answers an item
cannot tell sensitivity from specificity; a prior holds them together, and the intervals show how much rests on it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logsumexp, xlog1py, xlogy

from hfkit.shared import intervals

Floats = npt.NDArray[np.float64]
MIDDLE, SPREAD = 1.73, 0.8  # prior of the log odds of a right answer: .85, from .5 to .96
ASYMMETRY = 0.8  # prior sd of half the difference of the log odds of sensitivity and specificity
STEPS = (25, 17, 61)  # points of the grid: accuracy, asymmetry, event share
ZOOMS = 3
FEWEST = 30  # items that two people answered; fewer do not show how often people err
LEAST = 1e-5  # mass of a slice of the grid below which the next zoom leaves it out


class Noise(NamedTuple):
    """The event share and the raters' errors as (value, low, high), and p, low and high of every item."""

    share: tuple[float, float, float]
    sensitivity: tuple[float, float, float]
    specificity: tuple[float, float, float]
    p: Floats
    low: Floats
    high: Floats


def crowd_errors(events: npt.ArrayLike, people: npt.ArrayLike, *, effect: float = 1.0) -> Noise:
    """How often does the event hold, how often do people err, and how probable is the event for each item?

    `events` of `people` (numbers above 0, one a row an item; half a person where one said both) say the event holds.
    Values are those of the most probable crowd, all in 0..1. Bounds (95 %) are quantiles of the posterior on a grid of
    sensitivity, specificity and event share, so they hold the data's and the prior's uncertainty. Where fewer than
    FEWEST items have two people, nothing shows how often people err: the values are those of the answers as they are,
    the bounds little but the prior's. `effect` (design effect, 1 or more) says how many rows count as one, because
    people and those they judge repeat. Raters are better than chance by assumption. No row: NaN.
    Two tests in one population: Hui and Walter (1980), Biometrics 36:167; priors where they do not identify it:
    Joseph, Gyorkos and Coupal (1995), American Journal of Epidemiology 141:263.

    >>> errors = crowd_errors([2] * 40 + [1] * 25 + [0] * 70, [2] * 135)
    >>> round(errors.share[0], 2), round(errors.sensitivity[0], 2), errors.p[[0, 50, 134]].round(2).tolist()
    (0.36, 0.9, [0.98, 0.36, 0.01])
    """
    k, n = np.asarray(events, float), np.asarray(people, float)
    if not len(k):
        nothing, none = (np.nan, np.nan, np.nan), np.zeros(0)
        return Noise(nothing, nothing, nothing, none, none, none)
    kinds, kind, count = np.unique(np.column_stack([k, n]), axis=0, return_inverse=True, return_counts=True)
    box = [(0.1, 5.5), (-2.8, 2.8), (0.0, np.pi / 2)]
    for _ in range(ZOOMS):
        axes = [np.linspace(*b, s) for b, s in zip(box, STEPS, strict=True)]
        log = _log_posterior(axes, kinds, count / effect)
        mass = np.exp(log - logsumexp(log))
        box = [_kept(a, mass.sum(axis=tuple(i for i in range(3) if i != d))) for d, a in enumerate(axes)]
    accuracy, asymmetry, angle = (m.ravel() for m in np.meshgrid(*axes, indexing="ij"))
    sens, spec, share = expit(accuracy + asymmetry), expit(accuracy - asymmetry), np.sin(angle) ** 2
    weight, best = mass.ravel(), int(log.argmax())
    keep = weight > weight.max() * 1e-6
    bounds = [_quantiles(v[keep], weight[keep]) for v in (share, sens, spec)]
    point, low, high = (np.zeros(len(kinds)) for _ in range(3))
    for i, (events_, people_) in enumerate(kinds):
        p = _event(events_, people_, sens, spec, share)
        point[i] = p[best]
        low[i], high[i] = _quantiles(p[keep], weight[keep])
    values = [(float(v[best]), *b) for v, b in zip((share, sens, spec), bounds, strict=True)]
    if (n >= 2).sum() < FEWEST:  # nothing says how often people err: the answers stand as they are, within the bounds
        point, (low_, high_) = kinds[:, 0] / kinds[:, 1], intervals.wilson((k / n).sum() / effect, len(k) / effect)
        value = float((k / n).mean())
        values = [(value, min(values[0][1], float(low_)), max(values[0][2], float(high_)))]
        values += [(1.0, b[0], 1.0) for b in bounds[1:]]
    kind = kind.reshape(-1)
    share_, sens_, spec_ = values
    return Noise(share_, sens_, spec_, point[kind], np.minimum(low, point)[kind], np.maximum(high, point)[kind])


def _log_posterior(axes: list[Floats], kinds: Floats, count: Floats) -> Floats:
    accuracy, asymmetry = axes[0][:, None, None], axes[1][None, :, None]
    share = np.sin(axes[2])[None, None, :] ** 2  # even steps of the angle are Jeffreys' prior
    sens, spec = expit(accuracy + asymmetry), expit(accuracy - asymmetry)
    out = -(((accuracy - MIDDLE) / SPREAD) ** 2 + (asymmetry / ASYMMETRY) ** 2) / 2 + np.zeros(share.shape)
    for (k, n), times in zip(kinds, count, strict=True):
        held, absent = xlogy(k, sens) + xlog1py(n - k, -sens), xlogy(n - k, spec) + xlog1py(k, -spec)
        with np.errstate(divide="ignore"):
            out = out + times * np.logaddexp(np.log(share) + held, np.log1p(-share) + absent)
    return out


def _event(k: float, n: float, sens: Floats, spec: Floats, share: Floats) -> Floats:
    """The probability of the event where k of n people say so."""
    log = xlogy(k, sens) + xlog1py(n - k, -sens) - xlogy(n - k, spec) - xlog1py(k, -spec)
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(expit(log + np.log(share) - np.log1p(-share)), float)


def _kept(axis: Floats, mass: Floats) -> tuple[float, float]:
    """The part of an axis that carries mass, one step more on either side."""
    hit = np.flatnonzero(mass > LEAST)
    return float(axis[max(hit[0] - 1, 0)]), float(axis[min(hit[-1] + 1, len(axis) - 1)])


def _quantiles(value: Floats, weight: Floats) -> tuple[float, float]:
    order = np.argsort(value, kind="stable")
    total = np.cumsum(weight[order])
    at = np.searchsorted(total, np.array([0.025, 0.975]) * total[-1])
    low, high = value[order][np.minimum(at, len(order) - 1)]
    return float(low), float(high)
