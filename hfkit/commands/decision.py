"""`hfkit decision`: print the decision, its reasons and where the front page lies."""

from __future__ import annotations

import click

from hfkit.shared import tables
from hfkit.shared.show import visible


@click.command()
def decision() -> None:
    """Print the decision of the last run, its reasons and the front page."""
    record = tables.read_record("decide", "release")
    click.echo(f"\nDecision on {visible(record['release'])}: {record['decision'].upper()}")
    for i, reason in enumerate(record["reasons"], 1):
        click.echo(f"  {i}. {visible(reason)}")
    click.echo(f"Front page: {tables.ROOT / 'reports' / 'index.html'}")
