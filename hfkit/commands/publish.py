"""`hfkit publish`: copy the pages to where people read them, unless two publications together would point at somebody.

Each page alone protects small groups. Two of them, before and after one person withdrew, may not: what changed tells
who it was. So the numbers of the last publication are kept in data/published (in neither git nor DVC), with a keyed
mark of everybody behind them, and a number that changed while fewer than ten people came or went stops the next one.
"""

from __future__ import annotations

import hashlib
import hmac
import shutil
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.shared import params, schema, tables
from hfkit.shared.errors import StageError
from hfkit.shared.show import visible

ROOMS = ("fairness", "calibration")
VIEWS = ("all", "test")  # numbers stand on all judged rows, or on the test split
Tables = Mapping[str, pd.DataFrame]


def people(judgements: pd.DataFrame, predictions: pd.DataFrame, groups: Iterable[str], key: bytes) -> pd.DataFrame:
    """Who stands behind the numbers of each group? Columns view, component, group, person (a keyed mark).

    A group is named as on the pages, `served.language=es & age_band=18-29`; a person is an item (served) or a rater
    (rater, an anonymous answer for itself). `all` is both. Names that are no group of people are left out.
    """
    rows = judgements[judgements["weight"] > 0]
    test = predictions.loc[predictions["split"] == "test", ["item_id", "component"]]
    rows = rows.merge(test.assign(test=True), on=["item_id", "component"], how="left")
    rater = (
        rows["rater_id"].astype("object").where(rows["rater_id"].notna(), "answer " + rows["feedback_id"].astype(str))
    )
    marks = {"served": _marked("item " + rows["item_id"].astype(str), key), "rater": _marked("rater " + rater, key)}
    parts = []
    for group in ("all", *groups):
        inside = _inside(rows, group)
        if inside is None:
            continue
        for side in ("served", "rater") if group == "all" else (group.split(".", 1)[0],):
            for view in VIEWS:
                use = inside & (rows["test"].notna().to_numpy() | (view == "all"))
                found = pd.DataFrame(
                    {"component": rows["component"][use], "person": marks[side][use]}
                ).drop_duplicates()
                parts.append(found.assign(view=view, group=group))
    return pd.concat(parts, ignore_index=True)[["view", "component", "group", "person"]]


def _marked(names: pd.Series, key: bytes) -> npt.NDArray[np.object_]:
    found = {n: hmac.new(key, n.encode(), hashlib.sha256).hexdigest()[:16] for n in names.unique()}
    return np.array([found[n] for n in names], object)


def _inside(rows: pd.DataFrame, group: str) -> npt.NDArray[np.bool_] | None:
    """Which rows belong to a group; None where it is no group of people (an attribute, a slice by a feature)."""
    inside = np.ones(len(rows), bool)
    family = group.split(".", 1)[0]
    for part in group.split(" & ") if group != "all" else ():
        name, equals, value = part.partition("=")
        column = name if "." in name else f"{family}.{name}"
        if not equals or column not in rows:
            return None
        inside &= (
            rows[column].astype("object").where(rows[column].notna(), schema.NOT_STATED).astype(str) == value
        ).to_numpy()
    return inside


def few(old: pd.DataFrame, new: pd.DataFrame, threshold: int) -> set[tuple[str, str]]:
    """In which groups (component, group) did some people come or go, but fewer than `threshold`, inside or outside?"""
    keys = ["view", "component", "group", "person"]
    both = old.merge(new, on=keys, how="outer", indicator=True)
    moved = both[both["_merge"] != "both"].groupby(["view", "component", "group"]).size()
    total = moved[moved.index.get_level_values("group") == "all"].droplevel("group")
    found = set()
    for view, component, group in pd.concat([old, new])[keys[:3]].drop_duplicates().itertuples(index=False):
        inside = int(moved.get((view, component, group), 0))
        outside = int(total.get((view, component), 0)) - inside if group != "all" else 0
        if 0 < inside < threshold or 0 < outside < threshold:
            found.add((component, group))
    return found


