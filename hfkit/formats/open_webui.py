"""Open WebUI's feedback export: a JSON array of ratings under answers, also from its arena.

`snapshot`, which holds the whole conversation, is dropped unread. Added: `message` (chat and message, the item),
`rating` (1 or -1), and where it was a duel with one other model (sibling_model_ids) `other` and `winner` (a: the model
rated up; b: the other). Times are seconds since 1970.
"""

from __future__ import annotations

from typing import Any

from hfkit.formats import jsonl
from hfkit.formats.plugin import Format
from hfkit.shared.records import Records

_COLUMNS = ("id", "user_id", "data.model_id", "data.reason", "data.comment", "created_at")


def read(data: bytes, source: str) -> Records:
    """The records of an Open WebUI export. Raises UnknownFormat where it is no JSON."""
    return jsonl.records(source, jsonl.either(data, source), lambda r: [_feedback(r)])


def _feedback(f: dict[str, Any]) -> jsonl.Parsed:
    data, meta = f.get("data"), f.get("meta")
    if not isinstance(data, dict) or "rating" not in data or not isinstance(meta, dict):
        return "not_a_record"
    rating: Any = {"1": 1, "-1": -1}.get(str(data["rating"]).removesuffix(".0"), data["rating"])
    siblings = data.get("sibling_model_ids")
    other = siblings[0] if isinstance(siblings, list) and len(siblings) == 1 else None
    rest = {k: v for k, v in f.items() if k not in ("snapshot", "data", "meta")}
    model = {"model_id": None, "reason": None, "comment": None} | {k: v for k, v in data.items() if k != "rating"}
    own = {"data": model, "meta": meta, "message": _message(meta), "rating": rating, "other": other,
           "winner": {1: "a", -1: "b"}.get(rating) if other else None}  # fmt: skip
    return {**dict.fromkeys(c for c in _COLUMNS if not c.startswith("data.")), **rest, **own}


def _message(meta: dict[str, Any]) -> str | None:
    parts = [str(meta[k]) for k in ("chat_id", "message_id") if meta.get(k)]
    return ".".join(parts) or None


FORMAT = Format(
    read,
    usual={
        "feedback": {
            "columns": {
                "feedback_id": "id", "item_id": "message", "rater_id": "user_id", "question": "=rating",
                "value": "rating", "value_text": "data.comment", "model_version": "data.model_id",
                "created_at": "created_at",
            },
            "time": {"format": "epoch"},
        },
        "items": {
            "columns": {"item_id": "message", "model_version": "data.model_id", "served_at": "created_at"},
            "time": {"format": "epoch"},
            "distinct": True,
        },
    },
)  # fmt: skip
