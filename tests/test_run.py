"""The door: bad input ends a stage with one sentence, exit code 1 and a page that shows it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import yaml
from nbclient.exceptions import DeadKernelError

from hfkit import run
from hfkit.run import stage
from hfkit.shared import measures, params, schema, tables
from hfkit.shared.errors import BadValue, MissingColumn

pytestmark = pytest.mark.loop


def fails(scratch, room, *said):
    """Run a room that must fail: every phrase is in the message and on the page, no traceback in the message."""
    out = scratch(sys.executable, "-m", "hfkit.run", room, ok=False)
    page = (scratch.root / "build" / "failed" / f"{room}.html").read_text("utf-8")
    assert "Traceback" not in out
    assert "This stage failed" in page
    for phrase in said:
        assert phrase in out
        assert phrase in page
    assert not (scratch.root / "reports" / f"{room}.html").exists()
    return out


def sources(scratch):
    return yaml.safe_load((scratch.root / "params.yaml").read_text("utf-8"))["clean"]["sources"]


def test_a_missing_file_is_named(scratch):
    changed = sources(scratch)
    changed[0]["path"] = "feedback/nowhere.jsonl"
    scratch.params("clean", sources=changed)
    fails(scratch, "clean", "MissingFile", "nowhere.jsonl", "to do:")


def test_an_unknown_format_is_named(scratch):
    changed = sources(scratch)
    changed[0]["format"] = "xlsx"
    scratch.params("clean", sources=changed)
    fails(scratch, "clean", "xlsx", "to do:")


def test_a_mapping_to_an_absent_column_is_named(scratch):
    changed = sources(scratch)
    changed[0]["columns"]["item_id"] = "no_such_column"
    scratch.params("clean", sources=changed)
    fails(scratch, "clean", "MissingColumn", "no_such_column", "to do:")


def test_an_unknown_parameter_is_named(scratch):
    scratch.params("monitor", sede=1)
    fails(scratch, "monitor", "ParamError", "unknown parameter sede", "did you mean seed")


def test_a_score_outside_its_range_ends_the_stage(scratch):
    items = scratch.root / "data" / "raw" / "items" / "items.csv"
    frame = pd.read_csv(items, dtype=str, keep_default_na=False)
    frame.loc[5, "score"] = "17.5"
    frame.to_csv(items, index=False)
    fails(scratch, "clean", "BadValue", "score", "17.5")


def test_no_feedback_left_after_cleaning_ends_the_stage(scratch):
    scratch.params("clean", run_date="2001-01-01")
    fails(scratch, "clean", "NothingLeft", "to do:")


def test_one_class_only_ends_retrain(scratch):
    source = tables.ROOT / "data"
    for room in ("clean", "aggregate", "prioritize"):
        target = scratch.root / "data" / room
        target.mkdir(parents=True)
        for file in (source / room).glob("*.parquet"):
            frame = pd.read_parquet(file)
            if file.stem == "labels":
                frame.loc[frame["component"] == "safety", ["p", "label"]] = [1.0, 1]
            if file.stem == "judgements":
                frame.loc[frame["component"] == "safety", "label"] = 1
            frame.to_parquet(target / file.name)
    fails(scratch, "retrain", "OneClass", "safety")


def test_an_error_that_is_not_ours_names_the_cell_and_keeps_the_traceback_on_the_page(scratch):
    file = scratch.root / "notebooks" / "monitor.ipynb"
    nb = nbformat.read(file, as_version=4)
    nb.cells[2].source = "1 / 0"
    nbformat.write(nb, file)
    fails(scratch, "monitor", "ZeroDivisionError", f"cell `{nb.cells[2].id}`")
    assert "division by zero" in (scratch.root / "build" / "failed" / "monitor.html").read_text("utf-8")


def broken(scratch, code, room="clean"):
    """A room whose second cell runs other code."""
    file = scratch.root / "notebooks" / f"{room}.ipynb"
    nb = nbformat.read(file, as_version=4)
    cell = next(c for c in nb.cells if "import" in c.source and c.cell_type == "code")
    cell.source += f"\n{code}"
    nbformat.write(nb, file)
    return cell["id"]


@pytest.mark.parametrize(
    ("code", "found", "exit_code"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "its process ended by SIGKILL", 137),
        ("import ctypes; ctypes.string_at(0)", "its process ended by SIGSEGV", 139),
        ("import resource; resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31)); bytearray(2**32)", "MemoryError", 1),
        ("raise SystemExit(3)", "SystemExit: 3", 1),
        ("raise KeyboardInterrupt", "an interruption by hand", 1),
        ("import os; os._exit(0)", "its process left with exit code 0 before its end", 1),
    ],
    ids=["killed", "segmentation fault", "out of memory", "exit", "interrupted", "left without a word"],
)
def test_a_process_that_dies_leaves_a_message_a_page_and_an_exit_code(scratch, code, found, exit_code):
    cell = broken(scratch, code)
    door = [sys.executable, "-m", "hfkit.run", "clean"]
    done = subprocess.run(
        door, cwd=scratch.root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == exit_code
    page = (scratch.root / "build" / "failed" / "clean.html").read_text("utf-8")
    assert "This stage failed" in page
    assert "<td" not in page  # what the check cells of the notebook carry is of another run
    for text in (done.stderr, page):
        assert found in text
        assert f"cell `{cell}`" in text or "by hand" in text
    assert "Traceback" not in done.stderr


def test_a_folder_that_may_not_be_written_is_a_sentence(scratch):
    (scratch.root / "build").write_text("a file where a folder is needed", "utf-8")
    out = scratch(sys.executable, "-m", "hfkit.run", "clean", ok=False)
    assert "\nStageError: expected to write to build, found " in out  # below what matplotlib has to say of it
    assert "free disk space or correct the permissions" in out
    assert "Traceback" not in out


def test_the_door_goes_when_it_is_killed_and_so_does_the_stage(scratch):
    """Killed without a chance to say so (as by DVC's end): nothing goes on writing behind its back."""
    broken(
        scratch,
        "import os, time; open('../build/pid', 'w').write(str(os.getpid())); time.sleep(600)",
    )
    door = subprocess.Popen([sys.executable, "-m", "hfkit.run", "clean"], cwd=scratch.root)
    pid = scratch.root / "build" / "pid"
    while not (pid.is_file() and pid.read_text("utf-8")):
        assert door.poll() is None
        time.sleep(0.1)
    door.kill()
    door.wait()
    for _ in range(600):
        state = Path(f"/proc/{pid.read_text('utf-8')}/stat")
        if not state.is_file() or state.read_text("utf-8").split()[2] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the stage outlived its door")


def test_what_depends_on_the_processor_is_pinned_inside_the_stage(scratch):
    """Whatever the caller asks for, and whatever the processor can do."""
    code = (
        "import scipy.linalg, threadpoolctl\n"
        "from numpy._core._multiarray_umath import __cpu_dispatch__ as able, __cpu_features__ as features\n"
        "import pyarrow\n"
        "kernels = {i['architecture'] for i in threadpoolctl.threadpool_info() if i['internal_api'] == 'openblas'}\n"
        "raise ValueError(kernels, [f for f in able if features[f]], pyarrow.runtime_info().simd_level)"
    )
    broken(scratch, code)
    out = scratch("env", "OPENBLAS_CORETYPE=Haswell", "ARROW_USER_SIMD_LEVEL=AVX2", sys.executable, "-m", "hfkit.run",
                  "clean", ok=False)  # fmt: skip
    assert "ValueError: ({'Nehalem'}, [], 'none')" in out


def test_a_stage_before_its_input_says_what_to_run(scratch):
    fails(scratch, "audit", "StageError", "dvc repro clean")


STOOD = {"reports/monitor.html": '<main id="main">the last good page', "metrics/monitor.json": '{"a": 1}',
         "plots/monitor.csv": '"week"', "reports/index.html": '<main id="main">the front page'}  # fmt: skip


@pytest.fixture
def stood(scratch, monkeypatch):
    """A project in which the monitor has run once, and the door in this process."""
    for name, text in STOOD.items():
        (scratch.root / name).parent.mkdir(exist_ok=True)
        (scratch.root / name).write_text(text, "utf-8")
    monkeypatch.setattr(tables, "ROOT", scratch.root)
    return scratch


def files(scratch):
    return {name: (scratch.root / name).read_text("utf-8") for name in STOOD if (scratch.root / name).is_file()}


def stops(room="monitor"):
    """The message with which the door ends a run that must fail."""
    with pytest.raises(SystemExit) as stopped:
        stage.run_stage(room)
    return str(stopped.value)


def test_a_failed_run_keeps_the_last_good_page_marked_and_the_numbers_as_they_were(stood):
    stood.params("monitor", sede=1)
    for _ in range(2):
        out = stood(sys.executable, "-m", "hfkit.run", "monitor", ok=False)
        assert "note: The page of the last good run still stands, marked as old: reports/monitor.html" in out
        after = files(stood)
        for name in ("reports/monitor.html", "reports/index.html"):
            assert after[name].count("of an earlier run: the last run of monitor failed: ParamError: expected") == 1
            assert after[name].endswith(STOOD[name].removeprefix('<main id="main">'))
        assert {n: after[n] for n in STOOD if "reports" not in n} == {n: STOOD[n] for n in STOOD if "reports" not in n}
    failed = (stood.root / "build" / "failed" / "monitor.html").read_text("utf-8")
    assert "The page of the last good run still stands, marked as old: reports/monitor.html" in failed


def test_what_a_failed_run_wrote_gives_way_to_what_stood(stood, monkeypatch):
    """The notebook got as far as its numbers, and then its page may not be shown."""

    def half(notebook, values, room):
        (stood.root / "metrics" / "monitor.json").write_text('{"a": 2}', "utf-8")
        notebook.cells.append(nbformat.v4.new_markdown_cell("<script>1</script>"))
        return notebook

    monkeypatch.setattr(stage, "execute", half)
    message = stops()
    assert "StageError: expected a page without scripts" in message
    assert "page: build/failed/monitor.html" in message
    assert files(stood)["metrics/monitor.json"] == STOOD["metrics/monitor.json"]
    assert "failed: StageError: expected a page without scripts" in files(stood)["reports/monitor.html"]


@pytest.mark.parametrize(
    ("error", "phrase"), [(DeadKernelError("Kernel died"), "Kernel died."), (KeyboardInterrupt(), "by hand.")]
)
def test_a_kernel_that_dies_and_an_interruption_are_failures_like_others(stood, monkeypatch, error, phrase):
    def dies(*_, **__):
        raise error

    monkeypatch.setattr("papermill.execute_notebook", dies)
    message = stops()
    assert message.startswith("StageError: expected a run that goes on to its end, found ")
    assert phrase in message.splitlines()[0]
    assert "of an earlier run" in files(stood)["reports/monitor.html"]


def test_a_notebook_that_no_page_may_show_still_leaves_a_page_with_its_error(stood):
    file = stood.root / "notebooks" / "monitor.ipynb"
    nb = nbformat.read(file, as_version=4)
    nb.cells[0].source += "\n\n<script>1</script>"
    nbformat.write(nb, file)
    stood.params("monitor", sede=1)
    assert "unknown parameter sede" in stops()
    failed = (stood.root / "build" / "failed" / "monitor.html").read_text("utf-8")
    assert "unknown parameter sede" in failed
    assert "script" not in failed


def test_a_run_that_succeeds_takes_its_mark_from_the_front_page(stood, monkeypatch):
    stood.params("monitor", sede=1)
    stops()
    marked = files(stood)["reports/index.html"]
    monkeypatch.setattr(stage, "execute", lambda notebook, values, room: notebook)
    stage.run_stage("calibration")
    assert files(stood)["reports/index.html"] == marked  # not its mark
    monkeypatch.setattr(params, "check", lambda values, declared, room: {})
    stage.run_stage("monitor")
    assert files(stood)["reports/index.html"] == STOOD["reports/index.html"]
    assert "of an earlier run" not in files(stood)["reports/monitor.html"]


@pytest.mark.parametrize("moved", [False, True])
def test_the_last_good_run_is_the_one_that_the_lock_names(scratch, monkeypatch, moved):
    """After DVC removed the outs: from its cache, wherever that lies; metrics and plots it does not have, from git."""
    monkeypatch.setattr(tables, "ROOT", scratch.root)
    assert stage.earlier("audit") == {}
    outs = []
    cache = scratch.root / ("elsewhere" if moved else ".dvc/cache")
    if moved:
        scratch("dvc", "cache", "dir", "elsewhere")
    for name in ("reports/audit.html", "metrics/audit.json"):
        key = hashlib.md5(name.encode()).hexdigest()
        outs.append({"path": name, "hash": "md5", "md5": key})
        (cache / "files" / "md5" / key[:2]).mkdir(parents=True)
        (cache / "files" / "md5" / key[:2] / key[2:]).write_text(f"cached {name}", "utf-8")
    outs.append({"path": "plots/audit.csv", "hash": "md5", "md5": "0" * 32})
    (scratch.root / "dvc.lock").write_text(yaml.safe_dump({"stages": {"audit": {"outs": outs}}}), "utf-8")
    (scratch.root / "plots").mkdir()
    (scratch.root / "plots" / "audit.csv").write_text("committed", "utf-8")
    for command in (
        ["init", "-q"],
        ["add", "plots"],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"],
    ):
        scratch("git", *command)
    (scratch.root / "plots" / "audit.csv").unlink()
    assert stage.earlier("audit") == {
        "reports/audit.html": b"cached reports/audit.html", "metrics/audit.json": b"cached metrics/audit.json",
        "plots/audit.csv": b"committed",
    }  # fmt: skip
    (scratch.root / "dvc.lock").write_text("", "utf-8")  # as a full disk leaves it
    assert stage.earlier("audit") == {"plots/audit.csv": b"committed"}


def test_the_environment_is_an_allow_list(monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET_TOKEN", "canary")
    env = run.environment("audit", tmp_path)
    assert "SECRET_TOKEN" not in env
    assert env["PYTHONHASHSEED"] == "0"


def test_write_under_another_stage_writes_nothing(tmp_path):
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "params.yaml").touch()
    frame = "pd.DataFrame({'a': [1]})"
    code = f"import pandas as pd; from hfkit.shared import tables; tables.write('report', overview={frame})"
    for room, files in (("", 0), ("audit", 0), ("report", 1)):
        env = {**os.environ, "HFKIT_ROOT": str(tmp_path), "HFKIT_STAGE": room, "PYTHONPATH": str(tables.ROOT)}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        assert len(list(Path(tmp_path).glob("data/report/*.parquet"))) == files
        assert ("would write data/report/overview.parquet (1 rows)" in done.stdout) == (not files)


def test_write_refuses_a_table_that_is_not_as_agreed():
    with pytest.raises(MissingColumn, match="column measure"):
        tables.write("report", evidence=pd.DataFrame({"value": [1.0]}))
    row = {"measure": "m", "component": "c", "group": "g", "n": 1, "better": "none", "verdict": "sure", "note": ""}
    with pytest.raises(BadValue, match="inconclusive"):
        tables.write("report", evidence=pd.DataFrame([row]))


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("table", schema.TABLES.values(), ids=schema.TABLES)
def test_types_survive_the_disk_where_a_column_is_missing_throughout(table, rows, tmp_path, monkeypatch):
    """What one room wrote is what the next one reads: text stays text, with every optional column missing."""
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setenv("HFKIT_STAGE", "clean")
    monkeypatch.setitem(measures.NAMES, "clean", ("a",))
    value = {"str": "a", "float": 1.0, "int": 1, "bool": True, "time": "2026-01-01"}
    frame = pd.DataFrame({
        c.name: [f"{c.name}{i}" if c.name in table.key and c.type == "str" else (c.values or (value[c.type],))[0]
                 for i in range(rows)]
        for c in table.columns if c.required
    })  # fmt: skip
    frame = frame.assign(**{f"{f}x": None for f in table.families})
    tables.write("clean", **{table.name: frame})
    back = tables.read("clean", table.name)
    pd.testing.assert_frame_equal(back, schema.shape(frame, table))
    texts = [c.name for c in table.columns if c.type == "str"]
    assert {str(back[c].dtype) for c in texts} == {"str"}
    assert len(back) == rows


def test_raw_never_leaves_its_folder():
    with pytest.raises(tables.MissingFile, match="inside data/raw"):
        tables.raw("../../pyproject.toml")


def test_atomic_leaves_the_old_file_when_writing_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    target = tmp_path / "a.txt"
    target.write_text("old")

    def full(path):
        path.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(tables.StageError, match="No space left"):
        tables.atomic(target, full)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
