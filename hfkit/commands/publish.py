"""`hfkit publish`: refuses until there is a card, the one page that is protected for the public.

The pages in reports/ show exact numbers, and exact numbers of small groups point at people: they are for the team.
"""

from __future__ import annotations

from pathlib import Path

import click

from hfkit.shared.errors import StageError


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def publish(folder: Path | None) -> None:
    """Refuse to publish: there is no card yet, and the pages in reports/ are for the team. FOLDER is not touched."""
    raise StageError(
        expected="the card, the one page that is protected for the public",
        found="only the pages in reports/, whose numbers are exact and for the team; nothing is copied",
        where=f"hfkit publish{f' {folder}' if folder else ''}",
        todo="show the pages in reports/ to the team only; publishing waits until hfkit can make the card",
    )
