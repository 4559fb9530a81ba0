"""What a command needs to write files without touching anybody else's: list, compare, put."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

SKIPPED = frozenset({"__pycache__", ".ipynb_checkpoints"})


def listing(folder: Path, *, follow: bool = False) -> Iterator[str]:
    """Names of all files below a folder, relative to it, in order; without what Python and Jupyter leave behind.

    A link to a folder counts as one file, unless links are followed.
    """
    for top, folders, files in os.walk(folder, followlinks=follow):
        links = [] if follow else [d for d in folders if (Path(top) / d).is_symlink()]
        folders[:] = sorted(d for d in folders if d not in SKIPPED and d not in links)
        yield from ((Path(top) / f).relative_to(folder).as_posix() for f in sorted([*files, *links]))


def digest(source: Path | bytes) -> str:
    """SHA-256 of bytes, or of a plain file; empty for a link, a folder and a file that is not there."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    if source.is_symlink() or not source.is_file():
        return ""
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def same(one: Path, other: Path) -> bool:
    """Do two plain files hold the same? Compressed ones are compared unpacked: libraries compress differently."""
    if digest(one) == digest(other) != "":
        return True
    if one.suffix != ".gz" or other.is_symlink() or not other.is_file():
        return False
    try:
        with gzip.open(one) as a, gzip.open(other) as b:
            return hashlib.file_digest(a, "sha256").digest() == hashlib.file_digest(b, "sha256").digest()
    except (OSError, EOFError):
        return False


def there(file: Path) -> bool:
    """Is there anything of that name, be it a link that leads nowhere?"""
    return file.exists() or file.is_symlink()


def blocked(folder: Path, name: str) -> str:
    """The part of the way to folder/name that is a link or a file where a folder must be; empty where the way is free.

    What lies behind a link belongs to another folder.
    """
    for part in [*reversed((folder / name).relative_to(folder).parents)][1:]:
        step = folder / part
        if step.is_symlink() or (step.exists() and not step.is_dir()):
            return part.as_posix()
    return name if (folder / name).is_dir() and not (folder / name).is_symlink() else ""


def put(target: Path, source: Path | bytes) -> None:
    """Write one file so that it is old or new, never partial; a link is replaced, never written through."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            if isinstance(source, bytes):
                out.write(source)
            else:
                with source.open("rb") as file:
                    shutil.copyfileobj(file, out)
        temporary.chmod(0o644)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def named(names: Sequence[str], most: int = 4) -> str:
    """Names as a person reads them, the first few in full.

    >>> named(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
