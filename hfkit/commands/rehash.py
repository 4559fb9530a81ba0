"""Does the project hold one complete run, every byte as it was made? All of it is hashed again; no time stamp counts.

DVC trusts time stamps and, in its cache, file permissions; who publishes or checks somebody else's run may not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dvc.dvcfile import Lockfile
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc_data.hashfile.build import build
from dvc_data.hashfile.db.local import LocalHashFileDB
from dvc_data.hashfile.hash import hash_file
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree

from hfkit.shared import rooms
from hfkit.shared.params import load


def problems(root: Path) -> list[str]:
    """What does not fit dvc.lock: rooms that did not run, inputs, settings, results, pages and cached results.

    Empty where every room ran to its end on what lies here now, and nothing was changed since.
    """
    with Repo(str(root)) as repo:
        try:
            lock: dict[str, Any] = Lockfile(repo, str(root / "dvc.lock")).load().get("stages", {})
        except DvcException as e:
            return [f"dvc.lock cannot be read: {e}"]
        stages = {s.name: s for s in repo.index.stages if s.name in rooms.NAMES}
        missing = [room for room in rooms.NAMES if room not in lock or room not in stages]
        if missing:
            return [f"no finished run of {', '.join(missing)}"]
        values = load(root / "params.yaml")
        out = [line for room in rooms.NAMES for line in _settings(room, stages[room], lock[room], values)]
        entries = [e for kind in ("outs", "deps") for room in rooms.NAMES for e in lock[room].get(kind, [])]
        hashes: dict[str, str] = {}
        for entry in entries:
            if hashes.setdefault(entry["path"], entry["md5"]) != entry["md5"]:
                out.append(f"{entry['path']} is of another run than a room that reads it")
        out += [line for path, md5 in hashes.items() for line in _changed(repo, root, md5, path)]
        out += _foreign(root, hashes)
        return [*out, *_cache(repo, {e["md5"] for room in rooms.NAMES for e in lock[room].get("outs", [])})]


def _settings(room: str, stage: Any, locked: dict[str, Any], values: dict[str, Any]) -> Iterator[str]:
    """Was the room run with the command, the inputs and the parameters that stand in dvc.yaml and params.yaml now?"""
    paths = {d.def_path for d in stage.deps if not hasattr(d, "params")}
    if stage.cmd != locked["cmd"] or paths != {d["path"] for d in locked.get("deps", [])}:
        yield f"dvc.yaml has changed since room {room} ran"
    for dep in (d for d in stage.deps if hasattr(d, "params")):
        for name in dep.params:
            value: Any = values
            for part in name.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if value != locked.get("params", {}).get("params.yaml", {}).get(name):
                yield f"params.yaml: {name} has changed since room {room} ran"


def _changed(repo: Repo, root: Path, md5: str, path: str) -> Iterator[str]:
    if not (root / path).exists():
        yield f"{path} is missing"
    elif _hash(repo, root / path) != md5:
        yield f"{path} has changed since it was made or read"


def _hash(repo: Repo, path: Path) -> str:
    """The hash that DVC gives a file or folder, from its bytes alone."""
    nowhere = LocalHashFileDB(repo.fs, "")  # type: ignore[no-untyped-call]  # remembers no time stamps
    _, _, obj = build(nowhere, str(path), repo.fs, "md5", ignore=repo.dvcignore, dry_run=True)
    return str(obj.hash_info.value)


def _foreign(root: Path, hashes: dict[str, str]) -> list[str]:
    files = (p.relative_to(root).as_posix() for p in sorted((root / "reports").rglob("*")) if p.is_file())
    return [f"{name} was not made by a room" for name in files if name not in hashes]


def _cache(repo: Repo, hashes: set[str]) -> Iterator[str]:
    """Objects of the cache whose bytes are not what their name says: DVC would put them in place without a look."""
    cache, todo = repo.cache.local, sorted(hashes)
    while todo:
        oid = todo.pop()
        file = Path(cache.oid_to_path(oid))
        if not file.is_file():
            continue
        if str(hash_file(str(file), repo.fs, "md5")[1].value) != oid.removesuffix(".dir"):
            yield f"a result in the cache has changed ({file}): remove that file"
        elif oid.endswith(".dir"):
            todo += [str(info.value) for _, _, info in Tree.load(cache, HashInfo("md5", oid)) if info]
