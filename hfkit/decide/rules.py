"""Rules over the evidence: which are met, which are not, and which are not shown."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hfkit.shared import evidence as ev
from hfkit.shared import measures, rooms, schema
from hfkit.shared.errors import ParamError

MET, NOT_MET, NOT_SHOWN = "met", "not met", "not shown"
COLUMNS = ["rule", "state", "rows", "pass", "fail", "inconclusive", "consequence", "reason", "change"]
_PEOPLE = ("served.attribute=value", "rater.attribute=value")  # groups that any data set may have
DEFAULT = [  # where params.yaml names none
    {"room": "audit", "measure": "* coverage", "need": "no harm", "if_not_shown": "ask",
     "why": "everyone who is served is heard"},
    {"room": "aggregate", "measure": "flip share", "need": "pass",
     "why": "the labels do not depend on how answers are combined"},
    {"room": "retrain", "measure": "cost per 1,000 change", "group": "all", "need": "pass",
     "why": "the new model is cheaper for the people served"},
    {"room": "retrain", "measure": "cost per 1,000 change against recalibration", "group": "all", "need": "no harm",
     "if_not_shown": "ask", "why": "learning is worth more than recalibrating"},
    {"room": "retrain", "measure": "cost per 1,000 change", "group": "served.*", "need": "no harm",
     "if_not_shown": "ask", "why": "it is not dearer for any main group"},
    {"room": "fairness", "measure": "* gap (candidate)", "need": "no harm", "if_not_shown": "ask",
     "why": "the new model is as good for every main group"},
    {"room": "fairness", "measure": "* change", "need": "no harm", "if_not_shown": "ask",
     "why": "no main group is worse off than before"},
    {"room": "calibration", "measure": "* (candidate)", "group": "all", "need": "no harm", "if_not_shown": "ask",
     "why": "the score means what it says"},
    {"room": "experiment", "measure": "*", "need": "no harm", "if_not_shown": "ask",
     "why": "nobody was harmed where it was tried"},
    {"room": "monitor", "measure": "*", "need": "no harm", "if_not_shown": "ask",
     "why": "the world is still the one the model was trained for"},
]  # fmt: skip
_OLD = {
    "no fail": "`no fail` let ignorance pass. Write `need: no harm`, with `if_not_shown: ask` where a signer may "
    "accept what the data do not show",
}


class Rule(BaseModel):
    """One rule of params.yaml: which evidence (shell-style patterns), what it needs, what follows otherwise, and why.

    `need: pass`: all selected rows pass = met, any fails = not met, otherwise not shown. `need: no harm`: any row fails
    or lies wholly on the harmful side = not met; at least `at_least` rows (default all) exclude harm beyond the margin
    = met; otherwise not shown. `otherwise` follows where it is not met; where it is not shown, `if_not_shown` holds, or
    asks: an open question that a signer must accept by name (the rule's `why`). Rows without a target never count.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    room: str
    measure: str
    component: str = "*"
    group: str = "*"
    need: Literal["pass", "no harm"]
    at_least: int | None = Field(default=None, ge=1)
    otherwise: Literal["hold", "rollback"] = "hold"
    if_not_shown: Literal["hold", "ask"] = "hold"
    why: str = Field(min_length=1)


def parse_rules(rules: Sequence[Mapping[str, Any]] | None = None) -> list[Rule]:
    """The rules of params.yaml, checked; DEFAULT where there are none. Raises ParamError that names rule and key."""
    rules = rules or DEFAULT
    parsed = []
    for i, rule in enumerate(rules):
        where = f"params.yaml: decide.rules[{i}]"
        if rule.get("need") in _OLD:
            raise ParamError(expected="need: pass or no harm", found=f"need: {rule['need']}", where=where,
                             todo=_OLD[str(rule["need"])])  # fmt: skip
        try:
            parsed.append(Rule.model_validate(rule))
        except ValidationError as e:
            first = e.errors()[0]
            raise ParamError(
                expected="room, measure, need (pass or no harm), why", found=f"{first['loc']}: {first['msg']}",
                where=where, todo="correct that key",
            ) from None  # fmt: skip
    again = [r.why for i, r in enumerate(parsed) if r.why in {p.why for p in parsed[:i]}]
    if again:
        raise ParamError(
            expected="a `why` of its own for each rule", found=f"{again[0]!r} twice",
            where="params.yaml: decide.rules", todo="reword one: a signer accepts a question by it",
        )  # fmt: skip
    return parsed


def check_names(rules: Sequence[Rule], evidence: pd.DataFrame, components: Iterable[str]) -> None:
    """Raise ParamError, with the nearest names, for a room, measure, component or group that does not exist.

    A measure exists where a room declares it (hfkit/shared/measures.py), whether or not these data have it; a group
    where some evidence is about it, or a pattern fits any group of people (`served.*`).
    """
    groups = ["all", *_PEOPLE, *sorted(evidence["group"].unique())]
    for i, rule in enumerate(rules):
        own = [r for r in rooms.EVIDENCE if fnmatchcase(r, rule.room)]
        declared = [n for r in own for n in measures.NAMES[r]]
        choices = {
            "room": list(rooms.EVIDENCE), "measure": declared, "component": ["all", *sorted(components)],
            "group": groups,
        }  # fmt: skip
        for key, names in choices.items():
            pattern = getattr(rule, key)
            if any(fnmatchcase(n, pattern) or fnmatchcase(pattern, n) for n in names):
                continue
            near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.3)
            raise ParamError(
                expected=f"a {key} that exists", found=pattern, where=f"params.yaml: decide.rules[{i}].{key}",
                todo=f"did you mean {' or '.join(near)}?" if near else f"name one of {', '.join(names[:8])}",
            )  # fmt: skip


