"""A papermill engine that executes a notebook in the process it is called from: no second process, no socket.

The outputs are those that a kernel of its own gives (a test holds both against each other, byte for byte); warnings go
straight to the terminal.
"""

from __future__ import annotations

import contextlib
import io
import os
from binascii import b2a_base64
from typing import Any

import nbformat
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines
from traitlets.config import Config

NAME = "hfkit"


def _bundle(data: dict[str, Any]) -> dict[str, Any]:
    return {k: b2a_base64(v, newline=False).decode() if isinstance(v, bytes) else v for k, v in data.items()}


class _Display(DisplayPublisher):
    """What `display` shows becomes an output of the running cell."""

    def publish(self, data: dict[str, Any], metadata: dict[str, Any] | None = None, **_: Any) -> None:
        """One thing shown: its representations by MIME type."""
        self.shell.outputs.append(nbformat.v4.new_output("display_data", data=_bundle(data), metadata=metadata or {}))


class _Result(DisplayHook):
    """The value of a cell's last line becomes an output of the running cell."""

    def write_output_prompt(self) -> None:
        """Nothing: a notebook has no prompt."""

    def write_format_data(self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None) -> None:
        """One value: its representations by MIME type."""
        self.shell.outputs.append(
            nbformat.v4.new_output("execute_result", data=_bundle(format_dict), metadata=md_dict or {},
                                   execution_count=self.shell.execution_count)
        )  # fmt: skip


class _Printed(io.TextIOBase):
    """What is printed becomes an output of the running cell; prints that follow each other are one."""

    def __init__(self, shell: _Shell) -> None:
        self.shell = shell

    def write(self, text: str) -> int:
        """Some printed text."""
        outputs = self.shell.outputs
        if text and outputs and outputs[-1].output_type == "stream":
            outputs[-1]["text"] += text
        elif text:
            outputs.append(nbformat.v4.new_output("stream", name="stdout", text=text))
        return len(text)


class _Shell(InteractiveShell):
    """An IPython shell that collects a cell's outputs."""

    def __init__(self, **options: Any) -> None:
        self.outputs: list[nbformat.NotebookNode] = []
        super().__init__(**options)

    def _showtraceback(self, etype: type[BaseException], evalue: BaseException, stb: list[str]) -> None:
        self.outputs.append(
            nbformat.v4.new_output("error", ename=etype.__name__, evalue=str(evalue), traceback=list(stb))
        )

    def execute(self, cell: nbformat.NotebookNode) -> bool:
        """Run a code cell and give it its outputs; did it succeed? Raises KeyboardInterrupt."""
        cell.execution_count, self.outputs = self.execution_count, []
        with contextlib.redirect_stdout(_Printed(self)):
            done = self.run_cell(cell.source, store_history=True)
        cell.outputs = self.outputs
        if isinstance(done.error_in_exec, KeyboardInterrupt):
            raise done.error_in_exec
        if not done.success and not any(o.output_type == "error" for o in self.outputs):  # a shell ignores an exit
            error = done.error_before_exec or done.error_in_exec
            self._showtraceback(type(error), error, [repr(error)])
        return bool(done.success)


def progress(step: str) -> None:
    """Tell the door how far the stage has come: the id of the running cell, on the pipe that it opened."""
    pipe = os.environ.get("HFKIT_PROGRESS")
    if pipe:
        os.write(int(pipe), f"{step}\n".encode())


class InProcess(Engine):
    """The engine: executes cell by cell until one fails."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: NotebookExecutionManager, kernel_name: str, **_: Any) -> None:
        """Execute a notebook; a cell's error becomes its last output, and ends the run."""
        config = Config({"HistoryManager": {"enabled": False}})
        _Shell.clear_instance()  # a notebook sees nothing of another one
        shell = _Shell.instance(config=config, display_pub_class=_Display, displayhook_class=_Result)
        for index, cell in enumerate(nb_man.nb.cells):
            nb_man.cell_start(cell, index)
            progress(str(cell.get("id", index)))
            code = cell.cell_type == "code" and cell.source.strip()
            failed = bool(code) and not shell.execute(cell)
            if failed:
                nb_man.cell_exception(cell, index)
            nb_man.cell_complete(cell, index)
            if failed:
                break


papermill_engines.register(NAME, InProcess)
