"""One person's records out of an export, the others as they were. Only `hfkit forget` uses this."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping, Set
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hfkit.formats import csv, jsonl
from hfkit.formats.compressed import plain
from hfkit.shared.errors import UnknownFormat

Named = Mapping[str, Set[str]]


def without(data: bytes, lines: Set[int], named: Named, *, source: str, delimiter: str = ",") -> bytes:
    """The file without the records of those numbers (CSV, Parquet) or, in JSON, without every smallest list element (or
    line) in which one of the `named` keys (a dotted path) has one of its values.

    What is left keeps its bytes in CSV and JSON lines, and its values elsewhere. Raises UnknownFormat for a workbook.
    """
    if data.startswith(b"PAR1"):
        return _parquet(data, lines)
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise UnknownFormat(
            expected="a text or Parquet file", found="a workbook", where=f"source {source}",
            todo="delete the person's rows in the workbook, save it, and run this again",
        )  # fmt: skip
    body = plain(data, source)
    packed = body is not data
    out = _json(body, named) if jsonl.looks_like(body) else csv.without(body, lines, delimiter)
    return gzip.compress(out, mtime=0) if packed else out


def _parquet(data: bytes, lines: Set[int]) -> bytes:
    table = pq.read_table(pa.BufferReader(data))
    kept = [n - 1 for n in range(1, table.num_rows + 1) if n not in lines]
    out = io.BytesIO()
    pq.write_table(table.take(pa.array(kept, pa.int64())), out)
    return out.getvalue()


def _json(body: bytes, named: Named) -> bytes:
    try:
        whole = json.loads(body)
    except json.JSONDecodeError:
        return b"\n".join(line for line in body.split(b"\n") if not _hit(_loads(line), named))
    pruned, hit = _pruned(whole, "", named)
    if hit:
        return b""
    return body if pruned == whole else json.dumps(pruned, ensure_ascii=False, indent=1).encode() + b"\n"


def _loads(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None


def _hit(record: Any, named: Named) -> bool:
    return isinstance(record, dict) and _pruned(record, "", named)[1]


def _pruned(node: Any, path: str, named: Named) -> tuple[Any, bool]:
    """The node without elements of the person; True where the node itself belongs to them."""
    if isinstance(node, list):
        several = [_pruned(element, "", named) for element in node]
        return [element for element, hit in several if not hit], False
    if not isinstance(node, dict):
        return node, path in named and str(node) in named[path]
    if path in named and str(node.get("id")) in named[path]:  # who answered, as an object with an id
        return node, True
    out, belongs = {}, False
    for key, value in node.items():
        inner = f"{path}.{key}" if path else key
        out[key], hit = _pruned(value, inner, named)
        belongs |= hit
    return out, belongs
