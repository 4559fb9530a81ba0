"""`hfkit export FORMAT FILE`: the usable answers in another tool's format, as consent allows, masked."""

from __future__ import annotations

from pathlib import Path

import click

from hfkit import formats
from hfkit.commands import files
from hfkit.shared import schema, tables
from hfkit.shared.errors import ParamError, WouldOverwrite


@click.command()
@click.argument("format")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--purpose", type=click.Choice(["training", "evaluation", "publication"]), default="training",
              show_default=True, help="What it is for: only answers whose raters agreed to that.")  # fmt: skip
def export(format: str, file: Path, purpose: str) -> None:
    """Write the usable answers (or comparisons) of the last run to FILE in FORMAT, personal data masked."""
    kind = formats.named(format, source=f"hfkit export {format}")
    if kind.write is None:
        written = [n for n, f in formats.FORMATS.items() if f.write]
        raise ParamError(
            expected=f"a format that is written: {', '.join(written)}", found=format, where="hfkit export",
            todo="choose one of them",
        )  # fmt: skip
    if file.exists():
        raise WouldOverwrite(
            expected="a new file", found=str(file), where="hfkit export", todo="name another file, or remove this one",
        )  # fmt: skip
    table = "comparisons" if "comparisons" in kind.usual else "feedback"
    items, answers = tables.read("clean", "items"), tables.read("clean", table)
    agreed = answers[answers[f"for_{purpose}"].eq(1)]
    key = schema.TABLES[table].key[0]
    valued = agreed[agreed["value"].notna()] if table == "feedback" else agreed
    shown = items if table == "comparisons" else items[items["item_id"].isin(valued["item_id"])]
    files.put(file, kind.write(shown, valued.sort_values(key)))
    click.echo(f"{file}: {len(valued):,} of {len(answers):,} {table}, of raters who agreed to {purpose}")
