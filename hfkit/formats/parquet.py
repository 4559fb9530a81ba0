"""Parquet by pyarrow: flat columns of text, numbers, booleans, times. Never unpickled; refused when too large.

A column of another type (binary, lists, structs) is not read: its cells say its type, which is no value to a mapping.
"""

from __future__ import annotations

import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hfkit.formats.plugin import Format
from hfkit.shared.errors import UnknownFormat
from hfkit.shared.records import Records

MAX_ROWS = 10_000_000
MAX_BYTES = 4_000_000_000
MAX_COLUMNS = 5_000
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FIRST, _LAST = -62_135_596_800, 253_402_300_799  # years 1 and 9999, seconds since 1970


def read(data: bytes, source: str) -> Records:
    """The records of a Parquet file. A time with a zone is read as RFC 3339 text, one without as text without offset.

    Raises UnknownFormat for a damaged file, more than MAX_ROWS rows or MAX_COLUMNS columns, or MAX_BYTES unpacked.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        names = _sizes(file, source)
        flat = [f.name for f in file.schema_arrow if _flat(f.type)]
        content = file.read(columns=flat)
        content.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, UnicodeDecodeError) as e:
        problem = str(e).splitlines()[0][:120] if str(e) else type(e).__name__
        raise _refuse("a sound Parquet file", problem, source) from None
    n, kinds = file.metadata.num_rows, file.schema_arrow
    columns = {
        name: _cells(content.column(name)) if name in flat else pd.Series([(str(kinds.field(name).type),)] * n)
        for name in names
    }
    return Records(source, pd.DataFrame(columns, index=range(n)), range(1, n + 1))


def _sizes(file: pq.ParquetFile, source: str) -> list[str]:
    """The column names, if the footer promises no more than can be read."""
    footer, names = file.metadata, list(file.schema_arrow.names)
    groups = range(min(footer.num_row_groups, 10_000))
    unpacked = sum(footer.row_group(g).total_byte_size for g in groups)
    for most, seen, unit in ((MAX_ROWS, footer.num_rows, "rows"), (MAX_COLUMNS, len(names), "columns"),
                             (MAX_BYTES, unpacked, "bytes unpacked")):  # fmt: skip
        if seen > most:
            raise _refuse(f"at most {most:,} {unit}", f"{seen:,}", source)
    if len(set(names)) < len(names):
        raise _refuse("each column once", "a repeated name", source)
    return names


def _flat(kind: pa.DataType) -> bool:
    t = pa.types
    kind = kind.value_type if t.is_dictionary(kind) else kind
    simple = (t.is_string, t.is_large_string, t.is_boolean, t.is_integer, t.is_floating, t.is_timestamp, t.is_date,
              t.is_null, t.is_decimal)  # fmt: skip
    return any(is_kind(kind) for is_kind in simple)


def _cells(column: pa.ChunkedArray) -> pd.Series:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_timestamp(kind):
        values = _times(column.cast(kind), kind)
    elif pa.types.is_date(kind):
        values = [_date(v) for v in column.cast(kind).cast(pa.date32()).cast(pa.int32()).to_pylist()]
    elif pa.types.is_decimal(kind):
        values = [None if v is None else str(v) for v in column.to_pylist()]
    else:
        values = column.to_pylist()
    return pd.Series(values, dtype="object")


def _times(column: pa.ChunkedArray, kind: pa.TimestampType) -> list[str | None]:
    """Microseconds at most; what no calendar holds is written as its number, to be rejected."""
    unit, zone = _UNITS[kind.unit], "+00:00" if kind.tz else ""
    whole = pc.cast(column, pa.timestamp(kind.unit)).cast(pa.int64())
    near = pc.and_(pc.greater_equal(whole, _FIRST * unit), pc.less(whole, (_LAST + 1) * unit)) if unit < 10**9 else None
    held = whole if near is None else pc.if_else(near, whole, 0)
    plain = held.cast(pa.timestamp(kind.unit)).cast(pa.timestamp("us"), safe=False).to_pylist()
    inside = [True] * len(plain) if near is None else near.to_pylist()
    return [
        None if v is None else f"{v:%Y-%m-%dT%H:%M:%S.%f}{zone}" if ok else f"{raw} {kind.unit} since 1970"
        for v, ok, raw in zip(plain, inside, whole.to_pylist(), strict=True)
    ]


def _date(days: int | None) -> str | None:
    if days is None:
        return None
    inside = _FIRST <= days * 86_400 <= _LAST
    return str(datetime.date.fromordinal(719_163 + days)) if inside else f"day {days} of 1970"


def _refuse(expected: str, problem: str, source: str) -> UnknownFormat:
    return UnknownFormat(
        expected=expected, found=problem, where=f"source {source}, format parquet", todo="write the file again, flat",
    )  # fmt: skip


FORMAT = Format(read, packed=False)
