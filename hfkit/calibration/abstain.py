"""Abstention: how much can be decided without a person, with the share of wrong decisions under a declared risk?"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import special

from hfkit.calibration import means, publish
from hfkit.calibration.binned import Floats
from hfkit.calibration.groups import Settings, attributes, groups

UNTOLD = (math.nan, math.nan, math.nan)
MIN_ITEMS = 10  # a share of fewer items is no workload
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


COLUMNS = [
    "component", "group", "cut", "automated", "automated_low", "automated_high", "risk", "risk_low", "risk_high", "n",
    "verdict", "note",
]  # fmt: skip


def abstention(rows: pd.DataFrame, components: pd.DataFrame, *, risk_max: float, settings: Settings) -> pd.DataFrame:
    """Which share of items can the candidate decide alone, at most `risk_max` of those decisions wrong?

    The lowest cut on sureness whose error on the calibrate split is under `risk_max` with confidence `settings.level`
    (ten cuts, Bonferroni). Columns: component, group, cut, automated (share of test items) and risk (share of wrong
    among them on the test split), both from rounded counts with exact 95 % bounds, n (test items), verdict ("pass" = a
    cut exists; "cannot tell" = none can be shown, or the group is too small to be) and note; `all` first, then the
    workload by served group. An item's loss is the share of its answers that contradict the decision.
    """
    out = []
    rows = rows.sort_values("feedback_id", kind="stable")
    for component in components.sort_values("component").itertuples():
        part = rows[(rows["component"] == component.component) & rows["candidate"].notna()]
        items = _items(part, float(component.threshold))
        fit, test = items[items["split"] == "calibrate"], items[items["split"] == "test"]
        passed = [c for c in CUTS if surprise(fit.loc[fit["sure"] >= c, "loss"].to_numpy(float), risk_max)
                  <= (1 - settings.level) / len(CUTS)]  # fmt: skip
        cut = min(passed) if passed else math.nan
        out += [{"component": component.component, **line} for line in _workload(test.reset_index(), cut, settings)]
    return pd.DataFrame(out, columns=COLUMNS)


def _items(part: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """One row an item: its split, sureness, loss and served groups."""
    acts = part["candidate"].to_numpy(float) >= threshold
    part = part.assign(sure=sureness(part["candidate"].to_numpy(float), threshold), loss=(part["label"] == 1) != acts)
    keep = dict.fromkeys(("split", "sure", *[a for a in attributes(part) if a.startswith("served.")]), "first")
    return part.astype({"loss": float}).groupby("item_id", sort=True).agg({**keep, "loss": "mean"})


def _workload(test: pd.DataFrame, cut: float, settings: Settings) -> list[dict[str, object]]:
    """Everyone's line, then a line a served group; persons are items."""
    out: list[dict[str, object]] = []
    none = "no cut keeps the risk under the target on the calibrate split" if math.isnan(cut) else ""
    for g in groups(test, replace(settings, min_rows=MIN_ITEMS)):
        part = test[g.rows]
        sure = (part["sure"] >= cut).to_numpy(float) if not math.isnan(cut) else np.zeros(len(part))
        reason = g.reason or (f"fewer than {MIN_ITEMS} items" if len(part) < MIN_ITEMS else "") or none
        automated, edge = (UNTOLD, "") if reason else _share(sure, settings)
        lost = part["loss"].to_numpy(float)[sure == 1]
        enough = not reason and len(lost) >= max(MIN_ITEMS, settings.suppress_below)
        risk, more = _share(lost, settings) if enough else (UNTOLD, "" if reason else "too few decided alone")
        notes = [f"{what}: {note}" for what, note in (("automated", edge), ("risk", more)) if note]
        out.append({
            "group": g.name, "cut": cut, **_named("automated", automated), **_named("risk", risk),
            "n": 0 if g.reason else publish.size(len(part), settings),
            "verdict": "cannot tell" if reason else "pass", "note": reason or "; ".join(notes),
        })  # fmt: skip
    return out


def _share(x: Floats, settings: Settings) -> tuple[publish.Triple, str]:
    """A mean over items as it may be published."""
    triple = means.mean(x, [np.arange(len(x))], 0.95)
    return publish.share([(float(x.sum()), float(len(x)))], [triple], settings)[0]


def _named(name: str, triple: publish.Triple) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), triple, strict=True))
