"""`hfkit workspace`: a separate copy of the loop on other data, without touching this project's own.

A workspace holds the notebooks, the package, dvc.yaml and a params.yaml of its own, and a copy of the raw data; `dvc
repro` runs in it as in the project. The file .hfkit-workspace.json in it says what was written, with the hash of each
file: made again, only those files are refreshed or removed, and only while nobody has changed or added anything.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import click
import orjson
import yaml

from hfkit.commands import files
from hfkit.shared import rooms, tables
from hfkit.shared.errors import MissingFile, ParamError, WouldOverwrite
from hfkit.shared.params import dates_quoted, load

PARTS = ("hfkit", "notebooks", "dvc.yaml", "requirements.txt", ".dvcignore")
RAW = ("feedback", "items", "raters", "population", "logs", "signoffs", "releases")
WATCHED = ("hfkit", "notebooks", "data/raw")  # what lies here is the loop's or a person's, never made by the pipeline
CONFIG = b"[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n    site_cache_dir = build/dvc\n"
MANIFEST = ".hfkit-workspace.json"
Plan = Mapping[str, Path | bytes]


def make(folder: Path, *, params: Path, data: Path) -> None:
    """Make or refresh a workspace: the loop from this project, `params` as its params.yaml, `data` as its data/raw.

    Raises MissingFile where params or data are not there, and WouldOverwrite where the folder holds anything that this
    command did not write. What the pipeline made earlier in the folder stays, so that an unchanged stage is not run
    again.
    """
    target = folder.resolve()
    _inputs(target, params, data)
    written = _written(target)
    planned = plan(params, data)
    hashes = {name: files.digest(source) for name, source in planned.items()}
    _untouched(target, hashes, written)
    _manifest(target, written)
    for name in sorted(written.keys() - planned.keys()):
        _remove(target, name)
    for name, source in planned.items():
        if files.digest(target / name) != hashes[name]:
            files.put(target / name, source)
    _manifest(target, hashes)


def plan(params: Path, data: Path) -> Plan:
    """Every file of a workspace by name, with the file or the bytes it is written from."""
    out: dict[str, Path | bytes] = {}
    for part in PARTS:
        source = tables.ROOT / part
        names = [f"{part}/{n}" for n in files.listing(source)] if source.is_dir() else [part]
        out |= {name: tables.ROOT / name for name in names}
    out |= {f"data/raw/{name}": data / name for name in files.listing(data, follow=True)}
    kept = {f"data/raw/{name}/.gitkeep": b"" for name in RAW if f"data/raw/{name}" not in out}
    kept |= {f"data/ledger/{name}/.gitkeep": b"" for name in ("editions", "forgotten")}
    return {**kept, **out, "params.yaml": complete(params), ".dvc/config": CONFIG}


def complete(params: Path) -> bytes:
    """The text of a params.yaml as it is, with an empty section appended for each room that has none.

    DVC refuses a stage whose section is missing before hfkit can say what belongs into it. Raises ParamError where
    nothing can be appended without changing what is there.
    """
    content = load(params)
    text = dates_quoted(params.read_bytes().decode("utf-8")).encode()
    sections = {**{room: {} for room in rooms.NAMES}, "project": {"min_people": 5}}
    missing = {name: value for name, value in sections.items() if name not in content}
    if not missing:
        return text
    lines = "".join(
        f"{name}: {json.dumps(value)}  # added by hfkit workspace: DVC needs the section\n"
        for name, value in missing.items()
    )
    longer = text + (b"" if text.endswith(b"\n") else b"\n") + lines.encode()
    with contextlib.suppress(yaml.YAMLError):
        if repr(yaml.safe_load(longer)) == repr({**content, **missing}):
            return longer
    raise ParamError(
        expected="one section a room", found=f"no {', '.join(missing)}", where=str(params),
        todo=f"add {', '.join(f'`{name}: {{}}`' for name in missing)}",
    )  # fmt: skip


def _inputs(target: Path, params: Path, data: Path) -> None:
    """Refuse what cannot be read, and a target that is this project, overlaps the data, or lies among the sources."""
    where = f"hfkit workspace {target}"
    for path, there, meaning in (
        (params, params.is_file(), "an example's params.yaml"), (data, data.is_dir(), "the folder with the exports"),
    ):  # fmt: skip
        if not there:
            raise MissingFile(expected=meaning, found=f"no {path}", where=where, todo="see examples/<name>/README.md")
    root, exports = tables.ROOT.resolve(), data.resolve()
    own = root / "workspaces"
    if root.is_relative_to(target) or (target.is_relative_to(root) and own not in target.parents):
        raise WouldOverwrite(
            expected="a folder below workspaces/, or one outside of this project", found="this project's own files",
            where=where, todo="choose for example workspaces/<name>",
        )  # fmt: skip
    if exports.is_relative_to(target) or target.is_relative_to(exports):
        raise WouldOverwrite(
            expected="the exports and the workspace in folders apart", found=f"--data {exports}", where=where,
            todo="choose a folder that is neither inside the exports nor around them",
        )  # fmt: skip


def _written(target: Path) -> dict[str, str]:
    """What an earlier run wrote here, by the manifest; nothing where the folder is new or empty."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return {}
    try:
        content = orjson.loads((target / MANIFEST).read_bytes())
        written = {str(name): str(value) for name, value in content["files"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        written = {"..": ""}
    if any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in written):
        raise WouldOverwrite(
            expected="a new or empty folder, or a workspace that hfkit made",
            found=f"other files, and no {MANIFEST} of hfkit", where=f"hfkit workspace {target}",
            todo="choose another folder; nothing was changed in this one",
        )  # fmt: skip
    return written


def _untouched(target: Path, hashes: Mapping[str, str], written: Mapping[str, str]) -> None:
    """Refuse a workspace in which a person changed or added a file since it was made."""
    names = {*hashes, *written}
    for part in WATCHED:
        if not (target / part).is_symlink():
            names |= {f"{part}/{name}" for name in files.listing(target / part)}
    touched = set()
    for name in names:
        barrier = files.blocked(target, name)
        if barrier:
            touched.add(f"{barrier} (not of this command)")
        elif files.there(target / name) and files.digest(target / name) not in (hashes.get(name), written.get(name)):
            touched.add(f"{name} ({'changed' if name in written else 'added'})")
    if touched:
        raise WouldOverwrite(
            expected="a workspace as hfkit made it", found=files.named(sorted(touched)),
            where=f"hfkit workspace {target}",
            todo="choose another folder, or run `dvc repro` in this one as it is; to have it made again, take these "
            "files out first (parameters are changed in the file given as --params); nothing was changed",
        )  # fmt: skip


def _remove(target: Path, name: str) -> None:
    """Take out a file of an earlier run, and the folders that it leaves empty."""
    (target / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        for parent in (target / name).relative_to(target).parents:
            if parent.parts:
                (target / parent).rmdir()


def _manifest(target: Path, hashes: Mapping[str, str]) -> None:
    record = {"made_by": "hfkit workspace", "files": hashes}
    files.put(target / MANIFEST, orjson.dumps(record, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--params", type=click.Path(path_type=Path), required=True, help="params.yaml of the workspace")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="folder with the exports, copied unedited")
def workspace(folder: Path, params: Path, data: Path) -> None:
    """Make FOLDER a workspace: the loop of this project on other data. Made again, it never touches your files."""
    make(folder, params=params, data=data)
    click.echo(f"workspace {folder} is ready: run `dvc repro` in it")
