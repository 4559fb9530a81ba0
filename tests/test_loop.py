"""The loop as DVC users run it: no-op, forced, one parameter changed, metrics, plots, params and experiments."""

from __future__ import annotations

import json
import re
import shutil
import sys
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest
from conftest import ROOT, Loop
from nbclient import NotebookClient

from hfkit.shared.rooms import NAMES as ROOMS

pytestmark = pytest.mark.loop


def ran(output):
    return re.findall(r"Running stage '(\w+)'", output)


def test_a_second_repro_does_nothing(loop):
    out = loop("dvc", "repro")
    assert ran(out) == []
    assert "up to date" in out


def test_a_forced_repro_gives_the_same_bytes_whatever_the_caller_asks_of_the_processor(loop):
    """The rooms that search and fit; `make campaign` forces them all."""
    before, searching = (loop.root / "dvc.lock").read_bytes(), ["aggregate", "prioritize", "retrain", "calibration"]
    forced = ["OPENBLAS_CORETYPE=Haswell", "NPY_DISABLE_CPU_FEATURES=AVX512_SPR", "OPENBLAS_NUM_THREADS=2"]
    out = loop("env", *forced, "dvc", "repro", "-f", "-s", *searching)
    assert sorted(ran(out)) == sorted(searching)
    assert (loop.root / "dvc.lock").read_bytes() == before
    for room in ROOMS:
        assert f"build/{room}.ipynb" in before.decode()
        assert f"reports/{room}.html" in before.decode()


@pytest.mark.parametrize("room", ["monitor", "report"])
def test_a_kernel_of_its_own_gives_the_same_bytes(loop, room):
    names = [f"build/{room}.ipynb", f"reports/{room}.html", f"metrics/{room}.json"]
    before = [(loop.root / name).read_bytes() for name in names]
    loop("env", "HFKIT_ENGINE=kernel", sys.executable, "-m", "hfkit.run", room)
    assert [(loop.root / name).read_bytes() for name in names] == before


@pytest.mark.parametrize(
    ("room", "change", "rerun"),
    [
        ("report", {"show_rows": 7}, {"report"}),
        ("decide", {"roles": ["product"]}, {"decide", "card", "report"}),
    ],
)
def test_one_parameter_reruns_only_what_depends_on_it(loop, room, change, rerun):
    loop.params(room, **change)
    assert set(ran(loop("dvc", "repro"))) == rerun
    assert f"{room}.{next(iter(change))}" in loop("dvc", "params", "diff")
    loop("git", "checkout", "-q", "--", ".")
    assert ran(loop("dvc", "repro")) == []  # the earlier result is taken from the run cache


def test_a_notebook_by_hand_shows_what_its_stage_shows_and_may_be_saved(loop):
    """With a value of params.yaml that the notebook does not have; saved as `make lab` has JupyterLab save it."""
    loop.params("report", show_rows=7)
    loop("dvc", "repro", "-q")
    file = loop.root / "notebooks" / "report.ipynb"
    notebook = nbformat.read(file, as_version=4)
    options = {"kernel_name": "python3", "extra_arguments": ["--IPKernelApp.log_level=50"]}
    NotebookClient(notebook, resources={"metadata": {"path": str(file.parent)}}, **options).execute()
    printed = "".join(o.text for c in notebook.cells for o in c.get("outputs", []) if o.output_type == "stream")
    assert "show_rows = 7, not 15 as in the cell above" in printed
    assert "nothing written: run `dvc repro report`" in printed
    stage = nbformat.read(loop.root / "build" / "report.ipynb", as_version=4)
    by_hand, by_stage = (
        {c["id"]: [o.data for o in c.outputs if "data" in o] for c in nb.cells if c.cell_type == "code"}
        for nb in (notebook, stage)
    )
    by_stage.pop("injected-parameters")
    assert by_hand == by_stage
    assert sum(map(len, by_hand.values())) > 3
    config = {"c": SimpleNamespace(FileContentsManager=SimpleNamespace())}
    file_of_hook = ROOT / "tools" / "jupyter_server_config.py"
    exec(file_of_hook.read_text("utf-8"), {"__file__": str(file_of_hook), **config})
    model = {"type": "notebook", "content": json.loads(nbformat.writes(notebook))}
    config["c"].FileContentsManager.pre_save_hook(model=model, path="report.ipynb", contents_manager=None)
    before = file.read_bytes()
    nbformat.write(nbformat.from_dict(model["content"]), file)
    assert file.read_bytes() == before
    assert "up to date" in loop("dvc", "status", "report")
    loop("git", "checkout", "-q", "--", ".")
    loop("dvc", "repro", "-q")


SHOWN = ("reports", "metrics", "plots")


