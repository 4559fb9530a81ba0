"""What is measured: one table of records. Every statement of every room names a measure that stands here.

A record says how a measure is called, how a sentence calls it, in which unit it is and which direction is better. The
evidence has it in several forms: its value for one model, a group minus everyone else (gap), candidate minus baseline
(change). A name that no room declares is refused when evidence is written and when a rule asks for it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from hfkit.shared import rooms

MODELS = ("baseline", "candidate")
OF_MODELS = tuple(f"{{}} ({m})" for m in MODELS)
COMPARED = (*(f"{{}} gap ({m})" for m in MODELS), "{} change", "{} gap change")
EXTREMES = tuple(f"{{}} {kind} ({m})" for kind in ("spread", "worst group") for m in MODELS)
_FORM = re.compile(r"(?P<name>.*?)(?P<form> gap change| gap| change| spread| worst group)?(?: \((?P<model>[^()]*)\))?")


@dataclass(frozen=True)
class Measure:
    """One measure. `better`: higher, lower, target (0 is best) or none. `unit`: share, points, nats or empty.

    `phrase` is what a sentence calls it; `margin` the largest tolerated gap or change where params declare no other.
    """

    name: str
    better: str = "none"
    unit: str = ""
    phrase: str = ""
    margin: float = 0.1


@dataclass(frozen=True)
class Rate(Measure):
    """A share of decisions. Of the rows with this label (`event`) and decision (`acted`; None = any), the share that
    was acted on ("acted"), has the event ("event"), or was decided as the label says ("right").
    """

    event: bool | None = None
    acted: bool | None = None
    counted: str = "acted"


RATES = (
    Rate("selection rate", "none", "share", "the share of cases acted on"),
    Rate("true positive rate", "higher", "share", "the share of cases with the event that are caught", event=True),
    Rate("false positive rate", "lower", "share", "the share of cases without the event that get a false alarm",
         event=False),
    Rate("precision", "higher", "share", "the share of alarms that are right", acted=True, counted="event"),
    Rate("accuracy", "higher", "share", "the share of right decisions", counted="right"),
)  # fmt: skip
SCORES = (
    Measure("AUC", "higher", "", "how well the score ranks (AUC)", 0.05),
    Measure("log loss", "lower", "nats", "the log loss of the score", 0.05),
    Measure("Brier score", "lower", "", "the Brier score", 0.03),
    Measure("calibration in the large", "target", "share", "the event rate minus the mean score", 0.05),
)
COST = Measure("cost per 1,000", "lower", "points", "the expected cost per 1,000 served", 50.0)
SAVING = Measure("saving per 1,000", "higher", "points", "what the new model saves per 1,000 served", 50.0)
SAME_TEXT = Measure("score difference on the same text", "none", "", "the score on nearly the same texts", 0.05)
HEARD = Measure("share in the feedback over share served", "higher", "", "its share in the feedback over that served")
TRAINED = Measure("share in training over share served", "higher", "", "its share in training over that served")
"""What fairness can hold to a margin (`judged`), beside what it shows."""
JUDGEABLE = (*RATES, *SCORES, SAVING, SAME_TEXT)

_CALIBRATION = (
    Measure("ECE", "lower", "", "the expected calibration error"),
    Measure("debiased calibration error", "lower"),
    Measure("reliability", "lower"), Measure("resolution", "higher"), Measure("uncertainty"),
    Measure("calibration slope", "target"), Measure("calibration at threshold", "target", "share"),
)  # fmt: skip
_OTHERS = {
    "clean": ("share of records kept", "records rejected", "records that repeat another", "personal data masked",
              "share of answers with a label", "answers without a rubric", "records in undeclared consent words",
              "withdrawals that reached no answer", "answers the rubric does not name", "cells left blank",
              "answers clipped",              "look-alike group names", "groups made of numbers"),
    "audit": ("judge agreement", "judge kappa", "judge sensitivity", "judge specificity", "alpha nominal",
              "alpha ordinal", "alpha interval", "alpha label", "flagged share", "burst days", "rater coverage",
              "served coverage", "feedback share", "channel share"),
    "aggregate": ("event share", "events by label share", "people's sensitivity", "people's specificity",
                  "decided share", "disagreement", "flip share", "labelled share", "lost items share",
                  "channel share", "dropped answers share", "judge answers share", "overruled share", "tied share"),
    "route": ("share rule", "share model", "share abstain", "share filed", "held-out accuracy", "confident accuracy"),
    "prioritize": ("contradicted", "issue benefit", "training harm"),
    "retrain": ("training rows", "ties left out"),
    "fairness": ("disparate impact ratio (baseline)", "disparate impact ratio (candidate)",
                 "groups that lose while another gains", "share of the items served over the population's",
                 HEARD.name, TRAINED.name, "texts served to two groups", "slice excess *", "slices confirmed worse",
                 "log loss change by label rule", "accuracy change by label rule", "raters that decide (sign)",
                 "raters that decide (interval)"),
    "experiment": ("sample ratio", "mean reward, arm *", "A/B difference", "A/B difference, arm *",
                   "effective sample size", "largest weight", "mean weight", "unsupported probability",
                   "policy value, *", "policy gain"),
    "monitor": ("shift, *", "latency p95, last week", "error rate, last week", "largest drift, last week"),
    "decide": ("decision", "rule", "sign-off"),
    "retrospective": ("promise", "promise: *", "payoff of *"),
}  # fmt: skip
_PHRASES = {
    "rater coverage": "the share among those who answered over the share of the population",
    "served coverage": "the share among the cases with feedback over the share served",
    "flip share": "the share of labels that depend on how answers are combined",
    "largest drift, last week": "the largest drift of the last week",
    "error rate, last week": "the error rate of the last week",
    "latency p95, last week": "the latency of the last week (95th percentile, ms)",
    "policy gain": "what the other policy would gain",
    "sample ratio": "the chance of arms as unequal as these",
}


def _named(records: Iterable[Measure], forms: Iterable[str]) -> tuple[str, ...]:
    return tuple(form.format(m.name) for m in records for form in forms)


NAMES = {
    **_OTHERS,
    "retrain": (*_OTHERS["retrain"],
                *_named((*RATES, *SCORES[:3], COST), ("{} (baseline)", "{} (recalibrated)", "{} (candidate)")),
                *_named((*SCORES[:3], COST),
                        ("{} change", "{} change against recalibration", "{} change by recalibration"))),
    "fairness": (*_OTHERS["fairness"], *_named((*RATES, *SCORES), COMPARED), *_named((*RATES, *SCORES), EXTREMES),
                 *_named((SAVING,), ("{} gap", "{}")), *_named((SAME_TEXT,), OF_MODELS)),
    "calibration": _named((*_CALIBRATION, *SCORES[2:], SCORES[0]), (*OF_MODELS, "{} (baseline, all rows)")),
    "card": (),
    "report": (),
}  # fmt: skip
"""The names a room's evidence may have; "*" stands for what data decide (a signal, an arm)."""
_RECORDS = {m.name: m for m in (*JUDGEABLE, COST, HEARD, TRAINED, *_CALIBRATION)}


