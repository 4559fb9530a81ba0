"""JSON lines and JSON arrays of objects, UTF-8, read by orjson (which refuses NaN, lone surrogates and deep nesting).

Nested objects become dotted paths (`{"user": {"id": 7}}` -> column `user.id`); a list stays one cell. An integer beyond
64 bits stays text: as a float, two people would become one.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson
import pandas as pd

from hfkit.formats.plugin import Format
from hfkit.shared.errors import UnknownFormat
from hfkit.shared.records import Records, Reject

MAX_DEPTH = 32
MAX_NAMES = 5_000
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"\s*+(:?)')
_LONG = re.compile(rb"[0-9]{19}")
_ENVELOPES = ("data", "items", "results", "records", "scores", "assessments", "annotations", "feedback", "feedbacks")

Row = dict[str, Any]
Parsed = Row | str
"""An object, or the reason why there is none."""


def read(data: bytes, source: str) -> Records:
    """The records of a JSON lines file. Raises UnknownFormat for an empty file, binary data, or one JSON array."""
    body = _body(data, source)
    if body.lstrip()[:1] == b"[":
        raise _refuse("one JSON object a line", "one JSON array", source, "declare `format: json`")
    return records(source, lines(body))


def read_array(data: bytes, source: str) -> Records:
    """The records of a JSON array of objects, or of an object that holds one (as APIs answer: `{"data": [...]}`)."""
    return records(source, array(data, source))


def looks_like(data: bytes) -> bool:
    """Does a file begin as JSON does? Some tools export the same records as JSON and as CSV."""
    return data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"[", b"{")


def either(data: bytes, source: str) -> Iterable[Parsed]:
    """The objects of a JSON array, of an API's answer, or of JSON lines: whichever the file is."""
    body = _body(data, source)
    if body.lstrip()[:1] == b"[":
        return array(body, source)
    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError:
        return lines(body)
    return array(body, source) if isinstance(whole, dict) and _held(whole) is not None else lines(body)


def lines(body: bytes) -> Iterator[Parsed]:
    """One object a line; a blank line is a reject too."""
    for line in body.removesuffix(b"\n").split(b"\n"):
        if not line.strip():
            yield "blank_line"
            continue
        try:
            content = loads(line)
        except orjson.JSONDecodeError:
            yield "not_json"
            continue
        yield (flaw(line, content) or content) if isinstance(content, dict) else "not_an_object"


def array(data: bytes, source: str) -> list[Parsed]:
    """The objects of one JSON document. Raises UnknownFormat where it is not a list, or a flaw would lose a value."""
    body = _body(data, source)
    try:
        content = loads(body)
    except orjson.JSONDecodeError as e:
        raise _refuse("a JSON array of objects", str(e), source, "export it again; for one object a line, "
                      "declare `format: jsonl`") from None  # fmt: skip
    reason = flaw(body, content)
    if reason:
        problem = {"duplicate_key": "an object with a key twice"}.get(reason, "objects nested too deep")
        raise _refuse("each key once, and a flat shape", problem, source, "correct it in the export")
    held = _held(content) if isinstance(content, dict) else content
    if not isinstance(held, list):
        raise _refuse("a JSON array of objects", f"one {_kind(content)}", source, "export a list of records")
    return [r if isinstance(r, dict) else "not_an_object" for r in held]


def _held(content: Row) -> list[Any] | None:
    return next((content[k] for k in _ENVELOPES if isinstance(content.get(k), list)), None)


def _kind(content: Any) -> str:
    return {dict: "object", str: "string", bool: "truth value"}.get(type(content), "number")


def loads(text: bytes) -> Any:
    """JSON as orjson reads it, but integers beyond 64 bits as text."""
    content = orjson.loads(text)
    if not _LONG.search(text) or _depth(content) > MAX_DEPTH:
        return content
    return json.loads(text, parse_int=lambda t: int(t) if len(t) < 19 or (len(t) < 21 and abs(int(t)) < 2**63) else t)


