"""Outside formats: one file each, all read to Records. A room never imports this folder; a notebook joins the two.

Every reader promises: each record of the file is a row of `frame` or one of the `rejects`, never neither; a file that
is not of its format is refused whole with UnknownFormat. Other packages may add formats (see plugin.Format).
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from typing import Any

from hfkit.formats import (
    argilla,
    chat,
    csv,
    google_forms,
    jsonl,
    label_studio,
    label_studio_min,
    langfuse,
    langsmith,
    mlflow,
    mturk,
    open_webui,
    parquet,
    phoenix,
    preference,
    qualtrics,
    thumbs,
    xlsx,
)  # fmt: skip
from hfkit.formats.compressed import plain
from hfkit.formats.plugin import Format
from hfkit.shared import tables
from hfkit.shared.errors import ParamError, UnknownFormat
from hfkit.shared.records import Records

FORMATS: dict[str, Format] = {
    "csv": csv.FORMAT, "tsv": csv.TSV, "json": jsonl.ARRAY, "jsonl": jsonl.FORMAT, "parquet": parquet.FORMAT,
    "xlsx": xlsx.FORMAT, "argilla": argilla.FORMAT, "chat": chat.FORMAT, "google_forms": google_forms.FORMAT,
    "label_studio": label_studio.FORMAT, "label_studio_min": label_studio_min.FORMAT, "langfuse": langfuse.FORMAT,
    "langsmith": langsmith.FORMAT, "mlflow": mlflow.FORMAT, "mturk": mturk.FORMAT, "open_webui": open_webui.FORMAT,
    "phoenix": phoenix.FORMAT, "preference": preference.FORMAT, "qualtrics": qualtrics.FORMAT, "thumbs": thumbs.FORMAT,
}  # fmt: skip


def named(name: str, *, source: str) -> Format:
    """The format of that name, of hfkit or of an installed package. Raises UnknownFormat with the nearest name."""
    if name in FORMATS:
        return FORMATS[name]
    added = {e.name: e for e in metadata.entry_points(group="hfkit.formats")}
    if name in added:
        plugin: Format = added[name].load()
        return plugin
    near = difflib.get_close_matches(name, [*FORMATS, *added], n=1, cutoff=0.4)
    raise UnknownFormat(
        expected=f"a format of {', '.join([*FORMATS, *added])}", found=repr(name),
        where=f"params.yaml: clean.sources, {source}",
        todo=f"did you mean {near[0]}?" if near else "export in one of these formats",
    )  # fmt: skip


def read(data: bytes, format: str, *, source: str, **options: Any) -> Records:
    """What records does an export hold? All formats but Parquet and XLSX may be gzip.

    `options` are the keys that the format takes (`delimiter` of csv, `sheet` of xlsx). Raises UnknownFormat where
    `format` is not known or the file is not of that format, ParamError for an option that it does not take.

    >>> read(b"id,vote\\n1,up\\n2\\n", "csv", source="thumbs").rejects
    [(2, 'field_count', '')]
    """
    kind = named(format, source=source)
    foreign = [o for o in options if o not in kind.options]
    if foreign:
        raise ParamError(
            expected=f"keys that format {format} takes ({', '.join(kind.options) or 'none'})", found=foreign[0],
            where=f"params.yaml: clean.sources, {source}", todo=f"remove {foreign[0]}, or correct the format",
        )  # fmt: skip
    digest = hashlib.sha256(data).hexdigest()
    records = kind.read(plain(data, source) if kind.packed else data, source, **options)
    return replace(records, sha256=digest)


def completed(sources: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The sources with what their formats need not be told: a key that is written down goes before the usual one.

    >>> completed([{"name": "s", "table": "feedback", "format": "langfuse", "path": "s.json"}])[0]["columns"]["item_id"]
    'traceId'
    """
    out = []
    for source in sources:
        format, table = source.get("format"), str(source.get("table"))
        usual = named(format, source=str(source.get("name"))).usual.get(table, {}) if isinstance(format, str) else {}
        merged = {**usual, **source}
        for key in ("columns", "values", "keep"):
            if isinstance(usual.get(key), Mapping) and isinstance(source.get(key), Mapping):
                merged[key] = {**usual[key], **source[key]}
        out.append(merged)
    return out


def read_source(source: Mapping[str, Any], data: bytes | None = None) -> Records:
    """The records of one source of params.yaml (its keys name, path, format), read from data/raw or from `data`."""
    name, format = str(source.get("name", "unnamed source")), str(source.get("format", ""))
    options = {k: source[k] for k in ("delimiter", "sheet") if source.get(k)}
    content = tables.read_raw(str(source.get("path", ""))) if data is None else data
    records = read(content, format, source=name, **options)
    return below_header(records, source.get("header_rows", 1))


def below_header(records: Records, rows: object = 1) -> Records:
    """The records without further header rows (`rows` with the first); those of Qualtrics are known by their ImportId.

    >>> import pandas as pd
    >>> asked = pd.DataFrame({"Q1": ["Was it right?", '{"ImportId": "QID1"}', "yes"]})
    >>> below_header(Records("s", asked, range(1, 4))).frame["Q1"].tolist()
    ['yes']
    """
    first = records.frame.iloc[:2].astype(str)
    imported = len(first) == 2 and bool(first.iloc[1].str.startswith('{"ImportId"').all())
    more = max(int(rows) - 1 if isinstance(rows, int) else 0, 2 * imported)
    return replace(records, frame=records.frame.iloc[more:].reset_index(drop=True), lines=records.lines[more:])


def read_sources(sources: Sequence[Mapping[str, Any]]) -> list[Records]:
    """The records of every source, in the order of params.yaml."""
    return [read_source(s) for s in sources]