@dataclass(frozen=True)
class Name:
    """A name in the evidence, taken apart: its measure, its form (gap, change, ... or empty) and its model."""

    measure: Measure
    form: str
    model: str

    @property
    def difference(self) -> bool:
        """Does it compare, so that 0 is no difference and one side of 0 is harm?"""
        return self.form.endswith(("gap", "change"))


def read(name: str) -> Name:
    """What does a name in the evidence say? A measure without a record of its own is one that is only named.

    >>> read("true positive rate gap (candidate)").form, read("flip share").measure.name
    ('gap', 'flip share')
    """
    name = name.replace(" against recalibration", " (against)").replace(" by recalibration", " (by)")
    parts = _FORM.fullmatch(name)
    if parts is None or parts["name"] not in _RECORDS:
        phrase = name.replace("shift, ", "the shift of ") if name.startswith("shift, ") else _PHRASES.get(name, name)
        return Name(Measure(name, phrase=phrase), "", "")
    record = _RECORDS[parts["name"]]
    return Name(record, (parts["form"] or "").strip(), parts["model"] or "")


def undeclared(names: Iterable[str], room: str) -> list[str]:
    """Which names does the room not declare?

    >>> undeclared(["flip share", "flipped share", "shift, score"], "aggregate")
    ['flipped share', 'shift, score']
    """
    return [n for n in names if not any(fnmatchcase(n, pattern) for pattern in NAMES.get(room, ()))]


def nearest(pattern: str, room: str) -> list[str]:
    """The declared names of a room (of all rooms for "*") nearest to one that is not, for an error to show."""
    declared = [n for r in rooms.NAMES if fnmatchcase(r, room) for n in NAMES.get(r, ())]
    return difflib.get_close_matches(pattern, declared, n=3, cutoff=0.4)
