"""How a source writes times and numbers, as it says itself; without a word from it, reading stays strict."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

import pandas as pd

from hfkit.clean.settings import Time

_OFFSET = re.compile(r"([+-][0-9]{2}):?([0-9]{2})?$")
_MINUTES = re.compile(r"([T ][0-9]{2}:[0-9]{2})(?=$|[Z+-])")
_COMMA = re.compile(r"-?(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]+),[0-9]+|-?[0-9]{1,3}(?:\.[0-9]{3})+")
_EPOCH = {"epoch": ("s", 0), "epoch_ms": ("ms", 0), "spreadsheet": ("D", -25_569)}


def times(written: pd.Series, rule: Time) -> pd.Series:
    """Times as RFC 3339 in UTC; what does not fit the declaration stays as it is, to be rejected.

    `rule.format` is a pattern as of strptime, or iso (with or without seconds, +0000, +00, UTC), epoch, epoch_ms or
    spreadsheet (days since 1900); `rule.zone` is where a clock without an offset stands.

    >>> times(pd.Series(["3/1/2026 14:02:11", "?"]), Time(format="%m/%d/%Y %H:%M:%S", zone="Europe/Berlin")).tolist()
    ['2026-03-01T13:02:11.000000Z', '?']
    >>> times(pd.Series(["46082.5"]), Time(format="spreadsheet")).tolist()
    ['2026-03-01T12:00:00.000000Z']
    """
    texts = written.dropna().unique()
    read = {v: _read(v, rule) or v for v in texts}
    return pd.Series([read.get(v) for v in written], index=written.index, dtype="object")


def _read(text: str, rule: Time) -> str | None:
    try:
        if rule.format in _EPOCH:
            unit, shift = _EPOCH[rule.format]
            at = pd.Timestamp(0, tz="UTC") + pd.to_timedelta(float(text) + shift, unit=unit)
        elif rule.format == "iso":
            at = pd.Timestamp(_iso(text))
        else:
            at = pd.to_datetime(text, format=rule.format)
        at = at.tz_localize(ZoneInfo(rule.zone)) if at.tzinfo is None else at
        return str(at.tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    except (ValueError, OverflowError):
        return None


def _iso(text: str) -> str:
    """ISO 8601 as databases write it, in the one form that is read everywhere."""
    text = text.removesuffix(" UTC") + ("Z" if text.endswith(" UTC") else "")
    text = _OFFSET.sub(lambda m: f"{m[1]}:{m[2] or '00'}", text) if ":" in text else text
    return _MINUTES.sub(r"\1:00", text)


def numbers(written: pd.Series) -> pd.Series:
    """Numbers with a decimal comma, and points between thousands, as JSON writes them; anything else as it is.

    >>> numbers(pd.Series(["1,5", "1.234,5", "4", "a, b"])).tolist()
    ['1.5', '1234.5', '4', 'a, b']
    """
    return pd.Series([_plain(v) if isinstance(v, str) else None for v in written], index=written.index, dtype="object")


def _plain(text: str) -> str:
    return text.replace(".", "").replace(",", ".") if _COMMA.fullmatch(text) else text
