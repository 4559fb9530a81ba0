"""The `clean:` section of params.yaml as typed settings; every mistake is a ParamError that names the key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hfkit.shared import schema
from hfkit.shared.errors import ParamError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,60}")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Unpivot(_Strict):
    """Wide to long before the mapping: each named column becomes a row, its label in `into`, its cell in `value`."""

    into: str
    value: str
    columns: dict[str, str] = Field(min_length=1)


class Time(_Strict):
    """How a source writes times: a pattern (strptime), iso, epoch, epoch_ms or spreadsheet.

    `zone` is where a time without an offset stands.
    """

    format: str = "iso"
    zone: str = "UTC"


class Source(_Strict):
    """One export and how its columns become the agreed ones.

    How it writes: `time`, `decimal` (the sign before decimals), `header_rows` (lines before the first record), and
    `multiple`, what stands between several answers in one cell; `delimiter` of CSV and `sheet` of XLSX. `values`
    translates: {EVAL: model} in every column but ids and free texts, {rater_kind: {EVAL: model}} in one. `keep` chooses
    rows by a column of the export, {Finished: ["True"]}; `clip` moves answers outside two numbers to the nearer one.
    """

    name: str
    table: Literal["items", "feedback", "comparisons", "raters", "population", "policy"]
    path: str
    format: str
    columns: dict[str, str] = Field(min_length=1)
    distinct: bool = False
    unpivot: Unpivot | None = None
    missing: list[str] = [""]
    time: Time | None = None
    decimal: Literal[".", ","] = "."
    header_rows: int = Field(default=1, ge=1, le=20)
    multiple: str = ""
    delimiter: str = ""
    sheet: str = ""
    values: dict[str, str | dict[str, str]] = {}
    keep: dict[str, list[str]] = {}
    clip: list[float] | None = Field(default=None, min_length=2, max_length=2)


class Component(_Strict):
    """One part of the product, with what its score predicts and what its mistakes cost (schema.COMPONENTS)."""

    component: str
    event: str
    threshold: float = Field(ge=0, le=1)
    cost_false_alarm: float = Field(ge=0)
    cost_miss: float = Field(ge=0)
    effort_days: float = Field(ge=0)


class AtLeast(_Strict):
    """Answers from this number upwards."""

    at_least: float


class AtMost(_Strict):
    """Answers up to this number."""

    at_most: float


class Rubric(_Strict):
    """What the answers to one question mean. `range` (optional) rejects answers that are not numbers inside it.

    `level` says what the answers are: binary, nominal (names), ordinal (ranks) or interval (numbers).
    """

    question: str
    component: str
    states: Literal["agreement", "truth"]
    positive: list[str] | AtLeast | AtMost
    negative: list[str] | AtLeast | AtMost
    range: list[float] | None = Field(default=None, min_length=2, max_length=2)
    level: Literal["binary", "nominal", "ordinal", "interval"] | None = None


class Settings(_Strict):
    """All of it."""

    sources: list[Source]
    components: list[Component]
    rubric: list[Rubric]


def check(
    sources: Sequence[Mapping[str, Any]], components: Sequence[Mapping[str, Any]], rubric: Sequence[Mapping[str, Any]]
) -> Settings:
    """The settings, if they are whole and fit each other. Raises ParamError for the first that does not."""
    for key, given in (("sources", sources), ("components", components)):
        if not given:
            raise _wrong(f"at least one entry in {key}", "none", key, f"describe it under clean.{key} in params.yaml")
    try:
        settings = Settings.model_validate({"sources": sources, "components": components, "rubric": rubric})
    except ValidationError as e:
        raise _explain(e) from None
    _unique([s.name for s in settings.sources], "sources", "name")
    _unique([c.component for c in settings.components], "components", "component")
    _unique([r.question for r in settings.rubric], "rubric", "question")
    for i, source in enumerate(settings.sources):
        _source(source, f"sources[{i}]")
    names = {c.component for c in settings.components}
    for i, entry in enumerate(settings.rubric):
        _entry(entry, names, f"rubric[{i}]")
    return settings


def _unique(names: list[str], key: str, field: str) -> None:
    again = next((n for n in names if names.count(n) > 1), None)
    if again is not None:
        raise _wrong(f"each {field} once", f"{again!r} {names.count(again)} times", key, f"give each its own {field}")


def _source(source: Source, where: str) -> None:
    if not _NAME.fullmatch(source.name):
        raise _wrong("a name of letters, digits, _ and -", repr(source.name), where, "rename the source")
    table = schema.TABLES[source.table]
    made = (*schema.MADE, "component") if source.table == "feedback" else schema.MADE
    declared = [c.name for c in table.columns if c.name not in made]
    foreign = [n for n, v in source.values.items() if isinstance(v, dict) and n not in source.columns]
    if foreign:
        raise _wrong("a column that is mapped", repr(foreign[0]), f"{where}.values",
                     near(foreign[0], list(source.columns), "map it, or remove it"))  # fmt: skip
    for name in source.columns:
        family = any(name.startswith(f) and len(name) > len(f) for f in table.families)
        if name not in declared and not family:
            families = [f"{f}*" for f in table.families]
            raise _wrong(f"a column of {source.table}: {', '.join([*declared, *families])}", repr(name),
                         f"{where}.columns", near(name, declared, "rename or remove it"))  # fmt: skip
        if family and set('=&"') & set(name):
            raise _wrong('a name without =, & and "', repr(name), f"{where}.columns", "rename it: it names groups")
    if source.time and source.time.zone not in available_timezones():
        raise _wrong("a time zone as Europe/Berlin", repr(source.time.zone), f"{where}.time.zone",
                     near(source.time.zone, sorted(available_timezones()), "write UTC"))  # fmt: skip
    key = [k for k in table.key if k not in source.columns]
    if key:
        raise _wrong(f"{key[0]} ({_meaning(table, key[0])})", "no such key", f"{where}.columns", f"map {key[0]}")


def _meaning(table: schema.Table, name: str) -> str:
    column = table.column(name)
    return column.meaning if column else name


def _entry(entry: Rubric, components: set[str], where: str) -> None:
    if entry.component != "item" and entry.component not in components:
        names = ["item", *sorted(components)]
        raise _wrong(f"one of {', '.join(names)}", repr(entry.component), f"{where}.component",
                     near(entry.component, names, "name one of them"))  # fmt: skip
    if isinstance(entry.positive, list) and isinstance(entry.negative, list):
        both = sorted(set(entry.positive) & set(entry.negative))
        if both:
            raise _wrong("each answer on one side", f"{both[0]!r} on both", where, "remove it from one side")
    one, other = _span(entry.positive), _span(entry.negative)
    if one and other and one[0] <= other[1] and other[0] <= one[1]:
        raise _wrong("numbers on one side only", "ranges that overlap", where, "leave a gap between them")


def _span(side: list[str] | AtLeast | AtMost) -> tuple[float, float] | None:
    if isinstance(side, AtLeast):
        return side.at_least, float("inf")
    return (float("-inf"), side.at_most) if isinstance(side, AtMost) else None


def near(name: str, names: Sequence[str], otherwise: str) -> str:
    """What to type next: the nearest known name.

    >>> near("rater", ["rater_id", "value"], "rename it")
    'did you mean rater_id?'
    """
    folded = {k.casefold(): k for k in names}
    close = difflib.get_close_matches(name.strip().casefold(), folded, n=1, cutoff=0.5)
    return f"did you mean {folded[close[0]]}?" if close else otherwise


_MODELS: dict[str, type[BaseModel]] = {"sources": Source, "components": Component, "rubric": Rubric}


def _explain(error: ValidationError) -> ParamError:
    first = error.errors()[0]
    loc = [str(p) for p in first["loc"] if str(p) not in ("list[str]", "AtLeast", "AtMost", "str", "dict[str,str]")]
    where = "".join(f"[{p}]" if p.isdigit() else f".{p}" for p in loc).lstrip(".")
    nested: dict[str, type[BaseModel]] = {"unpivot": Unpivot, "time": Time}
    model = next((nested[k] for k in loc if k in nested), _MODELS.get(loc[0]))
    fields = list(model.model_fields) if model else []
    if first["type"] == "extra_forbidden":
        return _wrong(f"keys {', '.join(fields)}", f"{loc[-1]!r}", where, near(loc[-1], fields, "remove it"))
    if first["type"] == "missing":
        return _wrong(f"{loc[-1]}", "no such key", where.rpartition(".")[0], f"add `{loc[-1]}:`")
    hint = "put it in quotes" if first["type"] == "string_type" else f"correct clean.{where}"
    return _wrong(first["msg"].removeprefix("Input should be "), repr(first["input"])[:80], where, hint)


def _wrong(expected: str, found: str, where: str, todo: str) -> ParamError:
    return ParamError(expected=expected, found=found, where=f"params.yaml: clean.{where}", todo=todo)
