"""What an interrupted run leaves behind is found and mended; what still runs is left alone."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT, Loop
from dvc.dvcfile import Lockfile
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.rwlock import SCHEMA
from voluptuous import Invalid

from hfkit.commands import doctor

LOCK = (ROOT / "dvc.lock").read_text("utf-8")
GONE = {"pid": 2**22 + 1, "cmd": "dvc repro"}  # beyond the largest process number


def refused(repo):
    """Does DVC refuse the lock file of a project?"""
    try:
        Lockfile(repo, f"{repo.root_dir}/dvc.lock").load()
    except DvcException:
        return True
    return False


def test_a_lock_file_that_dvc_refuses_is_removed_wherever_it_was_cut(scratch):
    scratch("git", "init", "-q")
    repo, file, count = Repo(scratch.root), scratch.root / "dvc.lock", 0
    file.write_text('schema: "2.0"\nstages: {mine: {cmd: "true"}}', "utf-8")
    assert list(doctor.lock_file(scratch.root)) == []  # a stage without deps and outs is a stage
    for cut in [0, 1, *random.Random(1).sample(range(len(LOCK)), 40), len(LOCK)]:
        file.write_text(LOCK[:cut], "utf-8")
        wrong = refused(repo)
        found = list(doctor.lock_file(scratch.root))
        assert bool(found) == wrong, cut
        for finding in found:
            finding.cure()
        assert file.exists() != wrong
        count += wrong
    assert 5 < count < 43  # a whole one stays


@pytest.mark.parametrize(
    "text", ["", "{", '{"read"', "[]", '"x"', '{"read": [1], "write": {}}', '{"read": {"a": [{}]}}', "\x00" * 9]
)
def test_a_lock_of_processes_that_dvc_refuses_is_removed(tmp_path, text):
    with pytest.raises((ValueError, Invalid)):
        SCHEMA(json.loads(text))
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    (tmp_path / ".dvc" / "tmp" / "rwlock").write_text(text, "utf-8")
    for finding in doctor.findings(tmp_path):
        finding.cure()
    assert not (tmp_path / ".dvc" / "tmp" / "rwlock").exists()


def test_leftovers_of_a_run_go_and_files_of_people_stay(tmp_path):
    """What only looks like a temporary file, or lies where people put their files, is theirs."""
    gone = ["data/audit/.evidence.parquet.4711", "reports/.audit.html.4711", "build/tmpx/executed.ipynb"]
    stay = ["data/raw/.old.parquet.2024", "data/audit/.evidence.parquet.bak", "reports/.audit.html.mine"]
    for name in gone + stay:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for finding in doctor.leftovers(tmp_path):
        finding.cure()
    assert [name for name in gone + stay if (tmp_path / name).exists()] == stay


def test_locks_of_dead_processes_go_and_those_of_a_running_dvc_stay(tmp_path):
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    (tmp_path / "dvc.lock").touch()
    file = tmp_path / ".dvc" / "tmp" / "rwlock"
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "dvc"]) as runs:
        mine = {"pid": os.getpid(), "cmd": "dvc repro"}  # a number that went to a process which is not DVC
        for holders, what in (
            [[GONE], "gone"],
            [[GONE, mine], "gone"],
            [[{"pid": runs.pid, "cmd": "dvc"}, GONE], "runs"],
        ):
            file.write_text(json.dumps({"write": {"/a": holders[0]}, "read": {"/b": holders}}), "utf-8")
            found = [f for f in doctor.findings(tmp_path) if "dvc.lock" not in f.problem]
            assert [what in f.problem for f in found] == [True]
            assert (found[0].cure is None) == (what == "runs")
        assert len(doctor.findings(tmp_path)) == 1  # nothing is touched while another dvc may write it
        runs.kill()
    file.write_text("{}", "utf-8")
    assert list(doctor.held(tmp_path)) == []


def test_what_only_a_person_can_mend_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "FREE", 2**60)
    assert "MB are needed: free some" in doctor.findings(tmp_path)[0].problem
    monkeypatch.setattr(doctor, "FREE", 0)
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "build")
    (tmp_path / "build" / "tmpx").mkdir(parents=True)
    said = [f.problem for f in doctor.findings(tmp_path)]
    assert said == ["build/tmpx is left over from a killed run", "build may not be written: correct its permissions"]


def killed(loop: Loop, *command: str, seconds: float = 0.0) -> None:
    """A command killed with all its processes: after some seconds, or (0) as soon as it writes dvc.lock."""
    lock = loop.root / "dvc.lock"
    before, end = lock.stat().st_mtime_ns, time.monotonic() + (seconds or 600)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    run = subprocess.Popen(command, cwd=loop.root, env=loop.env, start_new_session=True, **quiet)
    while run.poll() is None and time.monotonic() < end:
        if not seconds and lock.stat().st_mtime_ns != before:
            break
        time.sleep(0.01 if seconds else 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def kills(loop: Loop, unaimed: int, aimed: int) -> int:
    """Runs of room report, killed; after each the one command, and the lock file that an undisturbed run gives.

    Returns how many left something to mend.
    """
    golden, broken = {}, 0
    for rows in (5, 6):
        loop.params("report", show_rows=rows)
        loop("dvc", "repro", "-q")
        golden[rows] = (loop.root / "dvc.lock").read_bytes()
    for number in range(unaimed + aimed):
        seconds = random.Random(number).uniform(0.3, 3.0) if number < unaimed else 0.0
        if not seconds:
            rows = 11 - rows  # taken from the run cache, so that the writing of dvc.lock comes soon
            loop.params("report", show_rows=rows)
        killed(loop, "dvc", "repro", "-q", *(["-f", "-s", "report"] if seconds else []), seconds=seconds)
        found = doctor.findings(loop.root)
        broken += bool(found)
        for finding in found:
            finding.cure()
        loop("dvc", "repro", "-q")
        assert (loop.root / "dvc.lock").read_bytes() == golden[rows], number
        assert doctor.findings(loop.root) == []
    return broken


@pytest.mark.loop
def test_a_killed_run_is_mended_by_one_command(loop):
    assert kills(loop, unaimed=2, aimed=3) > 0
    (loop.root / "dvc.lock").write_text("", "utf-8")
    assert "dvc.lock is empty or cut" in loop("hfkit", "doctor", ok=False)
    assert "(mended)" in loop("hfkit", "doctor", "--fix")
    assert loop("hfkit", "doctor") == ""
    loop("dvc", "repro", "-q")
    assert "up to date" in loop("dvc", "status")
