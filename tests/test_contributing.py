"""The recipes of CONTRIBUTING.md, followed step by step in a copy of the project: each leaves a house that stands."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import yaml
from conftest import ROOT, lay_out

from hfkit import decide, fairness
from hfkit.shared import evidence, measures, tables
from hfkit.shared.errors import BadValue, ParamError

HOUSE = """
import sys; sys.path.insert(0, "tests")
from pathlib import Path
import house
rules = [house.names, house.arrows, house.purity, house.style, house.plain_names, house.deps, house.notebooks]
print(*[breach for rule in [*rules, house.signatures] for breach in rule(Path.cwd())], sep="\\n")
"""
DOOR = (sys.executable, "-m", "hfkit.run")


@pytest.fixture
def project(tmp_path):
    """A copy of the project, its tests and what the loop made of the sample world."""
    loop = lay_out(tmp_path)
    for part in ("tests", "data", "reports"):
        if (ROOT / part).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / part, tmp_path / part, ignore=ignore, dirs_exist_ok=True)
    return loop


def breaches(project) -> list[str]:
    """What the rules of the house say about the copy, by the copy's own registry of rooms."""
    return project(sys.executable, "-c", HOUSE).split("\n")[:-1]


def replace(root: Path, name: str, *pairs: tuple[str, str]) -> None:
    text = (root / name).read_text("utf-8")
    for pattern, new in pairs:
        assert re.search(pattern, text, re.M), (name, pattern)
        text = re.sub(pattern, new, text, flags=re.M)
    (root / name).write_text(text, "utf-8")


def test_a_room_is_added(project):
    root = project.root
    replace(root, "hfkit/shared/rooms.py", (r'^    Room\("decide"', '    Room("pulse", "Is anybody there?"),\n\\g<0>'))
    replace(root, "hfkit/shared/measures.py", (r'^    "decide": \(', '    "pulse": ("items served",),\n\\g<0>'))
    (root / "hfkit" / "pulse.py").write_text(textwrap.dedent('''
        """Pulse: is anybody there?"""

        import pandas as pd

        from hfkit.shared import evidence as ev


        def evidence(items: pd.DataFrame) -> pd.DataFrame:
            """How many items were served? One row of evidence."""
            return ev.table([ev.row("items served", value=len(items), n=len(items), better="higher")])
    ''').lstrip(), "utf-8")  # fmt: skip
    cells = {
        "question": "# Pulse: is anybody there?", "parameters": "low: int = 1  # fewest items, rows, [0, inf]",
        "imports": "from hfkit import pulse\nfrom hfkit.shared import params, show, tables\n\n"
                   'params.by_hand("pulse", globals())',
        "read": 'items = tables.read("clean", "items")', "expect": "One number.",
        "call": "evidence = pulse.evidence(items)", "reading": "More is better.",
        "table": "show.table(evidence, 'Evidence')",
        "answer": 'answer = f"{len(items):,} items; at least {low} were expected."\nshow.answer(answer)',
        "write": 'tables.write("pulse", evidence=evidence, answer=answer)',
    }  # fmt: skip
    nb = nbformat.v4.new_notebook(metadata=nbformat.read(root / "notebooks" / "report.ipynb", as_version=4).metadata)
    for name, source in cells.items():
        code = name not in ("question", "expect", "reading")
        cell = (nbformat.v4.new_code_cell if code else nbformat.v4.new_markdown_cell)(source, id=name)
        cell.metadata["tags"] = ["nbval-ignore-output"] * code + [name] * (name in ("parameters", "answer"))
        nb.cells.append(cell)
    nbformat.write(nb, root / "notebooks" / "pulse.ipynb")
    replace(root, "params.yaml", (r"^decide:", "pulse:\n  low: 1\n\ndecide:"))
    stages = yaml.safe_load((root / "dvc.yaml").read_text("utf-8"))
    shared = ["hfkit/run", "hfkit/page.py", "hfkit/page_template", "hfkit/shared", "requirements.txt"]
    stages["stages"]["pulse"] = {
        "cmd": "python -m hfkit.run pulse", "params": ["pulse"],
        "deps": ["notebooks/pulse.ipynb", "hfkit/pulse.py", *shared, "data/clean"],
        "outs": ["data/pulse", "reports/pulse.html"],
    }  # fmt: skip
    for reader in ("decide", "report"):  # the decision may rest on it, the front page shows its answer
        stages["stages"][reader]["deps"].append("data/pulse")
    (root / "dvc.yaml").write_text(yaml.safe_dump(stages, sort_keys=False), "utf-8")
    (root / "tests" / "test_pulse.py").write_text('"""Tests of the room."""\n', "utf-8")
    assert breaches(project) == [""]
    if not (ROOT / "data" / "clean" / "items.parquet").is_file():
        pytest.skip("the sample world has not been run: `make repro`")
    project(*DOOR, "pulse")
    assert "is anybody there?" in (root / "reports" / "pulse.html").read_text("utf-8")
    assert len(pd.read_parquet(root / "data" / "pulse" / "evidence.parquet")) == 1
    project(*DOOR, "report")
    assert "items; at least 1 were expected." in (root / "reports" / "report.html").read_text("utf-8")


