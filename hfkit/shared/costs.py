"""What decisions cost: a false alarm and a miss have declared costs, in points; all else costs nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hfkit.shared import cluster, intervals
from hfkit.shared.intervals import Interval

Floats = npt.NDArray[np.float64]
PER = 1000.0  # costs are told per so many served
UNKNOWN = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Costs:
    """What one false alarm and one miss cost, in points, 0 or more."""

    false_alarm: float
    miss: float

    @property
    def threshold(self) -> float:
        """Acting pays where the probability of the event is at least this; NaN where nothing costs anything.

        >>> Costs(1.0, 3.0).threshold
        0.25
        """
        total = self.false_alarm + self.miss
        return self.false_alarm / total if total > 0 else math.nan

    def of(self, event: npt.ArrayLike, acted: npt.ArrayLike) -> Floats:
        """What each row costs, in points.

        >>> Costs(1.0, 3.0).of([1, 1, 0, 0], [True, False, True, False]).tolist()
        [0.0, 3.0, 1.0, 0.0]
        """
        event, acted = np.asarray(event) == 1, np.asarray(acted, bool)
        return np.where(event, np.where(acted, 0.0, self.miss), np.where(acted, self.false_alarm, 0.0))

    def mean(
        self, event: npt.ArrayLike, acted: npt.ArrayLike, *clusters: npt.ArrayLike, level: float = 0.95
    ) -> Interval:
        """What decisions cost per 1,000 rows: value, low, high. See `change` for what is assumed."""
        small, large = sorted((self.false_alarm, self.miss))
        return self._mean(self.of(event, acted), np.unique([0.0, small, large]), clusters, level)

    def change(
        self, event: npt.ArrayLike, before: npt.ArrayLike, after: npt.ArrayLike, *clusters: npt.ArrayLike,
        level: float = 0.95,
    ) -> Interval:  # fmt: skip
        """What other decisions (`after`) on the same rows cost more than those of `before`, per 1,000 rows.

        Below 0 they save. Costs take few values, so the bounds hold where few rows differ (`intervals.few_valued`);
        rows of one cluster go together. No rows, or nothing that costs: NaN. Fewer than 3 clusters of equal weight: no
        bounds.

        >>> event = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
        >>> before, after = np.array([[1, 0, 1, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]) == 1
        >>> [round(float(v)) for v in Costs(1.0, 3.0).change(event, before, after)]
        [100, -820, 1186]
        """
        small, large = sorted((self.false_alarm, self.miss))
        moved = self.of(event, after) - self.of(event, before)
        return self._mean(moved, np.unique([-large, -small, 0.0, small, large]), clusters, level)

    def _mean(self, x: Floats, values: Floats, clusters: Sequence[npt.ArrayLike], level: float) -> Interval:
        """The mean of points that take these values, per 1,000 rows."""
        if not len(x) or not values[-1] > 0:
            return UNKNOWN
        effect, df = cluster.design(x[:, None], np.ones((len(x), 1)), *(cluster.codes(c) for c in clusters))
        if df[0] + 1 < cluster.FEWEST:
            return Interval(PER * float(x.mean()), math.nan, math.nan)
        at_least = [(x >= v - 1e-12).sum() for v in values[1:]]
        confidence = float(intervals.student(level, df[0]))
        mean = intervals.few_valued(at_least, len(x), values, effect=float(effect[0]), level=confidence)
        return Interval(*(PER * float(v) for v in mean))
