"""Outside formats: one file each, all read to Records. A room never imports this folder; a notebook joins the two.

Every reader promises: each record of the file is a row of `frame` or one of the `rejects`, never neither; a file that
is not of its format is refused whole with UnknownFormat.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hfkit.formats import chat, csv, jsonl, label_studio, parquet
from hfkit.formats.compressed import plain
from hfkit.shared import tables
from hfkit.shared.errors import UnknownFormat
from hfkit.shared.records import Records

READERS: dict[str, Callable[[bytes, str], Records]] = {
    "csv": csv.read, "jsonl": jsonl.read, "parquet": parquet.read, "label_studio": label_studio.read, "chat": chat.read,
}  # fmt: skip


def read(data: bytes, format: str, *, source: str) -> Records:
    """What records does an export hold? csv, jsonl, chat and label_studio may be gzip.

    Raises UnknownFormat where `format` is not one of READERS or the file is not of that format.

    >>> read(b"id,vote\\n1,up\\n2\\n", "csv", source="thumbs").rejects
    [(2, 'field_count', '')]
    """
    if format not in READERS:
        near = difflib.get_close_matches(format, READERS, n=1, cutoff=0.4)
        raise UnknownFormat(
            expected=f"a format of {', '.join(READERS)}", found=repr(format),
            where=f"params.yaml: clean.sources, {source}",
            todo=f"did you mean {near[0]}?" if near else "export in one of these formats",
        )  # fmt: skip
    digest = hashlib.sha256(data).hexdigest()
    records = READERS[format](data if format == "parquet" else plain(data, source), source)
    return Records(records.source, records.frame, records.lines, records.rejects, digest)


def read_source(source: Mapping[str, Any]) -> Records:
    """The records of one source of params.yaml (its keys name, path, format), read from data/raw."""
    name = str(source.get("name", "unnamed source"))
    records = read(tables.read_raw(str(source.get("path", ""))), str(source.get("format", "")), source=name)
    return below_header(records, source.get("header_rows", 1))


def below_header(records: Records, rows: object = 1) -> Records:
    """The records without further header rows (`rows` with the first); those of Qualtrics are known by their ImportId.

    >>> import pandas as pd
    >>> asked = pd.DataFrame({"Q1": ["Was it right?", '{"ImportId": "QID1"}', "yes"]})
    >>> below_header(Records("s", asked, range(1, 4))).frame["Q1"].tolist()
    ['yes']
    """
    first = records.frame.iloc[:2].astype(str)
    qualtrics = len(first) == 2 and bool(first.iloc[1].str.startswith('{"ImportId"').all())
    more = max(int(rows) - 1 if isinstance(rows, int) else 0, 2 * qualtrics)
    return replace(records, frame=records.frame.iloc[more:].reset_index(drop=True), lines=records.lines[more:])


def read_sources(sources: Sequence[Mapping[str, Any]]) -> list[Records]:
    """The records of every source, in the order of params.yaml."""
    return [read_source(s) for s in sources]
