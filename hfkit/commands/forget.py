"""`hfkit forget RATER`: one person out of the raw files, of every result made from them, and of the caches; recorded.

This command alone may change what lies in data/raw. It keeps a keyed digest of the person in data/ledger/forgotten, so
that no later export brings them back, and counts; never a row of theirs.
"""

from __future__ import annotations

import datetime
import html
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import orjson
from dvc.repo import Repo

from hfkit import clean, formats
from hfkit.commands import files, traces
from hfkit.formats import redact
from hfkit.shared import rooms, tables
from hfkit.shared.errors import HfkitError, StageError
from hfkit.shared.params import load
from hfkit.shared.records import Records

LEDGER = "data/ledger/forgotten"
Source = Mapping[str, Any]


@dataclass
class Share:
    """One person's part of one raw file: the places of their records by source, and the cells that only they have."""

    path: str
    places: list[tuple[Source, Records, list[int]]] = field(default_factory=list)
    words: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)

    @property
    def records(self) -> int:
        """How many records, counted once where several sources read the file."""
        return max(len(at) for _, _, at in self.places)


@click.command()
@click.argument("rater")
@click.option("--yes", is_flag=True, help="Do not ask first.")
def forget(rater: str, yes: bool) -> None:
    """Take RATER, an id as an export or a page writes it, out of raw files, results, caches and local remotes."""
    key = tables.secret()
    sources = formats.completed(load(tables.ROOT / "params.yaml").get("clean", {}).get("sources", []))
    shares = find(rater, sources, key)
    names = {n for s in shares for n in s.names} or {rater}
    digests = {clean.digest(n, key) for n in names}
    if not shares and not digests & clean.forgotten(tables.ledger("forgotten")):
        raise StageError(
            expected="a rater, or a person served, that an export of data/raw names", found="no record of that id",
            where="hfkit forget", todo="write the id as the export does; nothing was changed",
        )  # fmt: skip
    new = {share.path: redacted(rater, share, key) for share in shares}  # all of them, before anything is written
    for share in shares:
        click.echo(f"data/raw/{share.path}: {share.records} records")
    if not yes:
        click.confirm("Remove them, with every result and cached object of this project, and run the loop again?",
                      abort=True)  # fmt: skip
    before = _measures()
    if shares:
        _record(sorted(digests), shares, new)
    for path, data in new.items():
        files.put(tables.raw(path), data)
    with Repo(str(tables.ROOT)) as repo:
        local, others = traces.remotes(repo)
        cache = Path(repo.cache.local.path).parents[1]  # above files/md5
        gone = _wiped(cache, local)
    click.echo(f"removed {gone} objects and every result; the loop runs again")
    _again()
    click.echo(_effect(before, _measures()))
    for sentence in traces.beyond(tables.ROOT, [f"data/raw/{s.path}" for s in shares], others):
        click.echo(sentence)
    kept = [tables.read_raw(path) for path in sorted({str(s["path"]) for s in sources})]
    _searched([tables.ROOT, cache, *local.values()], _needles(names, shares, kept, key))


def find(rater: str, sources: list[dict[str, Any]], key: bytes) -> list[Share]:
    """Where do the raw files name this person, under any spelling of the id, as a rater or as the person served?"""
    shares: dict[str, Share] = {}
    for source in sources:
        if not {"rater_id", "unit_id"} & set(source.get("columns", {})):
            continue
        records = formats.read_source(source)
        mine = clean.belonging(rater, records, source, key)
        if len(mine):
            share = shares.setdefault(str(source["path"]), Share(str(source["path"])))
            at = [int(i) for i in mine["at"]]
            share.places.append((source, records, at))
            share.names |= set(mine["name"])
            others = records.frame.drop(index=at)
            share.words |= {
                w for c in range(records.frame.shape[1])
                for w in traces.telling(records.frame.iloc[at, c]) - traces.telling(others.iloc[:, c])
            }  # fmt: skip
    return list(shares.values())


def redacted(rater: str, share: Share, key: bytes) -> bytes:
    """The raw file without this person, read again to see that they are gone and that nobody else has changed.

    Raises StageError where that cannot be done; nothing has been written then.
    """
    lines: set[int] = set()
    named: dict[str, set[str]] = {}
    for source, records, at in share.places:
        lines |= {int(records.lines[i]) for i in at}
        for slot in clean.slots(source):
            named.setdefault(slot, set()).update(str(v) for v in records.frame[slot].iloc[at] if v is not None)
    source = share.places[0][0]
    data = redact.without(tables.read_raw(share.path), lines, named, source=str(source["name"]),
                          delimiter=str(source.get("delimiter") or ","))  # fmt: skip
    for source, records, at in share.places:
        try:
            again = formats.read_source(source, data)
            left = len(clean.belonging(rater, again, source, key)) if len(again.frame) else 0
        except HfkitError as e:
            raise _cannot(share, f"a file that cannot be read ({e.found})") from None
        if left or _rows(again.frame) != _rows(records.frame.drop(index=at)):
            raise _cannot(share, "other records changed, or some of the person's left")
    return data


def _rows(frame: Any) -> list[str]:
    return sorted(json.dumps({str(k): v for k, v in r.items() if v is not None}, sort_keys=True, default=str)
                  for r in frame.to_dict("records"))  # fmt: skip


