"""Room fairness: is the new model at least as good for everyone?

`perspectives` finds the rows, `assess` compares every group with everyone else, `answer` says it in a sentence.
"""

from __future__ import annotations

from hfkit.fairness.assess import Assessment, assess
from hfkit.fairness.deciders import deciders
from hfkit.fairness.disagreement import rules, statements
from hfkit.fairness.influence import DIRECTION, SCORES
from hfkit.fairness.power import power
from hfkit.fairness.publish import attacked, published
from hfkit.fairness.reading import answer, drawn, metrics, tally, verdicts
from hfkit.fairness.rows import MEASURES, MODELS, Perspective, perspectives
from hfkit.fairness.scores import Scores, scores
from hfkit.fairness.slices import Search, blind_spots, cases

__all__ = [
    "DIRECTION", "MEASURES", "MODELS", "SCORES", "Assessment", "Perspective", "Scores", "Search", "answer", "assess",
    "attacked", "blind_spots", "cases", "deciders", "drawn", "metrics", "perspectives", "power", "published", "rules",
    "scores", "statements", "tally", "verdicts",
]  # fmt: skip
