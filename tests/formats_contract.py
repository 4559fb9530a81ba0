"""What every format promises, for formats of other packages too: call `keeps_its_promises(FORMAT, good, n)`."""

import random

import pandas as pd

from hfkit.formats.plugin import Format
from hfkit.shared import schema
from hfkit.shared.errors import HfkitError
from hfkit.shared.records import Records


def keeps_its_promises(kind: Format, good: bytes, n: int, damages: int = 150) -> Records:
    """Reads a good file of n records whole; of damaged ones nothing is lost without a word, nothing else is raised."""
    records = kind.read(good, "good")
    assert isinstance(records, Records)
    assert (len(records.frame), records.rejects) == (n, [])
    assert len(records.lines) == n
    cells = {type(v) for v in records.frame.to_numpy(dtype=object).ravel()}
    assert cells <= {str, int, float, bool, type(None), list, tuple}
    pd.testing.assert_frame_equal(kind.read(good, "good").frame, records.frame)
    for name, keys in kind.usual.items():
        assert name in schema.RAW
        for column, spec in keys.get("columns", {}).items():
            assert schema.TABLES[name].column(column), column
            assert spec.startswith(("=", "{", "@")) or spec in records.frame or "unpivot" in keys, spec
    chance = random.Random(7)
    for _ in range(damages):
        _damaged(kind, good, chance)
    return records


def _damaged(kind: Format, good: bytes, chance: random.Random) -> None:
    body = bytearray(good)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(body))
        body[at : at + chance.randint(0, 3)] = chance.choice(
            [b"", b'"', b",", b"\n", b"\xff", b"{", b"]", b"0", b"null"]
        )
    try:
        records = kind.read(bytes(body), "damaged")
    except HfkitError:
        return
    assert len(records.lines) == len(records.frame)
    assert all(reason and line > 0 for line, reason, _ in records.rejects)
