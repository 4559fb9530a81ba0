"""The long form of the coverage tests (about two minutes): `python tests/campaigns/calibration.py` prints a table.

Scores lie on one point a bin, so that the true binned error is known; truth `shift` moves the event rate off the score.
"""

from __future__ import annotations

import sys

import numpy as np

from hfkit.calibration.measure import measure


def coverage(
    n: int, shift: float, *, answers: int = 1, worlds: int = 400, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """For each measure: the share of intervals that hold the truth, and the share of worlds that gave one."""
    points = np.arange(0.05, 1, 0.1)
    share = np.arange(10, 0, -1) / 55
    rate = np.clip(points + shift, 0.02, 0.98)
    gap = np.abs(rate - points)
    truth = {
        "ECE": float(share @ gap), "debiased calibration error": float(np.sqrt(share @ gap**2)),
        "calibration in the large": float(share @ (rate - points)),
        "Brier score": float(share @ (rate * (1 - rate) + gap**2)),
    }  # fmt: skip
    if shift == 0:
        truth["calibration slope"] = 1.0
    held, given = dict.fromkeys(truth, 0), dict.fromkeys(truth, 0)
    for world in range(worlds):
        rng = np.random.default_rng([seed, world])
        at = rng.choice(10, size=n, p=share)
        y = (rng.random(n) < rate[at]).astype(float)
        clusters = [np.repeat(np.arange(n), answers)]
        found, _ = measure(np.repeat(y, answers), np.repeat(points[at], answers), clusters, threshold=0.5, n_boot=300,
                           level=0.95, rng=rng)  # fmt: skip
        for name, known in truth.items():
            _, low, high = found.get(name, (np.nan,) * 3)
            given[name] += not np.isnan(low)
            held[name] += low <= known + 1e-12 and known <= high + 1e-12
    return {k: (held[k] / max(given[k], 1), given[k] / worlds) for k in truth}


def main() -> int:
    """Print coverage; 1 where a measure with enough worlds stays under 93 % by more than chance."""
    low = 0
    print("n, answers, shift: measure, coverage where an interval is given, share of worlds that give one")
    for n, answers in ((60, 1), (200, 1), (1000, 1), (200, 4)):
        for shift in (0.0, 0.03, 0.15):
            for name, (held, given) in coverage(n, shift, answers=answers).items():
                short = given > 0.2 and held < 0.93 - 2 * np.sqrt(0.93 * 0.07 / 400)
                low += short
                print(f"{n:5} {answers} {shift:.2f}: {name:28} {held:.3f} {given:.2f}{'  LOW' if short else ''}")
    return int(low > 0)


if __name__ == "__main__":
    sys.exit(main())
