"""For `make lab`: a saved notebook is stripped as the pre-commit hook strips it, so that its stage stays up to date."""

import sys
from pathlib import Path

import nbformat

sys.path.insert(0, str(Path(__file__).parent))

from check_cells import strip


def strip_on_save(model, **_):
    """Take out what differs between two runs by hand, before the notebook is written."""
    if model["type"] == "notebook" and model["content"]["nbformat"] == 4:
        notebook = nbformat.from_dict(model["content"])
        strip(notebook)
        model["content"] = notebook


c.FileContentsManager.pre_save_hook = strip_on_save  # noqa: F821 (Jupyter puts `c` here)
