"""Shared fixtures: workspaces in which the loop may run, and the command line of DVC."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
sys.path.insert(0, str(Path(__file__).parent))

TREE = ("hfkit", "notebooks", "dvc.yaml", "params.yaml", "requirements.txt", "data/raw", "data/ledger",
        ".dvcignore", "pyproject.toml")  # fmt: skip
MADE = ("dvc.lock", "data", "build", "reports", "metrics", "plots", ".dvc/cache")


class Loop:
    """A folder in which the loop runs, with DVC as a user types it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def env(self) -> dict[str, str]:
        """The environment of a person who types: this Python's commands, nothing of the tests."""
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("HFKIT", "PYTHON", "GIT_"))}
        return keep | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def __call__(self, *command: str, ok: bool = True) -> str:
        """Run a command there; its output, and an assertion on its exit code unless `ok` is None."""
        done = subprocess.run(
            command, cwd=self.root, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=800, check=False,
        )  # fmt: skip
        assert (done.returncode == 0) == ok, done.stdout[-3000:]
        return done.stdout

    def params(self, room: str, **values: object) -> None:
        """Change parameters of one room in params.yaml."""
        file = self.root / "params.yaml"
        content = yaml.safe_load(file.read_text("utf-8"))
        content[room].update(values)
        file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")


def lay_out(target: Path, parts: tuple[str, ...] = TREE) -> Loop:
    """A copy of the project's sources in `target`, as a DVC project without git."""
    for part in parts:
        source = ROOT / part
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
            shutil.copytree(source, target / part, ignore=ignore, dirs_exist_ok=True)
        elif source.exists():
            (target / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / part)
    (target / ".dvc").mkdir(exist_ok=True)
    shutil.copyfile(ROOT / ".dvc" / "config", target / ".dvc" / "config")
    return Loop(target)


@pytest.fixture
def scratch(tmp_path: Path) -> Loop:
    """The project's sources alone, nothing run."""
    return lay_out(tmp_path)


@pytest.fixture(scope="session")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """The sample world, run to its end, as a git repository of its own (what is up to date is taken over)."""
    root = tmp_path_factory.mktemp("loop")
    made = lay_out(root, TREE + MADE)
    shutil.copyfile(ROOT / ".gitignore", root / ".gitignore")
    made("git", "init", "-q")
    made("git", "config", "user.email", "test@example.org")
    made("git", "config", "user.name", "test")
    made("dvc", "repro", "-q")
    made("git", "add", "-A")
    made("git", "commit", "-qm", "as run")
    return made


def example(name: str, target: Path) -> Loop:
    """An example's loop, run to its end in a workspace; skips where shared/data is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("shared/data is absent")
    data = {"popquorn": "popquorn", "open_bandit": "obd_all"}[name]
    made = Loop(ROOT)
    made(
        "hfkit", "workspace", str(target), "--params", f"examples/{name}/params.yaml", "--data",
        str(SHARED / "data" / data),
    )  # fmt: skip
    made.root = target
    made("dvc", "repro", "-q")
    return made
