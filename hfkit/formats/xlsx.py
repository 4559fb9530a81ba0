"""XLSX (and XLS, ODS) by calamine: the first sheet, or the one that the source names; its first row is the header.

Cells become text as they are stored, not as they are shown: a date as ISO 8601 without offset, a number without its
format. Formulas are never run; a workbook that unpacks to far more than it weighs is refused.
"""

from __future__ import annotations

import datetime
import io
import re
import zipfile
import zlib
from typing import Any

import pandas as pd
import python_calamine as calamine

from hfkit.formats.compressed import FREE, MAX_BYTES, MAX_RATIO
from hfkit.formats.plugin import Format
from hfkit.shared.errors import UnknownFormat
from hfkit.shared.records import Records, Reject

MAX_CELLS = 20_000_000
MAX_COLUMNS = 5_000
_PLACE = re.compile(rb"""\sr=["']([A-Z]{1,3})([0-9]{1,7})["']""")


def read(data: bytes, source: str, sheet: str = "") -> Records:
    """The records of one sheet. Raises UnknownFormat for a damaged or encrypted file, a sheet that is not there, a
    workbook that is too large, or one without a header.
    """
    _bounded(data, source)
    try:
        book = calamine.load_workbook(io.BytesIO(data))
        if sheet and sheet not in book.sheet_names:
            raise _refuse(f"sheet {sheet}", f"sheets {', '.join(book.sheet_names)}", source)
        rows = book.get_sheet_by_name(sheet or book.sheet_names[0]).to_python(skip_empty_area=False)
    except (calamine.CalamineError, OSError, ValueError, IndexError) as e:
        raise _refuse("a workbook", str(e)[:120] or type(e).__name__, source) from None
    if not rows or not any(_text(c) for c in rows[0]):
        raise _refuse("names in the first row", "none", source)
    header = [_text(c) or "" for c in rows[0]]
    good = [[_text(c) for c in row] for row in rows[1:]]
    blank = [not any(row) for row in good]
    lines = [n for n, empty in enumerate(blank, 1) if not empty]
    rejects: list[Reject] = [(n, "blank_line", "") for n, empty in enumerate(blank, 1) if empty]
    frame = pd.DataFrame([r for r, empty in zip(good, blank, strict=True) if not empty],
                         columns=pd.Index(header, dtype="object"), dtype="object")  # fmt: skip
    return Records(source, frame, lines, rejects)


def _text(cell: Any) -> str | None:
    if cell is None or cell == "":
        return None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 2**53 else repr(cell)
    if isinstance(cell, datetime.datetime | datetime.date | datetime.time):
        return cell.isoformat()
    return str(cell)


def _bounded(data: bytes, source: str) -> None:
    """A workbook is a zip archive: every part is unpacked once to see that it is sound, bounded and not vast."""
    if data[:4] != b"PK\x03\x04":
        if data[:8] != b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
            raise _refuse("a workbook (XLSX, ODS or XLS)", "another kind of file", source)
        return
    cap, total, places = min(MAX_BYTES, max(FREE, MAX_RATIO * len(data))), 0, [1, 1]
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for part in archive.infolist():
                with archive.open(part) as content:
                    tail = b""
                    while piece := content.read(1_000_000):
                        total += len(piece)
                        if total > cap:
                            raise _refuse(f"at most {cap:,} bytes unpacked", "more", source)
                        if "/worksheets/" in part.filename:
                            _reach(tail + piece, places)
                            tail = piece[-20:]
    except (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, EOFError, OSError) as e:
        raise _refuse("a sound workbook", str(e)[:120] or type(e).__name__, source) from None
    if places[0] * places[1] > MAX_CELLS or places[1] > MAX_COLUMNS:
        size = f"{places[0]:,} rows by {places[1]:,}"
        raise _refuse(f"at most {MAX_CELLS:,} cells and {MAX_COLUMNS:,} columns", size, source)


def _reach(piece: bytes, places: list[int]) -> None:
    """How far down and to the right do cells stand? One lost cell in a corner makes a table of billions."""
    for letters, row in set(_PLACE.findall(piece)):
        column = 0
        for letter in letters:
            column = column * 26 + letter - 64
        places[0], places[1] = max(places[0], int(row)), max(places[1], column)


def _refuse(expected: str, problem: str, source: str) -> UnknownFormat:
    return UnknownFormat(
        expected=expected, found=problem, where=f"source {source}, format xlsx",
        todo="save the sheet again, or export it as CSV",
    )  # fmt: skip


FORMAT = Format(read, options=("sheet",), packed=False)
