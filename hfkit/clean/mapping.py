"""From an export's columns to the agreed ones: names, constants (`=up`), templates (`u{user}`), `@row`, unpivot."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from hfkit.clean import spelling
from hfkit.clean.ledger import Ledger
from hfkit.clean.settings import Source, near
from hfkit.clean.strict import numbers
from hfkit.shared import schema
from hfkit.shared.errors import MissingColumn
from hfkit.shared.records import Records

_SLOT = re.compile(r"\{([^{}]+)\}")


def rows(records: Records, source: Source, ledger: Ledger, first: int) -> pd.DataFrame:
    """The rows of one source in agreed columns, each cell text or None, with `_entry` (its record in the ledger).

    A record with a list or an object where a value is expected is rejected as `type`. Raises MissingColumn, with the
    nearest name, where the mapping names a column that the export does not have.
    """
    repeated = records.frame.columns[records.frame.columns.duplicated()]
    wide = records.frame.drop(columns=repeated)  # harmless until a mapping names one: see _check
    number = pd.Series(list(records.lines), index=wide.index, dtype="int64")
    entry = pd.Series(range(first, first + len(wide)), index=wide.index, dtype="int64")
    frame = wide.assign(**{"@row": (number - 1).astype(str), "_entry": entry})
    frame.attrs["repeated"] = tuple(repeated)
    for name, accepted in source.keep.items():
        _check(name, frame, source, "keep")
        ledger.reject(frame, ~_cells(frame, name, source, ledger).isin(accepted), "not_kept", name)
    if source.unpivot:
        frame = _long(frame, source)
    out = {"_entry": frame["_entry"]}
    for name, spec in source.columns.items():
        cells = _column(frame, spec, source, f"columns.{name}", ledger)
        out[name] = _spelled(cells if spec.startswith("=") else _translated(cells, name, source), name, source)
    made = pd.DataFrame(out).reset_index(drop=True)
    if source.clip and "value" in made:
        made["value"] = _clipped(made["value"], source, ledger)
    return _answered(made, source, ledger) if source.table == "feedback" else made


def _translated(cells: pd.Series, name: str, source: Source) -> pd.Series:
    """Whole cells in the words of the agreed tables; ids and free texts only where their column is named."""
    free = name.endswith("_id") or name.startswith("item_") or name in schema.TEXTS
    general = {k: v for k, v in source.values.items() if isinstance(v, str) and not free}
    own = source.values.get(name, {})
    words = general | (own if isinstance(own, dict) else {})
    return cells.map(lambda v: words.get(v, v)).astype("object") if words else cells


def _clipped(values: pd.Series, source: Source, ledger: Ledger) -> pd.Series:
    """Numbers outside the two of `clip` become the nearer one, counted; what is no number stays."""
    low, high = source.clip or (float("-inf"), float("inf"))
    number = numbers(values)
    for bound, outside in ((low, number < low), (high, number > high)):
        values = values.mask(outside, f"{bound:g}")
        ledger.clipped[source.name] += int(outside.sum())
    return values


def _spelled(values: pd.Series, name: str, source: Source) -> pd.Series:
    """Times and numbers as the source says that it writes them, in the one form that is read everywhere."""
    column = schema.TABLES[source.table].column(name)
    kind = column.type if column else "str"
    if kind == "time" and source.time:
        return spelling.times(values, source.time)
    numeric = kind in ("float", "int") or name == "value" or name.startswith(("cohort.", "feature."))
    return spelling.numbers(values) if numeric and source.decimal == "," else values


def _answered(rows: pd.DataFrame, source: Source, ledger: Ledger) -> pd.DataFrame:
    """Cells left blank are no answers: of a record with an answer the blank ones are counted apart, one without any is
    rejected as `blank`.
    """
    spoken = [c for c in ("value", "value_text", "correction") if c in rows]
    empty = rows[spoken].isna().all(axis=1) if spoken else pd.Series(False, index=rows.index)
    silent = ~rows["_entry"].isin(rows.loc[~empty, "_entry"])
    ledger.reject(rows, empty & silent, "blank", "value")
    ledger.blank[source.name] += int((empty & ~silent).sum())
    return rows[~empty | silent].reset_index(drop=True)


def _long(frame: pd.DataFrame, source: Source) -> pd.DataFrame:
    u = source.unpivot
    if u is None:
        return frame
    for name in u.columns:
        _check(name, frame, source, "unpivot.columns")
    rest = frame.drop(columns=list(u.columns))
    parts = [rest.assign(**{u.into: label, u.value: frame[name]}) for name, label in u.columns.items()]
    return pd.concat(parts, ignore_index=True)


def named(spec: str) -> list[str]:
    """The columns of an export that a mapping reads."""
    return [] if spec.startswith("=") else _SLOT.findall(spec) or [spec]


def _column(frame: pd.DataFrame, spec: str, source: Source, key: str, ledger: Ledger) -> pd.Series:
    if spec.startswith("="):
        return pd.Series(spec[1:], index=frame.index, dtype="object")
    slots = _SLOT.findall(spec)
    if not slots:
        _check(spec, frame, source, key)
        return _cells(frame, spec, source, ledger)
    for slot in slots:
        _check(slot, frame, source, key)
    cells = {slot: _cells(frame, slot, source, ledger) for slot in slots}
    out = pd.Series("", index=frame.index, dtype="object")
    for at, part in enumerate(_SLOT.split(spec)):
        out = out + (cells[part] if at % 2 else part)
    absent = pd.concat(cells.values(), axis=1).isna().any(axis=1)
    return out.mask(absent, None)


def _cells(frame: pd.DataFrame, name: str, source: Source, ledger: Ledger) -> pd.Series:
    """One column as text; what the source calls missing is None."""
    values = frame[name]
    texts = [v if isinstance(v, str) else _text(v) for v in values.tolist()]
    ledger.reject(frame, [t is _ODD for t in texts], "type", name)
    gone = {*source.missing, _ODD}
    return pd.Series([None if t in gone else t for t in texts], index=frame.index, dtype="object")


_ODD = "\0type"


def _text(value: object) -> str | None:
    """A JSON scalar as JSON writes it; a list or an object is not a value."""
    if value is None or value != value:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return str(value) if isinstance(value, int) else _ODD


def _check(name: str, frame: pd.DataFrame, source: Source, key: str) -> None:
    if name in frame.attrs.get("repeated", ()):
        raise MissingColumn(
            expected=f"one column {name}", found="several of that name", where=f"source {source.name}, {key}",
            todo="rename one of them in the export",
        )  # fmt: skip
    if name not in frame.columns or name == "_entry":
        names: Sequence[str] = [str(c) for c in frame.columns if c not in ("_entry", "@row")]
        raise MissingColumn(
            expected=f"column {name}", found=f"{len(names)} other columns in {source.path}",
            where=f"params.yaml: clean.sources, {source.name}, {key}", todo=near(name, names, _listed(names)),
        )  # fmt: skip


def _listed(names: Sequence[str]) -> str:
    """The export's column names, unless they look like data (a file without a header)."""
    good = [n for n in names if re.fullmatch(r"[^\W\d][\w .-]{0,40}", n)]
    return f"map one of: {', '.join(good[:30])}" if len(good) == len(names) else "check that the first line is a header"
