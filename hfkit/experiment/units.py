"""Who was assigned to an arm: the person or session served, not the row. People in two arms tell nothing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.shared import cluster

Floats = npt.NDArray[np.float64]
CROSSED = ["component", "unit_id", "arms", "rows"]


class Rewards(NamedTuple):
    """The rewards of some rows, ascending, and the code of the person served in each."""

    value: Floats
    unit: npt.NDArray[np.int64]

    @property
    def people(self) -> int:
        """How many people are behind the rows?"""
        return len(np.unique(self.unit))

    @property
    def effect(self) -> tuple[float, float]:
        """How many rows count as one, because people repeat (1 = every row is another person), and how many degrees
        of freedom their variance has."""
        if self.people == len(self.value):
            return 1.0, float("inf")
        effect, df = cluster.design(self.value[:, None], np.ones((len(self.value), 1)), self.unit)
        return float(effect[0]), float(df[0])


def unit(items: pd.DataFrame) -> pd.Series:
    """Who was served in each row: unit_id; where that is missing every row stands for itself."""
    alone = pd.Series("\0" + items.index.astype(str), index=items.index, dtype="object")
    if "unit_id" not in items:
        return alone
    return items["unit_id"].astype("object").where(items["unit_id"].notna(), alone)


def assigned(items: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of people who were in one arm of a component, with `unit`, in one order; and the people in several.

    The second table: component, unit_id, arms, rows. What they did is the effect of both arms: they are left out.
    """
    rows = items[items["arm"].notna()].reset_index(drop=True)
    if "item_id" in rows:
        rows = rows.sort_values("item_id", kind="stable", ignore_index=True)
    rows = rows.assign(unit=unit(rows))
    keys = [rows["component"], rows["unit"]]
    several = rows["arm"].groupby(keys).transform("nunique") > 1
    named = rows[several].groupby(["component", "unit"], sort=True)["arm"]
    crossed = named.agg(arms=lambda a: ", ".join(sorted(set(a.astype(str)))), rows="size").reset_index()
    return rows[~several], crossed.rename(columns={"unit": "unit_id"}).reindex(columns=CROSSED)


def rewards(rows: pd.DataFrame) -> Rewards:
    """The rewards of these rows, with who was served; rows without one are left out."""
    kept = rows[rows["reward"].notna()]
    value, code = kept["reward"].to_numpy(float), cluster.codes(kept["unit"].to_numpy(str))
    order = np.lexsort([code, value])  # sums do not depend on the order of rows
    return Rewards(value[order], code[order])
