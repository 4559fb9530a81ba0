"""Langfuse scores: the API's answer, a JSON array, JSON lines, or the CSV of its scores page.

Added columns, by dataType: `answer` (a number, 1 or 0, or the category's name), `answer_text` (TEXT) and `corrected`
(CORRECTION, whose `value` is always 0). The older CSV has no author. `source` is ANNOTATION (a person), EVAL (a model)
or API, of which only you know who it was: declare it, `values: {rater_kind: {API: human}}`.
"""

from __future__ import annotations

from typing import Any

import orjson
import pandas as pd

from hfkit.formats import csv, jsonl
from hfkit.formats.plugin import Format
from hfkit.shared.records import Records

_COLUMNS = ("answer", "answer_text", "corrected", "authorUserId", "timestamp", "comment", "traceId", "source")


def read(data: bytes, source: str) -> Records:
    """The records of a Langfuse export. Raises UnknownFormat where it is none of the four kinds."""
    if jsonl.looks_like(data):
        return jsonl.records(source, jsonl.either(data, source), lambda r: [_score(r)])
    table = csv.read(data, source)
    rows = [_score({k: v or None for k, v in r.items()}) for r in table.frame.to_dict("records")]
    good = [(r, n) for r, n in zip(rows, table.lines, strict=True) if isinstance(r, dict)]
    rejects = [(n, r, "") for r, n in zip(rows, table.lines, strict=True) if isinstance(r, str)]
    return Records(source, jsonl.table([r for r, _ in good]), [n for _, n in good], table.rejects + rejects)


def _score(score: dict[Any, Any]) -> jsonl.Parsed:
    if "name" not in score or not {"value", "stringValue"} & set(score):
        return "not_a_record"
    kind = score.get("dataType") or ("CATEGORICAL" if score.get("stringValue") else "NUMERIC")
    value, text = score.get("value"), score.get("stringValue")
    answer = {"CATEGORICAL": text, "CORRECTION": None, "TEXT": None}.get(str(kind), value)
    if kind == "BOOLEAN" and value is not None:
        answer = {"1": "1", "1.0": "1", "0": "0", "0.0": "0"}.get(str(value), value)
    own = {"answer": answer, "answer_text": text if kind == "TEXT" else None,
           "corrected": text if kind == "CORRECTION" else None}  # fmt: skip
    return {**dict.fromkeys(_COLUMNS), **score, **own}


def write(items: pd.DataFrame, feedback: pd.DataFrame) -> bytes:
    """Answers as scores on the traces that the items are: numbers as NUMERIC, other answers as CATEGORICAL."""
    out = []
    for a in feedback.sort_values("feedback_id").to_dict("records"):
        number = _number(a["value"])
        out.append({
            "id": a["feedback_id"], "traceId": a["item_id"], "name": a["question"],
            "value": 0 if number is None else number, "stringValue": a["value"] if number is None else None,
            "dataType": "CATEGORICAL" if number is None else "NUMERIC",
            "source": "ANNOTATION" if a["rater_kind"] == "human" else "EVAL",
            "comment": a["value_text"] if isinstance(a.get("value_text"), str) else None,
            "authorUserId": a["rater_id"] if isinstance(a["rater_id"], str) else None,
            "timestamp": a["created_at"].isoformat() if isinstance(a.get("created_at"), pd.Timestamp) else None,
        })  # fmt: skip
    return orjson.dumps(out, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _number(text: str) -> int | float | None:
    """The number that a reader writes back as this text, if there is one."""
    try:
        number = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    exact = type(number) in (int, float) and abs(number) < 2**53 and orjson.dumps(number).decode() == text
    return number if exact and text != "-0" and not (isinstance(number, float) and number.is_integer()) else None


FORMAT = Format(
    read,
    write,
    usual={
        "feedback": {
            "columns": {
                "feedback_id": "id", "item_id": "traceId", "rater_id": "authorUserId", "rater_kind": "source",
                "question": "name", "value": "answer", "value_text": "comment", "correction": "corrected",
                "created_at": "timestamp",
            },
            "values": {"rater_kind": {"ANNOTATION": "human", "EVAL": "model"}},
        },
    },
)  # fmt: skip
