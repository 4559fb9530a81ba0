"""Label Studio's JSON export: a list of tasks, each with annotations, each with results. One record a result.

Columns: task_id, data.* (the task's own fields), annotation.id, result_id, completed_by (a number; e-mail and names of
an annotator object are never kept), question (the control's from_name), type, value, lead_time (seconds), created_at,
updated_at, was_cancelled, ground_truth, origin, parent_prediction. `value` is a text or number: of several choices the
joined names (`a | b`). A skipped annotation (was_cancelled) is a reject `skipped`, one without results `empty`.
"""

from __future__ import annotations

from typing import Any

import orjson

from hfkit.formats import jsonl
from hfkit.shared.errors import UnknownFormat
from hfkit.shared.records import Records, Reject

_ANNOTATION = ("lead_time", "created_at", "updated_at", "was_cancelled", "ground_truth", "parent_prediction")


def read(data: bytes, source: str) -> Records:
    """The records of a Label Studio JSON export. Raises UnknownFormat where it is not a JSON list of tasks."""
    try:
        tasks = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as e:
        raise _refuse(str(e), source) from None
    if not isinstance(tasks, list):
        raise _refuse(type(tasks).__name__, source)
    reason = jsonl.flaw(data, tasks)
    if reason:
        raise _refuse(reason.replace("_", " "), source)
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    rejects: list[Reject] = []
    for number, (row, reason) in enumerate((r for task in tasks for r in _task(task)), 1):
        flat, reason = jsonl.flatten(row) if row is not None else (None, reason)
        if flat is None:
            rejects.append((number, reason, ""))
        else:
            rows.append(flat)
            lines.append(number)
    return Records(source, jsonl.table(rows), lines, rejects)


def _task(task: Any) -> list[tuple[dict[str, Any] | None, str]]:
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        return [(None, "not_a_record")]
    base = {"task_id": task.get("id"), "data": task["data"]}
    annotations = task.get("annotations", task.get("completions"))
    if not isinstance(annotations, list):
        return [(None, "not_a_record")]
    return [record for annotation in annotations for record in _annotation(annotation, base)]


def _annotation(annotation: Any, base: dict[str, Any]) -> list[tuple[dict[str, Any] | None, str]]:
    if not isinstance(annotation, dict):
        return [(None, "not_a_record")]
    if annotation.get("was_cancelled"):
        return [(None, "skipped")]
    results = annotation.get("result")
    if not isinstance(results, list) or not results:
        return [(None, "empty")]
    by = annotation.get("completed_by")
    who = by.get("id") if isinstance(by, dict) else by
    common = base | {"annotation": {"id": annotation.get("id")}, "completed_by": who}
    common |= {name: annotation.get(name) for name in _ANNOTATION}
    return [_result(result, common) for result in results]


def _result(result: Any, common: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    if not isinstance(result, dict) or not isinstance(result.get("value"), dict):
        return None, "not_a_record"
    kind = str(result.get("type", ""))
    value = result["value"]
    answer = value.get("selected") if kind == "pairwise" else value.get(_KEYS.get(kind, kind))
    if isinstance(answer, list):
        parts = [" > ".join(map(str, a)) if isinstance(a, list) else str(a) for a in answer]
        answer = " | ".join(parts) if parts else None
    own = {"result_id": result.get("id"), "question": result.get("from_name"), "type": kind, "value": answer}
    return common | own | {"origin": result.get("origin")}, ""


_KEYS = {"textarea": "text"}


def _refuse(problem: str, source: str) -> UnknownFormat:
    return UnknownFormat(
        expected="a JSON list of tasks", found=problem, where=f"source {source}, format label_studio",
        todo="in Label Studio choose Export, format JSON (not JSON-MIN, not CSV)",
    )  # fmt: skip
