"""Cohort groups: their names, and which of them are too small to be published."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.shared import schema


def names(frame: pd.DataFrame, column: str) -> pd.Series:
    """The group of each row by one cohort column, as text; a missing one is the group "not stated".

    >>> names(pd.DataFrame({"cohort.age": ["18-29", None]}), "cohort.age").tolist()
    ['18-29', 'not stated']
    """
    values = frame[column].astype("object")
    return values.where(values.notna(), schema.NOT_STATED).astype(str)


def withheld(n: npt.ArrayLike, minimum: int) -> npt.NDArray[np.bool_]:
    """Which groups of one cohort must not be published? Those with 1 to `minimum` - 1 members, and one more.

    If exactly one group is small, the total gives it back, so the next smallest is withheld with it. A group nobody is
    in tells nothing about anybody and is published. Cox (1980), JASA 75:377 (complementary suppression).

    >>> withheld([40, 12, 3, 0], 10).tolist(), withheld([40, 12], 10).tolist()
    ([False, True, True, False], [False, False])
    """
    n = np.asarray(n)
    hidden: npt.NDArray[np.bool_] = (n > 0) & (n < minimum)
    if hidden.sum() == 1 and (n >= minimum).any():
        hidden[np.where(n >= minimum, n, np.inf).argmin()] = True
    return hidden


def why(n: npt.ArrayLike, minimum: int, unit: str = "raters") -> npt.NDArray[np.str_]:
    """The note of each group of one cohort: why it is withheld, empty where it is published.

    >>> why([40, 12, 3], 10).tolist()
    ['', 'withheld so that a smaller group cannot be worked out', 'fewer than 10 raters']
    """
    n = np.asarray(n)
    small = (n > 0) & (n < minimum)
    other = np.where(withheld(n, minimum), "withheld so that a smaller group cannot be worked out", "")
    return np.where(small, f"fewer than {minimum} {unit}", other)
