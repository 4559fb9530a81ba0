"""Thumbs as JSON lines or a JSON array: {prompt, completion, label: true or false}, as trainers of unpaired preferences
take them. `prompt` and `completion` may be lists of messages (their last words are read); other keys stay columns.
"""

from __future__ import annotations

from typing import Any

import orjson
import pandas as pd

from hfkit.formats import jsonl
from hfkit.formats.chat import last_words
from hfkit.formats.plugin import Format
from hfkit.shared.records import Records


def read(data: bytes, source: str) -> Records:
    """The records of a file of thumbs. Raises UnknownFormat where it is no JSON."""
    return jsonl.records(source, jsonl.either(data, source), lambda r: [_thumb(r)])


def _thumb(record: dict[str, Any]) -> jsonl.Parsed:
    prompt, completion = (last_words(record.get(k)) for k in ("prompt", "completion"))
    if prompt is None or completion is None or not isinstance(record.get("label"), bool):
        return "not_a_record"
    return record | {"prompt": prompt, "completion": completion, "label": "up" if record["label"] else "down"}


def write(items: pd.DataFrame, feedback: pd.DataFrame) -> bytes:
    """Answers up and down on items with a prompt and a response; others, which no trainer takes, are left out."""
    shown = items.set_index("item_id")
    out = []
    for a in feedback.sort_values("feedback_id").to_dict("records"):
        item = shown.loc[a["item_id"]]
        prompt, response = (item.get(k) for k in ("prompt", "response"))
        up = {"up": True, "down": False}.get(a["value"])
        if isinstance(prompt, str) and isinstance(response, str) and up is not None:
            row = {
                "id": a["feedback_id"],
                "item_id": a["item_id"],
                "prompt": prompt,
                "completion": response,
                "label": up,
            }
            out.append(orjson.dumps(row | ({"rater_id": a["rater_id"]} if isinstance(a["rater_id"], str) else {})))
    return b"".join(line + b"\n" for line in out)


FORMAT = Format(
    read,
    write,
    usual={
        "feedback": {"columns": {
            "feedback_id": "@row", "item_id": "@row", "question": "=thumb", "value": "label",
        }},
        "items": {"columns": {"item_id": "@row", "prompt": "prompt", "response": "completion"}},
    },
)  # fmt: skip
