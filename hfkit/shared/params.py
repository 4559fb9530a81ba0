"""Parameters: params.yaml on one side, a notebook's parameters cell (its signature) on the other, checked before a run.

A line of the parameters cell reads `name: type = default  # meaning, unit, [low, high]`. The type (str, int, float,
bool, list, dict) and the range in brackets are enforced. A missing parameter takes its default; an extra, a renamed and
a wrongly typed one are errors that name it, and its successor.
"""

from __future__ import annotations

import ast
import difflib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import yaml

from hfkit.shared import tables
from hfkit.shared.errors import ParamError

_TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str, "int": int, "float": (int, float), "bool": bool, "list": list, "dict": dict,
    "bool | list": (bool, list),
}  # fmt: skip
_PEOPLE = "min_people: groups of fewer people are named, not numbered"
_CARD = "nothing: rooms are exact; rounding is for the card"
SUCCESSORS = {  # what became of parameters that are gone: (room, name) -> what to write instead
    ("audit", "min_raters"): _PEOPLE,
    ("aggregate", "min_raters"): _PEOPLE,
    ("prioritize", "budget_rows"): "ask_items: items that people have time for; every labelled row trains",
    ("prioritize", "explore_share"): "ask_items: items that people have time for",
    ("retrain", "margin"): "min_saving: points per 1,000 served; better means cheaper",
    ("retrain", "n_boot"): "nothing: its intervals are computed, not drawn",
    ("retrain", "test"): "aggregate.test: the split is made where labels are, by what people agreed to",
    ("retrain", "calibrate_share"): "aggregate.calibrate_share",
    ("fairness", "min_group"): _PEOPLE,
    ("fairness", "suppress_below"): _PEOPLE,
    ("fairness", "round_to"): _CARD,
    ("fairness", "intersections"): "crossings",
    ("fairness", "slice_fdr"): "fdr: one rate for all leads, slices included",
    ("calibration", "min_rows"): _PEOPLE,
    ("calibration", "min_raters"): _PEOPLE,
    ("calibration", "suppress_below"): _PEOPLE,
    ("calibration", "round_to"): _CARD,
    ("calibration", "intersections"): "crossings",
}
_PROJECT = """\
name: str = "this project"  # what people outside call it
owners: list = []  # who answers for it
contact: str = ""  # where a question or a complaint goes
purpose: str = ""  # what the model is for
not_for: str = ""  # what it must not be used for
cadence: str = ""  # how often the loop is run
risk: str = ""  # how much harm a mistake can do: high, standard or light
min_people: int = 5  # groups of fewer people are named, not numbered, in every room that says nothing else, [1, inf]
labels: dict = {}  # what people call components, groups and attributes: {safety: harmful replies}
"""
RISKS = ("", "high", "standard", "light")  # how much harm a mistake can do
INHERITED = ("min_people",)  # what a room takes from the section `project` where its own says nothing
_RANGE = re.compile(r"\[\s*(-?[\d.]+|-?inf)\s*,\s*(-?[\d.]+|-?inf)\s*\]")


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell."""

    name: str
    type: str
    default: Any
    meaning: str
    low: float = -math.inf
    high: float = math.inf


class _Loader(yaml.SafeLoader):
    """YAML in which a date is the text that it is written as."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def dates_quoted(text: str) -> str:
    """A YAML text whose dates stand in quotes, and nothing else changed: DVC refuses a date without them.

    >>> dates_quoted("run_date: 2026-07-06  # last day")
    'run_date: "2026-07-06"  # last day'
    """
    try:
        nodes = [yaml.compose(text, Loader=yaml.SafeLoader)]
    except yaml.YAMLError:
        return text
    spans = []
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.MappingNode):
            nodes += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:timestamp" and node.style is None:
            spans.append((node.start_mark.index, node.end_mark.index))
    for start, end in sorted(set(spans), reverse=True):
        text = f'{text[:start]}"{text[start:end]}"{text[end:]}'
    return text


def load(file: Path | None = None) -> dict[str, Any]:
    """params.yaml as a dict. Raises ParamError where it is missing, not YAML, or not a mapping."""
    file = file or tables.ROOT / "params.yaml"
    try:
        content = yaml.load(file.read_text("utf-8"), Loader=_Loader)  # a SafeLoader that knows no dates
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as e:
        raise ParamError(
            expected="a YAML file", found=str(e).splitlines()[0], where=file.name, todo="correct the file",
        ) from None  # fmt: skip
    if not isinstance(content, dict):
        raise ParamError(expected="one section a room", found=type(content).__name__, where=file.name, todo="add them")
    return content


def section(room: str) -> dict[str, Any]:
    """The section of one room in params.yaml; where it is missing or empty, every parameter takes its default."""
    values = load().get(room)
    if values is not None and not isinstance(values, dict):
        raise ParamError(
            expected=f"a section `{room}:` with parameters", found=type(values).__name__, where="params.yaml",
            todo=f"write its parameters below it, or `{room}: {{}}` for its defaults",
        )  # fmt: skip
    return dict(values or {})


def signature(source: str, where: str = "parameters cell") -> list[Parameter]:
    """The parameters a cell declares.

    >>> signature("n: int = 3  # people, count, [1, inf]")
    [Parameter(name='n', type='int', default=3, meaning='people, count, [1, inf]', low=1.0, high=inf)]
    """
    lines = source.splitlines()
    cell = []
    for node in ast.parse(source).body:
        ok = isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None
        if not ok or not isinstance(node, ast.AnnAssign) or ast.unparse(node.annotation) not in _TYPES:
            raise ParamError(
                expected="`name: type = default  # meaning, unit, range`", found=lines[node.lineno - 1][:80],
                where=where, todo=f"write it so, with a type of {', '.join(_TYPES)}",
            )  # fmt: skip
        comment = lines[node.end_lineno - 1 if node.end_lineno else 0].partition("  # ")[2].strip()
        bounds = _RANGE.search(comment)
        low, high = (float(bounds[1]), float(bounds[2])) if bounds else (-math.inf, math.inf)
        default = ast.literal_eval(node.value) if node.value is not None else None
        cell.append(Parameter(ast.unparse(node.target), ast.unparse(node.annotation), default, comment, low, high))
    return cell


