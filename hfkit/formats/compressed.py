"""gzip, opened with a cap: a file that unpacks to far more than it weighs is refused before memory is spent."""

from __future__ import annotations

import zlib

from hfkit.shared.errors import UnknownFormat

MAX_BYTES = 1_000_000_000
MAX_RATIO = 200
FREE = 10_000_000
_STEP = 1_000_000


def plain(data: bytes, source: str) -> bytes:
    """The bytes of a file, unpacked where it is gzip (by its first two bytes); several members follow each other.

    Refuses more than MAX_BYTES, or more than MAX_RATIO times its own size once past FREE bytes (a real log packs
    10 to 50 times, a bomb 1,000 times).
    """
    if not data.startswith(b"\x1f\x8b"):
        return data
    cap = min(MAX_BYTES, max(FREE, MAX_RATIO * len(data)))
    out, total, rest = [], 0, data
    while rest:
        step = zlib.decompressobj(wbits=31)
        chunk = rest
        while not step.eof:
            try:
                piece = step.decompress(chunk, _STEP)
            except zlib.error as e:
                raise _refuse("a gzip file", f"damaged data ({e})", source) from None
            chunk = step.unconsumed_tail
            total += len(piece)
            if total > cap:
                raise _refuse(f"at most {cap:,} bytes unpacked", f"more, from {len(data):,} bytes", source)
            if not piece and not chunk and not step.eof:
                raise _refuse("a whole gzip file", "a truncated one", source)
            out.append(piece)
        rest = step.unused_data.lstrip(b"\0")
    return b"".join(out)


def _refuse(expected: str, found: str, source: str) -> UnknownFormat:
    return UnknownFormat(
        expected=expected, found=found, where=f"source {source}", todo="unpack it, look at it, and copy it again",
    )  # fmt: skip
