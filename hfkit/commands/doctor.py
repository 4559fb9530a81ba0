"""`hfkit doctor`: what an interrupted run, a full disk or missing rights leave behind, and its cure."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import click
import psutil
from dvc.rwlock import SCHEMA
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils.serialize import YAMLFileCorruptedError, parse_yaml
from voluptuous import Invalid

from hfkit.commands import files
from hfkit.shared import rooms
from hfkit.shared.params import dates_quoted
from hfkit.shared.root import ROOT

FREE = 500 * 2**20  # bytes that a run of the loop needs at least


@dataclass(frozen=True)
class Finding:
    """What is wrong, and what cures it: a function, or nothing where only a person can."""

    problem: str
    cure: Callable[[], None] | None = None


def lock_file(root: Path) -> Iterator[Finding]:
    """dvc.lock is written in place: a kill at that moment leaves it empty or cut, and DVC refuses every command."""
    file = root / "dvc.lock"
    if not file.is_file():
        return
    try:
        COMPILED_LOCKFILE_SCHEMA(parse_yaml(file.read_text("utf-8"), str(file)))
    except (UnicodeDecodeError, YAMLFileCorruptedError, Invalid):
        yield Finding("dvc.lock is empty or cut; without it DVC takes results from its run cache", file.unlink)


def dates(root: Path) -> Iterator[Finding]:
    """A date without quotes in params.yaml: DVC refuses it before any stage can say so."""
    file = root / "params.yaml"
    text = file.read_text("utf-8", "replace") if file.is_file() else ""
    if dates_quoted(text) != text:
        cure = partial(files.put, file, dates_quoted(text).encode())
        yield Finding("params.yaml: a date stands without quotes, and DVC refuses it", cure)


def running(info: dict[str, object]) -> bool:
    """Does the process that a lock names still run, and is it DVC? Of one that may not be looked at: yes."""
    try:
        return any("dvc" in word for word in psutil.Process(int(str(info["pid"]))).cmdline())
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False


def held(root: Path) -> Iterator[Finding]:
    """rwlock is written in place as well, and names processes; after a restart another may have their number."""
    file = root / ".dvc" / "tmp" / "rwlock"
    if not file.is_file():
        return
    try:
        content = SCHEMA(json.loads(file.read_text("utf-8")))
    except (UnicodeDecodeError, ValueError, Invalid):
        yield Finding(".dvc/tmp/rwlock is empty or cut", file.unlink)
        return
    infos = [i for entry in content["read"].values() for i in entry] + [*content["write"].values()]
    if any(running(i) for i in infos):
        yield Finding("another dvc command runs in this folder: wait for it, or end it")
    elif infos:
        yield Finding(".dvc/tmp/rwlock names processes that are gone", file.unlink)


def leftovers(root: Path) -> Iterator[Finding]:
    """What a killed run was writing; what people put into data/raw is never one of them."""
    rooms_data = (root.glob(f"data/{room}/.*.parquet.[0-9]*") for room in rooms.NAMES)
    pages = root.glob("reports/.*.html.[0-9]*")
    for path in chain((root / "build").glob("tmp*"), *rooms_data, pages):
        cure = (lambda p=path: shutil.rmtree(p)) if path.is_dir() else path.unlink
        yield Finding(f"{path.relative_to(root).as_posix()} is left over from a killed run", cure)


def disk(root: Path) -> Iterator[Finding]:
    """A full disk or a folder that may not be written: no cure but a person's."""
    free = shutil.disk_usage(root).free
    if free < FREE:
        yield Finding(f"{free // 2**20} MB are free on this disk, {FREE // 2**20} MB are needed: free some")
    for name in (".", "build", "data", "reports", "metrics", "plots", ".dvc"):
        if (root / name).exists() and not os.access(root / name, os.W_OK):
            yield Finding(f"{name} may not be written: correct its permissions")


def findings(root: Path) -> list[Finding]:
    """All that is wrong in a project; where another DVC runs, only that."""
    holders = list(held(root))
    busy = [f for f in holders if f.cure is None]
    return busy or [*dates(root), *lock_file(root), *holders, *leftovers(root), *disk(root)]


@click.command()
@click.option("--fix", is_flag=True, help="Mend what can be mended.")
def doctor(fix: bool) -> None:
    """Find what an interrupted run left behind; with --fix, mend it. Exits with 1 while something is wrong."""
    left = 0
    for finding in findings(ROOT):
        if fix and finding.cure:
            finding.cure()
            then = " (mended)"
        else:
            left += 1
            then = " (`hfkit doctor --fix` mends it)" if finding.cure else ""
        click.echo(f"doctor: {finding.problem}{then}")
    if left:
        raise SystemExit(1)
