"""The command `hfkit`: verbs that a person types beside the loop. This file only lists them."""

from __future__ import annotations

import sys

import click

from hfkit.commands.decision import decision
from hfkit.commands.doctor import doctor
from hfkit.commands.export import export
from hfkit.commands.forget import forget
from hfkit.commands.publish import publish
from hfkit.commands.sample import sample
from hfkit.commands.snapshot import snapshot
from hfkit.commands.start.init import init
from hfkit.commands.workspace import workspace
from hfkit.shared.errors import HfkitError


@click.group()
def cli() -> None:
    """Weave human feedback into model improvement. The loop itself is `dvc repro`."""


for verb in (decision, doctor, export, forget, init, publish, sample, snapshot, workspace):
    cli.add_command(verb)


def main() -> None:
    """Run the command line; an error for a person is a sentence, not a traceback."""
    try:
        cli()
    except HfkitError as e:
        sys.exit(str(e))
