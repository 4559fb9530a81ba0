"""The one door: `python -m hfkit.run <room>` runs a room as a stage.

It starts one process in a fixed environment, in which hfkit/run/stage.py executes the notebook and makes the page, and
watches it: where that process dies without a word, the door writes the page of the failure. Nothing heavy is imported
here unless that happens.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from hfkit.shared.root import ROOT

KEPT = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT", "TERM", "LD_LIBRARY_PATH",
        "HFKIT_ENGINE")  # fmt: skip
FIXED = {
    "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "0", "IPYKERNEL_CELL_NAME": "<cell>", "TZ": "UTC", "MPLBACKEND": "agg",
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONUTF8": "1",
    "JUPYTER_PLATFORM_DIRS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}  # fmt: skip
PROCESSOR = {  # the last digits of a sum depend on these: what every x86-64 machine of the last fifteen years can do
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4",
    "ARROW_USER_SIMD_LEVEL": "NONE",
}

END = "end"  # what a stage writes to its pipe last, however it ended; before that, the id of the running cell


def environment(room: str, root: Path) -> dict[str, str]:
    """The environment a stage runs in: an allow-list of the caller's, fixed seeds, and the room it may write for.

    >>> sorted(set(environment("audit", Path("."))) & {"HFKIT_STAGE", "HFKIT_ROOT", "PYTHONHASHSEED"})
    ['HFKIT_ROOT', 'HFKIT_STAGE', 'PYTHONHASHSEED']
    """
    kept = {"HOME": str(root / "build")} | {k: os.environ[k] for k in KEPT if k in os.environ}
    private = {"IPYTHONDIR": str(root / "build" / "ipython"), "MPLCONFIGDIR": str(root / "build" / "matplotlib")}
    own = {"HFKIT_STAGE": room, "HFKIT_ROOT": str(root), "PYTHONPATH": str(root)}
    return {**kept, **FIXED, **PROCESSOR, **private, **own}


def watch(command: list[str], env: dict[str, str]) -> tuple[int, str]:
    """Run a command to its end: its exit code (below 0: the signal that ended it) and the last line it wrote to a pipe.

    The command finds the pipe's number in HFKIT_PROGRESS. An interruption by hand reaches it too, so it is waited for.
    It is killed where whoever started this process is gone: it would go on writing behind the back of the next run.
    """
    caller, received = os.getppid(), b""
    reading, writing = os.pipe()
    child = subprocess.Popen(command, env={**env, "HFKIT_PROGRESS": str(writing)}, pass_fds=[writing])
    os.close(writing)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while child.poll() is None:
        with contextlib.suppress(KeyboardInterrupt):
            if select.select([reading], [], [], 1.0)[0]:
                news = os.read(reading, 2**16)
                received = (received + news)[-1000:]
                if not news:
                    child.wait()
        if os.getppid() != caller:
            child.kill()
    if select.select([reading], [], [], 0)[0]:
        received += os.read(reading, 2**16)
    os.close(reading)
    lines = received.decode().split()
    return child.returncode, lines[-1] if lines else ""


def main(argv: list[str]) -> int:
    """Command line of the door: one argument, the room. Exit code: the stage's, or 128 plus the signal's number."""
    env = environment(argv[0] if len(argv) == 1 else "", ROOT)
    code, last = watch([sys.executable, "-m", "hfkit.run.stage", *argv], env)
    if last == END:
        return code
    from hfkit.run import stage

    how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"left with exit code {code} before its end"
    print("", stage.died(argv[0], how, cell=last), sep="\n", file=sys.stderr)  # below the line of the progress bar
    return 128 - code if code < 0 else code or 1
