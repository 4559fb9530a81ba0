"""Room calibration: does the score mean what it says?

A score of 0.3 means what it says when the event holds in 30 of 100 such cases, for every group of people. `judged`
joins answers with what the models say, `samples` splits them by group; `assess` measures the gaps with intervals and
verdicts; `reliability` gives the curve behind them; `maps` asks whether a recalibration would help; `abstention` asks
which part could be automated; `answer` says it in a few sentences.
"""

from __future__ import annotations

from hfkit.calibration.abstain import abstention
from hfkit.calibration.binned import bin_of, brier_parts, debiased, ece
from hfkit.calibration.page import answer, curve, details, gates, headline, leads, metrics, widest
from hfkit.calibration.recalibrate import isotonic, logistic, maps, slope
from hfkit.calibration.room import assess, reliability
from hfkit.calibration.rows import Settings, judged, samples

__all__ = [
    "Settings", "abstention", "answer", "assess", "bin_of", "brier_parts", "curve", "debiased", "details", "ece",
    "gates", "headline", "isotonic", "judged", "leads", "logistic", "maps", "metrics", "reliability", "samples",
    "slope", "widest",
]  # fmt: skip
