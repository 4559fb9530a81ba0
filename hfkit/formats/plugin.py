"""What a format is: a reader, perhaps a writer, and what its exports need not be told. Another package may add one.

A package declares `[project.entry-points."hfkit.formats"]` with `name = "module:FORMAT"`, FORMAT being a Format. Its
tests can run tests/formats_contract.py, as those of the formats here do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from hfkit.shared.records import Records

Written = Callable[[pd.DataFrame, pd.DataFrame], bytes]


@dataclass(frozen=True)
class Format:
    """One outside format.

    read : (bytes of the file, name of the source, and `options` by keyword) -> Records. Every record is a row or a
        reject, and a file that is not of the format raises UnknownFormat.
    write : (items, answers or comparisons as agreed tables) -> bytes, which `read` takes back.
    usual : by agreed table, the keys of a source that need not be written down because its exports are always so.
    options : the keys of a source that `read` takes.
    packed : True where a gzip file is unpacked before reading.
    """

    read: Callable[..., Records]
    write: Written | None = None
    usual: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    packed: bool = True
