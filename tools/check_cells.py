"""Run every notebook by hand, as a person would, and keep the outputs of its check cells (tag `keep_output`) only.

Usage: python tools/check_cells.py [room ...], after `dvc repro`. Review the difference before you commit it: `pytest --nbval`
holds the notebooks to these outputs.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def refresh(file: Path) -> None:
    """Execute one notebook in its own folder and write it back, stripped but for its check cells."""
    notebook = nbformat.read(file, as_version=4)
    NotebookClient(notebook, resources={"metadata": {"path": str(file.parent)}}, kernel_name="python3").execute()
    notebook.metadata.pop("language_info", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = cell.outputs if "keep_output" in cell.metadata.get("tags", []) else []
    nbformat.write(notebook, file)


for room in sys.argv[1:] or sorted(p.stem for p in NOTEBOOKS.glob("*.ipynb")):
    refresh(NOTEBOOKS / f"{room}.ipynb")
    print(room)