def _cannot(share: Share, problem: str) -> StageError:
    return StageError(
        expected=f"data/raw/{share.path} without the person", found=problem, where="hfkit forget",
        todo="take the person out of the export at its source, copy it again (a file that holds nobody else: delete it "
        "and its source in params.yaml), then run this again; nothing was changed",
    )  # fmt: skip


def _record(digests: list[str], shares: list[Share], new: Mapping[str, bytes]) -> None:
    """Write to the ledger before anything else: from here on the person stays out, whatever happens."""
    folder = tables.ROOT / LEDGER
    number = 1 + max((int(p.stem) for p in folder.glob("[0-9]*.json")), default=0)
    changed = {s.path: {"records": s.records, "before": files.digest(tables.raw(s.path)),
                        "after": files.digest(new[s.path])} for s in shares}  # fmt: skip
    releases = sorted(p.name for p in (tables.ROOT / "data/raw/releases").glob("*.json"))
    for i, person in enumerate(digests):
        record = {"person": person, "date": datetime.date.today().isoformat(), "files": changed,
                  "releases_gone": releases}  # fmt: skip
        text = orjson.dumps(record, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        files.put(folder / f"{number + i:04d}.json", text)


def _wiped(cache: Path, local: Mapping[str, Path]) -> int:
    """Remove all that was made from the raw files, here and in the local remotes of this project; counts objects."""
    cached = {f"{p.parent.name}{p.name}" for p in cache.glob("files/md5/??/*")}
    mine, gone = traces.locks(tables.ROOT) | cached, len(cached)
    for remote in local.values():
        folders = {h for h in mine if h.endswith(".dir")}
        for name in folders:
            listing = remote / "files" / "md5" / name[:2] / name[2:]
            if listing.is_file():
                mine |= {str(entry["md5"]) for entry in orjson.loads(listing.read_bytes())}
        for name in mine:
            file = remote / "files" / "md5" / name[:2] / name[2:]
            gone += file.is_file()
            file.unlink(missing_ok=True)
        shutil.rmtree(remote / "runs", ignore_errors=True)
    made = [f"data/{room}" for room in rooms.NAMES]
    for folder in (cache / "files", cache / "runs", *(tables.ROOT / m for m in (*made, "reports", "build"))):
        shutil.rmtree(folder, ignore_errors=True)
    (tables.ROOT / "build").mkdir(mode=0o700)
    for checkpoints in sorted(tables.ROOT.glob("**/.ipynb_checkpoints")):
        shutil.rmtree(checkpoints, ignore_errors=True)
    return gone


def _again() -> None:
    here = dict(os.environ, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=tables.ROOT, env=here, check=False).returncode:
        raise StageError(
            expected="the loop to its end", found="an error in it", where="hfkit forget",
            todo="the person is removed and stays out; correct what dvc says, then run this again for its scan",
        )  # fmt: skip


def _measures() -> dict[str, float]:
    """What the loop measures, by file and name."""
    out: dict[str, float] = {}
    for file in sorted((tables.ROOT / "metrics").glob("*.json")):
        values = orjson.loads(file.read_bytes())
        out |= {f"{file.stem}: {k}": float(v) for k, v in values.items() if isinstance(v, int | float)}
    return out


def _effect(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """What the erasure did to the model's measures, those of retrain first."""
    moved = [k for k in after if k in before and after[k] != before[k]]
    first = sorted(moved, key=lambda k: (not k.startswith("retrain"), k))[:12]
    listed = "".join(f"\n  {k}: {before[k]:.6g} -> {after[k]:.6g}" for k in first)
    more = f"\n  and {len(moved) - len(first)} more (dvc metrics diff)" if len(moved) > len(first) else ""
    return f"{len(moved)} of {len(after)} measures changed{':' if moved else ''}{listed}{more}"


def _needles(names: set[str], shares: list[Share], kept: list[bytes], key: bytes) -> traces.Needles:
    """The ids, pseudonyms and words of the person, but for what the raw files of other people hold too (`kept`)."""
    words = {w for s in shares for w in s.words} | {n for n in names if len(n) >= traces.SHORTEST}
    pseudonyms = {clean.privacy.pseudonym(n, key) for n in names}
    words |= pseudonyms
    words |= {m for m in (clean.mask(w)[0] for w in words) if len(m) > 20}
    spelled = words | {html.escape(w) for w in words} | {json.dumps(w)[1:-1] for w in words}
    spelled |= {json.dumps(w, ensure_ascii=False)[1:-1] for w in words}
    shared = {w for data in kept for w in traces.present(spelled, data)}
    mine = {clean.digest(n, key) for n in names}
    return traces.Needles(
        frozenset(spelled - shared), lambda name: name in pseudonyms or clean.digest(name, key) in mine
    )


def _searched(folders: list[Path], needles: traces.Needles) -> None:
    left = traces.scan(folders, needles)
    if left:
        here = [Path(p).relative_to(tables.ROOT).as_posix() if Path(p).is_relative_to(tables.ROOT) else p for p in left]
        raise StageError(
            expected="no trace of the person", found=f"traces in {files.named(here, most=8)}", where="hfkit forget",
            todo="remove these copies by hand (in another workspace run this command there), then run it again",
        )  # fmt: skip
    click.echo("no trace of the person is left in the working tree, the cache and the local remotes")