def declared(cells: Sequence[Mapping[str, Any]], *, room: str) -> list[Parameter]:
    """The parameters that a notebook declares in its one cell tagged `parameters`.

    `cells` are those of the file or of nbformat. Raises ParamError where there is not exactly one.
    """
    where = f"notebooks/{room}.ipynb"
    tagged = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
    if len(tagged) != 1:
        raise ParamError(
            expected="one cell tagged `parameters`", found=f"{len(tagged)}", where=where,
            todo="tag the cell that declares the parameters",
        )  # fmt: skip
    return signature("".join(tagged[0]["source"]), where=where)


def project() -> dict[str, Any]:
    """The section `project` of params.yaml, the one that is no room: who answers for what; missing values by default.

    Raises ParamError for an unknown name or a wrong type, as for a room.
    """
    given = check(section("project"), signature(_PROJECT), room="project")
    for name, texts in (("owners", given["owners"]), ("labels", list(given["labels"].values()))):
        wrong = [v for v in texts if not isinstance(v, str) or not v.strip()]
        if wrong:
            raise ParamError(
                expected="text", found=repr(wrong[0])[:80], where=f"params.yaml: project.{name}",
                todo="put it in quotes",
            )  # fmt: skip
    if given["risk"] not in RISKS:
        raise ParamError(
            expected=f"one of {', '.join(RISKS[1:])}", found=repr(given["risk"]), where="params.yaml: project.risk",
            todo="choose one of them",
        )  # fmt: skip
    return given | {"name": given["name"].strip() or "this project"}


def values(room: str) -> dict[str, Any]:
    """The values that a room runs with: its section, then what it inherits from `project`, then its defaults."""
    cells = json.loads((tables.ROOT / "notebooks" / f"{room}.ipynb").read_text("utf-8"))["cells"]
    signed, shared = declared(cells, room=room), section("project")
    inherited = {p.name: shared[p.name] for p in signed if p.name in INHERITED and p.name in shared}
    return check({**inherited, **section(room)}, signed, room=room)


def by_hand(room: str, names: dict[str, Any]) -> None:
    """A notebook run by hand starts from params.yaml, as the stage does: sets its values in `names` (globals()).

    Names each value that differs from the one in the cell above. As a stage: nothing, the door has set them.
    """
    if tables.as_stage(room):
        return
    print("by hand: values as in params.yaml; to try another one, set it in a cell below")  # noqa: T201
    for name, value in values(room).items():
        if names.get(name) != value:
            here, there = shorten(repr(value), 80), shorten(repr(names.get(name)), 80)
            print(f"  {name} = {here}, not {there} as in the cell above")  # noqa: T201
        names[name] = value


def check(values: dict[str, Any], declared: list[Parameter], *, room: str) -> dict[str, Any]:
    """The values of params.yaml, if they fit the signature: known names, right types, in range, plain data only.

    A missing one takes its default. An int is accepted where a float is declared; a bool is never a number. Raises
    ParamError naming the parameter, and for one that is gone what to write instead.
    """
    where = f"params.yaml: {room}"
    names = {p.name: p for p in declared}
    gone = {
        name: SUCCESSORS[room, name] for name in map(str, values) if name not in names and (room, name) in SUCCESSORS
    }
    if gone:
        raise ParamError(
            expected=f"parameters {', '.join(names)}", found=f"{', '.join(gone)}, renamed or removed", where=where,
            todo="; ".join(f"instead of {name} write {successor}" for name, successor in gone.items()),
        )  # fmt: skip
    for name in values:
        if name not in names:
            near = difflib.get_close_matches(str(name), names, n=1)
            raise ParamError(
                expected=f"parameters {', '.join(names)}", found=f"unknown parameter {name}", where=where,
                todo=f"did you mean {near[0]}?" if near else "remove it, or add it to the notebook's parameters cell",
            )  # fmt: skip
    for p in declared:
        if p.name in values:
            _fits(values[p.name], p, f"{where}.{p.name}")
    given = {p.name: values.get(p.name, p.default) for p in declared}
    return {p.name: float(given[p.name]) if p.type == "float" else given[p.name] for p in declared}


def _fits(value: Any, p: Parameter, where: str) -> None:
    wrong = not isinstance(value, _TYPES[p.type]) or (isinstance(value, bool) and p.type in ("int", "float"))
    if wrong or not _plain(value):
        raise ParamError(
            expected=f"{p.type}: {p.meaning}", found=f"{value!r} ({type(value).__name__})", where=where,
            todo=f"write for example `{p.name}: {p.default}`",
        )  # fmt: skip
    if p.type in ("int", "float") and not p.low <= value <= p.high:
        raise ParamError(
            expected=f"{p.low:g} to {p.high:g}: {p.meaning}", found=repr(value), where=where,
            todo=f"choose a value in that range, for example {p.default}",
        )  # fmt: skip


def _plain(value: Any) -> bool:
    """Only str, int, float, bool, None and lists and dicts of them reach a notebook (no YAML tags, no objects)."""
    if isinstance(value, dict):
        return all(isinstance(k, str) and _plain(v) for k, v in value.items())
    if isinstance(value, list):
        return all(_plain(v) for v in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int | bool)
