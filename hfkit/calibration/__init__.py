"""Calibration: does the score mean what it says?

A score of 0.3 means what it says when the event holds in 30 of 100 such cases, for every group of people. `judged`
joins answers with what both models say; `assess` measures the gaps with intervals and verdicts; `reliability` gives the
curve behind them; `maps` asks whether a recalibration would help; `abstention` asks which part could be automated.
"""

from hfkit.calibration.abstain import abstention
from hfkit.calibration.assess import assess
from hfkit.calibration.binned import bin_of, brier_parts, debiased, ece
from hfkit.calibration.compare import maps
from hfkit.calibration.curves import curve, reliability
from hfkit.calibration.groups import Settings, judged
from hfkit.calibration.publish import claims
from hfkit.calibration.recalibrate import beta, isotonic, logistic, slope
from hfkit.calibration.smooth import smooth
from hfkit.calibration.tell import answer, gaps, grid, metrics, summary, widest

__all__ = [
    "Settings", "abstention", "answer", "assess", "beta", "bin_of", "brier_parts", "claims", "curve", "debiased", "ece",
    "gaps", "grid", "isotonic", "judged", "logistic", "maps", "metrics", "reliability", "slope", "smooth", "summary",
    "widest",
]  # fmt: skip
