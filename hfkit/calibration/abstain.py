"""Abstention: how much can be decided without a person, with the share of wrong decisions under a declared risk?"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import special

from hfkit.calibration.binned import Floats
from hfkit.calibration.groups import attributes

CUTS = tuple(np.round(np.arange(0, 1, 0.1), 1).tolist())


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
    """How far is a score from the threshold, as a share of the way to 0 or 1? In [0, 1]."""
    above = (score - threshold) / max(1 - threshold, 1e-12)
    below = (threshold - score) / max(threshold, 1e-12)
    out: Floats = np.clip(np.where(score >= threshold, above, below), 0, 1)
    return out


def abstention(rows: pd.DataFrame, components: pd.DataFrame, *, risk_max: float, level: float = 0.95) -> pd.DataFrame:
    """Which share of items can the candidate decide alone, at most `risk_max` of those decisions wrong?

    The lowest cut on sureness whose error on the calibrate split is under `risk_max` with confidence `level` (ten cuts,
    Bonferroni). Columns: component, group, cut, automated (share of test items), risk (share of wrong among them on the
    test split), n (test items), verdict ("pass" = a cut exists; "cannot tell" = none can be shown) and note; `all`
    first, then the workload by served group. An item's loss is the share of its answers that contradict the decision.
    """
    out = []
    for component in components.sort_values("component").itertuples():
        part = rows[(rows["component"] == component.component) & rows["candidate"].notna()]
        items = _items(part, float(component.threshold))
        fit, test = items[items["split"] == "calibrate"], items[items["split"] == "test"]
        passed = [c for c in CUTS if surprise(fit.loc[fit["sure"] >= c, "loss"].to_numpy(float), risk_max)
                  <= (1 - level) / len(CUTS)]  # fmt: skip
        cut = min(passed) if passed else math.nan
        out += [{"component": component.component, **line} for line in _workload(test, cut)]
    columns = ["component", "group", "cut", "automated", "risk", "n", "verdict", "note"]
    return pd.DataFrame(out, columns=columns)


def _items(part: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """One row an item: its split, sureness, loss and served groups."""
    acts = part["candidate"].to_numpy(float) >= threshold
    part = part.assign(sure=sureness(part["candidate"].to_numpy(float), threshold), loss=(part["label"] == 1) != acts)
    keep = dict.fromkeys(("split", "sure", *[a for a in attributes(part) if a.startswith("served.")]), "first")
    return part.astype({"loss": float}).groupby("item_id", sort=True).agg({**keep, "loss": "mean"})


def _workload(test: pd.DataFrame, cut: float) -> list[dict[str, object]]:
    found = [("all", test)]
    for attribute in (c for c in test.columns if c.startswith("served.")):
        found += [(f"{attribute}={value}", part) for value, part in test.groupby(attribute, sort=True)]
    out: list[dict[str, object]] = []
    for name, part in found:
        alone = part[part["sure"] >= cut] if not math.isnan(cut) else part.iloc[:0]
        none = "no cut keeps the risk under the target on the calibrate split" if math.isnan(cut) else ""
        small = "fewer than 10 items" if len(part) < 10 else ""
        tell = not (none or small)
        out.append({
            "group": name, "cut": cut, "automated": len(alone) / len(part) if tell else math.nan,
            "risk": float(alone["loss"].mean()) if tell and len(alone) >= 10 else math.nan, "n": len(part),
            "verdict": "pass" if tell else "cannot tell", "note": none or small,
        })  # fmt: skip
    return out
