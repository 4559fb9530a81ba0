"""Finished table in, Figure out. No statistics here, no disk, no pyplot state; safe for colour-blind readers.

Labels are names that people gave, shown as they are written: matplotlib would read `a$_$b` as maths and stop at others.
"""

from __future__ import annotations

from textwrap import fill

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

matplotlib.rcParams["text.parse_math"] = False  # of all figures: labels are also made later, while drawing
BLUE, ORANGE, GREY, GREEN, RED = "#0072B2", "#D55E00", "#767676", "#009E73", "#B00020"
PALE = {"fail": 0.35, "inconclusive": 0.15, "pass": 0.3, "info": 0.06}  # how strongly a cell of a grid is coloured
VERDICT = {"pass": GREEN, "fail": RED, "inconclusive": GREY, "info": BLUE}


def canvas(width: float = 7.0, height: float = 3.2) -> tuple[Figure, Axes]:
    """An empty figure with one axes, drawn alike on every page."""
    fig = Figure(figsize=(width, height), layout="constrained")
    ax = fig.add_subplot()
    ax.spines[["top", "right"]].set_visible(False)
    return fig, ax


def intervals(frame: pd.DataFrame, label: str, xlabel: str, reference: float | None = None) -> Figure:
    """Point and interval a row (columns value, low, high and optionally verdict), first row on top.

    Rows without a value are named with the word "undefined", so that no group disappears from a picture.
    """
    fig, ax = canvas(7.0, 1.0 + 0.26 * max(len(frame), 1))
    y = np.arange(len(frame))
    value, low, high = (frame[c].to_numpy(float) for c in ("value", "low", "high"))
    kinds = frame["verdict"].tolist() if "verdict" in frame else ["info"] * len(frame)
    for i, kind in enumerate(kinds):
        colour = VERDICT.get(kind, BLUE)
        if np.isnan(value[i]):
            ax.annotate("undefined", (0.01, i), xycoords=("axes fraction", "data"), color=GREY, va="center", fontsize=8)
            continue
        ax.plot([low[i], high[i]], [i, i], color=colour, lw=2, solid_capstyle="butt")
        ax.plot(value[i], i, "o" if kind != "fail" else "X", color=colour, ms=5)
    if reference is not None:
        ax.axvline(reference, color=GREY, lw=1, ls="--")
    ax.set_yticks(y, [str(v)[:48] for v in frame[label]])
    ax.set_ylim(max(len(frame), 1) - 0.5, -0.5)
    ax.set_xlabel(xlabel)
    return fig


def grid(frame: pd.DataFrame) -> Figure:
    """Groups down, measures across: the value in each cell, its verdict as colour and sign; many groups at a glance.

    Columns: row, column, value, verdict; order of first appearance. Signs: x fail, ? inconclusive, none pass or info. A
    missing value is an empty cell with its sign.
    """
    rows, columns = list(dict.fromkeys(frame["row"])), list(dict.fromkeys(frame["column"]))
    fig, ax = canvas(2.4 + 1.05 * max(len(columns), 1), 1.3 + 0.27 * max(len(rows), 1))
    for r in frame.itertuples():
        y, x = rows.index(r.row), columns.index(r.column)
        colour = VERDICT.get(r.verdict, BLUE)
        ax.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=colour, alpha=PALE.get(r.verdict, 0.0)))
        sign = {"fail": "x ", "inconclusive": "? "}.get(r.verdict, "")
        caption = sign + ("" if np.isnan(r.value) else f"{r.value:.2f}")
        heavy = "bold" if r.verdict == "fail" else "normal"
        ax.text(x, y, caption, ha="center", va="center", fontsize=8, color="#222222", fontweight=heavy)
    ax.set_xlim(-0.5, max(len(columns), 1) - 0.5)
    ax.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    ax.set_yticks(np.arange(len(rows)), [str(v)[:48] for v in rows], fontsize=8)
    ax.set_xticks(np.arange(len(columns)), [fill(str(v), 14) for v in columns], fontsize=8)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return fig


def lines(frame: pd.DataFrame, x: str, ys: dict[str, str], ylabel: str, marks: list[float] | None = None) -> Figure:
    """One line for each column in `ys` (column -> label) over `x`; `marks` draws vertical lines."""
    fig, ax = canvas()
    for (column, label), style, colour in zip(
        ys.items(), ["-", "--", ":", "-."] * 3, [BLUE, ORANGE, GREEN, GREY] * 3, strict=False
    ):
        ax.plot(frame[x], frame[column], style, color=colour, label=label, lw=1.8)
    for mark in marks or []:
        ax.axvline(mark, color=RED, lw=1, ls="--")
    ax.set_ylabel(ylabel)
    ax.set_xlabel(x)
    if len(ys) > 1:
        ax.legend(frameon=False, fontsize=8)
    return fig


