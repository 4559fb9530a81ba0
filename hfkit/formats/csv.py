"""CSV, strictly by RFC 4180 and UTF-8 (byte order mark allowed): lenient readers shift and swallow rows silently.

A record with a wrong number of fields, a quote inside an unquoted field, text after a closing quote or a quote that
never closes is rejected; reading goes on at the next line, so that good rows beside a bad one survive. Commas stand
between fields unless the source declares another `delimiter`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Set
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from hfkit.formats.plugin import Format
from hfkit.shared.errors import ParamError, UnknownFormat
from hfkit.shared.records import Records, Reject

MAX_FIELD = 100_000
MAX_BROKEN = 10_000
MAX_COLUMNS = 5_000
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_QUOTED = f'"(?:[^"]|""){{0,{MAX_FIELD}}}+"'
_END = r"(?:\r\n|[\r\n]|\Z)"
_LINE = re.compile(r"[^\r\n]*+(?:\r\n|[\r\n]|\Z)")


@dataclass(frozen=True)
class Grammar:
    """The patterns of one delimiter."""

    delimiter: str

    @property
    def field(self) -> str:
        """One field, quoted or plain."""
        return rf'(?:{_QUOTED}|[^"{re.escape(self.delimiter)}\r\n]*+)'

    @cached_property
    def cell(self) -> re.Pattern[str]:
        """One field, as a pattern."""
        return re.compile(self.field)

    @cached_property
    def row(self) -> re.Pattern[str]:
        """One well-formed row of any width."""
        return re.compile(rf"{self.field}(?:{re.escape(self.delimiter)}{self.field})*+{_END}")

    def whole(self, width: int) -> re.Pattern[str]:
        """Well-formed rows of so many fields, one after the other."""
        between = re.escape(self.delimiter)
        return re.compile(rf"(?:{self.field}(?:{between}{self.field}){{{width - 1}}}{_END})*+")

    def split(self, record: str) -> list[str]:
        """The fields of one well-formed record."""
        body = record.removesuffix("\n").removesuffix("\r")
        fields, at = [], 0
        while match := self.cell.match(body, at):
            fields.append(match[0])
            if match.end() == len(body):
                break
            at = match.end() + 1
        return [f[1:-1].replace('""', '"') if f.startswith('"') else f for f in fields]


def read(data: bytes, source: str, delimiter: str = ",") -> Records:
    """The records of a CSV file; the first record is the header. Every cell is text, exactly as written.

    A repeated or empty name in the header is harmless until a mapping uses it. Raises UnknownFormat for another
    encoding or delimiter, an empty file, or more than MAX_COLUMNS columns.
    """
    if delimiter not in DELIMITERS:
        raise ParamError(
            expected="a delimiter of , ; | or a tab", found=repr(delimiter),
            where=f"params.yaml: clean.sources, {source}",
            todo='write for example delimiter: ";" or delimiter: "\\t"',
        )  # fmt: skip
    grammar = Grammar(delimiter)
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    header, start = _header(text, source, grammar)
    names = pd.Index(header, dtype="object")
    rows = _fast(text, start, len(header), grammar)
    if rows is not None:
        return Records(source, pd.DataFrame(rows, columns=names, dtype="object"), range(1, len(rows) + 1))
    good, lines, rejects = _strict(text, start, len(header), source, grammar)
    return Records(source, pd.DataFrame(good, columns=names, dtype="object"), lines, rejects)


def without(data: bytes, numbers: Set[int], delimiter: str = ",") -> bytes:
    """The file without the records of those numbers (from 1, the header not counted), all others byte for byte.

    >>> without(b"a,b\\n1,2\\n3,4\\n", {1})
    b'a,b\\n3,4\\n'
    """
    grammar = Grammar(delimiter)
    mark = b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b""
    text = data.removeprefix(mark).decode("utf-8", "surrogateescape")
    out, at, number = [], 0, 0
    while at < len(text):
        match = grammar.row.match(text, at) or _LINE.match(text, at)
        record = match[0] if match else text[at:]
        out += [] if number in numbers else [record]
        at, number = at + len(record), number + 1
    return mark + "".join(out).encode("utf-8", "surrogateescape")


def _header(text: str, source: str, grammar: Grammar) -> tuple[list[str], int]:
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
    row = grammar.row.match(text)
    names = grammar.split(row[0]) if row else []
    other = next((d for d in DELIMITERS if d != grammar.delimiter and len(names) < 2 and d in first), "")
    if other:
        raise _refuse(f"names separated by {DELIMITERS[grammar.delimiter]}", f"{DELIMITERS[other]} in the header",
                      source, f"say how the source writes: delimiter: {other!r}")  # fmt: skip
    if not row or not any(n.strip() for n in names) or len(names) > MAX_COLUMNS:
        problem = f"{len(names):,}" if names[MAX_COLUMNS:] else "no name" if row else "a broken quote"
        raise _refuse(f"a header of 1 to {MAX_COLUMNS:,} names", problem, source)
    return names, row.end()


def _fast(text: str, start: int, width: int, grammar: Grammar) -> list[list[str]] | None:
    """All rows where every one is well-formed, else None: one scan proves it, then the csv module may read them."""
    if width < 2:
        return None
    match = grammar.whole(width).match(text, start)
    if match is None or match.end() != len(text) or not _encodes(text):
        return None
    try:
        return list(csv.reader(io.StringIO(text[start:], newline=""), strict=True, delimiter=grammar.delimiter))
    except csv.Error:
        return None


def _encodes(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _strict(
    text: str, start: int, width: int, source: str, grammar: Grammar
) -> tuple[list[list[str]], list[int], list[Reject]]:
    good: list[list[str]] = []
    lines: list[int] = []
    rejects: list[Reject] = []
    at, number, broken = start, 0, 0
    while at < len(text):
        number += 1
        row = grammar.row.match(text, at)
        match = row or _LINE.match(text, at)
        record = match[0] if match else ""
        fields = grammar.split(record) if row else []
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


def _refuse(expected: str, problem: str, source: str, todo: str = "") -> UnknownFormat:
    return UnknownFormat(
        expected=expected, found=problem, where=f"source {source}, format csv",
        todo=todo or "export it again as CSV (RFC 4180: UTF-8, commas, quotes doubled inside quotes), with one header "
        "line",
    )  # fmt: skip


FORMAT = Format(read, options=("delimiter",))
TSV = Format(lambda data, source: read(data, source, delimiter="\t"))
