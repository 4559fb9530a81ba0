"""`hfkit publish`: the card to where people outside read it, from one complete run and with a record of the edition."""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path
from typing import Any

import click
import orjson

from hfkit.commands import files, rehash
from hfkit.page import gate
from hfkit.shared import tables
from hfkit.shared.errors import StageError, WouldOverwrite

CARD = {"card.html": "reports/card.html", "card.json": "data/card/card.json"}
EDITIONS = "data/ledger/editions"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--team", is_flag=True, help="Copy the team's pages instead: exact numbers, for an inside server only.")
def publish(folder: Path, team: bool) -> None:
    """Copy the card (card.html, card.json) to FOLDER, from a complete and untouched run, and record the edition."""
    wrong = rehash.problems(tables.ROOT)
    if wrong:
        raise StageError(
            expected="one complete run, every byte as it was made", found=files.named(wrong, most=3),
            where="hfkit publish; nothing was copied", todo="run `dvc repro`, look at the pages, then publish",
        )  # fmt: skip
    names = {p.name: f"reports/{p.name}" for p in sorted((tables.ROOT / "reports").glob("*.html"))} if team else CARD
    content = {name: (tables.ROOT / path).read_bytes() for name, path in names.items()}
    for name in (n for n in content if n.endswith(".html")):
        gate(content[name].decode("utf-8"), where=names[name], alone=not team)
    _copied(folder, content)
    if team:
        click.echo(f"{len(content)} pages in {folder}. Their numbers are exact: for the team only, never for outside.")
    else:
        click.echo(_recorded(folder, content))


def _copied(folder: Path, content: dict[str, bytes]) -> None:
    """Copy to a folder that is empty or holds an earlier copy, all files or a sentence why not."""
    others = sorted(p.name for p in folder.iterdir() if p.name not in content) if folder.is_dir() else []
    if others:
        raise WouldOverwrite(
            expected="an empty folder, or one with an earlier copy only", found=files.named(others),
            where=f"hfkit publish {folder}", todo="choose another folder; nothing was copied",
        )  # fmt: skip
    with tables.writing("the copy", where=f"hfkit publish {folder}"):
        for name, text in content.items():
            files.put(folder / name, text)


def _recorded(folder: Path, content: dict[str, bytes]) -> str:
    """Record a new edition once its copy lies in place; the same bytes are the same edition."""
    page = hashlib.sha256(content["card.html"]).hexdigest()
    editions: list[dict[str, Any]] = sorted((r for _, r in tables.ledger("editions")), key=lambda r: int(r["edition"]))
    if editions and editions[-1]["page"] == page:
        return f"the card in {folder}: edition {editions[-1]['edition']} again"
    number = int(editions[-1]["edition"]) + 1 if editions else 1
    record = {
        "edition": number, "published": datetime.date.today().isoformat(), "page": page,
        "card": hashlib.sha256(content["card.json"]).hexdigest(), **tables.read_record("card", "edition"),
    }  # fmt: skip
    text = orjson.dumps(record, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    tables.atomic(tables.ROOT / EDITIONS / f"{number:04d}.json", lambda p: p.write_bytes(text))
    kept = sum(row["as_of"] != max(r["as_of"] for r in record["rows"]) for row in record["rows"])
    carried = f"; {kept} rows stay as published before, too few people have moved since" if kept else ""
    return f"the card in {folder}: edition {number}{carried}. Commit {EDITIONS}/{number:04d}.json, then `dvc repro`."
