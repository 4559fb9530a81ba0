"""One comparison: a group against everyone else, or the candidate against the baseline, with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import pandas as pd

from hfkit.fairness.perspective import Part
from hfkit.shared import evidence
from hfkit.shared.measures import Measure

NOT_CLUSTERED = "no interval: the rows rest on fewer than 3 people of equal share"
Row = dict[str, object]


@dataclass(frozen=True)
class Comparison:
    """A gap, a change or a gap change of one measure in one group; `group` is the place in the part's cohort.

    `error` is the standard error, `n` the rows of the group behind it; `note` says why something is missing.
    """

    measure: Measure
    form: str
    model: str
    part: Part
    group: int
    value: float
    low: float
    high: float
    error: float
    n: int
    note: str = ""

    @property
    def name(self) -> str:
        """As the evidence names it."""
        return f"{self.measure.name} {self.form}".strip() + (f" ({self.model})" if self.model else "")

    @property
    def gates(self) -> bool:
        """Is it of a form that a decision may rest on: a gap of the candidate, or a change for better or worse?

        Where 0 is best (calibration in the large), a change alone does not say whether it is one towards 0.
        """
        if self.form == "change":
            return self.measure.better != "target"
        return self.form in ("gap", "") and self.model != "baseline"

    @property
    def usable(self) -> bool:
        """Has it a value and bounds?"""
        return not any(math.isnan(v) for v in (self.value, self.low, self.high))

    def unnumbered(self, note: str) -> Comparison:
        """The same, named and not numbered."""
        return replace(self, value=math.nan, low=math.nan, high=math.nan, error=math.nan, n=0, note=note)

    def row(self, verdict: str = "info", note: str = "") -> Row:
        """Its evidence row."""
        return evidence.row(
            self.name, value=self.value, low=self.low, high=self.high, n=self.n, component=self.part.component,
            group=str(self.part.cohort.groups[self.group]), better=self.measure.better, verdict=verdict,
            note=note or self.note,
        )  # fmt: skip


class Topic(Protocol):
    """What a topic of the room gives for one component and cohort: comparisons at any confidence level."""

    @property
    def part(self) -> Part:
        """Whose rows these are."""

    def compare(self, level: float) -> list[Comparison]:
        """Every comparison of the part, each interval at `level` by itself."""


def table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Comparisons in the shape of the evidence."""
    return evidence.table([c.row() for c in comparisons])


def few(comparisons: Sequence[Comparison], min_people: int) -> list[Comparison]:
    """Comparisons of groups with fewer than `min_people` people lose their numbers: they are named."""
    people = {id(part): part.people().tolist() for part in {id(c.part): c.part for c in comparisons}.values()}
    note = f"fewer than {min_people} {{}}: named, not numbered"
    return [
        c.unnumbered(note.format(c.part.view.unit)) if 0 < people[id(c.part)][c.group] < min_people else c
        for c in comparisons
    ]
