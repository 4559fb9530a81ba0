"""The rules of the house as functions: a project folder in, a list of breaches out (empty = the rule holds)."""

from __future__ import annotations

import ast
import re
import statistics
from pathlib import Path
from typing import Any

import nbformat
import yaml

from hfkit.shared import params
from hfkit.shared.rooms import NAMES as ROOMS

ALLOWED = {  # floor -> what a module there may import from hfkit
    "room": {"shared"},
    "shared": {"shared"},
    "formats": {"formats", "shared"},
    "page": {"shared"},
    "run": {"run", "page", "shared"},
    "commands": {"commands", "formats", "room", "run", "page", "shared"},
    "cli": {"commands", "shared"},
}
SHARED = ("params.yaml", "project")  # the one section that is no room
DISK = {"open", "Path", "tables", "read_csv", "read_parquet", "to_csv", "to_parquet", "tempfile", "shutil", "os"}
PICTURES = {"matplotlib", "plots", "show", "seaborn"}
CLOCK = {"time", "today", "now", "utcnow"}
SINKS = re.compile(
    r"\bMarkdown\(|\bHTML\(|\.style\b|escape\s*=\s*False|render_links|display\(|text/vnd\.mermaid|Image\("
)


def modules(root: Path) -> list[Path]:
    return sorted(p for p in (root / "hfkit").rglob("*.py") if "__pycache__" not in p.parts)


def floor(root: Path, file: Path) -> tuple[str, str]:
    """Which floor a module stands on, and its room where it is one."""
    first = file.relative_to(root / "hfkit").parts[0].removesuffix(".py")
    return ("room", first) if first in ROOMS else (first, "")


