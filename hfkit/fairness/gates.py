"""Gates: the few statements a decision may rest on, judged against declared margins, by intervals that hold together.

One family: main groups (one attribute at a time) times judged measures, a gap of the candidate and a change each, over
all components and both perspectives. Together with the expected cost of main groups, which room retrain judges, the
family of a release holds at 95 %: of the 5 % that may go wrong, 4 go to the rates here and 1 to the costs there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from hfkit.fairness.comparison import Comparison, Topic, few
from hfkit.shared import evidence, intervals, schema
from hfkit.shared.errors import ParamError
from hfkit.shared.evidence import GATE_LEVEL
from hfkit.shared.measures import JUDGEABLE, RATES, Measure

FEWEST_ROWS = 30


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What was declared before looking.

    `judged` measures gate, in the groups of the cohorts that `main` names (as served.language); `margin` is the largest
    tolerated gap or change of a rate, `margins` that of other measures (in their unit) or of single rates; groups of
    fewer than `min_people` people are named, not numbered. Raises ParamError, which lists the names, for a measure
    there is none of or a margin that is no number of 0 or more.
    """

    judged: Sequence[str]
    main: Sequence[str] = ()
    margin: float = 0.1
    margins: Mapping[str, float] = field(default_factory=dict)
    min_people: int = 5

    def __post_init__(self) -> None:
        names = [m.name for m in JUDGEABLE]
        for key, given in (("judged", self.judged), ("margins", self.margins)):
            unknown = [str(n) for n in given if n not in names]
            if unknown:
                raise ParamError(
                    expected=f"measures of {', '.join(names)}", found=", ".join(unknown),
                    where=f"params.yaml: fairness.{key}", todo="name measures as they stand in that list",
                )  # fmt: skip
        for name, margin in self.margins.items():
            if isinstance(margin, bool) or not isinstance(margin, int | float) or not margin >= 0:
                raise ParamError(
                    expected="a number, 0 or more", found=f"{name}: {margin!r}",
                    where="params.yaml: fairness.margins", todo="write for example `AUC: 0.05`",
                )  # fmt: skip

    def of(self, measure: Measure) -> float:
        """The margin of a measure: as declared for it, for all rates, or its own default.

        >>> Targets(judged=[], margins={"AUC": 0.02}).of(RATES[1])
        0.1
        """
        return float(self.margins.get(measure.name, self.margin if measure in RATES else measure.margin))

    def gates(self, c: Comparison) -> bool:
        """Is a comparison one of the gates?"""
        return c.gates and c.part.cohort.name in self.main and c.measure.name in self.judged


def main_cohorts(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Which single attributes gate? Those `wanted` by name; else those of the people served, else those of raters.

    Raises ParamError for a name that no attribute here has.

    >>> main_cohorts(["served.language", "rater.age"], []), main_cohorts(["rater.age"], [])
    (['served.language'], ['rater.age'])
    """
    unknown = [w for w in wanted if w not in names]
    if unknown:
        raise ParamError(expected=f"attributes of {', '.join(names) or 'nobody'}", found=", ".join(unknown),
                         where="params.yaml: fairness.main", todo="name attributes as they stand there")  # fmt: skip
    served = [n for n in names if n.startswith("served.")]
    return list(wanted) or served or list(names)


def family_size(comparisons: Iterable[Comparison], fewest: int = FEWEST_ROWS) -> int:
    """How many different statements on enough rows are there? Two groups make one gap, seen from both sides."""
    counted = [c for c in comparisons if c.usable and c.n >= fewest]
    twins = [c for c in counted if c.form == "gap" and len(c.part.cohort.groups) == 2]
    return len(counted) - len(twins) + len({(id(c.part), c.name) for c in twins})


def gated(topics: Sequence[Topic], comparisons: Sequence[Comparison], targets: Targets) -> tuple[pd.DataFrame, int]:
    """The judged statements with their verdicts, and how many hold together.

    `comparisons` are those of `topics` at any level, from which the size of the family is counted. A verdict fails
    where the whole interval lies beyond the margin on the bad side, passes where none of it does, and else is
    inconclusive, with the number of rows that would settle it; on fewer than FEWEST_ROWS rows it is always, and does
    not widen the others: its own interval is as wide as if all were counted. Sidak (1967), JASA 62:626.
    """
    judged = [c for c in comparisons if targets.gates(c)]
    size, every = family_size(judged), family_size(judged, 0)
    levels = [float(intervals.simultaneous(count, GATE_LEVEL["fairness"])) for count in (size, every)]
    own = [t for t in topics if t.part.cohort.name in {c.part.cohort.name for c in judged}]
    pairs = [pair for t in own for pair in zip(*(t.compare(level) for level in levels), strict=True)]
    held = few([c if c.n >= FEWEST_ROWS else wide for c, wide in pairs], targets.min_people)
    return evidence.table([judged_row(c, targets.of(c.measure)) for c in held if targets.gates(c)]), size


def judged_row(c: Comparison, margin: float) -> dict[str, object]:
    """The evidence row of one judged statement."""
    better = c.measure.better
    verdict = evidence.within(c.low, c.high, margin=margin, better=better)
    if c.usable and c.n < FEWEST_ROWS:
        return c.row(
            schema.INCONCLUSIVE, f"only {c.n} row{'s' * (c.n != 1)}: too few to judge beside so many comparisons"
        )
    if verdict != schema.INCONCLUSIVE or c.note:
        return c.row(verdict, c.note or f"margin {margin:g}")
    note = evidence.settle(c.value, c.low, c.high, n=c.n, margin=margin, better=better)
    if evidence.harmful(c.name, c.low, c.high, better):
        note = f"clearly worse, but perhaps within the margin of {margin:g}; {note}"
    return c.row(verdict, note)
