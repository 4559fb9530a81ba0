# ruff: noqa: E501 - tables as literals
"""Rows of a database as an export, and answers written for other tools."""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from hfkit import cli, formats
from hfkit.commands import snapshot
from hfkit.shared import schema, tables
from hfkit.shared.errors import InputError, ParamError, WouldOverwrite


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    (tmp_path / "data" / "raw").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def database(tmp_path, monkeypatch):
    file = tmp_path / "votes.db"
    with sqlite3.connect(file) as c:
        c.execute("create table votes (id text, rater text, vote int, at text)")
        c.executemany("insert into votes values (?, ?, ?, ?)",
                      [("a", "007", 1, "2026-01-05T10:00:00Z"), ("b", "7", 0, None)])  # fmt: skip
    monkeypatch.setenv("HFKIT_DB", f"sqlite:///{file}")
    return file


def run(*arguments):
    return CliRunner().invoke(cli.cli, [str(a) for a in arguments])


def test_a_query_becomes_an_export_with_its_hash_beside_it(project, database):
    out = run("snapshot", "votes", "--query", "select * from votes order by id")
    assert out.exit_code == 0, out.output
    data = (project / "data/raw/votes.parquet").read_bytes()
    assert formats.read(data, "parquet", source="v").frame.to_numpy().tolist() == [
        ["a", "007", 1, "2026-01-05T10:00:00Z"], ["b", "7", 0, None]]  # fmt: skip
    note = json.loads((project / "data/raw/votes.snapshot.json").read_text("utf-8"))
    assert (note["rows"], note["query"]) == (2, "select * from votes order by id")
    assert isinstance(run("snapshot", "votes", "--query", "select 1").exception, WouldOverwrite)
    (project / "q.sql").write_text("select count(*) as n from votes", "utf-8")
    assert run("snapshot", "votes", "--query", f"@{project}/q.sql", "--overwrite").exit_code == 0
    assert pd.read_parquet(project / "data/raw/votes.parquet")["n"].tolist() == [2]


def test_nothing_in_the_database_changes_and_no_message_holds_its_address(project, database, monkeypatch):
    with pytest.raises(InputError, match="a SELECT"):
        snapshot.read(f"sqlite:///{database}", "delete from votes")
    with sqlite3.connect(database) as c:
        assert c.execute("select count(*) from votes").fetchone() == (2,)
    with pytest.raises(InputError, match="no such table") as caught:
        snapshot.read(f"sqlite:///{database}", "select * from missing")
    assert "votes.db" not in str(caught.value)
    with pytest.raises(ParamError) as caught:
        snapshot.read("nonsense://ann:secret@host/db", "select 1")
    assert "secret" not in str(caught.value)
    monkeypatch.delenv("HFKIT_DB")
    assert isinstance(run("snapshot", "v", "--query", "select 1").exception, ParamError)


@pytest.fixture
def postgres():
    """A PostgreSQL of its own on the loopback address, where it is installed; it will not run as root."""
    if shutil.which("pg_ctl") is None:
        pytest.skip("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(prefix="hfkit-pg-", dir="/tmp"))
    other = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if other:
        shutil.chown(folder, "postgres")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/", "timeout": 120}
    pg = shutil.which("pg_ctl")
    try:
        subprocess.run([*other, shutil.which("initdb"), "-D", folder / "d", "-U", "hf", "--auth=trust"], **quiet)
        subprocess.run([*other, pg, "-D", folder / "d", "-o", options, "-w", "start"], **quiet)
        yield f"postgresql+psycopg://hf@127.0.0.1:{port}/postgres"
        subprocess.run([*other, pg, "-D", folder / "d", "-m", "immediate", "stop"], **quiet)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_postgres_on_loopback(postgres):
    query = (
        "select 1.50::numeric as n, 9007199254740993::bigint as b, '2026-01-05 10:00+02'::timestamptz as t, null as e"
    )
    data, rows = snapshot.read(postgres, query)
    assert rows == 1
    assert formats.read(data, "parquet", source="p").frame.to_numpy().tolist() == [
        ["1.50", 9007199254740993, "2026-01-05T08:00:00.000000+00:00", None]]  # fmt: skip
    with pytest.raises(InputError, match="does not exist"):
        snapshot.read(postgres, "select * from missing")


def test_only_answers_of_those_who_agreed_are_exported(project):
    items = schema.shape(
        pd.DataFrame({"item_id": ["i1", "i2"], "component": "c", "text": ["hello", "there"]}), schema.ITEMS
    )
    feedback = schema.shape(pd.DataFrame({
        "feedback_id": ["a", "b", "c"], "item_id": ["i1", "i2", "i2"], "rater_id": ["u", "v", "w"], "rater_kind": "human",
        "channel": "x", "question": "q", "component": "c", "value": ["yes", "no", None], "for_training": [1, 0, 1],
        "for_evaluation": [1, 1, 1], "for_publication": [0, 0, 0]}), schema.FEEDBACK)  # fmt: skip
    (project / "data/clean").mkdir()
    items.to_parquet(project / "data/clean/items.parquet")
    feedback.to_parquet(project / "data/clean/feedback.parquet")
    out = run("export", "label_studio", project / "out.json")
    assert "1 of 3 feedback, of raters who agreed to training" in out.output
    read = formats.read((project / "out.json").read_bytes(), "label_studio", source="s")
    assert read.frame[["data.item_id", "value"]].to_numpy().tolist() == [["i1", "yes"]]
    assert "2 of 3" in run("export", "langfuse", project / "scores.json", "--purpose", "evaluation").output
    assert isinstance(run("export", "mturk", project / "x").exception, ParamError)
    assert isinstance(run("export", "langfuse", project / "scores.json").exception, WouldOverwrite)
