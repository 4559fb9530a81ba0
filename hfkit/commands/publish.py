"""`hfkit publish`: copy the pages to where people read them, unless two publications together would point at somebody.

Each page alone protects small groups. Two of them, before and after one person withdrew, may not: what changed tells
who it was. So the numbers of all publications are kept in data/published (in neither git nor DVC), with keyed marks of
everybody behind them and of what they said, and a number that changed while fewer than ten people came, went or said
something else stops the next one.
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
OWN = {"item_id": "served", "rater": "rater"}
KEYS = ["view", "kind", "component", "group", "person"]
Tables = Mapping[str, pd.DataFrame]


def people(
    judgements: pd.DataFrame, predictions: pd.DataFrame, items: pd.DataFrame, groups: Iterable[str], key: bytes
) -> pd.DataFrame:
    """Who stands behind the numbers of each group, and with what? Columns view, kind, component, group, person, state.

    `view`: all judged rows, those of the test split, or everything served (`items`). `kind`: items or raters, both of
    which stand behind every group that their rows are in. `person` and `state` (all that is known of the person in
    this component: answers, weights, groups) are keyed marks. A group is named as on the pages, as
    `served.language=es & age_band=18-29`; "all" is everybody. Names that are no group of people are left out.
    """
    rows = judgements[judgements["weight"] > 0]
    test = predictions.loc[predictions["split"] == "test", ["item_id", "component"]]
    rows = rows.merge(test.assign(test=True), on=["item_id", "component"], how="left")
    rows = rows.assign(rater=rows["rater_id"].astype("object").fillna("answer " + rows["feedback_id"].astype(str)))
    served = items.rename(columns={c: c.replace("cohort.", "served.", 1) for c in schema.cohorts(items)})
    served = served[["item_id", "component", *schema.cohorts(served, "served.")]]
    views = {"all": rows, "test": rows[rows["test"].notna()], "items": served}
    parts = []
    for view, frame in views.items():
        for kind in ("item_id", "rater") if view != "items" else ("item_id",):
            marks = _marks(frame, kind, key)
            for group in ("all", *groups):
                inside = _inside(frame, group)
                if inside is not None:
                    parts.append(marks[inside].drop_duplicates().assign(view=view, kind=kind, group=group))
    return pd.concat(parts, ignore_index=True)[[*KEYS, "state"]]


def _marks(rows: pd.DataFrame, kind: str, key: bytes) -> pd.DataFrame:
    """Each row's component, and the keyed marks of its person and of all that is known of that person there."""
    known = [c for c in rows if c in ("item_id", "rater", "label", "weight") or c.startswith(("served.", "rater."))]
    said = pd.Series("", index=rows.index, dtype=object)
    for column in known:
        said = said + "|" + rows[column].astype("object").fillna("").map(str)
    whole = said.groupby([rows["component"], rows[kind].astype(str)]).transform(lambda part: "\n".join(sorted(part)))
    person = f"{kind} " + rows[kind].astype(str)
    marks = {"person": _marked(person, key), "state": _marked(person + whole.astype(str), key)}
    return pd.DataFrame({"component": rows["component"].astype(str), **marks}, index=rows.index)


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
    """In which groups (component, group) did people come, go or say something else, but fewer than `threshold`?

    Inside the group or outside of it, among items or among raters, in any view.
    """
    both = old.merge(new, on=[*KEYS, "state"], how="outer", indicator=True)
    moved = both[both["_merge"] != "both"].drop_duplicates(KEYS).groupby(KEYS[:-1]).size()
    total = moved[moved.index.get_level_values("group") == "all"].droplevel("group")
    found = set()
    for view, kind, component, group in pd.concat([old, new])[KEYS[:-1]].drop_duplicates().itertuples(index=False):
        inside = int(moved.get((view, kind, component, group), 0))
        alone = group.split(".", 1)[0] == OWN[kind]  # a rater's answers are in many groups of items
        outside = int(total.get((view, kind, component), 0)) - inside if alone else 0
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
    """The tables of this run that are compared: every room's evidence, and all tables of fairness and calibration."""
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
    judgements, predictions = tables.read("aggregate", "judgements"), tables.read("retrain", "predictions")
    now = people(judgements, predictions, tables.read("clean", "items"), groups, tables.secret())
    earlier = sorted((p for p in kept.glob("*") if (p / "people.parquet").is_file()), key=lambda p: int(p.name))
    for last in earlier:
        old = {name: pd.read_parquet(last / f"{name}.parquet") for name in new if (last / f"{name}.parquet").is_file()}
        refuse(changed(old, new, few(pd.read_parquet(last / "people.parquet"), now, threshold)), threshold)
    target = kept / str(int(earlier[-1].name) + 1 if earlier else 1)
    for name, table in {**new, "people": now}.items():
        tables.atomic(target / f"{name}.parquet", partial(table.to_parquet, index=False))
    shutil.copytree(pages, folder, dirs_exist_ok=True)
    compared = (
        f"compared with {len(earlier)} earlier publications" if earlier else "the first publication on this machine"
    )
    click.echo(f"{len(list(pages.glob('*.html')))} pages in {folder}; {compared}")
