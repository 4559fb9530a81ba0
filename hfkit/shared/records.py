"""Records: what a format reader hands to `clean`, one shape for every outside format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

Reject = tuple[int, str, str]
"""(record number from 1, reason code, column at fault or "")"""


@dataclass(frozen=True)
class Records:
    """The records of one source: `frame` holds the readable ones, `rejects` the others; nothing is lost between them.

    frame : one row a readable record, columns as the export names them (nested objects as dotted paths). Cells are
        text, JSON scalars, lists, or None.
    lines : number of each row's record in the file, from 1, unreadable ones counted.
    """

    source: str
    frame: pd.DataFrame
    lines: Sequence[int]
    rejects: list[Reject] = field(default_factory=list)
    sha256: str = ""

    @property
    def read(self) -> int:
        """How many records does the file hold?"""
        return len(self.frame) + len(self.rejects)