def bars(frame: pd.DataFrame, label: str, value: str, xlabel: str) -> Figure:
    """Horizontal bars, first row on top, the number at the end of each; without a row it says so."""
    fig, ax = canvas(7.0, 1.0 + 0.26 * max(len(frame), 1))
    ax.barh(np.arange(len(frame)), frame[value].to_numpy(float), color=BLUE, height=0.7)
    for i, v in enumerate(frame[value].to_numpy(float)):
        ax.annotate(f" {v:.3g}", (v if v == v else 0, i), va="center", fontsize=8)
    ax.set_yticks(np.arange(len(frame)), [str(v)[:48] for v in frame[label]])
    ax.set_ylim(max(len(frame), 1) - 0.5, -0.5)
    ax.set_xlabel(xlabel)
    if not len(frame):
        ax.set_axis_off()
        ax.text(0.0, 0.5, f"no {xlabel}", transform=ax.transAxes, va="center")
    return fig


def stacked(frame: pd.DataFrame, label: str, parts: dict[str, str], xlabel: str) -> Figure:
    """Horizontal stacked bars of counts, one row a `label`; `parts` maps a column to its verdict."""
    fig, ax = canvas(7.0, 1.2 + 0.26 * max(len(frame), 1))
    left = np.zeros(len(frame))
    for (column, verdict), hatch in zip(parts.items(), ["", "//", "..", "xx"], strict=False):
        counts = frame[column].to_numpy(float)
        ax.barh(
            np.arange(len(frame)), counts, left=left, color=VERDICT.get(verdict, BLUE), hatch=hatch, edgecolor="white",
            label=column, height=0.7,
        )  # fmt: skip
        left += counts
    ax.set_yticks(np.arange(len(frame)), [str(v)[:48] for v in frame[label]])
    ax.set_ylim(max(len(frame), 1) - 0.5, -0.5)
    ax.set_xlabel(xlabel)
    fig.legend(frameon=False, fontsize=8, loc="outside upper right", ncols=len(parts))
    return fig


def reliability(frame: pd.DataFrame, models: tuple[str, ...] = ("baseline", "candidate")) -> Figure:
    """What was said against what happened, one panel a component, one line with its band a model.

    Columns component, model, mean_score, event_rate, low, high; bins without a rate are left out.
    """
    names = sorted(frame["component"].unique()) or ["no rows"]
    fig = Figure(figsize=(1.2 + 2.6 * len(names), 3.2), layout="constrained")
    for ax, name in zip(np.atleast_1d(fig.subplots(1, len(names), sharey=True)), names, strict=True):
        ax.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--")
        for model, colour, mark in zip(models, [ORANGE, BLUE, GREEN], ["s--", "o-", "^:"], strict=False):
            part = frame[(frame["component"] == name) & (frame["model"] == model) & frame["event_rate"].notna()]
            score, rate, low, high = (part[c].to_numpy(float) for c in ("mean_score", "event_rate", "low", "high"))
            ax.plot(score, rate, mark, color=colour, label=model, lw=1.6, ms=4)
            ax.fill_between(score, low, high, color=colour, alpha=0.18, lw=0)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="mean score", title=str(name)[:32])
    fig.axes[0].set_ylabel("share of events")
    fig.axes[0].legend(frameon=False, fontsize=8)
    return fig


def reliability_groups(frame: pd.DataFrame, columns: int = 3) -> Figure:
    """What was said against what happened for single groups, one panel a `where`, with everyone's curve in grey.

    Columns where, model ("group" or "everyone"), mean_score, event_rate, low, high. A bin without a rate has
    its bounds only; panels stand in the order of the rows.
    """
    names = list(dict.fromkeys(frame["where"])) or ["no group can be shown"]
    across = min(columns, len(names))
    down = -(-len(names) // across)
    fig = Figure(figsize=(1.0 + 2.6 * across, 0.6 + 2.5 * down), layout="constrained")
    panels = np.atleast_1d(fig.subplots(down, across, sharex=True, sharey=True)).ravel()
    for ax, name in zip(panels, names, strict=False):
        ax.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--")
        for model, colour, mark in (("everyone", GREY, "-"), ("group", BLUE, "o")):
            part = frame[(frame["where"] == name) & (frame["model"] == model) & frame["low"].notna()]
            score, rate, low, high = (part[c].to_numpy(float) for c in ("mean_score", "event_rate", "low", "high"))
            ax.plot(score, rate, mark, color=colour, label=model, lw=1.4, ms=4)
            if model == "group":
                ax.vlines(score, low, high, color=colour, lw=1.4)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set(xlim=(0, 1), ylim=(0, 1))
        ax.set_title(str(name)[:48], fontsize=8)
    for ax in panels[len(names) :]:
        ax.set_visible(False)
    fig.supxlabel("mean score", fontsize=9)
    fig.supylabel("share of events", fontsize=9)
    handles, labels = panels[0].get_legend_handles_labels()
    fig.legend(handles, labels, frameon=False, fontsize=8, loc="outside upper right", ncols=2)
    return fig
