"""CSV, strictly by RFC 4180 and UTF-8 (byte order mark allowed): lenient readers shift and swallow rows silently.

A record with a wrong number of fields, a quote inside an unquoted field, text after a closing quote or a quote that
never closes is rejected; reading goes on at the next line, so that good rows beside a bad one survive.
"""

from __future__ import annotations

import csv
import io
import re

import pandas as pd

from hfkit.shared.errors import UnknownFormat
from hfkit.shared.records import Records, Reject

MAX_FIELD = 100_000
MAX_BROKEN = 10_000
_QUOTED = f'"(?:[^"]|""){{0,{MAX_FIELD}}}+"'
_FIELD = rf'(?:{_QUOTED}|[^",\r\n]*+)'
_CELL = re.compile(_FIELD)
_END = r"(?:\r\n|[\r\n]|\Z)"
_ROW = re.compile(rf"{_FIELD}(?:,{_FIELD})*+{_END}")
_LINE = re.compile(r"[^\r\n]*+(?:\r\n|[\r\n]|\Z)")


def read(data: bytes, source: str) -> Records:
    """The records of a CSV file; the first record is the header. Every cell is text, exactly as written.

    Raises UnknownFormat for another encoding or delimiter, an empty file, a header with empty or repeated names.
    """
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    header, start = _header(text, source)
    names = pd.Index(header, dtype="object")
    rows = _fast(text, start, len(header))
    if rows is not None:
        return Records(source, pd.DataFrame(rows, columns=names, dtype="object"), range(1, len(rows) + 1))
    good, lines, rejects = _strict(text, start, len(header), source)
    return Records(source, pd.DataFrame(good, columns=names, dtype="object"), lines, rejects)


def _header(text: str, source: str) -> tuple[list[str], int]:
    line = _LINE.match(text)
    first = line[0] if line else ""
    if not text.strip("\r\n"):
        raise _refuse("a header and records", "an empty file", source)
    if first.startswith(("\udcff\udcfe", "\udcfe\udcff")) or (
        "\0" in first and first.replace("\0", "").strip().isascii() and first.replace("\0", "").strip()
    ):
        raise _refuse("UTF-8", "UTF-16", source)
    if any("\udc80" <= c <= "\udcff" for c in first) or any(c < " " and c not in "\r\n\t" for c in first):
        raise _refuse("text in UTF-8", "binary data or another encoding in the first line", source)
    row = _ROW.match(text)
    names = _split(row[0]) if row else []
    other = next((n for d, n in ((";", "semicolon"), ("\t", "tab"), ("|", "bar")) if len(names) < 2 and d in first), "")
    if other or not row:
        raise _refuse("names separated by commas", f"a header with {other or 'a broken quote'}", source)
    if not all(n.strip() for n in names) or len(set(names)) < len(names):
        problem = "an empty name" if not all(n.strip() for n in names) else "a repeated name"
        raise _refuse("a name for each column, each once", f"{problem} among {len(names)}", source)
    return names, row.end()


def _fast(text: str, start: int, width: int) -> list[list[str]] | None:
    """All rows where every one is well-formed, else None: one scan proves it, then the csv module may read them."""
    if width < 2:
        return None
    well_formed = re.compile(rf"(?:{_FIELD}(?:,{_FIELD}){{{width - 1}}}{_END})*+")
    match = well_formed.match(text, start)
    if match is None or match.end() != len(text) or not _encodes(text):
        return None
    try:
        return list(csv.reader(io.StringIO(text[start:], newline=""), strict=True))
    except csv.Error:
        return None


def _encodes(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _strict(text: str, start: int, width: int, source: str) -> tuple[list[list[str]], list[int], list[Reject]]:
    good: list[list[str]] = []
    lines: list[int] = []
    rejects: list[Reject] = []
    at, number, broken = start, 0, 0
    while at < len(text):
        number += 1
        row = _ROW.match(text, at)
        match = row or _LINE.match(text, at)
        record = match[0] if match else ""
        fields = _split(record) if row else []
        reason = _reason(record, len(fields), width, well_formed=row is not None)
        if reason:
            rejects.append((number, reason, ""))
            broken += row is None
            if broken > MAX_BROKEN:
                raise _refuse(f"at most {MAX_BROKEN:,} broken quotes", "more", source)
        else:
            good.append(fields)
            lines.append(number)
        at += len(record)
    return good, lines, rejects


def _reason(record: str, fields: int, width: int, *, well_formed: bool) -> str:
    """Why a record cannot be read, "" where it can."""
    if not record.strip("\r\n"):
        return "blank_line"
    if not _encodes(record):
        return "encoding"
    if not well_formed:
        return "too_long" if len(record) > MAX_FIELD else "quote"
    return "" if fields == width else "field_count"


def _split(record: str) -> list[str]:
    """The fields of one well-formed record."""
    body = record.removesuffix("\n").removesuffix("\r")
    fields, at = [], 0
    while match := _CELL.match(body, at):
        fields.append(match[0])
        if match.end() == len(body):
            break
        at = match.end() + 1
    return [f[1:-1].replace('""', '"') if f.startswith('"') else f for f in fields]


def _refuse(expected: str, found: str, source: str) -> UnknownFormat:
    return UnknownFormat(
        expected=expected, found=found, where=f"source {source}, format csv",
        todo="export it again as CSV (RFC 4180: UTF-8, commas, quotes doubled inside quotes), with one header line",
    )  # fmt: skip
