"""The books: every record of every source is kept or rejected with one reason, and the sums are checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from hfkit.clean.privacy import mask
from hfkit.shared import schema
from hfkit.shared.errors import StageError
from hfkit.shared.records import Records

SHOWN = ("not_a_time", "not_a_number", "out_of_range", "not_in_list", "type")  # reasons that a value explains


class Ledger:
    """One entry a record; the first reason to reject it stands. Frames carry the entry's number in column `_entry`."""

    def __init__(self, records: Sequence[Records], tables: Sequence[str]) -> None:
        self.records, self.tables = list(records), list(tables)
        self.first = np.concatenate([[0], np.cumsum([r.read for r in records])]).astype(int)
        self.reason = np.full(self.first[-1], "", dtype=object)
        self.column = np.full(self.first[-1], "", dtype=object)
        self.blank: Counter[str] = Counter()  # cells left blank, by source: no answers, and no records either
        self.clipped: Counter[str] = Counter()  # answers moved to a bound of `clip`, by source
        self._example: dict[tuple[int, str, str], object] = {}
        self.line = np.zeros(self.first[-1], dtype=int)
        for r, start in zip(self.records, self.first, strict=False):
            good = len(r.frame)
            self.line[start : start + good] = r.lines
            for at, (line, reason, column) in enumerate(r.rejects, start + good):
                self.line[at], self.reason[at], self.column[at] = line, reason, column

    def reject(self, frame: pd.DataFrame, bad: pd.Series | np.ndarray, reason: str, column: str = "") -> None:
        """Reject the records behind the rows of `frame` where `bad` is true."""
        bad = np.asarray(bad, dtype=bool)
        entries = frame["_entry"].to_numpy()[bad]
        if len(entries) and column in frame and reason in SHOWN:
            self._example.setdefault(
                (int(self._source(entries[:1])[0]), reason, column), frame[column].to_numpy()[bad][0]
            )
        entries = entries[self.reason[entries] == ""]
        self.reason[entries], self.column[entries] = reason, column

    def keep(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows whose record is not rejected."""
        return frame[self.reason[frame["_entry"].to_numpy()] == ""]

    def origin(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows with where each came from: source, line, and the first digits of the file's hash."""
        entries = frame["_entry"].to_numpy(int)
        of = self._source(entries)
        return frame.assign(
            source=[self.records[i].source for i in of], line=self.line[entries],
            file_sha256=[self.records[i].sha256[:16] or None for i in of],
        )  # fmt: skip

    def examples(self) -> dict[tuple[str, str, str], str]:
        """One value for each source, reason and column where a way of writing is at fault; personal data masked."""
        return {(self.records[i].source, r, c): repr(mask(str(v))[0][:40]) for (i, r, c), v in self._example.items()}

    def rejects(self) -> pd.DataFrame:
        """The agreed table of rejects: source, line, reason, column at fault. No text and no personal data."""
        out = np.flatnonzero(self.reason != "")
        source = self._source(out)
        frame = pd.DataFrame({
            "source": [self.records[i].source for i in source], "table": [self.tables[i] for i in source],
            "line": self.line[out], "reason": self.reason[out], "column": [c or None for c in self.column[out]],
        })  # fmt: skip
        return schema.shape(frame.sort_values(["source", "line"], kind="stable"), schema.REJECTS)

    def accounts(self, kept: dict[str, int]) -> pd.DataFrame:
        """The books of each source. `kept` is counted from the tables made, not from this ledger.

        Raises StageError where a source's records are not exactly the kept and the rejected ones.
        """
        out = np.bincount(self._source(np.flatnonzero(self.reason != "")), minlength=len(self.records))
        rows = [
            (r.source, t, r.read, kept[r.source], int(n), r.sha256)
            for r, t, n in zip(self.records, self.tables, out, strict=True)
        ]
        for source, _, read, used, rejected, _ in rows:
            if read != used + rejected:
                raise StageError(
                    expected=f"{read} records kept or rejected", found=f"{used} kept and {rejected} rejected",
                    where=f"source {source}", todo="report this: clean lost a record",
                )  # fmt: skip
        return schema.shape(
            pd.DataFrame(rows, columns=[c.name for c in schema.ACCOUNTS.columns]).sort_values("source"), schema.ACCOUNTS
        )

    def _source(self, entries: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.first, entries, side="right") - 1
