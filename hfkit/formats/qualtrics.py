"""Qualtrics responses as CSV: three header rows (names, questions, import ids), one record a response.

Unfinished responses and the designers' previews are set aside as `not_kept` (Finished, Status). Times are those of the
account's zone, which the file does not say: declare `time: {format: "%Y-%m-%d %H:%M:%S", zone: Europe/Berlin}`.
"""

from __future__ import annotations

from hfkit.formats import csv
from hfkit.formats.plugin import Format

FORMAT = Format(
    csv.read,
    usual={
        "feedback": {
            "columns": {
                "feedback_id": "ResponseId", "created_at": "RecordedDate", "seconds_spent": "Duration (in seconds)",
            },
            "header_rows": 3,
            "keep": {"Finished": ["True", "TRUE", "true", "1"], "Status": ["IP Address", "0"]},
            "multiple": ",",
        },
    },
    options=("delimiter",),
)  # fmt: skip
