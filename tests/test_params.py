"""params: a missing, extra, wrongly typed or out-of-range parameter is an error that names it."""

from __future__ import annotations

import nbformat
import pytest
import yaml
from conftest import ROOT

from hfkit.shared import params, tables
from hfkit.shared.errors import ParamError

CELL = """n: int = 3  # people, count, [1, inf]
share: float = 0.5  # share, [0, 1]
name: str = "x"  # a name
on: bool = True  # a switch
groups: list = []  # groups
"""
GOOD = {"n": 1, "share": 1, "name": "y", "on": False, "groups": [{"a": 1}]}


def test_good_values_pass_and_an_int_becomes_the_declared_float():
    checked = params.check(GOOD, params.signature(CELL), room="r")
    assert checked == GOOD
    assert isinstance(checked["share"], float)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "unknown parameter extra"),
        ({"shar": 0.5}, "did you mean share"),
        ({"n": 0}, "found 0"),
        ({"n": True}, "bool"),
        ({"n": 1.5}, "float"),
        ({"n": "3"}, "str"),
        ({"share": 1.01}, "found 1.01"),
        ({"share": float("nan")}, "nan"),
        ({"name": 7}, "int"),
        ({"name": b"x"}, "bytes"),
        ({"on": "yes"}, "str"),
        ({"on": 1}, "int"),
        ({"groups": {"a"}}, "set"),
        ({"groups": [object()]}, "object"),
        ({"groups": [{1: 2}]}, "list"),
    ],
)
def test_each_misfit_is_named(change, message):
    with pytest.raises(ParamError, match=message):
        params.check({**GOOD, **change}, params.signature(CELL), room="r")


def test_a_missing_parameter_takes_its_default():
    values = {k: v for k, v in GOOD.items() if k != "share"}
    assert params.check(values, params.signature(CELL), room="r") == {**GOOD, "share": 0.5}
    defaults = {p.name: p.default for p in params.signature(CELL)}
    assert params.check({}, params.signature(CELL), room="r") == defaults


def test_a_missing_or_empty_section_is_all_defaults(tmp_path, monkeypatch):
    monkeypatch.setattr(params.tables, "ROOT", tmp_path)
    (tmp_path / "params.yaml").write_text("audit:\nclean: {a: 1}\n", "utf-8")
    assert (params.section("audit"), params.section("route"), params.section("clean")) == ({}, {}, {"a": 1})
    (tmp_path / "params.yaml").write_text("audit: 7", "utf-8")
    with pytest.raises(ParamError, match=r"a section `audit:`"):
        params.section("audit")


@pytest.mark.parametrize(("room", "name"), sorted(params.SUCCESSORS))
def test_a_parameter_that_is_gone_names_its_successor(room, name):
    with pytest.raises(ParamError, match="renamed or removed") as caught:
        params.check({name: 1, "n": 2}, params.signature(CELL), room=room)
    assert f"instead of {name} write {params.SUCCESSORS[room, name]}" in caught.value.todo


def test_all_parameters_that_are_gone_are_named_at_once():
    with pytest.raises(ParamError, match="min_group, suppress_below, round_to, renamed or removed"):
        params.check({"min_group": 10, "suppress_below": 10, "round_to": 5}, params.signature(CELL), room="fairness")


def test_no_successor_is_needed_for_a_parameter_that_exists():
    for room, name in params.SUCCESSORS:
        cell = next(c for c in nbformat.read(ROOT / "notebooks" / f"{room}.ipynb", as_version=4).cells
                    if "parameters" in c.metadata.get("tags", []))  # fmt: skip
        declared = {p.name: p.type for p in params.signature(cell.source)}
        assert name not in declared
        successor = params.SUCCESSORS[room, name].split(":")[0]
        there, _, other = successor.rpartition(".")
        if there:  # it moved to another room
            cell = nbformat.read(ROOT / "notebooks" / f"{there}.ipynb", as_version=4).cells[1]
            declared |= {f"{there}.{p.name}": p.type for p in params.signature(cell.source)}
        assert successor == "nothing" or successor in declared, other


@pytest.mark.parametrize("line", ["n = 3", "n: int", "n: complex = 3", "import os", "n: int = f()"])
def test_a_cell_that_is_no_signature_is_refused(line):
    with pytest.raises((ParamError, ValueError)):
        params.signature(line)


def test_yaml_tags_do_not_reach_a_notebook(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text("r: {name: !!binary aGk=, groups: !!set {a, b}}", "utf-8")
    values = {**GOOD, **params.load(file)["r"]}
    with pytest.raises(ParamError):
        params.check(values, params.signature(CELL), room="r")
    file.write_text("a: !!python/object/apply:os.system [ls]", "utf-8")
    with pytest.raises(ParamError):
        params.load(file)
    assert yaml.safe_load("007") == 7  # why ids are written as quoted strings


def test_by_hand_the_values_of_params_yaml_count_and_each_that_differs_is_named(scratch, monkeypatch, capsys):
    monkeypatch.setattr(tables, "ROOT", scratch.root)
    scratch.params("monitor", freq_days=14, max_error_rate=0.5)
    names = {"freq_days": 7, "max_error_rate": 0.5, "seed": 8, "other": 1}
    monkeypatch.setenv("HFKIT_STAGE", "monitor")
    params.by_hand("monitor", names)
    assert (names["freq_days"], capsys.readouterr().out) == (7, "")
    monkeypatch.delenv("HFKIT_STAGE")
    params.by_hand("monitor", names)
    printed = capsys.readouterr().out
    assert "  freq_days = 14, not 7 as in the cell above" in printed
    assert "max_error_rate" not in printed
    assert (names["freq_days"], names["other"], names["reference_weeks"]) == (14, 1, 4)
    scratch.params("monitor", sede=1)
    with pytest.raises(ParamError, match="unknown parameter sede"):
        params.by_hand("monitor", names)


def test_a_room_inherits_from_the_project_what_its_own_section_does_not_say(scratch, monkeypatch):
    monkeypatch.setattr(tables, "ROOT", scratch.root)
    scratch.params("project", min_people=7)
    scratch.params("audit", min_people=9)
    assert [params.values(room)["min_people"] for room in ("audit", "fairness")] == [9, 7]
    scratch.params("project", min_people=0)
    with pytest.raises(ParamError, match=r"fairness.min_people"):
        params.values("fairness")


def test_the_project_section_takes_its_defaults_and_names_what_it_does_not_know(scratch, monkeypatch):
    monkeypatch.setattr(tables, "ROOT", scratch.root)
    file = scratch.root / "params.yaml"
    file.write_text("project:\n  min_people: 5\n", "utf-8")
    assert (params.project()["name"], params.project()["labels"]) == ("this project", {})
    for wrong in ("labels: {safety: 5}", "owners: [1]", "risk: deadly", "labels: {safety: ''}"):
        file.write_text(f"project: {{{wrong}}}\n", "utf-8")
        with pytest.raises(ParamError, match=f"project.{wrong.split(':')[0]}"):
            params.project()
    file.write_text("project: {ownners: [me]}\n", "utf-8")
    with pytest.raises(ParamError, match=r"unknown parameter ownners(.|\n)*did you mean owners"):
        params.project()
