"""`hfkit snapshot NAME`: the rows of a database, by one query, as an export in data/raw.

The address of the database comes from the environment (HFKIT_DB), never from a file or the command line: it holds a
password. What is read is one consistent picture (one transaction that changes nothing), written as Parquet; the query
and the hash stand beside it, so that the loop stays repeatable without the database.
"""

from __future__ import annotations

import datetime
import decimal
import hashlib
import io
import os
import uuid
from pathlib import Path
from typing import Any

import click
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from hfkit.commands import files
from hfkit.shared import tables
from hfkit.shared.errors import InputError, ParamError, WouldOverwrite

MAX_ROWS = 10_000_000


@click.command()
@click.argument("name")
@click.option("--query", required=True, help="One SELECT, or @FILE that holds one.")
@click.option("--overwrite", is_flag=True, help="Replace the snapshot of that name.")
def snapshot(name: str, query: str, overwrite: bool) -> None:
    """Read the rows of QUERY from the database in HFKIT_DB into data/raw/NAME.parquet."""
    url = os.environ.get("HFKIT_DB", "")
    if not url:
        raise ParamError(
            expected="the address of a database in the environment", found="no HFKIT_DB", where="hfkit snapshot",
            todo="export HFKIT_DB=postgresql+psycopg://user:password@host/database, then run it again",
        )  # fmt: skip
    target = tables.raw(f"{name}.parquet")
    if target.exists() and not overwrite:
        raise WouldOverwrite(
            expected="a new name", found=f"data/raw/{name}.parquet", where="hfkit snapshot",
            todo="choose another name, or add --overwrite",
        )  # fmt: skip
    text = Path(query[1:]).read_text("utf-8") if query.startswith("@") else query
    data, rows = read(url, text)
    files.put(target, data)
    note = {"query": text, "rows": rows, "sha256": hashlib.sha256(data).hexdigest(),
            "taken": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}  # fmt: skip
    files.put(target.with_suffix(".snapshot.json"), orjson.dumps(note, option=orjson.OPT_INDENT_2))
    click.echo(f"data/raw/{name}.parquet: {rows:,} rows. Map it in params.yaml: path: {name}.parquet, format: parquet")


def read(url: str, query: str) -> tuple[bytes, int]:
    """The rows of a query as Parquet, and how many. The transaction is rolled back: nothing in the database changes.

    Raises ParamError for an address or a driver that does not work, InputError for a query that does not, or for more
    than MAX_ROWS rows. No message holds the address.
    """
    import sqlalchemy

    try:
        engine = sqlalchemy.create_engine(url)
    except (sqlalchemy.exc.ArgumentError, ImportError) as e:
        raise ParamError(
            expected="a SQLAlchemy address and its driver", found=type(e).__name__, where="environment: HFKIT_DB",
            todo="write dialect+driver://user:password@host/database, and pip install the driver",
        ) from None  # fmt: skip
    try:
        with engine.connect() as connection:
            result = connection.execute(sqlalchemy.text(query))
            if not result.returns_rows:
                raise _wrong("a SELECT", "a statement without rows")
            names = list(result.keys())
            rows = result.fetchmany(MAX_ROWS + 1)
            connection.rollback()
    except sqlalchemy.exc.SQLAlchemyError as e:
        raise _wrong("a query that the database answers", str(getattr(e, "orig", "") or type(e).__name__)) from None
    finally:
        engine.dispose()
    if len(rows) > MAX_ROWS or len(set(names)) < len(names):
        raise _wrong(f"at most {MAX_ROWS:,} rows, each column once", "more rows, or a repeated column")
    table = pa.table({n: _column([r[i] for r in rows]) for i, n in enumerate(names)})
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue(), len(rows)


def _column(values: list[Any]) -> pa.Array:
    """One column: plain types as they are, exact numbers and ids as text, anything of several types as text."""
    text = [str(v) if isinstance(v, decimal.Decimal | uuid.UUID | datetime.time) else v for v in values]
    text = [orjson.dumps(v).decode() if isinstance(v, dict | list) else v for v in text]
    try:
        return pa.array(text)
    except (pa.ArrowException, OverflowError):
        return pa.array([None if v is None else str(v) for v in text], pa.string())


def _wrong(expected: str, problem: str) -> InputError:
    return InputError(
        expected=expected, found=problem.splitlines()[0][:200], where="hfkit snapshot --query",
        todo="try the query in the database's own shell first",
    )  # fmt: skip
