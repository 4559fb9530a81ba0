"""Argilla records, nested (fields, responses, suggestions) or flattened as in a dataset of records. One a response.

Columns: id, fields.*, metadata.*, question, value, user_id, status, kind (human; model for a suggestion), score. Of
several labels the joined names (`a | b`), of a ranking `a > b`. A draft or discarded response is a reject of that
name, a record that nobody answered `empty`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pandas as pd

from hfkit.formats import jsonl
from hfkit.formats.label_studio import joined
from hfkit.formats.plugin import Format
from hfkit.shared.records import Records

_FIELDS = ("text", "prompt", "response")


def read(data: bytes, source: str) -> Records:
    """The records of an Argilla export, a JSON array or JSON lines. Raises UnknownFormat where it is neither."""
    return jsonl.records(source, jsonl.either(data, source), _record)


def _record(record: dict[str, Any]) -> list[jsonl.Parsed]:
    nested = isinstance(record.get("fields"), dict)
    base = {k: record[k] for k in ("id", "fields", "metadata", "_server_id") if k in record} if nested else \
        {k: v for k, v in record.items() if ".responses" not in k and ".suggestion" not in k}  # fmt: skip
    try:
        answers = list(_nested(record) if nested else _flattened(record))
    except (AttributeError, TypeError, ValueError):
        return ["not_a_record"]
    return [base | a if isinstance(a, dict) else a for a in answers] or ["empty"]


def _nested(record: dict[str, Any]) -> Iterator[jsonl.Parsed]:
    for question, responses in (record.get("responses") or {}).items():
        for r in responses:
            yield _answer(question, r.get("value"), r.get("user_id"), r.get("status"))
    for question, s in (record.get("suggestions") or {}).items():
        yield _suggested(question, s.get("value"), s.get("agent"), s.get("score"))


def _flattened(record: dict[str, Any]) -> Iterator[jsonl.Parsed]:
    for name, values in record.items():
        question = name.removesuffix(".responses")
        if name.endswith(".responses"):
            users = record.get(f"{name}.users") or [None] * len(values or [])
            states = record.get(f"{name}.status") or [None] * len(values or [])
            for value, user, status in zip(values or [], users, states, strict=True):
                yield _answer(question, value, user, status)
        elif name.endswith(".suggestion") and values is not None:
            question = name.removesuffix(".suggestion")
            yield _suggested(question, values, record.get(f"{name}.agent"), record.get(f"{name}.score"))


def _answer(question: str, value: Any, user: Any, status: Any) -> jsonl.Parsed:
    if status in ("draft", "discarded"):
        return str(status)
    return {"question": question, "value": _plain(value), "user_id": user, "status": status, "kind": "human"}


def _suggested(question: str, value: Any, agent: Any, score: Any) -> jsonl.Parsed:
    return {"question": question, "value": _plain(value), "user_id": agent, "kind": "model", "score": score}


def _plain(value: Any) -> Any:
    """A ranking, written as a list of {value, rank}, best first; ties stand in the order given."""
    if isinstance(value, list) and value and all(isinstance(v, dict) and "value" in v and "rank" in v for v in value):
        return joined([[v["value"] for v in sorted(value, key=lambda v: int(v["rank"]))]])
    return joined(value) if isinstance(value, list) and not any(isinstance(v, dict) for v in value) else value


def write(items: pd.DataFrame, feedback: pd.DataFrame) -> bytes:
    """Items as nested records with people's answers as submitted responses, and models' answers as suggestions."""
    by_item = {str(i): rows for i, rows in feedback.groupby("item_id", sort=True)} if len(feedback) else {}
    out = []
    for item in items.sort_values("item_id").to_dict("records"):
        fields = {k: item[k] for k in _FIELDS if isinstance(item.get(k), str)}
        record: dict[str, Any] = {"id": item["item_id"], "fields": fields, "metadata": {}, "responses": {},
                                  "suggestions": {}}  # fmt: skip
        rows = by_item.get(str(item["item_id"]))
        for a in [] if rows is None else rows.sort_values("feedback_id").to_dict("records"):
            who = a["rater_id"] if isinstance(a["rater_id"], str) else None
            if a["rater_kind"] == "human":
                answer = {"value": a["value"], "user_id": who, "status": "submitted"}
                record["responses"].setdefault(a["question"], []).append(answer)
            else:
                record["suggestions"][a["question"]] = {"value": a["value"], "agent": who, "score": None}
        out.append(record)
    return orjson.dumps(out, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


FORMAT = Format(
    read,
    write,
    usual={
        "feedback": {"columns": {
            "feedback_id": "{id}.{question}.{user_id}", "item_id": "id", "rater_id": "user_id", "rater_kind": "kind",
            "question": "question", "value": "value",
        }},
        "items": {"columns": {"item_id": "id"}, "distinct": True},
    },
)  # fmt: skip
