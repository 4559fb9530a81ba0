"""Where is the project? Imports nothing heavy: the door needs it before anything else may be imported."""

from __future__ import annotations

import os
from pathlib import Path


def find_root(start: Path) -> Path:
    """Which folder is the project? The nearest one at or above `start` that holds dvc.yaml and params.yaml."""
    for folder in (start, *start.parents):
        if (folder / "dvc.yaml").is_file() and (folder / "params.yaml").is_file():
            return folder
    return Path(__file__).resolve().parents[2]


ROOT = find_root(Path(os.environ.get("HFKIT_ROOT") or Path.cwd()).resolve())
