"""MTurk batch results (CSV): one record an answer, from one line an assignment.

`Answer.<question>` becomes question and value; radio buttons and ticks, which MTurk writes as one true-or-false column
an option (`Answer.<question>.<option>`), become the ticked options of one question (`a | b`). Times, which MTurk writes
in Pacific time, become RFC 3339. A rejected assignment is set aside (`keep`), one without answers is a reject `empty`.
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from hfkit.formats import csv, jsonl
from hfkit.formats.plugin import Format
from hfkit.shared.errors import UnknownFormat
from hfkit.shared.records import Records, Reject

_OFFSETS = {"PDT": "-07:00", "PST": "-08:00", "UTC": "+00:00", "GMT": "+00:00"}
_TIME = re.compile(r"\w{3} (\w{3} \d\d \d\d:\d\d:\d\d) (P[DS]T|UTC|GMT) (\d{4})")
_TIMES = ("CreationTime", "AcceptTime", "SubmitTime", "AutoApprovalTime", "ApprovalTime", "RejectionTime", "Expiration")


def read(data: bytes, source: str) -> Records:
    """The answers of a batch. Raises UnknownFormat where there is no WorkerId or no Answer column."""
    table = csv.read(data, source)
    names = [str(c) for c in table.frame.columns]
    answers = [n for n in names if n.startswith("Answer.")]
    if "WorkerId" not in names or not answers or len(set(names)) < len(names):
        raise UnknownFormat(
            expected="columns WorkerId and Answer.*, each once", found=", ".join(names[:5]),
            where=f"source {source}, format mturk", todo="download the results of the batch as CSV",
        )  # fmt: skip
    groups = _groups(table.frame, answers)
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    rejects: list[Reject] = list(table.rejects)
    for line, record in zip(table.lines, table.frame.to_dict("records"), strict=True):
        common = {k: _time(v) if k in _TIMES else v for k, v in record.items() if k not in answers}
        given = [
            {**common, "question": q, "value": v} for q, columns in groups.items() if (v := _value(record, columns))
        ]
        rows += given
        lines += [line] * len(given)
        rejects += [] if given else [(line, "empty", "")]
    return Records(source, jsonl.table(rows), lines, rejects)


def _groups(frame: pd.DataFrame, answers: list[str]) -> dict[str, dict[str, str]]:
    """The columns of each question: {question: {column: option}}, option "" where the cell is the answer itself."""
    out: dict[str, dict[str, str]] = {}
    for name in answers:
        question, dot, option = name.removeprefix("Answer.").rpartition(".")
        ticks = bool(dot) and frame[name].str.lower().isin(["true", "false", ""]).all()
        out.setdefault(question if ticks else name.removeprefix("Answer."), {})[name] = option if ticks else ""
    return out


def _value(record: dict[Any, Any], columns: dict[str, str]) -> str:
    ticked = [option for name, option in columns.items() if option and str(record[name]).lower() == "true"]
    own = [str(record[name]) for name, option in columns.items() if not option and record[name]]
    return " | ".join(own or ticked)


def _time(text: str) -> str:
    """
    >>> _time("Sat Oct 08 21:21:47 PDT 2022"), _time("")
    ('2022-10-08T21:21:47-07:00', '')
    """
    match = _TIME.fullmatch(text)
    if not match:
        return text
    try:
        at = pd.to_datetime(f"{match[1]} {match[3]}", format="%b %d %H:%M:%S %Y")
    except ValueError:
        return text
    return f"{at:%Y-%m-%dT%H:%M:%S}{_OFFSETS[match[2]]}"


FORMAT = Format(
    read,
    usual={
        "feedback": {
            "columns": {
                "feedback_id": "{@row}.{question}", "rater_id": "WorkerId", "question": "question", "value": "value",
                "created_at": "SubmitTime", "seconds_spent": "WorkTimeInSeconds",
            },
            "keep": {"AssignmentStatus": ["Submitted", "Approved"]},
            "multiple": " | ",
        },
    },
)  # fmt: skip
