"""`hfkit sample`: the sample world, an assistant product whose troubles are known because they were planted."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import orjson

from hfkit.commands import files
from hfkit.commands.sample import exports, planted
from hfkit.commands.sample.planted import SEED, world
from hfkit.shared.errors import WouldOverwrite
from hfkit.shared.show import visible

__all__ = ["SEED", "generate", "sample", "world"]


def generate(folder: Path, items: int = 6000, *, seed: int = SEED, truth: Path | None = None) -> None:
    """Write the sample world's exports below `folder`, and what was planted in them to the file `truth`.

    The same items and seed give the same bytes. A third of the items belongs to each component; there are ten answers
    to three items. The planted troubles need room: fewer than 1,500 items are refused.
    """
    built = planted.build(items, seed)
    exports.write(built, folder)
    if truth is not None:
        truth.write_bytes(orjson.dumps(planted.truth(built, seed), option=orjson.OPT_APPEND_NEWLINE))


def place(made: Path, folder: Path, truth: Path | None, *, overwrite: bool = False) -> list[str]:
    """Put the sample world from `made` (raw/ and truth.json) into `folder` and the file `truth`, where they may be.

    Returns the names of the files in `folder` that are not of the sample: they stay as they are. Raises WouldOverwrite
    where there are such files, or files of the sample that differ from what would be written, unless `overwrite` is
    given; and where a link or a file stands in the place of a folder, in any case.
    """
    base = folder.resolve()
    own = {base / name: made / "raw" / name for name in files.listing(made / "raw")}
    if truth is not None:
        own[truth.parent.resolve() / truth.name] = made / "truth.json"
    foreign = [name for name in files.listing(base) if base / name not in own]
    differing = [_name(t, base) for t, source in own.items() if files.there(t) and not files.same(t, source)]
    barriers = {files.blocked(base.parent, f"{base.name}/{_name(t, base)}") for t in own if t.is_relative_to(base)}
    if barriers - {""} or ((differing or foreign) and not overwrite):
        lines = [f"{name} (in the way)" for name in sorted(barriers - {""})]
        lines += [f"{name} (differs)" for name in differing] + [f"{name} (not of the sample)" for name in foreign]
        raise WouldOverwrite(
            expected="a new folder, or the sample world as it would be written and nothing else",
            found=files.named(lines), where=f"hfkit sample --out {folder}",
            todo="choose another folder with --out, or replace the sample's own files with --overwrite: what is not of "
            "the sample stays, and what is in the way must be moved by hand",
        )  # fmt: skip
    for target, source in own.items():
        if not files.same(target, source):
            files.put(target, source)
    return foreign


def _name(file: Path, base: Path) -> str:
    return file.relative_to(base).as_posix() if file.is_relative_to(base) else str(file)


@click.command()
@click.option("--items", default=6000, show_default=True, type=click.IntRange(min=1500), help="How many items.")
@click.option(
    "--out", default="data/raw", show_default=True, type=click.Path(path_type=Path), help="Folder to write to."
)
@click.option("--truth", default=None, type=click.Path(path_type=Path), help="File for what was planted (JSON).")
@click.option("--seed", default=SEED, show_default=True, help="Another seed, another world.")
@click.option("--overwrite", is_flag=True, help="Replace the sample's own files where they differ; others stay.")
def sample(items: int, out: Path, truth: Path | None, seed: int, overwrite: bool) -> None:
    """Write the sample world: feedback on an assistant in five export formats, with known troubles."""
    with tempfile.TemporaryDirectory(prefix="hfkit-sample-") as name:
        made = Path(name)
        generate(made / "raw", items, seed=seed, truth=made / "truth.json")
        left = place(made, out, truth, overwrite=overwrite)
    click.echo(f"wrote {items:,} items and their feedback to {out}")
    if left:
        click.echo(f"left alone, not of the sample: {visible(files.named(left, most=20), 2000)}")
