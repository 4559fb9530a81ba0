"""The only module that touches `data/`: rooms hand each other tables on disk, and this is the hand.

`read("clean", "items")` gives the table another room wrote. `write("audit", raters=..., evidence=..., answer=...)` puts
a room's results where the next room finds them, but only when the room runs as a stage (under the door,
`hfkit/run`); in a notebook run by hand it shows what it would have written and changes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from hfkit.shared import measures, rooms, schema
from hfkit.shared.errors import BadValue, MissingFile, StageError
from hfkit.shared.root import ROOT as ROOT


def raw(path: str) -> Path:
    """Where is a file that people wrote? `path` is relative to data/raw; leaving that folder is refused."""
    base = (ROOT / "data" / "raw").resolve()
    resolved = base / path
    if not resolved.resolve().is_relative_to(base):
        raise MissingFile(
            expected="a path inside data/raw", found=path, where="params.yaml: clean.sources",
            todo="copy the file into data/raw and name it relative to that folder",
        )  # fmt: skip
    return resolved


def read_raw(path: str, *, max_bytes: int = 2_000_000_000) -> bytes:
    """The bytes of a file in data/raw. Raises MissingFile; a file above `max_bytes` is refused unread."""
    file = raw(path)
    if not file.is_file():
        near = ", ".join(sorted(p.name for p in file.parent.glob("*"))[:5]) or "no such folder"
        raise MissingFile(
            expected=f"data/raw/{path}", found=f"no such file ({near})", where="params.yaml: clean.sources",
            todo="copy the export there, or correct the path",
        )  # fmt: skip
    if file.stat().st_size > max_bytes:
        raise MissingFile(
            expected=f"at most {max_bytes:,} bytes", found=f"{file.stat().st_size:,} bytes", where=f"data/raw/{path}",
            todo="split the export into several sources",
        )  # fmt: skip
    return file.read_bytes()


def secret() -> bytes:
    """The key behind pseudonyms: data/private.key, made on first need, for its owner only, in neither git nor DVC.

    Without it nobody can test a guess at who is behind a pseudonym; a lost key means new pseudonyms for everybody.
    """
    file = ROOT / "data" / "private.key"
    file.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as new:
            new.write(os.urandom(32))
    key = file.read_bytes()
    if len(key) < 32:
        raise StageError(
            expected="a key of 32 bytes", found=f"{len(key)} bytes", where="data/private.key",
            todo="restore it from your backup, or delete it to start with new pseudonyms",
        )  # fmt: skip
    return key


def raw_records(folder: str) -> Iterator[tuple[str, Any]]:
    """The JSON records people put into one folder of data/raw (signoffs, releases), by file name."""
    return _records(f"data/raw/{folder}")


def ledger(folder: str) -> Iterator[tuple[str, Any]]:
    """The JSON records of one folder of data/ledger (editions): what was decided and published, by file name."""
    return _records(f"data/ledger/{folder}")


def _records(folder: str) -> Iterator[tuple[str, Any]]:
    for file in sorted((ROOT / folder).glob("*.json")):
        try:
            yield file.name, orjson.loads(file.read_bytes())
        except orjson.JSONDecodeError as e:
            raise MissingFile(
                expected="valid JSON", found=str(e), where=f"{folder}/{file.name}", todo="correct the file",
            ) from None  # fmt: skip


def path(room: str, name: str) -> Path:
    """Where a room's table lies: data/<room>/<name>.parquet."""
    return ROOT / "data" / room / f"{name}.parquet"


def read(room: str, name: str, columns: list[str] | None = None) -> pd.DataFrame:
    """The table `name` that `room` wrote. Raises StageError where that room has not run yet."""
    file = path(room, name)
    if not file.is_file():
        raise StageError(
            expected=f"data/{room}/{name}.parquet", found="no such file", where=f"room {room}",
            todo=f"run `dvc repro {room}` first",
        )  # fmt: skip
    frame = pd.read_parquet(file, columns=columns)
    return schema.restored(frame, schema.TABLES[name]) if name in schema.TABLES else frame


def read_all(name: str, among: tuple[str, ...] = rooms.NAMES) -> pd.DataFrame:
    """One table of several rooms under each other, with a first column `room`; rooms without it are left out."""
    parts = [read(r, name).assign(room=r) for r in among if path(r, name).is_file()]
    if not parts:
        return pd.DataFrame({"room": pd.Series(dtype="str")})
    out = pd.concat(parts, ignore_index=True)
    return out[["room", *[c for c in out.columns if c != "room"]]]


def read_record(room: str, name: str) -> Any:
    """A JSON record that `room` wrote. Raises StageError where that room has not run yet."""
    file = ROOT / "data" / room / f"{name}.json"
    if not file.is_file():
        raise StageError(
            expected=f"data/{room}/{name}.json", found="no such file", where=f"room {room}",
            todo=f"run `dvc repro {room}` first",
        )  # fmt: skip
    return orjson.loads(file.read_bytes())


