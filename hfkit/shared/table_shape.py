"""What a table and a column are, and how a frame is brought into its agreed shape; schema.py declares the tables."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from hfkit.shared.errors import BadValue, MissingColumn


@dataclass(frozen=True)
class Column:
    """One column: its type (str, float, int, bool, time), whether it may be missing, range, unit and meaning."""

    name: str
    type: str
    meaning: str
    required: bool = False
    low: float | None = None
    high: float | None = None
    unit: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One agreed table: what a row is, its columns, and the open families (`cohort.`) it may carry."""

    name: str
    row: str
    columns: tuple[Column, ...]
    families: tuple[str, ...] = ()
    key: tuple[str, ...] = ()

    def column(self, name: str) -> Column | None:
        """The declaration of a column, None where the table has no such column."""
        return next((c for c in self.columns if c.name == name), None)


_DTYPES = {"str": "str", "float": "float64", "int": "int64", "bool": "bool", "time": "datetime64[us, UTC]"}


def cohorts(frame: pd.DataFrame, family: str = "cohort.") -> list[str]:
    """Which columns of a family does a table carry? In the order of the table."""
    return [c for c in frame.columns if c.startswith(family)]


def shape(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Bring a table into its agreed shape: declared columns first and typed, families after, sorted; others refused.

    Optional columns that are absent are added as missing, so that a reader never asks whether a column exists.
    Integer columns with missing values are kept as float. Raises MissingColumn for a required column that is absent or
    a column that is not declared, BadValue for a value outside its range or list, or a repeated key.
    """
    where = f"table {table.name}"
    for c in table.columns:
        if c.required and c.name not in frame.columns:
            raise MissingColumn(
                expected=f"column {c.name} ({c.meaning})", found=f"columns {', '.join(map(str, frame.columns))}",
                where=where, todo=f"map or compute {c.name}",
            )  # fmt: skip
    declared = {c.name for c in table.columns}
    extra = [c for c in frame.columns if c not in declared]
    unknown = [c for c in extra if not c.startswith(table.families)] if table.families else extra
    if unknown:
        raise MissingColumn(
            expected=f"declared columns or the families {table.families}", found=f"column {unknown[0]}",
            where=where, todo="rename it, drop it, or declare it in hfkit/shared/schema.py",
        )  # fmt: skip
    out = {c.name: _typed(frame, c, where) for c in table.columns}
    for name in sorted(extra):
        out[name] = _family(frame[name])
    shaped = pd.DataFrame(out, index=frame.index).reset_index(drop=True)
    if table.key and shaped.duplicated(list(table.key)).any():
        raise BadValue(
            expected=f"one row per {', '.join(table.key)}", found=f"{int(shaped.duplicated(list(table.key)).sum())} "
            "repeated rows", where=where, todo="remove the duplicates before writing",
        )  # fmt: skip
    return shaped


def restored(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """A table as it was read back from disk, its declared columns in their declared types and every family as written.

    A file does not keep the type of a column in which every value is missing; columns are neither added nor checked.

    >>> one = Table("t", "a row", (Column("name", "str", "a name"),))
    >>> restored(pd.DataFrame({"name": [float("nan")]}), one)["name"].dtype.name
    'str'
    """
    types = {}
    for name in frame.columns:
        column = table.column(name)
        if column is not None and (len(frame) or column.type not in ("int", "bool")):
            whole = column.type not in ("int", "bool") or not frame[name].isna().any()
            types[name] = _DTYPES[column.type] if whole else "float64"
        elif table.families and name.startswith(table.families) and frame[name].isna().all():
            types[name] = "str"
    differing = {c: t for c, t in types.items() if str(frame[c].dtype) != t}
    return frame.astype(differing) if differing else frame


def _family(values: pd.Series) -> pd.Series:
    """Numbers stay numbers, everything else is text; a missing cohort stays missing."""
    return values.astype("float64") if pd.api.types.is_numeric_dtype(values) else values.astype("str")


def _typed(frame: pd.DataFrame, c: Column, where: str) -> pd.Series:
    if c.name not in frame.columns:
        empty = pd.Series([None] * len(frame), index=frame.index, dtype="object")
        return empty.astype("str" if c.type == "str" else "float64" if c.type in ("int", "bool") else _DTYPES[c.type])
    values = frame[c.name]
    if c.required and values.isna().any():
        raise BadValue(
            expected=f"{c.name} in every row", found=f"{int(values.isna().sum())} missing", where=where,
            todo=f"fill {c.name} or drop the rows, with a reason",
        )  # fmt: skip
    kind = "float" if c.type == "int" and values.isna().any() else c.type
    typed = pd.to_datetime(values, utc=True).astype(_DTYPES["time"]) if kind == "time" else values.astype(_DTYPES[kind])
    bad = pd.Series(False, index=frame.index)
    if c.low is not None:
        bad |= typed < c.low
    if c.high is not None:
        bad |= typed > c.high
    if c.values:
        bad |= typed.notna() & ~typed.isin(c.values)
    if bad.any():
        span = " or ".join(c.values) if c.values else f"{c.low} to {'any' if c.high is None else c.high}"
        raise BadValue(
            expected=f"{c.name} of {span}", found=f"{typed[bad].iloc[0]!r} and {int(bad.sum()) - 1} more", where=where,
            todo=f"correct the source or its mapping: {c.name} is {c.meaning}",
        )  # fmt: skip
    return typed
