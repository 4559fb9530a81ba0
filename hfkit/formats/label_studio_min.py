"""Label Studio's JSON_MIN and CSV exports: one record an annotation, one column a question, beside the task's fields.

Both kinds are read by content. Columns: the task's own fields, one for each question (of several choices the joined
names, `a | b`), id, annotator, annotation_id, created_at, updated_at, lead_time; a field whose name clashes is
`_data_<name>`. Which columns are questions the file does not say: name them under `unpivot`.
"""

from __future__ import annotations

from typing import Any

import orjson

from hfkit.formats import csv, jsonl
from hfkit.formats.label_studio import joined
from hfkit.formats.plugin import Format
from hfkit.shared.records import Records

_KEYS = ("choices", "taxonomy", "text", "rating", "number", "datetime")


def read(data: bytes, source: str) -> Records:
    """The records of a JSON_MIN or CSV export. Raises UnknownFormat where it is neither."""
    if jsonl.looks_like(data):
        return jsonl.records(source, jsonl.array(data, source), lambda r: [{k: _answer(v) for k, v in r.items()}])
    records = csv.read(data, source)
    return Records(source, records.frame.map(_cell), records.lines, records.rejects)


def _answer(value: Any) -> Any:
    """{"choices": [...]} and a list of texts or paths as one text; regions and other shapes stay, and are no values."""
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _KEYS:
        value = next(iter(value.values()))
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        return _answer(value[0]) if set(value[0]) <= {"taxonomy", "choices", "text", "number"} else value
    plain = isinstance(value, list) and all(isinstance(v, str | list) for v in value)
    return joined(value) if plain else value


def _cell(text: str) -> Any:
    """A cell of the CSV export: JSON where the answer was more than one text."""
    if not text.startswith(('{"', "[")):
        return text
    try:
        return _answer(orjson.loads(text))
    except orjson.JSONDecodeError:
        return text


FORMAT = Format(
    read,
    usual={
        "feedback": {"columns": {
            "feedback_id": "{annotation_id}", "item_id": "{id}", "rater_id": "annotator", "created_at": "created_at",
            "seconds_spent": "lead_time",
        }},
        "items": {"columns": {"item_id": "{id}"}, "distinct": True},
    },
)  # fmt: skip