def changed(old: Tables, new: Tables, touched: set[tuple[str, str]]) -> list[str]:
    """Which published numbers differ about groups that only few people came to or left? One line a row of a table.

    A row about no group of people (a slice, an attribute) is taken to be about everybody of its component.
    """
    known = {group for _, group in touched}
    out = []
    for name in sorted(set(old) & set(new)):
        both = [c for c in new[name] if c in old[name]]  # another version may have had other columns
        numbers = [c for c in both if all(pd.api.types.is_numeric_dtype(t[name][c]) for t in (old, new))]
        words = [c for c in both if c not in numbers]
        before, after = (_keyed(t[name], words, numbers, touched, known) for t in (old, new))
        rows = before.index.union(after.index)
        before, after = before.reindex(rows), after.reindex(rows)
        differs = ~((before == after) | (before.isna() & after.isna())).all(axis=1)
        out += [f"{name}: {', '.join(str(v) for v in key)}" for key in rows[differs.to_numpy()]]
    return out


def _keyed(
    table: pd.DataFrame, words: list[str], numbers: list[str], touched: set[tuple[str, str]], known: set[str]
) -> pd.DataFrame:
    """The rows of a table that few people stand between, its numbers by its words."""
    component = table["component"].astype(str) if "component" in table else pd.Series("all", index=table.index)
    named = table["group"].astype(str) if "group" in table else pd.Series("all", index=table.index)
    everyone = {c for c, group in touched if group == "all"}
    about = [
        (c, g) in touched if g in known else c in everyone or (c == "all" and bool(everyone))
        for c, g in zip(component, named, strict=True)
    ]
    part = table[np.array(about, bool)]
    key = pd.MultiIndex.from_frame(part[words].astype(str).assign(row=part.groupby(words, dropna=False).cumcount()))
    return part[numbers].astype(float).set_axis(key)


def published() -> dict[str, pd.DataFrame]:
    """The tables of this run whose numbers are on pages, by room and name: the evidence, and whatever is by group."""
    out = {}
    for room in tables.EVIDENCE_ROOMS:
        folder = tables.ROOT / "data" / room
        for file in sorted(folder.glob("*.parquet" if room in ROOMS else "evidence.parquet")):
            out[f"{room}/{file.stem}"] = pd.read_parquet(file)
    return out


def refuse(lines: list[str], threshold: int) -> None:
    """Raise StageError where there is a number that must not go out."""
    if lines:
        raise StageError(
            expected=f"at least {threshold} people, or none, between a changed number and the last publication",
            found=f"{len(lines)} rows that fewer people stand behind", where="; ".join(visible(x) for x in lines[:3]),
            todo="wait for more feedback: until then the pages of the last publication stand",
        )  # fmt: skip


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def publish(folder: Path) -> None:
    """Copy the pages to FOLDER, unless a comparison with the last publication would point at few people."""
    pages, kept = tables.ROOT / "reports", tables.ROOT / "data" / "published"
    if not (pages / "index.html").is_file():
        raise StageError(expected="reports/index.html", found="no such file", where="hfkit publish",
                         todo="run `dvc repro` first")  # fmt: skip
    threshold = int(params.load(tables.ROOT / "params.yaml")["fairness"]["suppress_below"])
    new = published()
    groups = sorted({str(g) for t in new.values() if "group" in t for g in t["group"].unique()} - {"all"})
    now = people(tables.read("aggregate", "judgements"), tables.read("retrain", "predictions"), groups, tables.secret())
    first = not (kept / "people.parquet").is_file()
    if not first:
        old = {name: pd.read_parquet(kept / f"{name}.parquet") for name in new if (kept / f"{name}.parquet").is_file()}
        touched = few(pd.read_parquet(kept / "people.parquet"), now, threshold)
        refuse(changed(old, new, touched), threshold)
    shutil.copytree(pages, folder, dirs_exist_ok=True)
    for name, table in {**new, "people": now}.items():
        tables.atomic(kept / f"{name}.parquet", partial(table.to_parquet, index=False))
    compared = "the first publication on this machine: compared with none" if first else "compared with the last"
    click.echo(f"{len(list(pages.glob('*.html')))} pages in {folder}; {compared}")
