"""Label Studio's JSON export: a list of tasks, each with annotations, each with results. One record a result.

Columns: task_id, data.* (the task's own fields), annotation.id, result_id, completed_by (a number; e-mail and names of
an annotator object are never kept), question (the control's from_name), type, value, lead_time (seconds), created_at,
updated_at, was_cancelled, ground_truth, origin, parent_prediction. `value` is a text or number: of several choices the
joined names (`a | b`). A skipped annotation (was_cancelled) is a reject `skipped`, one without results `empty`.
"""

from __future__ import annotations

from typing import Any

import orjson
import pandas as pd

from hfkit.formats import jsonl
from hfkit.formats.plugin import Format
from hfkit.shared.errors import UnknownFormat
from hfkit.shared.records import Records

_ANNOTATION = ("lead_time", "created_at", "updated_at", "was_cancelled", "ground_truth", "parent_prediction")
_KEYS = {"textarea": "text"}
_ITEM = ("item_id", "text", "prompt", "response")


def read(data: bytes, source: str) -> Records:
    """The records of a Label Studio JSON export. Raises UnknownFormat where it is not a JSON list of tasks."""
    try:
        tasks = jsonl.array(data, source)
    except UnknownFormat as e:
        raise UnknownFormat(
            expected="a JSON list of tasks", found=e.found, where=f"source {source}, format label_studio",
            todo="in Label Studio choose Export, format JSON (for JSON-MIN and CSV declare label_studio_min)",
        ) from None  # fmt: skip
    return jsonl.records(source, ("not_a_record" if isinstance(t, str) else t for t in tasks), _task)


def _task(task: dict[str, Any]) -> list[jsonl.Parsed]:
    if not isinstance(task.get("data"), dict):
        return ["not_a_record"]
    base = {"task_id": task.get("id"), "data": task["data"]}
    annotations = task.get("annotations", task.get("completions"))
    if not isinstance(annotations, list):
        return ["not_a_record"]
    return [record for annotation in annotations for record in _annotation(annotation, base)]


def _annotation(annotation: Any, base: dict[str, Any]) -> list[jsonl.Parsed]:
    if not isinstance(annotation, dict):
        return ["not_a_record"]
    if annotation.get("was_cancelled"):
        return ["skipped"]
    results = annotation.get("result")
    if not isinstance(results, list) or not results:
        return ["empty"]
    by = annotation.get("completed_by")
    who = by.get("id") if isinstance(by, dict) else by
    common = base | {"annotation": {"id": annotation.get("id")}, "completed_by": who}
    common |= {name: annotation.get(name) for name in _ANNOTATION}
    return [_result(result, common) for result in results]


def _result(result: Any, common: dict[str, Any]) -> jsonl.Parsed:
    if not isinstance(result, dict) or not isinstance(result.get("value"), dict):
        return "not_a_record"
    kind = str(result.get("type", ""))
    value = result["value"]
    answer = value.get("selected") if kind == "pairwise" else value.get(_KEYS.get(kind, kind))
    own = {"result_id": result.get("id"), "question": result.get("from_name"), "type": kind, "value": joined(answer)}
    return common | own | {"origin": result.get("origin")}


def joined(answer: Any) -> Any:
    """Several answers as one text, a path in a taxonomy as its steps; anything else as it is.

    >>> joined(["a", "b"]), joined([["pets", "cats"]]), joined([]), joined(3)
    ('a | b', 'pets > cats', None, 3)
    """
    if not isinstance(answer, list):
        return answer
    parts = [" > ".join(map(str, a)) if isinstance(a, list) else str(a) for a in answer]
    return " | ".join(parts) if parts else None


def write(items: pd.DataFrame, feedback: pd.DataFrame) -> bytes:
    """Items as tasks with their answers as annotations (type choices): the export of a project that asked for them."""
    by_item = {str(i): rows for i, rows in feedback.groupby("item_id", sort=True)} if len(feedback) else {}
    tasks: list[dict[str, Any]] = []
    for number, item in enumerate(items.sort_values("item_id").to_dict("records"), 1):
        rows = by_item.get(str(item["item_id"]))
        answers = [] if rows is None else rows.sort_values("feedback_id").to_dict("records")
        shown = {k: item[k] for k in _ITEM if isinstance(item.get(k), str)}
        tasks.append({"id": number, "data": shown, "annotations": [_annotated(a) for a in answers], "predictions": []})
    return orjson.dumps(tasks, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _annotated(answer: dict[Any, Any]) -> dict[str, Any]:
    at, spent = answer.get("created_at"), answer.get("seconds_spent")
    result = {"id": answer["feedback_id"], "type": "choices", "from_name": answer["question"], "to_name": "text",
              "origin": "manual", "value": {"choices": answer["value"].split(" | ")}}  # fmt: skip
    return {
        "id": answer["feedback_id"],
        "completed_by": answer["rater_id"] if isinstance(answer["rater_id"], str) else None,
        "created_at": at.isoformat() if isinstance(at, pd.Timestamp) else None, "was_cancelled": False,
        "lead_time": spent if spent is not None and spent == spent else None, "result": [result],
    }  # fmt: skip


FORMAT = Format(
    read,
    write,
    usual={
        "feedback": {"columns": {
            "feedback_id": "result_id", "rater_id": "completed_by", "question": "question",
            "value": "value", "created_at": "created_at", "seconds_spent": "lead_time",
        }},
        "items": {"columns": {"item_id": "data.item_id"}, "distinct": True},
    },
)  # fmt: skip
