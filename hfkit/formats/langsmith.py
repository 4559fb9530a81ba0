"""LangSmith feedback: a JSON array, JSON lines, or the API's answer.

Added: `answer` (the value, or else the score) and `corrected` (a correction of any shape as text).
`feedback_source.type` is app (a person in the annotation queue), api, or model; of api only you know who it was:
declare it, `values: {rater_kind: {api: human}}`.
"""

from __future__ import annotations

from typing import Any

from hfkit.formats import jsonl
from hfkit.formats.plugin import Format
from hfkit.shared.records import Records

_COLUMNS = ("id", "run_id", "comment", "created_at")


def read(data: bytes, source: str) -> Records:
    """The records of a LangSmith export. Raises UnknownFormat where it is no JSON."""
    return jsonl.records(source, jsonl.either(data, source), lambda r: [_feedback(r)])


def _feedback(f: dict[str, Any]) -> jsonl.Parsed:
    if "key" not in f or not {"score", "value", "correction", "comment"} & set(f):
        return "not_a_record"
    value = f.get("value") if f.get("value") is not None else f.get("score")
    who = f["feedback_source"] if isinstance(f.get("feedback_source"), dict) else {}
    rest = {k: v for k, v in f.items() if k not in ("correction", "feedback_source", "extra")}
    source = {"type": who.get("type"), "user_id": who.get("user_id")}
    return {**dict.fromkeys(_COLUMNS), **rest, "feedback_source": source, "answer": value,
            "corrected": jsonl.text(f.get("correction"))}  # fmt: skip


FORMAT = Format(
    read,
    usual={
        "feedback": {
            "columns": {
                "feedback_id": "id", "item_id": "run_id", "rater_id": "feedback_source.user_id",
                "rater_kind": "feedback_source.type", "question": "key", "value": "answer", "value_text": "comment",
                "correction": "corrected", "created_at": "created_at",
            },
            "values": {"rater_kind": {"app": "human", "model": "model"}},
            "time": {"format": "iso", "zone": "UTC"},
        },
    },
)  # fmt: skip
