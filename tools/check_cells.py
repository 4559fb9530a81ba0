"""Keep notebooks stripped of all outputs but those of their check cells (tag `keep_output`), which nbval reads.

Usage, after `dvc repro`:
  python tools/check_cells.py [room ...]     run the notebooks by hand, as a person would, and refresh their check cells
  python tools/check_cells.py --strip FILE   strip only (the pre-commit hook); fails where it changed something
Review the difference before you commit it.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def strip(notebook: nbformat.NotebookNode) -> None:
    """Take out run metadata, and outputs and counts of all but the check cells (nbval wants those to have a count)."""
    notebook.metadata.pop("language_info", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            kept = "keep_output" in cell.metadata.get("tags", []) and cell.outputs
            cell.execution_count, cell.outputs = (1, cell.outputs) if kept else (None, [])


def refresh(file: Path) -> None:
    """Execute one notebook in its own folder and write it back stripped."""
    notebook = nbformat.read(file, as_version=4)
    options = {"kernel_name": "python3", "extra_arguments": ["--IPKernelApp.log_level=50"]}
    NotebookClient(notebook, resources={"metadata": {"path": str(file.parent)}}, **options).execute()
    write(notebook, file)
    print(file.stem)


def write(notebook: nbformat.NotebookNode, file: Path) -> bool:
    """Strip and write; True where the file changed."""
    strip(notebook)
    text = nbformat.writes(notebook) + "\n"
    changed = file.read_text("utf-8") != text
    file.write_text(text, "utf-8")
    return changed


if __name__ == "__main__":
    if sys.argv[1:2] == ["--strip"]:
        changed = [f for f in sys.argv[2:] if write(nbformat.read(f, as_version=4), Path(f))]
        sys.exit(f"stripped {', '.join(changed)}" if changed else 0)
    for room in sys.argv[1:] or sorted(p.stem for p in NOTEBOOKS.glob("*.ipynb")):
        refresh(NOTEBOOKS / f"{room}.ipynb")
