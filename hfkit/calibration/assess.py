"""The evidence: every measure, for both models, for everyone and for every group, with interval and verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hfkit.calibration.groups import VIEWS, Group, clusterings, groups
from hfkit.calibration.measure import measure
from hfkit.calibration.parity import parity
from hfkit.calibration.resample import Triple
from hfkit.shared import evidence

UNTOLD = (math.nan, math.nan, math.nan)
BETTER = {
    "ECE": "lower", "debiased calibration error": "lower", "smooth calibration error": "lower", "Brier score": "lower",
    "reliability": "lower", "resolution": "higher", "uncertainty": "none", "calibration in the large": "target",
    "calibration slope": "target", "precision at threshold": "higher", "calibration at threshold": "target",
    "AUC": "higher",
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What was declared before looking: targets, the smallest publishable groups, replicates and confidence."""

    ece_max: float = 0.05
    gap_max: float = 0.05
    min_rows: int = 50
    min_raters: int = 10
    n_boot: int = 1000
    level: float = 0.95


def assess(
    rows: pd.DataFrame, components: pd.DataFrame, *, settings: Settings, rng: np.random.Generator
) -> pd.DataFrame:
    """Does each score mean what it says, for everyone? The evidence table.

    `rows` as `judged` gives them. Measures end in "(baseline)" and "(candidate)", both on the test split and so
    comparable, or "(baseline, all rows)". The calibration in the large is the event rate minus the mean score, so
    above 0 says the score is too low. Intervals of `all` hold one by one; those of groups hold together (Sidak) for
    each measure. Clusters are items or raters, whichever varies more, widened for the other. A group too small, a
    missing score and a single class give NaN, "cannot tell" and the reason.
    """
    out: list[dict[str, object]] = []
    rows = rows.sort_values("feedback_id", kind="stable").reset_index(drop=True)
    for component in components.sort_values("component").itertuples():
        part = rows[rows["component"] == component.component].reset_index(drop=True)
        for model, view, test in VIEWS:
            seen = part[part["split"] == "test"].reset_index(drop=True) if test else part
            out += _view(seen, model, view, component, settings, rng)
    return evidence.table(out)


def _view(
    rows: pd.DataFrame, model: str, view: str, component: Any, settings: Settings, rng: np.random.Generator
) -> list[dict[str, object]]:
    """All evidence of one model on one set of rows."""
    scored = rows[rows[model].notna()].reset_index(drop=True)
    lost = len(rows) - len(scored)
    found = list(groups(rows, min_rows=settings.min_rows, min_raters=settings.min_raters))
    told = {g.name: g for g in groups(scored, min_rows=settings.min_rows, min_raters=settings.min_raters)}
    usable = [g for g in told.values() if not g.reason and g.name != "all"]
    together = settings.level ** (1 / max(len(usable), 1))
    out = []
    for seen in found:
        g = told.get(seen.name, Group(seen.name, np.zeros(len(scored), dtype=bool), "no rows with a score"))
        reason = f"no {model} score" if not len(scored) and len(rows) else g.reason
        part = scored[g.rows]
        level = settings.level if g.name == "all" else together
        known, note = ({}, reason) if reason else measure(
            part["label"].to_numpy(float), part[model].to_numpy(float), clusterings(part),
            threshold=float(component.threshold), n_boot=settings.n_boot, level=level, rng=rng)  # fmt: skip
        if g.name == "all" and lost and not reason:
            note = "; ".join(x for x in (note, f"{lost} rows without a {model} score left out") if x)
        out += [
            _row(name, known.get(name, UNTOLD), len(part), (component.component, g.name, view), note, settings)
            for name in BETTER
        ]
    return out + parity(scored, model, view, component.component, usable)


def _row(
    name: str, triple: Triple, n: int, where: tuple[str, str, str], note: str, settings: Settings
) -> dict[str, object]:
    """One evidence row with its verdict against the declared targets."""
    value, low, high = triple
    component, group, view = where
    verdict = "info"
    if name == "ECE":
        verdict = evidence.judge(low, high, target=settings.ece_max, better="lower")
    elif name == "calibration in the large":
        verdict = within(low, high, settings.gap_max)
    if math.isnan(value):
        verdict, note = "cannot tell", note or _why(name)
    elif math.isnan(low) and not note:
        note = "no interval: too few rows that vary"
    return evidence.row(f"{name} ({view})", component=component, group=group, value=value, low=low, high=high, n=n,
                        better=BETTER[name], verdict=verdict, note=note)  # fmt: skip


def _why(name: str) -> str:
    if name == "calibration slope":
        return "no slope: the score is constant or separates the classes"
    return "too few rows at the threshold" if name.endswith("threshold") else "not defined on these rows"


def within(low: float, high: float, margin: float) -> str:
    """Does an interval of a gap settle whether the gap is within a margin of 0?

    >>> within(-0.01, 0.02, 0.05), within(0.06, 0.09, 0.05), within(0.01, 0.09, 0.05)
    ('pass', 'fail', 'cannot tell')
    """
    if -margin <= low and high <= margin:
        return "pass"
    return "fail" if low > margin or high < -margin else "cannot tell"
