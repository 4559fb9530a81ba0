"""Is anything of a person left? Every file is opened: Parquet and zip by their contents, gzip unpacked."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from dvc.repo import Repo

SKIPPED = frozenset({".git", ".venv", ".venv-lab", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"})
SHORTEST = 4
_PLAIN = re.compile(r"[\d\s:.,+TZ/-]*")  # numbers and times are nobody's


@dataclass(frozen=True)
class Needles:
    """What would give the person away: `words` anywhere, and any id that `named` knows in a column of ids."""

    words: frozenset[str]
    named: Callable[[str], bool]

    def pattern(self) -> re.Pattern[bytes] | None:
        """The words, each as a whole."""
        if not self.words:
            return None
        each = b"|".join(re.escape(w.encode()) for w in sorted(self.words, key=len, reverse=True))
        return re.compile(rb"(?<![\w-])(?:" + each + rb")(?![\w-])")


def telling(cells: Iterable[object]) -> set[str]:
    """Of a person's cells those that could give them away: text of some length, no number and no time."""
    texts = {c for c in cells if isinstance(c, str)}
    return {t for t in texts if len(t) >= SHORTEST and not _PLAIN.fullmatch(t)}


def scan(folders: Iterable[Path], needles: Needles) -> list[str]:
    """The files below these folders in which something of the person stands."""
    pattern = needles.pattern()
    return sorted({str(f) for folder in folders for f in _files(folder) if _hit(f.read_bytes(), pattern, needles)})


def present(words: Iterable[str], data: bytes) -> set[str]:
    """Which of the words stand in a file?"""
    pattern = Needles(frozenset(words), lambda name: False).pattern()
    if pattern is None:
        return set()
    return {m[0].decode() for _, text in _contents(data) for m in pattern.finditer(text)}


def _files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.is_symlink() or file.name in SKIPPED:
            continue
        if file.is_dir():
            yield from _files(file)
        elif file.is_file():
            yield file


def _hit(data: bytes, pattern: re.Pattern[bytes] | None, needles: Needles) -> bool:
    for name, text in _contents(data):
        if pattern is not None and pattern.search(text):
            return True
        if name in ("rater_id", "unit_id") and any(needles.named(t) for t in text.decode().split("\n")):
            return True
    return False


def _contents(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What a file holds, as text: the columns of Parquet, the parts of a zip, gzip unpacked, others as they are."""
    if data.startswith(b"PAR1"):
        yield from _columns(data)
        return
    if data.startswith(b"\x1f\x8b"):
        data = _unpacked(data)
    if data.startswith(b"PK\x03\x04"):
        with contextlib.suppress(zipfile.BadZipFile, RuntimeError, NotImplementedError):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for name in archive.namelist():
                    yield from _contents(archive.read(name))
            return
    yield "", data


def _unpacked(data: bytes) -> bytes:
    """All members of a gzip file, without the reader's caps: what is cut or vast is searched too, as far as it goes."""
    out, rest = b"", data
    with contextlib.suppress(zlib.error):
        while rest.startswith(b"\x1f\x8b"):
            member = zlib.decompressobj(wbits=31)
            out, rest = out + member.decompress(rest), member.unused_data
    return out or data


def _columns(data: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError):
        yield "", data
        return
    for name in table.column_names:
        kind = table.column(name).type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            texts = [t for t in table.column(name).unique().to_pylist() if t is not None]
            yield name, "\n".join(texts).encode("utf-8", "surrogatepass")


def remotes(repo: Repo) -> tuple[dict[str, Path], list[str]]:
    """The DVC remotes that are folders here, and the names of the others, which nothing here can reach."""
    local, others = {}, []
    for name, config in repo.config.get("remote", {}).items():
        url = str(config.get("url", "")).removeprefix("file://")
        if "://" in url:
            others.append(str(name))
        else:
            local[str(name)] = Path(url)
    return local, others


def beyond(root: Path, changed: Iterable[str], others: Iterable[str]) -> list[str]:
    """Sentences about what this command cannot reach: git history, remotes elsewhere, copies that left the project."""
    out = [f"remote {name} is not here: delete its objects there, and run `dvc push` again" for name in others]
    held = [path for path in changed if _git(root, "log", "--all", "--oneline", "-1", "--", path)]
    if held:
        out.append(f"git history still holds earlier versions of {', '.join(held)}: rewrite it (git filter-repo), and "
                   "ask everybody with a clone to clone again")  # fmt: skip
    out.append("not reached: copies outside this project, such as backups, other clones, files that were exported or "
               "published, and the system that made the export")  # fmt: skip
    return out


def locks(root: Path) -> set[str]:
    """Every object that dvc.lock named, now or in git history: hashes, those of folders ending in .dir."""
    texts = [_git(root, "log", "--all", "-p", "--format=", "--", "dvc.lock")]
    lock = root / "dvc.lock"
    texts.append(lock.read_text("utf-8") if lock.is_file() else "")
    return {h for text in texts for h in re.findall(r"md5: ([0-9a-f]{32}(?:\.dir)?)", text)}


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except OSError:
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