def read_answer(room: str) -> str:
    """The sentence with which a room answered its question; says so where it has not answered."""
    file = ROOT / "data" / room / "answer.txt"
    return file.read_text("utf-8") if file.is_file() else "not answered yet"


def digest(*parts: str) -> str:
    """SHA-256 over the files below the named folders or files of the project, by name and content."""
    h = hashlib.sha256()
    for part in parts:
        top = ROOT / part
        for file in sorted(p for p in ([top] if top.is_file() else top.rglob("*")) if p.is_file()):
            if "__pycache__" not in file.parts:
                h.update(file.relative_to(ROOT).as_posix().encode() + b"\0")
                h.update(hashlib.sha256(file.read_bytes()).digest())
    return h.hexdigest()


def as_stage(room: str) -> bool:
    """Does this room run as a stage, under the door? Otherwise its notebook is run by hand."""
    return os.environ.get("HFKIT_STAGE") == room


def write(room: str, **results: pd.DataFrame | Mapping[str, Any] | str | bytes) -> None:
    """Write a room's results, or show what would be written when the room does not run as a stage.

    A DataFrame goes to data/<room>/<name>.parquet, checked against the agreed table of that name where there is one;
    `metrics` (a dict of numbers) to metrics/<room>.json; `plot` (a DataFrame) to plots/<room>.csv; `answer` (a
    sentence) to data/<room>/answer.txt; another dict to data/<room>/<name>.json; bytes to data/<room>/<name>.
    """
    ready = {name: _ready(room, name, value) for name, value in results.items()}
    if not as_stage(room):
        for name, value in ready.items():
            rows = f" ({len(value):,} rows)" if isinstance(value, pd.DataFrame) else ""
            print(f"would write {_target(room, name, value).relative_to(ROOT).as_posix()}{rows}")  # noqa: T201
        print(f"nothing written: run `dvc repro {room}` to run this room as a stage")  # noqa: T201
        return
    for name, value in ready.items():
        atomic(_target(room, name, value), _writer(name, value))


def _ready(room: str, name: str, value: Any) -> Any:
    """A table in its agreed shape; of one that is not agreed, text columns as text, even where all of it is missing."""
    if not isinstance(value, pd.DataFrame):
        return value
    if name in schema.TABLES:
        value = schema.shape(value, schema.TABLES[name])
        foreign = measures.undeclared(value["measure"].unique(), room) if name in ("evidence", "leads") else []
        if foreign:
            raise BadValue(
                expected=f"measures that room {room} declares", found=foreign[0], where=f"data/{room}/{name}.parquet",
                todo="declare it in hfkit/shared/measures.py, or correct its name",
            )  # fmt: skip
        return value
    text = [
        c
        for c in value
        if value[c].dtype == object and value[c].map(lambda v: v is None or isinstance(v, str) or v != v).all()
    ]
    return value.astype(dict.fromkeys(text, "str"))


def _target(room: str, name: str, value: Any) -> Path:
    if name == "metrics":
        return ROOT / "metrics" / f"{room}.json"
    if name == "plot":
        return ROOT / "plots" / f"{room}.csv"
    if isinstance(value, pd.DataFrame):
        return path(room, name)
    suffix = ".txt" if isinstance(value, str) else ".json" if isinstance(value, Mapping) else ""
    return ROOT / "data" / room / f"{name.replace('__', '.')}{suffix}"


def _writer(name: str, value: Any) -> Callable[[Path], object]:
    if name == "plot":
        return lambda p: value.to_csv(p, index=False, lineterminator="\n", float_format="%.6g")
    if isinstance(value, pd.DataFrame):
        return lambda p: value.to_parquet(p, index=False)
    if isinstance(value, bytes):
        return lambda p: p.write_bytes(value)
    if isinstance(value, str):
        return lambda p: p.write_text(value, "utf-8")
    text = orjson.dumps(_plain(value), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    return lambda p: p.write_bytes(text)


def _plain(value: Any) -> Any:
    """numpy scalars to Python, floats to 6 significant digits (a metric is read by people), NaN to null."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}") if value == value and abs(value) != float("inf") else None
    return value


@contextlib.contextmanager
def writing(what: str, *, where: str) -> Iterator[None]:
    """What is written in here finds space and may be written, or else ends with a sentence (StageError)."""
    try:
        yield
    except OSError as e:
        raise StageError(
            expected=f"to write {what}", found=e.strerror or str(e), where=where,
            todo="free disk space or correct the permissions, then run again",
        ) from e  # fmt: skip


def atomic(target: Path, writer: Callable[[Path], object]) -> None:
    """Write a file so that it is old or new, never partial: a temporary file beside it, then a rename."""
    temporary = target.parent / f".{target.name}.{os.getpid()}"
    try:
        with writing(target.relative_to(ROOT).as_posix(), where=target.parent.name):
            target.parent.mkdir(parents=True, exist_ok=True)
            writer(temporary)
            temporary.chmod(0o644)
            with temporary.open("rb") as f:
                os.fsync(f.fileno())
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
