"""Room fairness: is the new model at least as good for everyone?

`measure` compares every group with everyone else, `search` looks for blind spots, `whose` asks whose labels decide, and
`answer` says it in a sentence.
"""

from __future__ import annotations

from hfkit.fairness.gates import Targets
from hfkit.fairness.labels.rules import statements
from hfkit.fairness.page import answer, by_group, grid, joined, lowest, metrics, picture, tally
from hfkit.fairness.perspective import perspectives
from hfkit.fairness.rates.peer import metric_frame
from hfkit.fairness.rates.power import rows_needed
from hfkit.fairness.room import Given, Result, Settings, measure, search, whose
from hfkit.fairness.slices.situations import Search

__all__ = [
    "Given", "Result", "Search", "Settings", "Targets", "answer", "by_group", "grid", "joined", "lowest", "measure",
    "metric_frame", "metrics", "perspectives", "picture", "rows_needed", "search", "statements", "tally", "whose",
]  # fmt: skip
