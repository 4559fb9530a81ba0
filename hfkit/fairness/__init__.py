"""Room fairness: is the new model at least as good for everyone?

`perspectives` finds the rows, `assess` compares every group with everyone else, `answer` says it in a sentence.
"""

from __future__ import annotations

from hfkit.fairness.assess import Assessment, assess
from hfkit.fairness.deciders import deciders
from hfkit.fairness.disagreement import rules, statements
from hfkit.fairness.peer import metric_frame
from hfkit.fairness.power import power
from hfkit.fairness.publish import attacked, published
from hfkit.fairness.reading import answer, drawn, metrics, tally, verdicts
from hfkit.fairness.rows import MEASURES, MODELS, Perspective, perspectives
from hfkit.fairness.slices import Search, blind_spots, cases

__all__ = [
    "MEASURES", "MODELS", "Assessment", "Perspective", "Search", "answer", "assess", "attacked", "blind_spots", "cases",
    "deciders", "drawn", "metric_frame", "metrics", "perspectives", "power", "published", "rules", "statements",
    "tally", "verdicts",
]  # fmt: skip