def contents(loop, *folders):
    return {p.relative_to(loop.root).as_posix(): p.read_bytes() for d in folders for p in (loop.root / d).glob("*")}


@pytest.mark.parametrize("again", [[], ["-f", "-s", "monitor"]], ids=["from the cache", "run again"])
def test_a_failed_stage_leaves_what_the_last_good_run_showed(loop, again):
    """Run, break, fail twice, mend, run: old pages are marked while it is broken; at the end all is as before."""
    file = loop.root / "notebooks" / "monitor.ipynb"
    source, lock, good = file.read_bytes(), (loop.root / "dvc.lock").read_bytes(), contents(loop, *SHOWN)
    broken = nbformat.reads(source.decode(), as_version=4)
    next(c for c in broken.cells if "tables.write(" in c.source).source += "\nraise ValueError('<b>no</b> more')"
    sentence = "This page is of an earlier run: the last run of monitor failed: ValueError: &lt;b&gt;no&lt;/b&gt; more."
    for more in ("", " "):
        broken.cells[-1].source += more
        nbformat.write(broken, file)
        out = loop("dvc", "repro", ok=False)
        assert ran(out) == ["monitor"]
        assert "ValueError: <b>no</b> more" in out
        bad = contents(loop, *SHOWN)
        assert set(bad) == set(good)
        old = {name: text.decode() for name, text in bad.items() if text != good[name]}
        assert set(old) == {"reports/monitor.html", "reports/index.html", "reports/report.html"}
        assert all(text.count("of an earlier run") == text.count(sentence) == 1 for text in old.values())
        assert loop("git", "status", "--short", "metrics", "plots") == ""
        assert (loop.root / "dvc.lock").read_bytes() == lock
    file.write_bytes(source)
    if again:
        assert ran(loop("dvc", "repro", *again)) == ["monitor"]
    assert ran(loop("dvc", "repro")) == []
    assert contents(loop, *SHOWN) == good
    assert (loop.root / "dvc.lock").read_bytes() == lock
    assert "is cached" not in loop("dvc", "repro")


def test_a_first_run_that_fails_leaves_the_committed_metrics_and_plots(loop, tmp_path):
    """A fresh clone: nothing in DVC's cache, numbers of the last good run in git."""
    loop("git", "clone", "-q", ".", str(tmp_path / "clone"))
    clone = Loop(tmp_path / "clone")
    shutil.rmtree(clone.root / ".dvc" / "cache", ignore_errors=True)
    (clone.root / "build").mkdir()
    before = contents(clone, "metrics", "plots")
    clone.params("clean", sede=1)
    assert "unknown parameter sede" in clone("dvc", "repro", ok=False)
    assert len(before) == 2 * len(ROOMS)
    assert contents(clone, "metrics", "plots") == before
    assert contents(clone, "reports") == {}


def test_metrics_and_plots_are_declared_for_every_room(loop):
    shown = json.loads(loop("dvc", "metrics", "show", "--json"))
    files = shown[""]["data"]
    assert set(files) == {f"metrics/{room}.json" for room in ROOMS}
    assert all(f["data"] for f in files.values())
    loop("dvc", "plots", "show", "-o", "build/plots")
    assert (loop.root / "build" / "plots" / "index.html").stat().st_size > 0


def test_an_experiment_changes_its_parameter_and_shows_in_the_metrics(loop):
    loop("dvc", "exp", "run", "-q", "-n", "fewer-roles", "-S", "decide.roles=[product]")
    shown = loop("dvc", "exp", "show", "--csv")
    assert "fewer-roles" in shown
    diff = json.loads(loop("dvc", "metrics", "diff", "--json", "HEAD"))
    reasons = diff["metrics/decide.json"]["reasons"] if "metrics/decide.json" in diff else {}
    assert reasons["diff"] == -2  # two sign-offs fewer are missing
    loop("git", "checkout", "-q", "--", ".")
    loop("dvc", "repro", "-q")


def test_no_planted_personal_data_reaches_a_table_a_page_or_a_notebook(loop):
    truth = json.loads((ROOT / "tests" / "planted_truth.json").read_text("utf-8"))
    planted = [text for _, text in truth["personal_data"].values()]
    assert len(planted) >= 50
    raw = "\n".join(f.read_text("utf-8") for f in (loop.root / "data" / "raw" / "feedback").glob("*.jsonl"))
    assert sum(s in raw for s in planted) > 20  # the search finds them where they are
    seen = [f.read_text("utf-8") for d in ("reports", "build", "metrics", "plots") for f in (loop.root / d).glob("*.*")]
    for file in (loop.root / "data").rglob("*.parquet"):
        seen += [pd.read_parquet(file).astype(str).to_csv()]
    everything = "\n".join(seen)
    assert [s for s in planted if s in everything] == []