def imports(file: Path) -> set[str]:
    """The hfkit modules a file imports, as the first name below hfkit and, where it says so, the second."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {a.name.removeprefix("hfkit.") for a in node.names if a.name.startswith("hfkit.")}
        elif isinstance(node, ast.ImportFrom) and node.module == "hfkit":
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hfkit."):
            found.add(str(node.module).removeprefix("hfkit."))
    return found


def names(root: Path) -> list[str]:
    """One name a room, in all seven places, and none besides."""
    stages = yaml.safe_load((root / "dvc.yaml").read_text("utf-8"))["stages"]
    sections = yaml.safe_load((root / "params.yaml").read_text("utf-8"))
    breaches = []
    for place, found in {
        "dvc.yaml": list(stages),
        "params.yaml": list(sections),
        "notebooks": sorted(p.stem for p in (root / "notebooks").glob("*.ipynb")),
    }.items():
        breaches += [f"{place}: no {r}" for r in ROOMS if r not in found]
        breaches += [f"{place}: {x} is no room" for x in found if x not in ROOMS and (place, x) != SHARED]
    for room in ROOMS:
        if not ((root / "hfkit" / f"{room}.py").is_file() or (root / "hfkit" / room / "__init__.py").is_file()):
            breaches.append(f"hfkit: no {room}")
        if not (root / "tests" / f"test_{room}.py").is_file():
            breaches.append(f"tests: no test_{room}.py")
        outs = stages.get(room, {}).get("outs", [])
        breaches += [f"dvc.yaml: {room} lacks {o}" for o in (f"data/{room}", f"reports/{room}.html") if o not in outs]
    return breaches


def arrows(root: Path) -> list[str]:
    """No room imports a room; shared imports no room; arrows point downwards only."""
    breaches = []
    for file in modules(root):
        own, room = floor(root, file)
        for target in imports(file):
            head = target.split(".")[0]
            kind = "room" if head in ROOMS else head
            if own == "__init__" or (own == "room" and head == room):
                continue
            if kind not in ALLOWED.get(own, set()):
                breaches.append(f"{file.relative_to(root)} imports hfkit.{target}")
    return breaches


def purity(root: Path) -> list[str]:
    """A room touches no disk, draws no picture, reads no clock, uses no global randomness."""
    breaches = []
    for file in modules(root):
        if floor(root, file)[0] != "room":
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            name = _name(node)
            called = _name(node.func) if isinstance(node, ast.Call) else ""
            bad = (isinstance(node, ast.alias) and name in DISK | PICTURES) or called in DISK | CLOCK
            if bad or _global_random(node):
                breaches.append(
                    f"{file.relative_to(root)}:{getattr(node, 'lineno', 0)} uses {name or called or 'random'}"
                )
    return breaches


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr if isinstance(node.value, ast.Name) else ""
    if isinstance(node, ast.alias):
        return node.name.split(".")[0] if node.name.split(".")[0] != "hfkit" else node.name.split(".")[-1]
    return ""


def _global_random(node: ast.AST) -> bool:
    text = ast.unparse(node) if isinstance(node, ast.Call) else ""
    seedless = text in ("np.random.default_rng()", "numpy.random.default_rng()")
    return seedless or bool(re.match(r"(np|numpy)\.random\.(?!default_rng|Generator|SeedSequence)\w+\(", text))


def style(root: Path) -> list[str]:
    """No assert, print or broad except in source; modules, bodies and argument lists stay small; docstrings exist."""
    breaches = []
    for file in modules(root):
        text, where = file.read_text("utf-8"), file.relative_to(root)
        tree = ast.parse(text)
        if len(text.splitlines()) > 300:
            breaches.append(f"{where}: {len(text.splitlines())} lines")
        if not ast.get_docstring(tree):
            breaches.append(f"{where}: no docstring")
        for node in ast.walk(tree):
            if isinstance(node, ast.Assert):
                breaches.append(f"{where}:{node.lineno} assert")
            if isinstance(node, ast.ExceptHandler) and (node.type is None or ast.unparse(node.type) == "Exception"):
                breaches.append(f"{where}:{node.lineno} broad except")
            if isinstance(node, ast.FunctionDef):
                breaches += [f"{where}:{node.lineno} {node.name}: {b}" for b in _function(node)]
    return breaches


def _function(node: ast.FunctionDef) -> list[str]:
    documented = ast.get_docstring(node)
    first = node.body[1 if documented and len(node.body) > 1 else 0]
    length = (node.end_lineno or 0) - first.lineno + 1
    count = len(
        [a for a in node.args.posonlyargs + node.args.args + node.args.kwonlyargs if a.arg not in ("self", "cls")]
    )
    breaches = [f"body of {length} lines"] if length > 40 else []
    breaches += [f"{count} arguments"] if count > 7 and node.name != "row" else []
    breaches += ["no docstring"] if not documented and not node.name.startswith("_") else []
    return breaches


VAGUE = {"found", "told", "known", "some", "what", "said"}


def plain_names(root: Path) -> list[str]:
    """A name says what a thing is, and no function has the name of its module (the verbs of the command line may)."""
    breaches = []
    for file in modules(root):
        where = file.relative_to(root)
        modulename = file.parent.name if file.stem == "__init__" else file.stem
        tree = ast.parse(file.read_text("utf-8"))
        for node in ast.walk(tree):
            stored = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            name = node.id if stored else node.name if isinstance(node, ast.FunctionDef | ast.ClassDef) else ""
            if VAGUE & set(name.lower().split("_")):
                breaches.append(f"{where}:{node.lineno} {name} says nothing")
        if where.parts[1] not in ("cli.py", "commands"):
            same = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == modulename]
            breaches += [f"{where}:{n.lineno} {n.name} shadows its module" for n in same]
    return breaches


def deps(root: Path) -> list[str]:
    """A stage's deps hold its import closure and every folder its notebook reads; no ${...} in a cmd."""
    stages = yaml.safe_load((root / "dvc.yaml").read_text("utf-8"))["stages"]
    breaches = []
    for room, stage in stages.items():
        have = set(stage.get("deps", []))
        need = {
            f"notebooks/{room}.ipynb",
            "hfkit/run",
            "requirements.txt",
            *_closure(root, room),
            *_reads(root, room),
        }
        breaches += [f"{room}: no dep {d}" for d in sorted(need) if not _covered(d, have)]
        if "${" in str(stage.get("cmd")):
            breaches.append(f"{room}: ${{...}} in cmd")
        if set(stage.get("params", [])) != {room, *_settings(root, room)}:
            breaches.append(f"{room}: params must be {[room, *_settings(root, room)]}")
    return breaches


def _settings(root: Path, room: str) -> list[str]:
    """What a stage depends on in params.yaml beside its own section: what it inherits, what its notebook asks for."""
    cells = _notebook(root, room).cells
    code = "\n".join(c.source for c in cells if c.cell_type == "code")
    other = [r for r in re.findall(r"params\.values\(\"(\w+)\"\)", code) if r != room]
    whole = ["project"] if "params.project()" in code else []
    inherited = [p.name for p in params.declared(cells, room=room) if p.name in params.INHERITED]
    return [*other, *whole, *(f"project.{name}" for name in inherited if not whole)]


def _covered(path: str, have: set[str]) -> bool:
    return any(path == h or path.startswith(f"{h}/") for h in have)


def _closure(root: Path, room: str) -> set[str]:
    """Files of hfkit reached by imports from the door and from the notebook's code."""
    code = "\n".join(c.source for c in _notebook(root, room).cells if c.cell_type == "code")
    todo = {"run"} | _code_imports(code)
    seen: set[str] = set()
    files: set[str] = set()
    while todo:
        name = todo.pop()
        seen.add(name)
        for file in _files(root, name):
            files.add(file.relative_to(root).as_posix())
            todo |= {i for i in _all_imports(file) if i not in seen}
    return files


