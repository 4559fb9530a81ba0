"""The evidence: every measure of every sample, with interval and verdict; and the reliability table behind it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from hfkit.calibration import estimates
from hfkit.calibration.binned import BINS, bin_of
from hfkit.calibration.estimates import UNDEFINED
from hfkit.calibration.rows import Sample, Settings
from hfkit.shared import evidence, intervals, measures, schema
from hfkit.shared.intervals import Interval

ECE, GAP = "ECE", "calibration in the large"
MEASURES = (
    ECE, "debiased calibration error", "Brier score", "reliability", "resolution",
    "uncertainty", GAP, "calibration slope", "calibration at threshold",
)  # fmt: skip
WHY = {
    "calibration slope": "no slope: the score is constant or separates the classes, or there is one class only",
    "calibration at threshold": f"fewer than {estimates.MIN_EVENTS} rows near the threshold",
}
FEWEST_ROWS = 30  # a main group of fewer gets no verdict, and does not widen the others
RATES = ["component", "model", "group", "bin", "n", "events", "mean_score", "event_rate", "low", "high", "note"]


def assess(samples: Sequence[Sample], *, settings: Settings, rng: np.random.Generator) -> pd.DataFrame:
    """Does each score mean what it says, for everyone? The evidence table; `samples` as `rows.samples` gives them.

    Measures end in "(baseline)" and "(candidate)", both on the test split and so comparable, or "(baseline, all rows)".
    The calibration in the large is the event rate minus the mean score, so above 0 says the score is too low. Verdicts
    stand for the ECE and the calibration in the large of everyone and of main groups. Intervals of everyone hold by
    themselves, those of main groups all together for each measure and view (Sidak), over the groups of FEWEST_ROWS rows
    and more; crossed groups are leads: `info`, each interval by itself. A sample without a number is NaN with its note.
    """
    family = Counter(s.view.name for s in samples if s.main and s.n >= FEWEST_ROWS)
    rows: list[dict[str, object]] = []
    for sample in samples:
        count = family[sample.view.name] if sample.main else 1
        rows += _statements(sample, intervals.simultaneous(count, settings.level), settings, rng)
    return evidence.table(rows)


def _statements(sample: Sample, level: float, settings: Settings, rng: np.random.Generator) -> list[dict[str, object]]:
    """Every measure of one sample as evidence rows."""
    values: dict[str, Interval] = {}
    note = sample.note
    if not note:
        rows, threshold = (sample.y, sample.s, sample.clusters), sample.threshold
        values, note = estimates.estimate(*rows, threshold=threshold, n_boot=settings.n_boot, level=level, rng=rng)
        if sample.cohort is None and sample.unscored:
            left = f"{sample.unscored} rows without a score left out"
            note = f"{note}; {left}" if note else left
    return [_row(sample, name, values.get(name, UNDEFINED), note, settings) for name in MEASURES]


def _row(sample: Sample, name: str, interval: Interval, note: str, settings: Settings) -> dict[str, object]:
    """One evidence row with its verdict against the declared target."""
    value, low, high = interval
    better = measures.read(f"{name} ({sample.view.name})").measure.better
    target = {ECE: settings.ece_max, GAP: settings.gap_max}.get(name) if sample.main or not sample.cohort else None
    verdict = "info"
    if not math.isnan(low) and note.startswith("no interval"):
        note = note.partition("; ")[2]  # that is about the measures without one
    if math.isnan(value):
        note = note or WHY.get(name, "not defined on these rows")
    elif math.isnan(low):
        note = note or "no interval: too few rows that vary"
    if target is not None:
        verdict = evidence.within(low, high, margin=target, better=better)
        if sample.main and 0 < sample.n < FEWEST_ROWS:
            verdict, note = schema.INCONCLUSIVE, note or f"only {sample.n} rows: too few to judge beside other groups"
        elif verdict == schema.INCONCLUSIVE:  # an ECE would not stay: it falls as rows are added
            rows = evidence.settle(value, low, high, n=sample.n, margin=target, better=better) if name == GAP else ""
            note = note or rows or f"the interval holds the target of {target:g}"
    return evidence.row(f"{name} ({sample.view.name})", component=sample.component, group=sample.group, value=value,
                        low=low, high=high, n=sample.n, better=better, verdict=verdict, note=note)  # fmt: skip


def reliability(samples: Sequence[Sample]) -> pd.DataFrame:
    """Of the cases scored about 0.3, how many had the event? One row a component, model (view), group and bin.

    Columns: component, model, group, bin (0 to 9), n and events (rows), mean_score, event_rate and its 95 % bounds low
    and high (exact ones at the effective number of rows, each by itself), note. Empty bins and groups without a number
    keep their rows, with the reason.
    """
    places = [(dict(zip(RATES, (s.component, s.view.name, s.group), strict=False)), s) for s in samples]
    return pd.DataFrame([{**place, **line} for place, s in places for line in _bins(s)], columns=RATES)


def _bins(sample: Sample) -> list[dict[str, object]]:
    """One group's bins; all of them empty where it has no number."""
    if sample.note:
        return [{"bin": b, "note": sample.note} for b in range(BINS)]
    bins, out = bin_of(sample.s), []
    for b in range(BINS):
        inside = bins == b
        y, s = sample.y[inside], sample.s[inside]
        rate, low, high = estimates.mean(y, [c[inside] for c in sample.clusters])
        note = "no rows" if not len(y) else "no interval: one person or one rater" if math.isnan(low) else ""
        score = float(s.mean()) if len(s) else math.nan
        values = (b, float(len(y)), float(y.sum()), score, rate, low, high, note)
        out.append(dict(zip(RATES[3:], values, strict=True)))
    return out
