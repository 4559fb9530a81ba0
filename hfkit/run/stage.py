"""A room as a stage, in the process that the door (hfkit/run/__init__.py) starts for it.

It checks the room's section of params.yaml against the notebook's parameters cell, executes the notebook with papermill
in a process with a fixed environment, and writes build/<room>.ipynb and reports/<room>.html. A notebook that fails
leaves build/failed/<room>.html, prints one error, and exits with 1; the page of the last good run stays, marked as old.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import papermill
import yaml
from papermill.exceptions import PapermillExecutionError

from hfkit import page
from hfkit.run import END, engine
from hfkit.shared import params, rooms, tables
from hfkit.shared.errors import HfkitError, StageError
from hfkit.shared.show import visible

FRONT = ("reports/report.html", "reports/index.html")


def execute(notebook: nbformat.NotebookNode, values: dict[str, object], room: str) -> nbformat.NotebookNode:
    """Execute a notebook with papermill; a cell's error stays in the notebook (see `failure`)."""
    logging.getLogger("papermill").setLevel(logging.ERROR)
    step = f"stage {rooms.NAMES.index(room) + 1} of {len(rooms.NAMES)}: {room}"
    build = tables.ROOT / "build"
    with tables.writing("to build", where=str(build)), tempfile.TemporaryDirectory(dir=build) as folder:
        out = Path(folder) / "executed.ipynb"
        try:
            return papermill.execute_notebook(
                notebook, out, parameters=values, kernel_name="python3", cwd=tables.ROOT / "notebooks",
                request_save_on_cell_execute=False, progress_bar={"desc": step, "mininterval": 1.0, "ncols": 80},
                engine_name=None if os.environ.get("HFKIT_ENGINE") == "kernel" else engine.NAME,
                extra_arguments=["--IPKernelApp.log_level=50"], ipython_hist_file=":memory:",
            )  # fmt: skip
        except PapermillExecutionError:
            return nbformat.read(out, as_version=4)
        except (RuntimeError, KeyboardInterrupt) as e:
            raise StageError(
                expected="a run that goes on to its end", found=str(e).rstrip(".") or "an interruption by hand",
                where=f"notebooks/{room}.ipynb",
                todo="run it again (a kernel that died mostly took too much memory: free some first)",
            ) from e  # fmt: skip


def failure(notebook: nbformat.NotebookNode, room: str) -> str:
    """The one message of a failed run, empty when it did not fail; names the cell for an error that is not ours."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                value = str(output.evalue)
                if value.startswith(f"{output.ename}: expected "):
                    return value
                todo = f"open build/failed/{room}.html for the traceback, or run the notebook by hand"
                if output.ename.endswith("MemoryError"):
                    value, todo = value or "no memory is left", "free some memory and run it again"
                return (
                    f"{output.ename}: {value}\n  where: notebooks/{room}.ipynb, cell `{cell.get('id', '?')}`\n"
                    f"  to do: {todo}"
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


def without_outputs(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A notebook that did not run: what its check cells carry is of another run."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    return strip(notebook)


def pages(room: str) -> tuple[str, ...]:
    """The names of a room's pages: one, and the front page under two names."""
    return FRONT if room == "report" else (f"reports/{room}.html",)


def shown(room: str) -> tuple[str, ...]:
    """The names of what people look at: a room's pages, its metrics, its plot."""
    return (*pages(room), f"metrics/{room}.json", f"plots/{room}.csv")


def standing(names: tuple[str, ...]) -> dict[str, bytes]:
    """The files of these names that lie in the project now."""
    return {name: (tables.ROOT / name).read_bytes() for name in names if (tables.ROOT / name).is_file()}


def earlier(room: str) -> dict[str, bytes]:
    """What the last good run of a room showed. DVC removed it before it ran the stage, but has it in its cache.

    dvc.lock names that run until another one succeeds. What is not in the cache may still be in git: metrics, plots.
    (`persist` in dvc.yaml would leave the files in place, but DVC takes no such stage from its run cache.)
    """
    try:
        lock = yaml.safe_load((tables.ROOT / "dvc.lock").read_text("utf-8"))
        hashes = {out["path"]: str(out["md5"]) for out in lock["stages"][room]["outs"]}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        hashes = {}
    cache = Path(_output(sys.executable, "-m", "dvc", "cache", "dir").decode().strip() or ".dvc/cache")
    out = {}
    for name in shown(room):
        key = hashes.get(name, "none")
        file = tables.ROOT / cache / "files" / "md5" / key[:2] / key[2:]
        out[name] = file.read_bytes() if file.is_file() else _output("git", "show", f"HEAD:./{name}")
    return {name: content for name, content in out.items() if content}


