"""Parquet by pyarrow: flat columns of text, numbers, booleans, times. Never unpickled; refused when too large."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from hfkit.shared.errors import UnknownFormat
from hfkit.shared.records import Records

MAX_ROWS = 10_000_000


def read(data: bytes, source: str) -> Records:
    """The records of a Parquet file. A time with a zone is read as RFC 3339 text, one without as text without offset.

    Raises UnknownFormat for a damaged file, more than MAX_ROWS rows, or a column of another type (binary, lists): only
    the number of rows in the footer tells how large a packed file becomes.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        if file.metadata.num_rows > MAX_ROWS:
            raise _refuse(f"at most {MAX_ROWS:,} rows", f"{file.metadata.num_rows:,}", source)
        odd = [f for f in file.schema_arrow if not _flat(f.type)]
        if odd:
            raise _refuse("columns of text, numbers, booleans and times", f"{odd[0].name} of {odd[0].type}", source)
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise _refuse("each column once", "a repeated name", source)
        content = file.read()
        content.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, UnicodeDecodeError) as e:
        problem = str(e).splitlines()[0][:120] if str(e) else type(e).__name__
        raise _refuse("a sound Parquet file", problem, source) from None
    columns = {name: _cells(content.column(name)) for name in names}
    return Records(source, pd.DataFrame(columns, index=range(content.num_rows)), range(1, content.num_rows + 1))


def _flat(kind: pa.DataType) -> bool:
    t = pa.types
    kind = kind.value_type if t.is_dictionary(kind) else kind
    simple = (t.is_string, t.is_large_string, t.is_boolean, t.is_integer, t.is_floating, t.is_timestamp, t.is_date,
              t.is_null)  # fmt: skip
    return any(is_kind(kind) for is_kind in simple)


def _cells(column: pa.ChunkedArray) -> pd.Series:
    if pa.types.is_timestamp(column.type):
        zone = "+00:00" if column.type.tz else ""
        values = [None if v is None else f"{v:%Y-%m-%dT%H:%M:%S.%f}{zone}" for v in _utc(column).to_pylist()]
    elif pa.types.is_date(column.type):
        values = [None if v is None else v.isoformat() for v in column.to_pylist()]
    else:
        values = column.to_pylist()
    return pd.Series(values, dtype="object")


def _utc(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.timestamp("us", "UTC" if column.type.tz else None), safe=False)


def _refuse(expected: str, problem: str, source: str) -> UnknownFormat:
    return UnknownFormat(
        expected=expected, found=problem, where=f"source {source}, format parquet", todo="write the file again, flat",
    )  # fmt: skip
