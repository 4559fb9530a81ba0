"""The one door: `python -m hfkit.run <room>` runs a room as a stage.

It checks the room's section of params.yaml against the notebook's parameters cell, executes the notebook with papermill
in a process with a fixed environment, and writes build/<room>.ipynb and reports/<room>.html. A notebook that fails
leaves build/failed/<room>.html, prints one error, and exits with 1.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

import nbformat

from hfkit.shared import params, tables
from hfkit.shared.errors import HfkitError, ParamError, StageError

KEPT = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT", "TERM", "LD_LIBRARY_PATH")
FIXED = {
    "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "0", "IPYKERNEL_CELL_NAME": "<cell>", "TZ": "UTC", "MPLBACKEND": "agg",
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONUTF8": "1",
    "JUPYTER_PLATFORM_DIRS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}  # fmt: skip


def environment(room: str, root: Path) -> dict[str, str]:
    """The environment a stage runs in: an allow-list of the caller's, fixed seeds, and the room it may write for.

    >>> sorted(set(environment("audit", Path("."))) & {"HFKIT_STAGE", "HFKIT_ROOT", "PYTHONHASHSEED"})
    ['HFKIT_ROOT', 'HFKIT_STAGE', 'PYTHONHASHSEED']
    """
    kept = {k: os.environ[k] for k in KEPT if k in os.environ}
    private = {"IPYTHONDIR": str(root / "build" / "ipython"), "MPLCONFIGDIR": str(root / "build" / "matplotlib")}
    own = {"HFKIT_STAGE": room, "HFKIT_ROOT": str(root), "PYTHONPATH": str(root)}
    return {**kept, **FIXED, **private, **own}


def signature(notebook: nbformat.NotebookNode, room: str) -> list[params.Parameter]:
    """The parameters a notebook declares in its cell tagged `parameters`."""
    cells = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ParamError(
            expected="one cell tagged `parameters`", found=f"{len(cells)}", where=f"notebooks/{room}.ipynb",
            todo="tag the cell that declares the parameters",
        )  # fmt: skip
    return params.signature(cells[0].source, where=f"notebooks/{room}.ipynb")


def execute(notebook: nbformat.NotebookNode, values: dict[str, object], room: str) -> nbformat.NotebookNode:
    """Execute a notebook with papermill; a cell's error stays in the notebook (see `failure`)."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    logging.getLogger("papermill").setLevel(logging.ERROR)
    step = f"stage {tables.ROOMS.index(room) + 1} of {len(tables.ROOMS)}: {room}"
    with tempfile.TemporaryDirectory(dir=tables.ROOT / "build") as folder:
        out = Path(folder) / "executed.ipynb"
        try:
            return papermill.execute_notebook(
                notebook, out, parameters=values, kernel_name="python3", cwd=tables.ROOT / "notebooks",
                request_save_on_cell_execute=False, progress_bar={"desc": step, "mininterval": 1.0, "ncols": 80},
                extra_arguments=["--IPKernelApp.log_level=50"], ipython_hist_file=":memory:",
            )  # fmt: skip
        except PapermillExecutionError:
            return nbformat.read(out, as_version=4)


def failure(notebook: nbformat.NotebookNode, room: str) -> str:
    """The one message of a failed run, empty when it did not fail; names the cell for an error that is not ours."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                value = str(output.evalue)
                if value.startswith(f"{output.ename}: expected "):
                    return value
                return (
                    f"{output.ename}: {value}\n  where: notebooks/{room}.ipynb, cell `{cell.get('id', '?')}`\n"
                    f"  to do: open build/failed/{room}.html for the traceback, or run the notebook by hand"
                )
    return ""


def strip(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Take out what differs between two runs of the same thing: times, paths, random ids, the Python patch version.

    Warnings name paths of the machine: they go to the terminal, not into the page.
    """
    notebook.cells = [c for c in notebook.cells if "papermill-error-cell-tag" not in c.metadata.get("tags", [])]
    notebook.metadata = nbformat.from_dict({"kernelspec": notebook.metadata.get("kernelspec", {})})
    for cell in notebook.cells:
        for noise in ("papermill", "execution"):
            cell.metadata.pop(noise, None)
        for warning in [o for o in cell.get("outputs", []) if o.get("name") == "stderr"]:
            sys.stderr.write(warning.text)
            cell.outputs.remove(warning)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"
            cell.source = cell.source.replace("# Parameters\n", "# from params.yaml\n", 1)
    return notebook


def run(room: str) -> None:
    """Run one room as a stage. Raises HfkitError with the message to print; leaves a page in every case."""
    from hfkit import page

    source = tables.ROOT / "notebooks" / f"{room}.ipynb"
    if room not in tables.ROOMS or not source.is_file():
        raise StageError(
            expected=f"a room: {', '.join(tables.ROOMS)}", found=room, where="hfkit.run", todo="name one of them",
        )  # fmt: skip
    build = tables.ROOT / "build"
    failed = build / "failed" / f"{room}.html"
    failed.unlink(missing_ok=True)
    build.mkdir(exist_ok=True)
    build.chmod(0o700)  # DVC keeps its state database, a pickle, below this folder
    notebook = nbformat.read(source, as_version=4)
    try:
        values = params.check(params.section(room), signature(notebook, room), room=room)
        done = strip(execute(notebook, values, room))
        message = failure(done, room)
    except HfkitError as e:
        done, message = strip(notebook), str(e)
    if message:
        html = page.render(done, room, error=message)
        tables.atomic(failed, lambda p: p.write_text(html, "utf-8"))
        raise SystemExit(f"{message}\n  page: build/failed/{room}.html")
    html = page.render(done, room)
    text = nbformat.writes(done) + "\n"
    tables.atomic(build / f"{room}.ipynb", lambda p: p.write_text(text, "utf-8"))
    for name in (room, "index") if room == "report" else (room,):
        tables.atomic(tables.ROOT / "reports" / f"{name}.html", lambda p: p.write_text(html, "utf-8"))


def main(argv: list[str]) -> int:
    """Command line of the door: one argument, the room. Restarts itself once in the fixed environment."""
    room = argv[0] if len(argv) == 1 else ""
    if os.environ.get("HFKIT_STAGE") != room or os.environ.get("PYTHONHASHSEED") != "0":
        command = [sys.executable, "-m", "hfkit.run", *argv]
        os.execve(sys.executable, command, environment(room, tables.ROOT))
    warnings.filterwarnings("ignore", category=UserWarning, module="papermill")
    started = time.monotonic()
    try:
        run(room)
    except HfkitError as e:
        print(e, file=sys.stderr)
        return 1
    print(f"{room}: done in {time.monotonic() - started:.1f} s, page reports/{room}.html")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
