"""Room fairness: is the new model at least as good for everyone?

`perspectives` finds the rows, `assess` compares every group with everyone else, `answer` says it in a sentence.
"""

from __future__ import annotations

from hfkit.fairness.assess import Assessment, assess
from hfkit.fairness.publish import attacked, published
from hfkit.fairness.reading import answer, drawn, metrics, tally, verdicts
from hfkit.fairness.rows import MEASURES, MODELS, Perspective, perspectives

__all__ = [
    "MEASURES", "MODELS", "Assessment", "Perspective", "answer", "assess", "attacked", "drawn", "metrics",
    "perspectives", "published", "tally", "verdicts",
]  # fmt: skip
