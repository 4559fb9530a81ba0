"""`hfkit init FOLDER --from FILE...`: a workspace for unknown exports, with a proposed params.yaml and questions."""

from __future__ import annotations

import datetime
import shutil
import tempfile
from pathlib import Path

import click
import yaml

from hfkit.commands import workspace
from hfkit.commands.start import guess, propose
from hfkit.shared.errors import WouldOverwrite


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--from", "exports", type=click.Path(path_type=Path, exists=True, dir_okay=False), multiple=True,
              required=True, help="An export; repeat it for more.")  # fmt: skip
@click.argument("more", type=click.Path(path_type=Path, exists=True, dir_okay=False), nargs=-1)
def init(folder: Path, exports: tuple[Path, ...], more: tuple[Path, ...]) -> None:
    """Make FOLDER a workspace for these exports: sources, mapping, levels and rubric are proposed, never certain."""
    if folder.exists() and any(folder.iterdir()):
        raise WouldOverwrite(
            expected="a new folder", found=f"{folder} with files in it", where="hfkit init", todo="name another folder",
        )  # fmt: skip
    files = [*exports, *more]
    text, asks = proposal(files)
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        data.mkdir()
        for file in files:
            shutil.copyfile(file, data / file.name)
        params = Path(scratch) / "params.yaml"
        params.write_text(text, "utf-8")
        workspace.make(folder, params=params, data=data)
    click.echo(f"{folder}/params.yaml is a proposal. Answer these questions in it, then run `dvc repro` in {folder}:")
    for number, ask in enumerate(asks, 1):
        click.echo(f"{number}. {ask}")


def proposal(files: list[Path]) -> tuple[str, list[str]]:
    """The text of a params.yaml for these exports, and what a person must answer first. Raises UnknownFormat."""
    looks = [guess.look(file.name, file.read_bytes()) for file in files]
    clean, asks = propose.section(looks)
    clean["run_date"] = datetime.date.today().isoformat()
    head = "".join(f"# ASK {n}. {ask}\n" for n, ask in enumerate(asks, 1))
    body = yaml.safe_dump({"project": {"name": "ASK: what people call it", "min_people": 5}, "clean": clean},
                          sort_keys=False, allow_unicode=True, width=110)  # fmt: skip
    return (
        f"# Proposed by hfkit init, nothing certain: answer the questions, correct, delete them.\n{head}{body}",
        asks,
    )
