"""Strict types: exactly the documented grammar; everything else is rejected, never repaired.

Numbers follow the JSON grammar (`4`, `-0.5`, `1e-3`; not ` 4`, `+4`, `1_0`, `0x4`, `.5`, `inf`, `NaN`, other digits).
Times are RFC 3339 with an offset (`2026-01-05T10:00:00Z`, a blank instead of T allowed) or a date alone (midnight UTC).
"""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pandas as pd

from hfkit.clean.ledger import Ledger
from hfkit.shared import schema
from hfkit.shared.errors import BadValue

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-](?:0[0-9]|1[0-4]):[0-5][0-9]))?"
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_MARKS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{16}")
IDS = ("item_id", "feedback_id", "rater_id", "component")
MAX_TEXT, MAX_ID = 100_000, 300
EARLIEST = pd.Timestamp("1990-01-01", tz="UTC")


def typed(frame: pd.DataFrame, table: schema.Table, ledger: Ledger, latest: pd.Timestamp) -> pd.DataFrame:
    """The rows with typed columns; a record with a bad value is rejected with a reason and the column.

    Raises BadValue once for a score outside 0..1: then the mapping is wrong, not a row.
    """
    out = {name: frame[name] for name in frame if name.startswith("_")}
    for name in frame.columns.drop(list(out)):
        declared = table.column(name) or schema.Column(name, "str", "")
        values = frame[name]
        if declared.required and (table.name != "items" or name in table.key):  # a joined source may lack the component
            ledger.reject(frame, values.isna(), "missing", name)
        if declared.type == "time":
            out[name] = _time(frame, name, ledger, latest)
        elif declared.type in ("float", "int"):
            out[name] = _number(frame, declared, table, ledger)
        else:
            out[name] = _string(frame, declared, ledger)
    return ledger.keep(pd.DataFrame(out))


def _number(frame: pd.DataFrame, c: schema.Column, table: schema.Table, ledger: Ledger) -> pd.Series:
    values = numbers(frame[c.name])
    bad = frame[c.name].notna() & values.isna()
    if c.type == "int":
        bad |= values.notna() & (values % 1 != 0)
    ledger.reject(frame, bad, "not_a_number", c.name)
    outside = pd.Series(False, index=frame.index)
    if c.low is not None:
        outside |= (values <= 0) if c.name == "propensity" else values < c.low
    if c.high is not None:
        outside |= values > c.high
    if c.name == "score" and outside.any():
        raise BadValue(
            expected="a score from 0 to 1, the probability of the component's event",
            found=f"{values[outside].iloc[0]:g} and {int(outside.sum()) - 1} more outside",
            where=f"table {table.name}, column score",
            todo="map a probability, not a raw score or a percentage, or leave score unmapped",
        )  # fmt: skip
    ledger.reject(frame, outside, "out_of_range", c.name)
    return values


def numbers(values: pd.Series) -> pd.Series:
    """Text as numbers by the JSON grammar; anything else is missing.

    >>> numbers(pd.Series(["4.0", "1_0", "inf", "٤", None, "1e999"])).tolist()
    [4.0, nan, nan, nan, nan, nan]
    """
    numbers = {v: float(v) for v in values.dropna().unique() if len(v) < 40 and NUMBER.fullmatch(v)}
    out = values.map(numbers).astype("float64")
    return out.where(np.isfinite(out))


def _time(frame: pd.DataFrame, name: str, ledger: Ledger, latest: pd.Timestamp) -> pd.Series:
    written = frame[name]
    good = written.map({v: bool(TIME.fullmatch(v)) for v in written.dropna().unique()}).eq(True)
    text = written.where(good).str.upper()
    times = pd.to_datetime(text, utc=True, format="ISO8601", errors="coerce").astype("datetime64[us, UTC]")
    ledger.reject(frame, written.notna() & times.isna(), "not_a_time", name)
    ledger.reject(frame, times > latest, "future", name)
    ledger.reject(frame, times < EARLIEST, "out_of_range", name)
    return times


def _string(frame: pd.DataFrame, c: schema.Column, ledger: Ledger) -> pd.Series:
    values = frame[c.name]
    faults = {v: _fault(v, c.name in IDS) for v in values.dropna().unique()}
    for reason in sorted(set(faults.values()) - {""}):
        ledger.reject(frame, values.map(faults).eq(reason), reason, c.name)
    if c.values:
        ledger.reject(frame, values.notna() & ~values.isin(c.values), "not_in_list", c.name)
    if c.name in IDS:
        return values.map({v: unicodedata.normalize("NFC", v) for v in faults if faults[v] == ""}).astype("object")
    return values


def _fault(text: str, is_id: bool) -> str:
    """Why a text cannot be kept, "" where it can."""
    if _CONTROL.search(text) or (is_id and any(c in text for c in "\t\n\r")):
        return "control_character"
    if len(text) > (MAX_ID if is_id else MAX_TEXT):
        return "too_long"
    if text.isascii():
        return "invisible_character" if is_id and text != text.strip() else ""
    odd = {c for c in text if unicodedata.category(c) in ("Cf", "Zl", "Zp", "Zs")} - {" "}
    if is_id and (odd or text != text.strip()):
        return "invisible_character"
    return "combining_marks" if _MARKS.search(text) else ""


def feature(values: pd.Series) -> pd.Series:
    """A feature whose every value is a number becomes one; any other stays text."""
    as_number = numbers(values)
    return as_number if (as_number.notna() == values.notna()).all() and values.notna().any() else values
