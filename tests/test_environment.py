"""The environment is made from the lock, or a sentence says why not."""

from __future__ import annotations

import collections
import importlib.util
import subprocess
import sys
import venv

import pytest
from conftest import ROOT


@pytest.fixture
def environment(monkeypatch):
    """tools/environment.py as a module."""
    spec = importlib.util.spec_from_file_location("environment", ROOT / "tools" / "environment.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_old_python_is_met_with_a_sentence(environment, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    with pytest.raises(SystemExit, match=r"expected Python 3.11 or newer, found 3.9"):
        environment.check()


def test_a_full_disk_is_met_with_a_sentence_where_something_is_to_be_installed(environment, monkeypatch, tmp_path):
    usage = collections.namedtuple("usage", "total used free")
    installed = []
    monkeypatch.setattr(environment, "VENV", str(tmp_path))
    monkeypatch.setattr(environment, "PYTHON", sys.executable)
    monkeypatch.setattr(environment, "install", lambda *arguments: installed.append(arguments))
    for free, count in ((10**10, 2), (10**8, 2)):  # the second time nothing is missing
        monkeypatch.setattr(environment.shutil, "disk_usage", lambda _, free=free: usage(10**12, 10**12, free))
        environment.main("requirements.txt")
        assert len(installed) == count
    with pytest.raises(SystemExit, match=r"expected 3 GB free .* found 0.1 GB"):
        environment.main("requirements-test.txt")


@pytest.mark.parametrize("place", ["here", "there"])
def test_an_environment_that_was_made_elsewhere_is_made_again(environment, monkeypatch, tmp_path, place):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / place / ".venv")], check=True)
    monkeypatch.setattr(environment, "VENV", str(tmp_path / "here" / ".venv"))
    if place == "there":
        (tmp_path / "there").rename(tmp_path / "here")
    assert environment.moved() == (place == "there")


def test_an_index_out_of_reach_is_met_with_a_sentence(environment, monkeypatch, tmp_path, capsys):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    monkeypatch.setattr(environment, "PYTHON", str(python))
    for name, value in {"INDEX_URL": "http://127.0.0.1:9/simple", "RETRIES": "0", "DEFAULT_TIMEOUT": "2"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(SystemExit, match="Is the package index reachable"):
        environment.install("a-package-that-is-nowhere==1.0")


def test_the_locks_pin_every_package_with_a_hash_and_name_no_index():
    runtime = (ROOT / "requirements.txt").read_text("utf-8")
    assert "jupyterlab==" not in runtime
    assert "jupyterlab==" in (ROOT / "requirements-lab.txt").read_text("utf-8")
    for name in ("requirements.txt", "requirements-test.txt", "requirements-lab.txt"):
        text = (ROOT / name).read_text("utf-8")
        blocks = [b for b in text.replace("\\\n", "").splitlines() if b and not b.startswith("#")]
        assert all("==" in b and "--hash=sha256:" in b for b in blocks)
        assert "://" not in text
        assert "--index" not in text
