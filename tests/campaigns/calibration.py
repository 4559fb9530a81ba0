"""Do the intervals of calibration hold what they promise? `python tests/campaigns/calibration.py [worlds]` prints it.

Scores lie on forty points, so that every population figure is a finite sum; the event rates follow the scores, shifted
or stretched. Rows are independent, or four answers an item whose events go together, or such answers of which each
rater gives ten and leans one way.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import optimize, special

from hfkit.calibration.binned import BINS, bin_of
from hfkit.calibration.estimates import WINDOW, estimate, mean
from hfkit.shared.intervals import Interval, simultaneous
from hfkit.shared.learn import logit

SIZES, RATES = (5, 20, 60, 200, 1000), (0.02, 0.1, 0.4, 0.98)
KINDS = ("independent", "by item", "by item and rater")
UNDEFINED = Interval(np.nan, np.nan, np.nan)
TRUTHS = ("calibrated", "shift 0.03", "shift 0.15", "over-confident", "under-confident")
NOMINAL, ASKED, ENOUGH = 0.95, 0.93, 0.25  # intervals given in fewer worlds than the last are not judged
DOUBT = 0.90  # cells that seem to cover less than this are run again, in more worlds of their own


@dataclass(frozen=True)
class World:
    """Forty equally likely scores with mean near `base`, and the event rate at each of them."""

    base: float
    truth: str

    @cached_property
    def score(self) -> np.ndarray:
        wide = 4.0 if 0.1 < self.base < 0.9 else 12.0
        at = special.betaincinv(self.base * wide, (1 - self.base) * wide, (np.arange(40) + 0.5) / 40)
        return np.clip(at, 0.002, 0.998)

    @cached_property
    def rate(self) -> np.ndarray:
        towards = 1 if self.base <= 0.5 else -1
        if self.truth.startswith("shift"):
            return np.clip(self.score + towards * float(self.truth.split()[1]), 0.002, 0.998)
        stretch = {"calibrated": 1.0, "over-confident": 0.6, "under-confident": 1.6}[self.truth]
        centre = logit(self.base)
        return special.expit(centre + stretch * (logit(self.score) - centre))

    @property
    def threshold(self) -> float:
        return float((self.score[27] + self.score[28]) / 2)

    def figures(self) -> dict[str, float]:
        """The population figure of every measure."""
        s, p = self.score, self.rate
        inside = np.bincount(bin_of(s), minlength=BINS) / 40
        gap = np.bincount(bin_of(s), p - s, minlength=BINS) / 40
        squares = float((gap[inside > 0] ** 2 / inside[inside > 0]).sum())
        brier, base = float((p * (1 - p) + (p - s) ** 2).mean()), float(p.mean())
        near = np.abs(s - self.threshold) <= WINDOW
        return {
            "ECE": float(np.abs(gap).sum()), "debiased calibration error": squares**0.5, "reliability": squares,
            "Brier score": brier, "uncertainty": base * (1 - base),
            "resolution": squares + base * (1 - base) - brier, "calibration in the large": float((p - s).mean()),
            "calibration slope": self.slope(), "calibration at threshold": float((p - s)[near].mean()),
        }  # fmt: skip

    def slope(self) -> float:
        """The slope of the logistic recalibration in the population."""
        x, p = logit(self.score), self.rate
        loss = optimize.minimize(
            lambda fit: float((np.logaddexp(0, fit[0] + fit[1] * x) - p * (fit[0] + fit[1] * x)).mean()),
            [0.0, 1.0],
            jac=lambda fit: np.array([np.ones(40), x]) @ (special.expit(fit[0] + fit[1] * x) - p) / 40,
            options={"gtol": 1e-9},
        )
        return float(loss.x[1])

    def draw(self, n: int, kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Labels, scores and clusters of n rows.

        Events of one item correlate by half, or where raters lean by half for the item and a fifth for the rater (on
        the scale of a normal that decides).
        """
        answers = 1 if kind == "independent" else 4
        items = max(n // answers, 2)
        at, item = rng.integers(0, 40, items), np.repeat(np.arange(items), answers)
        if kind != KINDS[2]:
            chance = self.rate[at] if answers == 1 else rng.beta(self.rate[at], 1 - self.rate[at])
            return (rng.random(len(item)) < chance[item]).astype(float), self.score[at][item], [item]
        rater = rng.permutation(np.arange(len(item)) // 10)
        normal = (rng.standard_normal(k) for k in (items, len(item), len(item)))
        lean = sum(
            np.sqrt(w) * z[i] for w, z, i in zip((0.5, 0.2, 0.3), normal, (item, rater, slice(None)), strict=True)
        )
        return (special.ndtr(lean) < self.rate[at][item]).astype(float), self.score[at][item], [item, rater]


def coverage(world: World, n: int, kind: str, worlds: int, stage: int = 0) -> dict[str, list[int]]:
    """For each measure: intervals given, and how many of them hold the truth."""
    truth, tallies = world.figures(), {}
    seed = [n, KINDS.index(kind), round(world.base * 100), TRUTHS.index(world.truth), stage]
    for i in range(worlds):
        rng = np.random.default_rng([*seed, i])
        y, s, clusters = world.draw(n, kind, rng)
        estimated, _ = estimate(y, s, clusters, threshold=world.threshold, n_boot=200, level=NOMINAL, rng=rng)
        for name, value in truth.items():
            if not np.isnan(value):
                count(tallies, name, estimated.get(name, UNDEFINED)[1:], value)
        for b in np.flatnonzero(np.bincount(bin_of(s), minlength=BINS) >= 5):
            inside, bins = bin_of(s) == b, bin_of(world.score) == b
            ends = mean(y[inside], [c[inside] for c in clusters])[1:]
            count(tallies, "bands of bins", ends, world.rate[bins].mean())
    return tallies


def count(tallies: dict[str, list[int]], name: str, ends: tuple[float, float], truth: float) -> None:
    """Add one interval to the tally."""
    tally = tallies.setdefault(name, [0, 0])
    if not np.isnan(ends[0]):
        tally[0] += 1
        tally[1] += ends[0] <= truth + 1e-9 and truth <= ends[1] + 1e-9


def together(worlds: int, groups: int = 12, n: int = 150) -> float:
    """Share of worlds in which the intervals of all groups hold together, at the confidence assess uses for them."""
    world, held = World(0.3, "calibrated"), 0
    for i in range(worlds):
        rng, ok = np.random.default_rng([7, i]), True
        for _ in range(groups):
            y, s, clusters = world.draw(n, KINDS[0], rng)
            level = simultaneous(groups, NOMINAL)
            estimated, _ = estimate(y, s, clusters, threshold=0.5, n_boot=250, level=level, rng=rng)
            for name in ("ECE", "calibration in the large"):
                _, low, high = estimated.get(name, UNDEFINED)
                ok &= not (low > world.figures()[name] + 1e-9 or high < world.figures()[name] - 1e-9)
        held += ok
    return held / worlds


def cell(world: World, n: int, kind: str, worlds: int) -> dict[str, tuple[float, float]]:
    """Coverage and its standard error, of every measure with an interval in enough worlds.

    Where one seems low after `worlds` worlds, the whole cell is what three times as many fresh ones say: the least of
    many noisy figures would otherwise be noise.
    """
    tallies = coverage(world, n, kind, worlds)
    judged = {name: held / given for name, (given, held) in tallies.items() if given >= ENOUGH * worlds}
    if judged and min(judged.values()) < DOUBT:
        worlds *= 3
        tallies = coverage(world, n, kind, worlds, stage=1)
    return {
        name: (held / given, (ASKED * (1 - ASKED) / given) ** 0.5)
        for name, (given, held) in tallies.items() if given >= ENOUGH * worlds
    }  # fmt: skip


def main(worlds: int = 150) -> int:
    """Print the least and the mean coverage of every measure; 1 where one is under 93 % by more than chance."""
    table: dict[tuple[str, int], list[float]] = {}
    low = []
    for n, kind, base, truth in itertools.product(SIZES, KINDS, RATES, TRUTHS):
        for name, (held, error) in cell(World(base, truth), n, kind, worlds).items():
            table.setdefault((name, n), []).append(held)
            if held < ASKED - 2 * error:
                low.append(f"{name}, {n} rows, {kind}, {base} {truth}: {held:.3f}")
    print(f"| measure | {' | '.join(f'{n} rows' for n in SIZES)} |\n|{'---|' * (len(SIZES) + 1)}")
    for name in sorted({name for name, _ in table}):
        seen = [table.get((name, n), []) for n in SIZES]
        print(f"| {name} | {' | '.join(f'{min(c):.3f} ({np.mean(c):.3f})' if c else 'none given' for c in seen)} |")
    print(f"\nAll of 12 groups of 150 rows hold together (error and gap in the large): {together(worlds):.3f}")
    print(f"Below {ASKED} by more than two standard errors: {len(low)} of {sum(map(len, table.values()))} cells")
    print(*(f"- {line}" for line in low), sep="\n")
    return int(len(low) > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
