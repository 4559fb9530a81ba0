"""Room fairness: is the new model at least as good for everyone?

`perspectives` finds the rows, `assess` compares every group with everyone else, `answer` says it in a sentence.
"""

from __future__ import annotations

from hfkit.fairness.assess import Assessment, assess
from hfkit.fairness.consistency import consistency
from hfkit.fairness.deciders import deciders
from hfkit.fairness.disagreement import rules, statements
from hfkit.fairness.influence import DIRECTION, SCORES
from hfkit.fairness.measure import Given, Result, Settings, measure, search, whose
from hfkit.fairness.outcomes import outcomes
from hfkit.fairness.peer import metric_frame
from hfkit.fairness.power import power
from hfkit.fairness.publish import attacked, coarse
from hfkit.fairness.reading import answer, drawn, grid, joined, lowest, metrics, tally, verdicts
from hfkit.fairness.representation import representation
from hfkit.fairness.rows import MEASURES, MODELS, Perspective, perspectives
from hfkit.fairness.scores import Scores, scores
from hfkit.fairness.slices import Search, blind_spots, cases
from hfkit.fairness.terms import Measured, Terms, completed

__all__ = [
    "DIRECTION", "MEASURES", "MODELS", "SCORES", "Assessment", "Given", "Measured", "Perspective", "Result", "Scores",
    "Search", "Settings", "Terms", "answer", "assess", "attacked", "blind_spots", "cases", "coarse", "completed",
    "consistency", "deciders", "drawn", "grid", "joined", "lowest", "measure", "metric_frame", "metrics", "outcomes",
    "perspectives", "power", "representation", "rules", "scores", "search", "statements", "tally", "verdicts", "whose",
]  # fmt: skip
