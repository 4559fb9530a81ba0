"""JSON lines: one object a line, UTF-8, read by orjson (which refuses NaN, lone surrogates and deep nesting).

Nested objects become dotted paths (`{"user": {"id": 7}}` -> column `user.id`); a list stays one cell.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson
import pandas as pd

from hfkit.shared.errors import UnknownFormat
from hfkit.shared.records import Records, Reject

MAX_DEPTH = 32
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"\s*+(:?)')

Row = dict[str, Any]


def read(data: bytes, source: str) -> Records:
    """The records of a JSON lines file. Raises UnknownFormat for an empty file, binary data, or one JSON array."""
    return read_lines(data, source, lambda record: record)


def read_lines(data: bytes, source: str, convert: Callable[[Row], Row | None]) -> Records:
    """As `read`, each object through `convert` first; None from it rejects the record as `not_a_record`."""
    body = data.removeprefix(b"\xef\xbb\xbf")
    first = body.lstrip()[:1]
    if first == b"[" or not first or b"\0" in body[:4096]:
        content = {b"[": "one JSON array", b"": "an empty file"}.get(first, "binary data or another encoding")
        raise UnknownFormat(
            expected="one JSON object a line", found=content, where=f"source {source}", todo="export it as JSON lines",
        )  # fmt: skip
    rows: list[Row] = []
    lines: list[int] = []
    rejects: list[Reject] = []
    for number, line in enumerate(body.removesuffix(b"\n").split(b"\n"), 1):
        row, reason = _record(line, convert)
        if row is None:
            rejects.append((number, reason, ""))
        else:
            rows.append(row)
            lines.append(number)
    return Records(source, table(rows), lines, rejects)


def _record(line: bytes, convert: Callable[[Row], Row | None]) -> tuple[Row | None, str]:
    if not line.strip():
        return None, "blank_line"
    try:
        content = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None, "not_json"
    if not isinstance(content, dict):
        return None, "not_an_object"
    reason = flaw(line, content)
    if reason:
        return None, reason
    converted = convert(content)
    return (None, "not_a_record") if converted is None else flatten(converted)


def flaw(text: bytes, content: Any) -> str:
    """Why valid JSON is still refused: `too_deep`, or `duplicate_key` (parsers keep one of the two and say nothing).

    >>> flaw(b'{"a": 1, "a": 2}', {"a": 2}), flaw(b'{"a": {"a": ":"}}', {"a": {"a": ":"}})
    ('duplicate_key', '')
    """
    keys, level, depth = 0, [content], 0
    while level:
        depth += 1
        keys += sum(len(v) for v in level if isinstance(v, dict))
        inner = [v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list)]
        level = [v for values in inner for v in values if isinstance(v, dict | list)]
    if depth > MAX_DEPTH:
        return "too_deep"
    written = sum(1 for m in _STRING.finditer(text) if m[1])
    return "duplicate_key" if written != keys else ""


def flatten(record: Row) -> tuple[Row | None, str]:
    """Nested objects as dotted paths; two paths that become one name are `duplicate_key`.

    >>> flatten({"a": {"b": 1}, "c": [2]}), flatten({"a.b": 1, "a": {"b": 2}})
    (({'c': [2], 'a.b': 1}, ''), (None, 'duplicate_key'))
    """
    flat: Row = {}
    todo = [("", record)]
    while todo:
        prefix, current = todo.pop(0)
        for key, value in current.items():
            name = f"{prefix}{key}"
            if isinstance(value, dict) and value:
                todo.append((f"{name}.", value))
            elif name in flat:
                return None, "duplicate_key"
            else:
                flat[name] = value
    return flat, ""


def table(rows: list[Row]) -> pd.DataFrame:
    """Rows as a table of plain objects: no type is guessed, an absent key is None."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: pd.Series([row.get(name) for row in rows], dtype="object") for name in names}
    return pd.DataFrame(columns, index=range(len(rows)))
