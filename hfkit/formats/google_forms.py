"""Google Forms responses as CSV: one record a response, one column a question (name the questions under `unpivot`).

The form's own download writes `2022/10/05 3:14:15 PM GMT+2`, which is read as it stands. A linked sheet writes the
clock of its locale (`3/27/2022 12:17:51`): declare `time: {format: "%m/%d/%Y %H:%M:%S", zone: America/New_York}`.
"""

from __future__ import annotations

import re

import pandas as pd

from hfkit.formats import csv
from hfkit.formats.plugin import Format
from hfkit.shared.records import Records

_TIME = re.compile(r"(\d{4}/\d{1,2}/\d{1,2}) (\d{1,2}:\d\d:\d\d) ([AP]M) (?:GMT|UTC)(?:([+-]\d{1,2})(?::?(\d\d))?)?")


def read(data: bytes, source: str) -> Records:
    """The records of the CSV; the first column's times in the form's own style become RFC 3339."""
    records = csv.read(data, source)
    first = records.frame.columns[0]
    if list(records.frame.columns).count(first) > 1:
        return records
    times = {v: _time(v) for v in records.frame[first].unique()}
    return Records(source, records.frame.assign(**{first: records.frame[first].map(times)}), records.lines,
                   records.rejects)  # fmt: skip


def _time(text: str) -> str:
    """
    >>> _time("2022/10/05 3:14:15 PM GMT+2"), _time("3/27/2022 12:17:51")
    ('2022-10-05T15:14:15+02:00', '3/27/2022 12:17:51')
    """
    match = _TIME.fullmatch(text)
    if not match:
        return text
    day, clock, half, hours, minutes = match.groups()
    try:
        at = pd.to_datetime(f"{day} {clock} {half}", format="%Y/%m/%d %I:%M:%S %p")
    except ValueError:
        return text
    return f"{at:%Y-%m-%dT%H:%M:%S}{int(hours or 0):+03d}:{minutes or '00'}"


FORMAT = Format(
    read, usual={"feedback": {"columns": {"feedback_id": "@row", "created_at": "Timestamp"}, "multiple": ", "}}
)
