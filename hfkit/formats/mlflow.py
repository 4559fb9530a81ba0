"""MLflow assessments: a JSON array or JSON lines of them, or of traces that carry `assessments` (also under `info`).

Added: `answer`, the value of the feedback or of the expectation, and `states`, which of the two it is; exactly one of
them must be there. An assessment with an `error` and no value is a reject `failed`. Times are milliseconds since 1970.
"""

from __future__ import annotations

from typing import Any

from hfkit.formats import jsonl
from hfkit.formats.plugin import Format
from hfkit.shared.records import Records

_COLUMNS = ("assessment_id", "trace_id", "name", "rationale", "create_time_ms", "create_time")


def read(data: bytes, source: str) -> Records:
    """The records of an MLflow export. Raises UnknownFormat where it is no JSON."""
    return jsonl.records(source, jsonl.either(data, source), _record)


def _record(record: dict[str, Any]) -> list[jsonl.Parsed]:
    info = record.get("info") if isinstance(record.get("info"), dict) else {}
    carried = record.get("assessments", (info or {}).get("assessments"))
    if isinstance(carried, list):
        trace = record.get("trace_id") or (info or {}).get("trace_id")
        rows = [_assessment({"trace_id": trace, **a}) if isinstance(a, dict) else "not_a_record" for a in carried]
        return rows or ["empty"]
    return [_assessment(record)]


def _assessment(a: dict[str, Any]) -> jsonl.Parsed:
    kinds = [k for k in ("feedback", "expectation") if isinstance(a.get(k), dict)]
    if len(kinds) != 1 or ("name" not in a and "assessment_name" not in a):
        return "not_a_record"
    value = a[kinds[0]].get("value")
    if value is None:
        return "failed" if a.get("error") or a[kinds[0]].get("error") else "empty"
    who = a["source"] if isinstance(a.get("source"), dict) else {}
    own = {"source": {"source_type": None, "source_id": None} | who, "answer": value, "states": kinds[0]}
    rest = {k: v for k, v in a.items() if k not in ("feedback", "expectation", "error", "assessment_name")}
    return {**dict.fromkeys(_COLUMNS), **rest, "name": a.get("name", a.get("assessment_name")), **own}


FORMAT = Format(
    read,
    usual={
        "feedback": {
            "columns": {
                "feedback_id": "assessment_id", "item_id": "trace_id", "rater_id": "source.source_id",
                "rater_kind": "source.source_type", "question": "name", "value": "answer", "value_text": "rationale",
                "created_at": "create_time_ms",
            },
            "values": {"rater_kind": {"HUMAN": "human", "LLM_JUDGE": "model", "AI_JUDGE": "model", "CODE": "code"}},
            "time": {"format": "epoch_ms"},
        },
    },
)  # fmt: skip
