"""`hfkit sample`: the sample world, an assistant product whose troubles are known because they were planted."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from hfkit.commands.sample import exports, planted
from hfkit.commands.sample.planted import SEED, world

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


@click.command()
@click.option("--items", default=6000, show_default=True, type=click.IntRange(min=1500), help="How many items.")
@click.option(
    "--out", default="data/raw", show_default=True, type=click.Path(path_type=Path), help="Folder to write to."
)
@click.option("--truth", default=None, type=click.Path(path_type=Path), help="File for what was planted (JSON).")
@click.option("--seed", default=SEED, show_default=True, help="Another seed, another world.")
def sample(items: int, out: Path, truth: Path | None, seed: int) -> None:
    """Write the sample world: feedback on an assistant in five export formats, with known troubles."""
    generate(out, items, seed=seed, truth=truth)
    click.echo(f"wrote {items:,} items and their feedback to {out}")