def apply_rules(evidence: pd.DataFrame, rules: Sequence[Rule]) -> pd.DataFrame:
    """Which rules are met, and why not?

    Parameters
    ----------
    evidence : one row a statement, with a column `room` (see tables.read_all).
    rules : as parsed by `parse_rules`.

    Returns
    -------
    One row a rule, in the order of the rules: rule (its why), state (met, not met, not shown), the number of rows it
    selects and their verdicts, consequence (ship, hold, rollback, or ask), reason and what would change it, in
    sentences.

    >>> rows = ev.table([ev.row("AUC (candidate)", value=0.7, n=9, verdict="fail")]).assign(room="retrain")
    >>> rule = Rule(room="retrain", measure="AUC (candidate)", need="pass", why="it ranks well")
    >>> apply_rules(rows, [rule])[["state", "fail", "consequence"]].values.tolist()
    [['not met', 1, 'hold']]
    """
    return pd.DataFrame([_apply(evidence, rule) for rule in rules], columns=COLUMNS)


def selected(evidence: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """The rows with a target that a rule is about, proven ones first; rows without a target never count."""
    keep = evidence["verdict"] != "info"
    for column in ("room", "measure", "component", "group"):
        names = evidence[column].astype("str")
        keep &= names.isin([name for name in names.unique() if fnmatchcase(name, getattr(rule, column))])
    return ev.proven_first(evidence[keep])


def _apply(evidence: pd.DataFrame, rule: Rule) -> list[Any]:
    rows = selected(evidence, rule)
    counts = [int((rows["verdict"] == v).sum()) for v in schema.VERDICTS[:3]]
    harmed = pd.Series(
        [ev.harmful(r.measure, r.low, r.high, r.better) for r in rows.itertuples()], index=rows.index, dtype=bool
    )
    against = rows[(rows["verdict"] == "fail") | (harmed & (rule.need == "no harm"))]
    needed = len(rows) if rule.need == "pass" or rule.at_least is None else rule.at_least
    state = NOT_MET if len(against) else MET if len(rows) and counts[0] >= needed else NOT_SHOWN
    consequence = {MET: "ship", NOT_MET: rule.otherwise, NOT_SHOWN: rule.if_not_shown}[state]
    reason, change = _sentences(rule, rows, against, state)
    return [rule.why, state, len(rows), *counts, consequence, reason, change]


def _sentences(rule: Rule, rows: pd.DataFrame, against: pd.DataFrame, state: str) -> tuple[str, str]:
    """Why the rule stands as it does, and what would change it."""
    if state == MET:
        return "", ""
    if rows.empty:
        return (
            f"no statement of the {rule.room} page is judged on it",
            f"give the loop the data that room {rule.room} needs, or declare a target there",
        )
    open_ = rows[rows["verdict"] == schema.INCONCLUSIVE].sort_values("n", ascending=False, kind="stable")
    first = next((ev.proven_first(against) if state == NOT_MET else open_).itertuples(), None)
    example = ev.sentence(first) if first is not None else ""
    if state == NOT_MET:
        failed = int((rows["verdict"] == "fail").sum())
        count = f"{failed} of {len(rows)} comparisons failed" if failed else (
            f"harm is statistically clear in {len(against)} of {len(rows)} comparisons, but may not exceed the margin"
        )  # fmt: skip
        then = f" first, then {len(against) - 1} more on the {rule.room} page" if len(against) > 1 else ""
        shown = "" if failed else f", or show that it stays within the margin: {_missing(first)}"
        return f"{count}. {example}", f"mend that{then}{shown}"
    count = f"{len(rows) - int((rows['verdict'] == 'pass').sum())} of {len(rows)} comparisons remain inconclusive"
    return f"{count}. For example: {example}", _missing(first)


def _missing(row: Any) -> str:
    """What an inconclusive statement lacks: the data that are not there, or how many more."""
    if row is None or math.isnan(row.value):
        return str(row.note) if row is not None else "more feedback there"
    needed = next((p for p in str(row.note).split("; ") if p.startswith(("about ", "the estimate lies"))), "")
    return needed or f"more than the {row.n:,} rows there are for it so far"
