"""The door: bad input ends a stage with one sentence, exit code 1 and a page that shows it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import yaml

from hfkit import run
from hfkit.shared import schema, tables
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


def test_a_stage_before_its_input_says_what_to_run(scratch):
    fails(scratch, "audit", "StageError", "dvc repro clean")


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
    for stage, files in (("", 0), ("audit", 0), ("report", 1)):
        env = {**os.environ, "HFKIT_ROOT": str(tmp_path), "HFKIT_STAGE": stage, "PYTHONPATH": str(tables.ROOT)}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        assert len(list(Path(tmp_path).glob("data/report/*.parquet"))) == files
        assert ("would write data/report/overview.parquet (1 rows)" in done.stdout) == (not files)


def test_write_refuses_a_table_that_is_not_as_agreed():
    with pytest.raises(MissingColumn, match="column measure"):
        tables.write("report", evidence=pd.DataFrame({"value": [1.0]}))
    row = {"measure": "m", "component": "c", "group": "g", "n": 1, "better": "none", "verdict": "sure", "note": ""}
    with pytest.raises(BadValue, match="cannot tell"):
        tables.write("report", evidence=pd.DataFrame([row]))


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("table", schema.TABLES.values(), ids=schema.TABLES)
def test_types_survive_the_disk_where_a_column_is_missing_throughout(table, rows, tmp_path, monkeypatch):
    """What one room wrote is what the next one reads: text stays text, with every optional column missing."""
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setenv("HFKIT_STAGE", "clean")
    some = {"str": "a", "float": 1.0, "int": 1, "bool": True, "time": "2026-01-01"}
    frame = pd.DataFrame({
        c.name: [f"{c.name}{i}" if c.name in table.key and c.type == "str" else (c.values or (some[c.type],))[0]
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
