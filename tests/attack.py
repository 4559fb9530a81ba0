"""An attacker of the card who shares no code with it: card.json and the published rules in, recovered counts out.

Counts of a row are whole numbers. A printed one lies where its rounding says, one "fewer than" the threshold below it,
a withheld one at or above it. Parts and rests add up to wholes, groups of an attribute to everyone, and a verdict on a
change says on which side of the margin the two models' difference lies. Each unknown is pinned by two linear programs
over all of that together (the relaxation first: where it leaves a range of one, the integer program is asked).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import linprog

MODELS = ("baseline", "candidate")
SPLITS = {"caught": ("cases with the event", "missed"), "false alarms": ("cases without the event", "left alone")}


class Attack:
    """Variables with ranges, and rows of a linear system."""

    def __init__(self, below: int, base: int) -> None:
        self.below, self.base = below, base
        self.at: dict[tuple[Any, ...], int] = {}
        self.ranges: list[tuple[float, float]] = []
        self.equal: list[dict[int, float]] = []
        self.upper: list[dict[int, float]] = []  # sum <= 0

    def variable(self, key: tuple[Any, ...], count: dict[str, Any] | None = None, nothing: bool = False) -> int:
        if key not in self.at:
            self.at[key] = len(self.ranges)
            self.ranges.append((0.0, math.inf))
        if count is not None and not nothing:
            self.ranges[self.at[key]] = {
                "shown": lambda: self.rounded(count["n"]), "few": lambda: (0.0, self.below - 1.0),
                "withheld": lambda: (float(self.below), math.inf), "blank": lambda: (0.0, math.inf),
            }[count["status"]]()  # fmt: skip
        return self.at[key]

    def rounded(self, n: int) -> tuple[float, float]:
        inside = [v for v in range(max(n - self.base, self.below), n + self.base + 1)
                  if math.floor(v / self.base + 0.5) * self.base == n]  # fmt: skip
        return float(inside[0]), float(inside[-1])

    def pinned(self) -> dict[tuple[Any, ...], int]:
        """Counts of which one value only agrees with everything."""
        n = len(self.ranges)
        equal, upper = (self.matrix(rows, n) for rows in (self.equal, self.upper))
        out = {}
        for key, i in self.at.items():
            ends = []
            for sign in (1.0, -1.0):
                goal = np.zeros(n)
                goal[i] = sign
                zeros = [np.zeros(len(rows)) if rows else None for rows in (self.equal, self.upper)]
                done = linprog(goal, A_eq=equal, b_eq=zeros[0], A_ub=upper, b_ub=zeros[1], bounds=self.ranges)
                assert done.status in (0, 3), done.message  # solved, or without a bound
                ends.append(sign * done.fun if done.status == 0 else math.inf)
            if math.floor(ends[1] + 1e-6) <= math.ceil(ends[0] - 1e-6):
                out[key] = round(ends[0])
        return out

    @staticmethod
    def matrix(rows: list[dict[int, float]], n: int) -> Any:
        out = np.zeros((len(rows), n))
        for line, row in zip(out, rows, strict=True):
            line[list(row)] = list(row.values())
        return out if len(rows) else None


def attack(card: dict[str, Any], margin: dict[str, float]) -> tuple[dict[Any, int], set[Any]]:
    """Every count that the card gives away, and the keys of those that it does not show."""
    protection, rows = card["protection"], card["rows"]
    a = Attack(protection["below"], protection["rounded_to"])
    newest, hidden = max(r["as_of"] for r in rows), set()
    for r in rows:
        row, old = tuple(r["row"]), r["as_of"] != newest
        for name, count in r["counts"].items():
            a.variable((*row, name), count, nothing=old)
            if count["status"] != "shown" or old:
                hidden.add((*row, name))
        if row[0] in ("served", "rater") and not old:
            _decisions(a, row, r, margin)
    for row in [tuple(r["row"]) for r in rows if r["row"][0] in ("served", "rater") and r["row"][2] != "all"]:
        a.upper.append({a.variable((*row, "people")): 1.0, a.variable((*row[:2], "all", "people")): -1.0})
    _totals(a)
    _usage(a)
    pinned = a.pinned()
    return {k: v for k, v in pinned.items() if k in hidden or k[3].split(" (")[0] in ("missed", "left alone")}, hidden


def _decisions(a: Attack, row: tuple[str, ...], r: dict[str, Any], margin: dict[str, float]) -> None:
    for model in MODELS:
        for part, (whole, rest) in SPLITS.items():
            if f"{part} ({model})" not in r["counts"]:
                continue
            names = [(*row, whole), (*row, f"{part} ({model})"), (*row, f"{rest} ({model})")]
            a.equal.append({a.variable(n): c for n, c in zip(names, (-1.0, 1.0, 1.0), strict=True)})
            rate = r["rates"].get(f"{'true' if part == 'caught' else 'false'} positive rate ({model})", {})
            if rate.get("bound") == "above":
                a.ranges[a.variable(names[2])] = (0.0, a.below - 1.0)
    for measure, verdict in r["verdicts"].items():
        terms = _numerator(measure)
        if terms is None or verdict == "inconclusive":
            continue
        gain = {True: 1.0, False: -1.0}[measure in ("true positive rate", "accuracy")]  # of one more for the worse
        line: dict[int, float] = {}
        for name, factor in terms[0].items():
            for model, sign in (("candidate", gain), ("baseline", -gain)):
                i = a.variable((*row, f"{name} ({model})"))
                line[i] = line.get(i, 0.0) + sign * factor
        for whole in terms[1]:
            line[a.variable((*row, whole))] = margin[measure]
        a.upper.append(line if verdict == "fail" else {i: -v for i, v in line.items()})


def _numerator(measure: str) -> tuple[dict[str, float], list[str]] | None:
    with_, without = "cases with the event", "cases without the event"
    return {
        "true positive rate": ({"caught": 1.0}, [with_]), "false positive rate": ({"false alarms": 1.0}, [without]),
        "accuracy": ({"caught": 1.0, "false alarms": -1.0}, [with_, without]),
    }.get(measure)  # fmt: skip


def _totals(a: Attack) -> None:
    """Groups of an attribute add up to everyone, and so the attributes to each other."""
    groups: dict[tuple[Any, ...], dict[str, list[int]]] = {}
    for (sheet, component, group, name), i in list(a.at.items()):
        if group != "all" and (name != "people" or sheet == "heard"):
            by = groups.setdefault((sheet, component, name), {})
            by.setdefault(group.partition("=")[0], []).append(i)
    for (sheet, component, name), by in groups.items():
        if sheet == "heard":
            for one, other in pairwise(by.values()):
                a.equal.append({**dict.fromkeys(one, 1.0), **dict.fromkeys(other, -1.0)})
        else:
            for parts in by.values():
                a.equal.append({**dict.fromkeys(parts, 1.0), a.variable((sheet, component, "all", name)): -1.0})


def _usage(a: Attack) -> None:
    def of(name: str) -> int:
        return a.variable(("usage", "all", "all", name))

    a.equal += [{of("answers received"): -1.0, of("answers used"): 1.0, of("answers set aside"): 1.0},
                {of("answers used"): -1.0, of("answers of people"): 1.0, of("answers of programs"): 1.0}]  # fmt: skip
    for small, large in (
        ("of these for lack of consent", "answers set aside"), ("cases with an answer", "cases served"),
        ("people who answered", "answers of people"),
    ):  # fmt: skip
        a.upper.append({of(small): 1.0, of(large): -1.0})
