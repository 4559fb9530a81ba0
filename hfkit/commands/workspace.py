"""`hfkit workspace`: a separate copy of the loop on other data, without touching this project's own.

A workspace holds the notebooks, the package, dvc.yaml and a params.yaml of its own, and a copy of the raw data; `dvc
repro` runs in it as in the project.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from hfkit.shared import tables
from hfkit.shared.errors import MissingFile

PARTS = ("hfkit", "notebooks", "dvc.yaml", "requirements.txt", ".dvcignore")
RAW = ("feedback", "items", "raters", "population", "logs", "signoffs", "releases")
CONFIG = "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n    site_cache_dir = build/dvc\n"


def make(folder: Path, *, params: Path, data: Path) -> None:
    """Make or refresh a workspace: the loop from this project, `params` as its params.yaml, `data` as its data/raw.

    Raises MissingFile where params or data are not there. What the pipeline made earlier in the folder stays, so that
    an unchanged stage is not run again.
    """
    for path, what in ((params, "an example's params.yaml"), (data, "the folder with the exports")):
        if not path.exists():
            raise MissingFile(
                expected=what, found=f"no {path}", where="hfkit workspace", todo="see examples/<name>/README.md"
            )
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        source, target = tables.ROOT / part, folder / part
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
        else:
            shutil.copyfile(source, target)
    shutil.copyfile(params, folder / "params.yaml")
    raw = folder / "data" / "raw"
    shutil.rmtree(raw, ignore_errors=True)
    shutil.copytree(data, raw, copy_function=shutil.copyfile)
    for name in RAW:
        (raw / name).mkdir(exist_ok=True)
        (raw / name / ".gitkeep").touch()
    (folder / ".dvc").mkdir(exist_ok=True)
    (folder / ".dvc" / "config").write_text(CONFIG, "utf-8")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--params", type=click.Path(path_type=Path), required=True, help="params.yaml of the workspace")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="folder with the exports, copied unedited")
def workspace(folder: Path, params: Path, data: Path) -> None:
    """Make FOLDER a workspace: the loop of this project on other data."""
    make(folder, params=params, data=data)
    click.echo(f"workspace {folder} is ready: run `dvc repro` in it")
