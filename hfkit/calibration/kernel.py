"""The smooth calibration error: no bins, a kernel whose width the data choose (Blasiok and Nakkiran 2023)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from hfkit.calibration.binned import Codes, Floats, usable

MESH = 200  # points the error is read off at, at least
GRID = 401  # points of the coarser grid that intervals use; their kernel is never narrower than NARROWEST
NARROWEST = 0.02


def smooth(y: ArrayLike, s: ArrayLike) -> tuple[float, float]:
    """By how much does the score miss the event rate, smoothed? Gives (error, kernel width), both in [0, 1].

    Lower is better. The width is the largest at which the error is not above it, found by halving. NaN without rows.
    Same definition and grid as the authors' relplot.

    >>> error, width = smooth([0, 1] * 50, [0.8] * 100)
    >>> round(error, 2), round(width, 2)
    (0.3, 0.3)
    """
    label, score, _ = usable(y, s)
    if not len(label):
        return math.nan, math.nan
    width = _search(score, score - label)
    return error_at(score, score - label, width), width


def _search(score: Floats, residual: Floats, steps: int = 10) -> float:
    """The kernel width at which error and width meet, by halving [0, 1]; below 0.001 it stops."""
    if error_at(score, residual, 1.0) > 1.0:
        return 1.0
    start, end = 1.0, 0.0
    for _ in range(steps):
        middle = (start + end) / 2
        if middle < 0.001 or middle < error_at(score, residual, middle):
            end = middle
        else:
            start = middle
    return start


def error_at(score: Floats, residual: Floats, width: float) -> float:
    """The smoothed absolute residual at one kernel width."""
    at = np.linspace(0, 1, max(round(10 / width), MESH))
    density = _kernel_sum(score, np.ones_like(residual), at, width) + 0.0001
    return float(np.abs(_kernel_sum(score, residual, at, width)).sum() / density.sum())


def _kernel_sum(x: Floats, values: Floats, at: Floats, width: float) -> Floats:
    """Sum of values times a Gaussian kernel reflected at 0 and 1, on a fine grid, read off at `at`."""
    size = max(2000, round(20 / width)) // 2 + 1
    grid = to_grid(x, values, size)[0]
    t = np.linspace(0, 1, size)
    kernel = np.exp(-((t - 0.5) ** 2) / (2 * width**2)) / (math.sqrt(2 * math.pi) * width)
    mirrored = np.concatenate([grid[::-1][:-1], grid, grid[::-1][1:]])
    length = 1 << (len(mirrored) + size - 2).bit_length()
    full = np.fft.irfft(np.fft.rfft(mirrored, length) * np.fft.rfft(kernel, length), length)
    first = size - 1 + size // 2
    return np.asarray(np.interp(at, t, full[first : first + size]), dtype=float)


def to_grid(x: Floats, values: Floats, size: int, blocks: Codes | None = None) -> Floats:
    """Values spread over the two nearest of `size` grid points on [0, 1], by distance: one row a block."""
    cell = np.clip((x * (size - 1)).astype(int), 0, size - 2)
    part = x * (size - 1) - cell
    flat = cell if blocks is None else cell + blocks * size
    length = size if blocks is None else size * (int(blocks.max()) + 1)
    low, high = np.bincount(flat, (1 - part) * values, length), np.bincount(flat + 1, part * values, length)
    return np.asarray(low + high, dtype=float).reshape(-1, size)


def kernel_matrix(width: float) -> Floats:
    """What each of GRID points adds to each of MESH // 2 points; scaled so that a residual adds up to itself."""
    at = np.linspace(0, 1, MESH // 2)
    x: Floats = np.linspace(0, 1, GRID)
    width = max(width, NARROWEST)
    matrix: Floats = np.zeros((GRID, len(at)))
    for image in (x, -x, 2.0 - x):
        matrix = matrix + np.exp(-((at[None, :] - image[:, None]) ** 2) / (2 * width**2))
    return np.asarray(matrix / matrix.sum(axis=1).mean(), dtype=float)
