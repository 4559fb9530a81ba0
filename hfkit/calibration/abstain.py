"""Abstention: how much can be decided without a person, with the share of wrong decisions under a declared risk?"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import special

from hfkit.calibration import estimates
from hfkit.calibration.binned import Floats
from hfkit.calibration.rows import Settings, stated
from hfkit.shared import cohorts, schema

CUTS = tuple(np.round(np.arange(0, 1, 0.1), 1).tolist())
SHARES = ("automated", "automated_low", "automated_high", "risk", "risk_low", "risk_high")
COLUMNS = ["component", "group", "cut", *SHARES, "n", "verdict", "note"]


def surprise(losses: Floats, risk: float) -> float:
    """How surprising is a mean loss this low, if the true one is above `risk`? A valid p value at every n.

    The Hoeffding-Bentkus bound for independent losses in [0, 1]; no losses give 1 (Angelopoulos et al. 2021).

    >>> surprise(np.zeros(100), 0.05) < 0.01, surprise(np.zeros(0), 0.05)
    (True, 1.0)
    """
    n = len(losses)
    if not n or losses.mean() >= risk:
        return 1.0
    mean = float(losses.mean())
    own = mean * math.log(mean / risk) if mean > 0 else 0.0
    hoeffding = math.exp(-n * (own + (1 - mean) * math.log((1 - mean) / (1 - risk))))
    bentkus = math.e * float(special.bdtr(math.ceil(n * mean), n, risk))
    return min(hoeffding, bentkus, 1.0)


def sureness(score: Floats, threshold: float) -> Floats:
    """How far is a score from the threshold, as a share of the way to 0 or 1? In [0, 1].

    >>> sureness(np.array([0.0, 0.2, 0.6, 1.0]), 0.2).round(3).tolist()
    [1.0, 0.0, 0.5, 1.0]
    """
    above = (score - threshold) / max(1 - threshold, 1e-12)
    below = (threshold - score) / max(threshold, 1e-12)
    return np.asarray(np.clip(np.where(score >= threshold, above, below), 0, 1), dtype=float)


def abstention(rows: pd.DataFrame, components: pd.DataFrame, *, risk_max: float, settings: Settings) -> pd.DataFrame:
    """Which share of items can the candidate decide alone, at most `risk_max` of those decisions wrong?

    The lowest cut on sureness whose error on the calibrate split is under `risk_max` with confidence `settings.level`
    (ten cuts, Bonferroni; every person served counts once). An item's loss is the share of its answers that contradict
    the decision. Columns: component, group, cut, automated (share of test items) and risk (share of wrong among them
    on the test split), both with exact bounds, n (test items), verdict and note. The verdict stands for everyone: pass
    = there is such a cut, inconclusive = none can be shown. Where there is one, main groups of people served follow
    with their workload and risk (`info`: the promise is for everyone, not for each group).
    """
    out = []
    rows = rows.sort_values("feedback_id", kind="stable")
    for component in components.sort_values("component").itertuples():
        part = rows[(rows["component"] == component.component) & rows["candidate"].notna()]
        items = _items(part, float(component.threshold))
        fit, test = items[items["split"] == "calibrate"], items[items["split"] == "test"]
        losses = {c: fit[fit["sure"] >= c].groupby("person")["loss"].mean().to_numpy(float) for c in CUTS}
        safe = [c for c in CUTS if surprise(losses[c], risk_max) <= (1 - settings.level) / len(CUTS)]
        cut = min(safe) if safe else math.nan
        out += [{"component": component.component, "cut": cut, **line} for line in _workload(test, cut, settings)]
    return pd.DataFrame(out, columns=COLUMNS)


def _items(part: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """One row an item: its split, who was served, sureness, loss and served groups."""
    score = part["candidate"].to_numpy(float)
    wrong = (part["label"] == 1) != (score >= threshold)
    part = part.assign(sure=sureness(score, threshold), loss=wrong.astype(float))
    first = dict.fromkeys(("split", "person", "sure", *schema.cohorts(part, "served.")), "first")
    return part.groupby("item_id", sort=True).agg({**first, "loss": "mean"}).reset_index()


def _workload(test: pd.DataFrame, cut: float, settings: Settings) -> list[dict[str, object]]:
    """Everyone's line, then, where there is a cut, a line a main group of people served."""
    groups = [(str(g), c.code == i) for c in stated(test, "served") for i, g in enumerate(c.groups)]
    lines = [{"group": name, **_line(test[inside], cut, settings), "verdict": "info"} for name, inside in groups]
    unsure = math.isnan(cut) or len(test) < settings.min_people
    everyone = {"group": cohorts.ALL, **_line(test, cut, settings)}
    return [everyone | {"verdict": schema.INCONCLUSIVE}] if unsure else [everyone | {"verdict": "pass"}, *lines]


def _line(part: pd.DataFrame, cut: float, settings: Settings) -> dict[str, object]:
    """What is decided alone in one group, and how often wrongly."""
    few = str(cohorts.too_few(len(part), settings.min_people, "items"))
    if few or not len(part):
        return {"n": math.nan, "note": few or "no test items"}
    if math.isnan(cut):
        return {"n": len(part), "note": "no cut keeps the risk under the target on the calibrate split"}
    alone, person = (part["sure"] >= cut).to_numpy(), pd.factorize(part["person"])[0]
    automated = estimates.mean(alone.astype(float), [person], level=settings.level)
    risk = estimates.mean(part["loss"].to_numpy(float)[alone], [person[alone]], level=settings.level)
    shares = dict(zip(SHARES, (*automated, *risk), strict=True))
    return {**shares, "n": len(part), "note": "" if alone.any() else "no item is decided alone"}