def test_a_room_is_renamed(project):
    root = project.root
    for old in ("notebooks/route.ipynb", "hfkit/route.py", "tests/test_route.py"):
        (root / old).rename(root / old.replace("route", "dispatch"))
    for name in ("hfkit/shared/rooms.py", "hfkit/shared/measures.py", "hfkit/shared/params.py"):
        if '"route"' in (root / name).read_text("utf-8"):
            replace(root, name, (r'"route"', '"dispatch"'))
    replace(root, "dvc.yaml", (r"\broute\b", "dispatch"))
    replace(root, "params.yaml", (r"^route:", "dispatch:"))
    replace(root, "notebooks/dispatch.ipynb", (r"import route\b", "import dispatch"), (r"\broute\.", "dispatch."))
    readers = [p for p in sorted((root / "notebooks").glob("*.ipynb")) if '\\"route\\"' in p.read_text("utf-8")]
    assert len(readers) > 1
    for p in readers:
        p.write_text(p.read_text("utf-8").replace('\\"route\\"', '\\"dispatch\\"'), "utf-8")
    assert breaches(project) == [""]


def test_a_room_is_dropped(project):
    root = project.root
    for gone in ("notebooks/experiment.ipynb", "tests/test_experiment.py"):
        (root / gone).unlink()
    shutil.rmtree(root / "hfkit" / "experiment")
    replace(root, "hfkit/shared/rooms.py", (r'^    Room\("experiment".*\n', ""))
    replace(root, "hfkit/decide/rules.py", (r'^    \{"room": "experiment",.*\n.*\n', ""))
    for name in ("params.yaml", "dvc.yaml"):
        content = yaml.safe_load((root / name).read_text("utf-8"))
        content.get("stages", content).pop("experiment")
        for stage in content.get("stages", {}).values():
            stage["deps"] = [d for d in stage["deps"] if d != "data/experiment"]
        (root / name).write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    if (ROOT / "data" / "decide" / "release.json").is_file():
        message = project(*DOOR, "decide", ok=False)
        assert "expected a room that exists" in message  # the rule that asks for it is an error, not an open door
        assert "experiment" in message
    content = yaml.safe_load((root / "params.yaml").read_text("utf-8"))
    content["decide"]["rules"] = [r for r in content["decide"]["rules"] if r["room"] != "experiment"]
    (root / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    assert breaches(project) == [""]
    if (ROOT / "data" / "decide" / "release.json").is_file():
        project(*DOOR, "decide")


def test_a_format_is_added(project):
    """A file with a Format, and its line among the FORMATS; records in = kept + rejected comes for free."""
    (project.root / "hfkit" / "formats" / "pairs.py").write_text(textwrap.dedent('''
        """Lines of the form `id=vote`."""

        import pandas as pd

        from hfkit.formats.plugin import Format
        from hfkit.shared.records import Records


        def read(data: bytes, source: str) -> Records:
            """One record a line; a line without `=` is rejected."""
            lines = data.decode().splitlines()
            good = [i for i, line in enumerate(lines, 1) if "=" in line]
            frame = pd.DataFrame([lines[i - 1].split("=", 1) for i in good], columns=["id", "vote"], dtype="str")
            bad = [(i, "no_pair", "") for i in range(1, len(lines) + 1) if i not in good]
            return Records(source, frame, good, bad, "")


        FORMAT = Format(read)
    ''').lstrip(), "utf-8")  # fmt: skip
    imported, reader = (
        (r"^    chat,", "\\g<0> pairs,"),
        (r'"chat": chat.FORMAT', '\\g<0>, "pairs": pairs.FORMAT'),
    )
    replace(project.root, "hfkit/formats/__init__.py", imported, reader)
    code = """from hfkit import formats; r = formats.read(b"a=1\\nb\\nc=2", "pairs", source="s")
print(r.frame.to_numpy().tolist(), r.lines, r.rejects, len(r.sha256))"""
    assert project(sys.executable, "-c", code) == "[['a', '1'], ['c', '2']] [1, 3] [(2, 'no_pair', '')] 64\n"
    assert breaches(project) == [""]


def test_a_measure_is_declared_before_it_is_written(monkeypatch):
    rows = evidence.table([evidence.row("answers per person", value=2.0, n=9)])
    with pytest.raises(BadValue, match="answers per person"):
        tables.write("audit", evidence=rows)
    monkeypatch.setitem(measures.NAMES, "audit", (*measures.NAMES["audit"], "answers per person"))
    tables.write("audit", evidence=rows)  # by hand: checked, and shown instead of written


def test_a_margin_is_declared_for_one_measure():
    targets = fairness.Targets(judged=["true positive rate", "AUC"], margin=0.05, margins={"AUC": 0.02})
    by_name = {m.name: m for m in measures.JUDGEABLE}
    assert (targets.of(by_name["true positive rate"]), targets.of(by_name["AUC"])) == (0.05, 0.02)
    with pytest.raises(ParamError, match="AUC"):
        fairness.Targets(judged=["AUC"], margins={"AUK": 0.02})


def test_a_rule_is_declared_and_a_misspelt_one_refused():
    rule = {"room": "audit", "measure": "burst days", "need": "no harm", "if_not_shown": "ask", "why": "no bursts"}
    rules = decide.parse_rules([rule])
    rows = evidence.table([evidence.row("burst days", value=0.0, n=9, better="lower")]).assign(room="audit")
    decide.check_names(rules, rows, ["safety"])
    with pytest.raises(ParamError, match="burst days"):
        decide.check_names(decide.parse_rules([rule | {"measure": "bursts days"}]), rows, ["safety"])
