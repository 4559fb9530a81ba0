"""Phoenix span annotations: the API's answer, a JSON array or JSON lines; or its dataframe as CSV.

`answer` is added: result.label, or else result.score. Annotations of one span and name under one identifier overwrite
each other in Phoenix itself: where every identifier is empty, only the last rater's answer is left in the export.
"""

from __future__ import annotations

from typing import Any

from hfkit.formats import csv, jsonl
from hfkit.formats.plugin import Format
from hfkit.shared.records import Records

_COLUMNS = ("id", "span_id", "name", "annotator_kind", "user_id", "created_at", "answer", "result.explanation")


def read(data: bytes, source: str) -> Records:
    """The records of a Phoenix export. Raises UnknownFormat where it is none of these kinds."""
    if jsonl.looks_like(data):
        return jsonl.records(source, jsonl.either(data, source), lambda r: [_annotation(r)])
    table = csv.read(data, source)
    frame = table.frame.rename(columns={"annotation_name": "name", "annotation_id": "id"})
    blank = frame.map(lambda v: v or None)
    answer = blank.get("result.label", blank.get("label")), blank.get("result.score", blank.get("score"))
    best = next((a for a in answer if a is not None), None)
    if best is not None and answer[1] is not None:
        best = best.where(best.notna(), answer[1])
    out = blank if best is None else blank.assign(answer=best)
    return Records(source, out.reindex(columns=[*dict.fromkeys([*out.columns, *_COLUMNS])]), table.lines, table.rejects)


def _annotation(annotation: dict[str, Any]) -> jsonl.Parsed:
    result = annotation.get("result")
    if "span_id" not in annotation or not isinstance(result, dict):
        return "not_a_record"
    answer = result.get("label") if result.get("label") is not None else result.get("score")
    full = {"label": None, "score": None, "explanation": None} | result
    return {**dict.fromkeys(_COLUMNS[:-2]), **annotation, "result": full, "answer": answer}


FORMAT = Format(
    read,
    usual={
        "feedback": {
            "columns": {
                "feedback_id": "id", "item_id": "span_id", "rater_id": "user_id", "rater_kind": "annotator_kind",
                "question": "name", "value": "answer", "value_text": "result.explanation", "created_at": "created_at",
            },
            "values": {"rater_kind": {"HUMAN": "human", "LLM": "model", "CODE": "code"}},
        },
    },
)  # fmt: skip
