"""What does the door cost? A cold `dvc repro`, pages included, against a plain script of the notebooks' own cells.

    python benchmarks/bench_door.py

Processor seconds of all processes, medians of RUNS; everything in a copy of the project. The script of a room is the
code of its notebook with the values of params.yaml, run by a Python of its own. Beside it: the door without DVC, the
kernel of its own (HFKIT_ENGINE=kernel), papermill and nbconvert as one would type them for one notebook, one changed
parameter of decide, and a run with nothing to do against `dvc status`.
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import yaml

from hfkit import run
from hfkit.shared import params, rooms

ROOT = Path(__file__).resolve().parents[1]
RUNS = 2
PARTS = (
    "hfkit",
    "notebooks",
    "dvc.yaml",
    "params.yaml",
    "requirements.txt",
    "data/raw",
    "data/ledger",
    ".dvcignore",
    "pyproject.toml",
)


def seconds(command: list[str], root: Path, **more: str) -> float:
    """Processor seconds of a command and all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("HFKIT", "PYTHON"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{keep['PATH']}"
    done = subprocess.run(
        command, cwd=root, env={**keep, "PATH": path, **more}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def script(root: Path, room: str) -> Path:
    """The cells of a notebook as a script."""
    notebook = nbformat.read(root / "notebooks" / f"{room}.ipynb", as_version=4)
    values = params.values(room)
    lines = []
    for cell in (c for c in notebook.cells if c.cell_type == "code"):
        lines.append(cell.source)
        if "parameters" in cell.metadata.get("tags", []):
            lines += [f"{name} = {value!r}" for name, value in values.items()]
    file = root / "build" / f"{room}.py"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def cold(root: Path) -> None:
    """As after a clone: nothing made, nothing in a cache."""
    for name in ("build", "reports", "metrics", "plots", ".dvc/cache", "dvc.lock"):
        file = root / name
        shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)
    for folder in (root / "data").iterdir():
        if folder.is_dir() and folder.name not in ("raw", "ledger"):
            shutil.rmtree(folder)
    (root / "build").mkdir(mode=0o700)


def scripts(root: Path) -> float:
    """Processor seconds of all rooms as scripts."""
    cold(root)
    total = 0.0
    for room in rooms.NAMES:
        total += seconds([sys.executable, str(script(root, room))], root, **run.environment(room, root))
    return total


def doors(root: Path, **more: str) -> float:
    """Processor seconds of all rooms through the door, without DVC."""
    cold(root)
    return sum(seconds([sys.executable, "-m", "hfkit.run", room], root, **more) for room in rooms.NAMES)


def repro(root: Path) -> float:
    """Processor seconds of a cold run."""
    cold(root)
    return seconds(["dvc", "repro"], root)


def changed(root: Path) -> float:
    """Processor seconds after one parameter of decide has changed."""
    file = root / "params.yaml"
    text = file.read_text("utf-8")
    content = yaml.safe_load(text)
    content["decide"]["release"] = "v2"
    file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")
    taken = seconds(["dvc", "repro"], root)
    file.write_text(text, "utf-8")
    seconds(["dvc", "repro"], root)
    return taken


def by_hand(root: Path) -> float:
    """Processor seconds of papermill and nbconvert for the notebook of one room, as one would type them."""
    environment = run.environment("monitor", root)
    papermill = ["papermill", "-k", "python3", "--cwd", "notebooks", "notebooks/monitor.ipynb", "build/by_hand.ipynb"]
    return seconds(papermill, root, **environment) + seconds(
        ["jupyter", "nbconvert", "--to", "html", "build/by_hand.ipynb"], root, **environment
    )


def main() -> None:
    """Prints the seconds and the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for part in PARTS:
            source = ROOT / part
            (root / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, root / part) if source.is_dir() else shutil.copyfile(source, root / part)
        (root / ".dvc").mkdir()
        shutil.copyfile(ROOT / ".dvc" / "config", root / ".dvc" / "config")
        seconds(["git", "init", "-q"], root)
        plain = statistics.median(scripts(root) for _ in range(RUNS))
        door = statistics.median(doors(root) for _ in range(RUNS))
        kernel = doors(root, HFKIT_ENGINE="kernel")
        whole = statistics.median(repro(root) for _ in range(RUNS))
        one = statistics.median(changed(root) for _ in range(RUNS))
        nothing = statistics.median(seconds(["dvc", "repro"], root) for _ in range(RUNS))
        status = statistics.median(seconds(["dvc", "status"], root) for _ in range(RUNS))
        monitor = statistics.median(seconds([sys.executable, "-m", "hfkit.run", "monitor"], root) for _ in range(RUNS))
        hand = statistics.median(by_hand(root) for _ in range(RUNS))
    for what, taken in (("plain script", plain), ("door, no DVC", door), ("door with a kernel, no DVC", kernel),
                        ("cold dvc repro", whole)):  # fmt: skip
        print(f"{what:28} {taken:6.1f} s  {taken / plain:.2f} times the plain script")
    print(f"one changed decide parameter {one:6.1f} s  {one / whole:.3f} of a cold run")
    print(f"nothing to do                {nothing:6.1f} s  {nothing / status:.2f} times dvc status")
    print(f"door, monitor                {monitor:6.1f} s  {monitor / hand:.2f} times papermill and nbconvert by hand")


if __name__ == "__main__":
    main()