def _output(*command: str) -> bytes:
    """What a command prints; nothing where it fails or is not installed."""
    try:
        return subprocess.run(command, cwd=tables.ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return b""


def failed(room: str, notebook: nbformat.NotebookNode, message: str, before: dict[str, bytes]) -> str:
    """Leave the pages of a failed run: what the last good run showed stays, marked as old; the error gets its own.

    `before` is what lay there when the run began. Returns the message to print, which says where the pages are.
    """
    lines = [message]
    with contextlib.suppress(StageError):  # no space, or not allowed to write: the message is all that is left
        lines += _leave_pages(room, notebook, message, before)
    return "\n".join(lines)


def _leave_pages(room: str, notebook: nbformat.NotebookNode, message: str, before: dict[str, bytes]) -> list[str]:
    """The pages of a failed run; what to say of them."""
    reason = visible(message.splitlines()[0])
    kept = before if set(shown(room)) <= set(before) else {**earlier(room), **before}
    for name, content in kept.items():
        is_page = name.endswith(".html")
        _put(name, page.marked(content.decode("utf-8", "replace"), room, reason).encode() if is_page else content)
    note = f"The page of the last good run still stands, marked as old: {pages(room)[-1]}"
    note = note if pages(room)[-1] in kept else ""
    try:
        html = page.render(notebook, room, error=message, note=note)
    except StageError:  # the notebook shows what no page may hold
        html = page.render(nbformat.v4.new_notebook(), room, error=message, note=note)
    _put(f"build/failed/{room}.html", html.encode())
    return [f"  page: build/failed/{room}.html", *([f"  note: {note}"] if note else [])]


def _put(name: str, content: bytes) -> None:
    tables.atomic(tables.ROOT / name, lambda p: p.write_bytes(content))


def run_stage(room: str) -> None:
    """Run one room as a stage. Raises HfkitError with the message to print; leaves a page in every case."""
    source = tables.ROOT / "notebooks" / f"{room}.ipynb"
    if room not in rooms.NAMES or not source.is_file():
        raise StageError(
            expected=f"a room: {', '.join(rooms.NAMES)}", found=room, where="hfkit.run", todo="name one of them",
        )  # fmt: skip
    build = tables.ROOT / "build"
    with tables.writing("to build", where=str(build)):
        (build / "failed" / f"{room}.html").unlink(missing_ok=True)
        build.mkdir(exist_ok=True)
        build.chmod(0o700)  # DVC keeps its state database, a pickle, below this folder
    before = standing((*FRONT, *shown(room)))
    notebook = nbformat.read(source, as_version=4)
    html = ""
    try:
        done = strip(execute(notebook, params.values(room), room))
        message = failure(done, room)
        html = "" if message else page.render(done, room)
    except HfkitError as e:
        done, message = without_outputs(notebook), str(e)
    if message:
        raise SystemExit(failed(room, done, message, before))
    _put(f"build/{room}.ipynb", (nbformat.writes(done) + "\n").encode())
    for name in pages(room):
        _put(name, html.encode())
    for name, content in standing(FRONT).items():  # marked when this room failed, and now it has not
        clean = page.unmarked(content.decode("utf-8", "replace"), room).encode()
        if clean != content:
            _put(name, clean)


def died(room: str, how: str, *, cell: str) -> str:
    """The message of a stage whose process died while a cell ran; leaves the page of the failure."""
    error = StageError(
        expected="a run that goes on to its end", found=f"its process {how}",
        where=f"notebooks/{room}.ipynb" + (f", cell `{cell}`" if cell else ""),
        todo="run it again (SIGKILL mostly means that it took too much memory: free some first)",
    )  # fmt: skip
    notebook = without_outputs(nbformat.read(tables.ROOT / "notebooks" / f"{room}.ipynb", as_version=4))
    return failed(room, notebook, str(error), standing(FRONT if room != "report" else ()))


def main(argv: list[str]) -> int:
    """Runs the room named in the one argument, in a process that the door made for it and that ends with the door."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    started = time.monotonic()
    try:
        run_stage(argv[0] if len(argv) == 1 else "")
        print(f"{argv[0]}: done in {time.monotonic() - started:.1f} s, page reports/{argv[0]}.html")
    except HfkitError as e:
        print(e, file=sys.stderr)
        return 1
    finally:
        engine.progress(END)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
