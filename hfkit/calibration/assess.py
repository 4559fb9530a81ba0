"""The evidence: every measure, for both models, for everyone and for every group, with interval and verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hfkit.calibration import publish
from hfkit.calibration.binned import Floats
from hfkit.calibration.groups import VIEWS, Group, Settings, clusterings, groups
from hfkit.calibration.measure import RATE, UNTOLD, WINDOW, measure
from hfkit.calibration.parity import parity
from hfkit.calibration.resample import Triple
from hfkit.shared import disclosure, evidence

BETTER = {
    "ECE": "lower", "debiased calibration error": "lower", "smooth calibration error": "lower", "Brier score": "lower",
    "reliability": "lower", "resolution": "higher", "uncertainty": "none", "calibration in the large": "target",
    "calibration slope": "target", "precision at threshold": "higher", "calibration at threshold": "target",
    "AUC": "higher",
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What was measured of one group: labels and score less threshold of its rows, measures, and what is missing."""

    group: Group
    known: dict[str, Triple]
    note: str
    y: Floats
    side: Floats


def assess(
    rows: pd.DataFrame, components: pd.DataFrame, *, settings: Settings, rng: np.random.Generator
) -> pd.DataFrame:
    """Does each score mean what it says, for everyone? The evidence table.

    `rows` as `judged` gives them. Measures end in "(baseline)" and "(candidate)", both on the test split and so
    comparable, or "(baseline, all rows)". The calibration in the large is the event rate minus the mean score, so
    above 0 says the score is too low. Intervals of `all` hold one by one; those of groups hold together (Sidak) for
    each measure. Clusters are items or raters, whichever varies more, widened for the other. A group too small, a
    missing score and a single class give NaN, "cannot tell" and the reason. Everything is in the form that may be
    published (see `publish`), and a verdict follows from the published bounds.
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
    told = {g.name: g for g in groups(scored, settings)}
    usable = [g for g in told.values() if not g.reason and g.name != "all"]
    together = settings.level ** (1 / max(len(usable), 1))
    found = []
    for seen in groups(rows, settings):
        g = told.get(seen.name, Group(seen.name, seen.attribute, np.zeros(len(scored), bool), "no rows with a score"))
        part = scored[g.rows]
        y, s = part["label"].to_numpy(float), part[model].to_numpy(float)
        reason = (f"no {model} score" if not len(scored) and len(rows) else g.reason) or _one_class(y, settings)
        level = settings.level if g.name == "all" else together
        known, note = ({}, reason) if reason else measure(
            y, s, clusterings(part), threshold=float(component.threshold), n_boot=settings.n_boot, level=level,
            rng=rng)  # fmt: skip
        if g.name == "all" and lost and not reason:
            left = f"about {publish.size(lost, settings)}" if publish.size(lost, settings) else "a few"
            note = "; ".join(x for x in (note, f"{left} rows without a {model} score left out") if x)
        found.append(Found(g, known, note, y, s - float(component.threshold)))
    shown = _published(found, settings)
    out = [
        _row(name, triples.get(name, UNTOLD), 0 if f.group.reason else publish.size(len(f.y), settings),
             (component.component, f.group.name, view), notes.get(name) or f.note, settings)
        for f, (triples, notes) in zip(found, shown, strict=True) for name in BETTER
    ]  # fmt: skip
    return out + parity(scored, model, view, component.component, usable, settings)


def _one_class(y: Floats, settings: Settings) -> str:
    """Why nothing is told where a class is missing, or would look so once counts are rounded."""
    rare = min(float(y.sum()), float((1 - y).sum())) if len(y) else 0.0
    missing = disclosure.round_counts(rare, settings.round_to) == 0
    return "no rows, or too few, of one of the classes" if missing else ""


def _published(found: list[Found], settings: Settings) -> list[tuple[dict[str, Triple], dict[str, str]]]:
    """The measures as they may be shown: shares from rounded counts, means rounded outward; and notes on shares."""
    if settings.exact:
        return [(f.known, {}) for f in found]
    told = [f for f in found if f.known]
    rates = publish.share([(float(f.y.sum()), float(len(f.y))) for f in told], [f.known[RATE] for f in told], settings)
    hits = publish.share(
        [(float(f.y[f.side >= 0].sum()), float((f.side >= 0).sum())) for f in told],
        [f.known["precision at threshold"] for f in told], settings,
    )  # fmt: skip
    out: list[tuple[dict[str, Triple], dict[str, str]]] = []
    shares = iter(zip(rates, hits, strict=True))
    for f in found:
        if not f.known:
            out.append(({}, {}))
            continue
        (rate, edge), (hit, near) = next(shares)
        shown = {**f.known, "uncertainty": publish.uncertain(rate), "precision at threshold": hit}
        shown = dict(zip(shown, publish.outward(list(shown.values()), settings), strict=True))
        if int((np.abs(f.side) <= WINDOW).sum()) < settings.suppress_below:
            shown["calibration at threshold"] = UNTOLD
        out.append((shown, {"uncertainty": edge, "precision at threshold": near}))
    return out


def _row(
    name: str, triple: Triple, n: int, where: tuple[str, str, str], note: str, settings: Settings
) -> dict[str, object]:
    """One evidence row with its verdict against the declared targets, read off the published bounds."""
    value, low, high = triple
    component, group, view = where
    verdict = "info"
    if not math.isnan(low) and note.startswith("no interval"):
        note = note.partition("; ")[2]  # said of the measures that have none
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