def _code_imports(code: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "hfkit":
            base = str(node.module).removeprefix("hfkit").lstrip(".")
            names |= {f"{base}.{a.name}".lstrip(".") for a in node.names}
    return names


def _all_imports(file: Path) -> set[str]:
    return _code_imports(file.read_text("utf-8")) | imports(file)


def _files(root: Path, name: str) -> list[Path]:
    base = root / "hfkit" / name.replace(".", "/")
    if base.with_suffix(".py").is_file():
        return [base.with_suffix(".py")]
    return sorted(base.rglob("*.py")) if base.is_dir() else []


def _reads(root: Path, room: str) -> set[str]:
    code = "\n".join(c.source for c in _notebook(root, room).cells if c.cell_type == "code")
    folders = {f"data/{r}" for r in re.findall(r"tables\.(?:read|read_record|read_answer)\(\"(\w+)\"", code)}
    folders |= {f"data/ledger/{r}" for r in re.findall(r"tables\.ledger\(\"(\w+)\"", code)}
    folders |= {f"data/raw/{r}" for r in re.findall(r"tables\.raw_records\(\"(\w+)\"", code)}
    return folders | {"hfkit/page_template"}


def _notebook(root: Path, room: str) -> Any:
    return nbformat.read(root / "notebooks" / f"{room}.ipynb", as_version=4)


def notebooks(root: Path) -> list[str]:
    """Notebooks call, they do not compute; they show only through `show`; only check cells carry outputs."""
    breaches = []
    for file in sorted((root / "notebooks").glob("*.ipynb")):
        nb = nbformat.read(file, as_version=4)
        code = [c for c in nb.cells if c.cell_type == "code"]
        start = f'params.by_hand("{file.stem}", globals())'
        at = next((i for i, c in enumerate(code) if "parameters" in c.metadata.get("tags", [])), 0)
        if start not in code[at + 1].source.splitlines():
            breaches.append(f"{file.name}: the cell below the parameters does not call {start}")
        if not 10 <= len(nb.cells) <= 16:
            breaches.append(f"{file.name}: {len(nb.cells)} cells")
        if code and statistics.median(len(c.source.splitlines()) for c in code) > 4:
            breaches.append(f"{file.name}: long cells")
        for cell in code:
            breaches += [f"{file.name}, {cell.get('id')}: {b}" for b in _cell(cell)]
    return breaches


def _cell(cell: Any) -> list[str]:
    tags = cell.metadata.get("tags", [])
    lines = [line for line in cell.source.splitlines() if line.strip()]
    breaches = [f"{len(lines)} lines"] if len(lines) > 12 and "parameters" not in tags else []
    if re.search(r"^\s*(!|%)", cell.source, re.M):
        return [*breaches, "shell or magic"]
    if any(isinstance(n, ast.FunctionDef | ast.ClassDef) for n in ast.walk(ast.parse(cell.source))):
        breaches.append("def or class")
    if SINKS.search(cell.source):
        breaches.append("a display that could run a stranger's text")
    if re.search(r"\bopen\(|Path\(|read_(csv|parquet)|to_(csv|parquet)|\.\./", cell.source):
        breaches.append("a path or disk access")
    if ("keep_output" in tags) == ("nbval-ignore-output" in tags):
        breaches.append("must be tagged either keep_output or nbval-ignore-output")
    if "keep_output" not in tags and (cell.outputs or cell.execution_count):
        breaches.append("carries an output")
    return breaches


def signatures(root: Path) -> list[str]:
    """Every section of params.yaml fits its notebook's parameters cell; plain defaults equal the sample world's."""
    content = params.load(root / "params.yaml")
    breaches = []
    params.project()
    for room in (r for r in content if r in ROOMS):
        cells = [c for c in _notebook(root, room).cells if "parameters" in c.metadata.get("tags", [])]
        declared = params.signature("\n".join(c.source for c in cells))
        try:
            values = params.check(content[room], declared, room=room)
        except params.ParamError as e:
            breaches.append(str(e).splitlines()[0])
            continue
        for p in declared:
            bulky = p.default in ([], {}) and isinstance(values[p.name], list | dict)
            if not bulky and values[p.name] != p.default:
                breaches.append(f"{room}.{p.name}: {p.default!r} in the notebook, {values[p.name]!r} in params.yaml")
    return breaches


HOSTS = re.compile(r"(py" r"pi|npm" r"js|deb" r"ian)\.(org|com)|python" r"hosted", re.I)
PLACES = re.compile(r"(?<![\w.])/(ro" r"ot|wo" r"rk|ho" r"me/\w+)/")


def traces(root: Path, tracked: list[str]) -> list[str]:
    """No registry's host and no path of a machine in any tracked text file; no tracked file above 1 MB."""
    breaches = []
    for name in tracked:
        file = root / name
        if not file.is_file():
            continue
        data = file.read_bytes()
        if len(data) > 1_048_576:
            breaches.append(f"{name}: {len(data):,} bytes")
        if b"\0" in data[:4096]:
            continue
        text = data.decode("utf-8", "replace")
        breaches += [f"{name}: {m[0]}" for m in (HOSTS.search(text), PLACES.search(text)) if m]
    return breaches
