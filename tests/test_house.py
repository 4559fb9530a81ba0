"""The rules of the house hold in this project, and each is caught where it is broken on purpose."""

from __future__ import annotations

import doctest
import shutil
import subprocess
import types
from pathlib import Path

import house
import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
RULES = [house.names, house.arrows, house.purity, house.style, house.plain_names, house.deps, house.notebooks,
         house.signatures]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.__name__)
def test_the_rule_holds(rule):
    assert rule(ROOT) == []


def test_no_host_no_machine_path_no_large_file_is_tracked():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    assert house.traces(ROOT, [t for t in tracked if t]) == []


@pytest.fixture
def copy(tmp_path):
    """A copy of the project to break."""
    for part in ("hfkit", "notebooks", "tests"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / part, tmp_path / part)
    return tmp_path


def edit(file, old, new):
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")


def edit_notebook(root, room, change):
    file = root / "notebooks" / f"{room}.ipynb"
    nb = nbformat.read(file, as_version=4)
    change(nb)
    nbformat.write(nb, file)


def test_a_room_that_imports_a_room_is_caught(copy):
    edit(copy / "hfkit" / "report.py", "import pandas as pd\n", "import pandas as pd\nfrom hfkit import decide\n")
    assert house.arrows(copy) == ["hfkit/report.py imports hfkit.decide"]


def test_shared_that_imports_a_room_is_caught(copy):
    edit(copy / "hfkit" / "shared" / "evidence.py", "import math\n", "import math\nimport hfkit.audit\n")
    assert house.arrows(copy) == ["hfkit/shared/evidence.py imports hfkit.audit"]


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("X = open('x').read()\n", "open"),
        ("from pathlib import Path\n", "pathlib|Path"),
        ("from hfkit.shared import tables\n", "tables"),
        ("import matplotlib.pyplot as plt\n", "matplotlib"),
        ("import datetime\nX = datetime.now()\n", "now|random"),
        ("import numpy as np\nX = np.random.rand(3)\n", "random"),
    ],
)
def test_a_room_that_is_not_pure_is_caught(copy, code, what):
    file = copy / "hfkit" / "report.py"
    file.write_text(file.read_text("utf-8") + code, "utf-8")
    found = house.purity(copy)
    assert found
    assert all(b.startswith("hfkit/report.py") for b in found)


@pytest.mark.parametrize("place", ["dvc.yaml", "params.yaml"])
def test_a_name_that_differs_in_one_place_is_caught(copy, place):
    content = yaml.safe_load((copy / place).read_text("utf-8"))
    where = content["stages"] if place == "dvc.yaml" else content
    where["auditing"] = where.pop("audit")
    (copy / place).write_text(yaml.safe_dump(content), "utf-8")
    assert f"{place}: no audit" in house.names(copy)
    assert f"{place}: auditing is no room" in house.names(copy)


@pytest.mark.parametrize("part", ["notebooks/audit.ipynb", "tests/test_audit.py"])
def test_a_missing_place_is_caught(copy, part):
    (copy / part).unlink()
    assert any("audit" in b for b in house.names(copy))


@pytest.mark.parametrize("dep", ["hfkit/shared", "data/clean", "hfkit/audit", "requirements.txt", "hfkit/page.py"])
def test_a_missing_dep_is_caught(copy, dep):
    content = yaml.safe_load((copy / "dvc.yaml").read_text("utf-8"))
    stage = content["stages"]["audit"]
    before = len(stage["deps"])
    stage["deps"] = [d for d in stage["deps"] if not d.startswith(dep)]
    assert len(stage["deps"]) < before
    (copy / "dvc.yaml").write_text(yaml.safe_dump(content), "utf-8")
    assert any(b.startswith(f"audit: no dep {dep}") for b in house.deps(copy))


def test_a_parameter_pasted_into_a_shell_is_caught(copy):
    edit(copy / "dvc.yaml", "cmd: python -m hfkit.run audit", "cmd: python -m hfkit.run ${room}")
    assert "audit: ${...} in cmd" in house.deps(copy)


def test_an_executed_output_is_caught(copy):
    def change(nb):
        cell = next(c for c in nb.cells if "nbval-ignore-output" in c.metadata.get("tags", []))
        cell.outputs = [nbformat.v4.new_output("stream", text="left over")]

    edit_notebook(copy, "report", change)
    assert any("carries an output" in b for b in house.notebooks(copy))


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("def f():\n    return 1", "def or class"),
        ("!ls", "shell or magic"),
        ("HTML(text)", "stranger's text"),
        ("Markdown(text)", "stranger's text"),
        ("frame.style.format()", "stranger's text"),
        ("frame.to_html(escape=False)", "stranger's text"),
        ("frame.to_html(render_links=True)", "stranger's text"),
        ("pd.read_csv('x.csv')", "disk access"),
        ("\n".join(["x = 1"] * 13), "13 lines"),
    ],
)
def test_a_notebook_cell_that_does_more_than_call_is_caught(copy, source, what):
    edit_notebook(copy, "report", lambda nb: nb.cells[3].update(source=source))
    assert any(what in b for b in house.notebooks(copy))


def test_a_notebook_that_by_hand_judges_by_its_own_defaults_is_caught(copy):
    file = copy / "notebooks" / "report.ipynb"
    file.write_text(file.read_text("utf-8").replace("params.by_hand", "params.section"), "utf-8")
    assert any("does not call params.by_hand" in b for b in house.notebooks(copy))


def test_a_parameter_mismatch_is_caught(copy):
    content = yaml.safe_load((copy / "params.yaml").read_text("utf-8"))
    content["report"]["colour"] = "red"
    (copy / "params.yaml").write_text(yaml.safe_dump(content), "utf-8")
    assert any("unknown parameter colour" in b for b in house.signatures(copy))
    del content["report"]["colour"]
    content["report"]["show_rows"] += 1
    (copy / "params.yaml").write_text(yaml.safe_dump(content), "utf-8")
    assert any(b.startswith("report.show_rows") for b in house.signatures(copy))


def test_a_wrong_number_in_a_docstring_is_caught():
    module = types.ModuleType("planted")
    module.__doc__ = ">>> round(2 / 3, 2)\n0.66\n"
    assert doctest.testmod(module, report=False, verbose=False).failed == 1


@pytest.mark.parametrize(
    "code",
    ["assert True", "try:\n    pass\nexcept Exception:\n    pass", "def f(a, b, c, d, e, g, h, i):\n    '''x'''"],
)
def test_loose_style_is_caught(copy, code):
    file = copy / "hfkit" / "report.py"
    file.write_text(file.read_text("utf-8") + "\n" + code + "\n", "utf-8")
    assert house.style(copy)


@pytest.mark.parametrize("code", ["found = 1", "def report():\n    pass", "def what_is_it():\n    pass"])
def test_a_name_that_says_nothing_or_shadows_is_caught(copy, code):
    file = copy / "hfkit" / "report.py"
    file.write_text(file.read_text("utf-8") + "\n" + code + "\n", "utf-8")
    assert len(house.plain_names(copy)) == len(house.plain_names(ROOT)) + 1


def test_a_registry_host_and_a_machine_path_are_caught(tmp_path):
    (tmp_path / "a.txt").write_text("see https://py" + "pi.org/simple", "utf-8")
    (tmp_path / "b.txt").write_text("open /ro" + "ot/x", "utf-8")
    assert len(house.traces(tmp_path, ["a.txt", "b.txt"])) == 2