def records(source: str, parsed: Iterable[Parsed], convert: Callable[[Row], list[Parsed]] | None = None) -> Records:
    """Rows and rejects, numbered as they come. `convert` may make several of one object, never none.

    Raises UnknownFormat where the records have more than MAX_NAMES columns between them.
    """
    rows: list[Row] = []
    numbers: list[int] = []
    rejects: list[Reject] = []
    several = parsed if convert is None else (r for p in parsed for r in ([p] if isinstance(p, str) else convert(p)))
    names: set[str] = set()
    for number, record in enumerate(several, 1):
        flat = record if isinstance(record, str) else flatten(record)
        if isinstance(flat, str):
            rejects.append((number, flat, ""))
            continue
        rows.append(flat)
        numbers.append(number)
        names.update(flat)
        if len(names) > MAX_NAMES:
            raise _refuse(f"at most {MAX_NAMES:,} different keys", "more", source, "map ids to values, not to keys")
    return Records(source, table(rows), numbers, rejects)


def flaw(text: bytes, content: Any) -> str:
    """Why valid JSON is still refused: `too_deep`, or `duplicate_key` (parsers keep one of the two and say nothing).

    >>> flaw(b'{"a": 1, "a": 2}', {"a": 2}), flaw(b'{"a": {"a": ":"}}', {"a": {"a": ":"}})
    ('duplicate_key', '')
    """
    if _depth(content) > MAX_DEPTH:
        return "too_deep"
    keys, level = 0, [content]
    while level:
        keys += sum(len(v) for v in level if isinstance(v, dict))
        level = _inner(level)
    written = sum(1 for m in _STRING.finditer(text) if m[1])
    return "duplicate_key" if written != keys else ""


def _depth(content: Any) -> int:
    depth, level = 0, [content]
    while level:
        depth, level = depth + 1, _inner(level)
    return depth


def _inner(level: list[Any]) -> list[Any]:
    values = [v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list)]
    return [v for group in values for v in group if isinstance(v, dict | list)]


def flatten(record: Row) -> Row | str:
    """Nested objects as dotted paths, empty ones left out.

    Two paths that become one name are `duplicate_key`, too many of them `too_many_keys`.

    >>> flatten({"a": {"b": 1}, "c": [2]}), flatten({"a.b": 1, "a": {"b": 2}})
    ({'c': [2], 'a.b': 1}, 'duplicate_key')
    """
    flat: Row = {}
    todo = deque([("", record)])
    while todo:
        prefix, current = todo.popleft()
        for key, value in current.items():
            name = f"{prefix}{key}"
            if isinstance(value, dict) and value:
                todo.append((f"{name}.", value))
            elif isinstance(value, dict):
                continue
            elif name in flat:
                return "duplicate_key"
            else:
                flat[name] = value
        if len(flat) > MAX_NAMES:
            return "too_many_keys"
    return flat


def table(rows: list[Row]) -> pd.DataFrame:
    """Rows as a table of plain objects: no type is guessed, an absent key is None."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: pd.Series([row.get(name) for row in rows], dtype="object") for name in names}
    return pd.DataFrame(columns, index=range(len(rows)))


def text(value: Any) -> str | None:
    """A value of any shape as one cell: text as it is, the rest as JSON; nothing stays nothing."""
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _body(data: bytes, source: str) -> bytes:
    body = data.removeprefix(b"\xef\xbb\xbf")
    if not body.strip() or b"\0" in body[:4096]:
        problem = "binary data or another encoding" if body.strip() else "an empty file"
        raise _refuse("JSON in UTF-8", problem, source, "export it again as JSON")
    return body


def _refuse(expected: str, problem: str, source: str, todo: str) -> UnknownFormat:
    return UnknownFormat(expected=expected, found=problem, where=f"source {source}", todo=todo)


FORMAT = Format(read)
ARRAY = Format(read_array)
