"""The one helper through which tables, figures and people's words reach a page.

Feedback is written by strangers. Everything shown here is escaped, control and direction characters are made visible,
nothing becomes a link, and no other display function is allowed in a notebook (tests/test_house.py refuses them).
"""

from __future__ import annotations

import html
import io
import math
import unicodedata
from collections.abc import Iterable
from typing import Any

import matplotlib
import matplotlib.figure
import matplotlib.pyplot as plt
import matplotlib.text
import pandas as pd
from IPython.display import display


class Shown:
    """An object Jupyter displays from ready-made text/plain and text/html (or image/png)."""

    def __init__(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        self.data, self.metadata = data, metadata or {}

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.data, self.metadata


def visible(text: object, limit: int = 300) -> str:
    r"""A stranger's text as one printable line: control and direction characters as marks, long text cut.

    >>> print(visible("a\x1b[31mb\u202ec"))
    a\x1b[31mb\u202ec
    """
    line = "".join(
        c if unicodedata.category(c)[0] != "C" and c not in "\u2028\u2029" else c.encode("unicode_escape").decode()
        for c in str(text)
    )
    return line if len(line) <= limit else line[: limit - 1] + "…"


def number(value: object) -> str:
    """A cell as people read it: counts in full, other numbers to 4 digits or, from 10,000, whole; missing is empty.

    >>> number(0.123456), number(1234567), number(9999.7), number(math.nan), number(True), number("x")
    ('0.1235', '1,234,567', '10,000', '', 'yes', 'x')
    """
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 9_999.5 else f"{value:.4g}"
    if isinstance(value, pd.Timestamp):
        return str(value.date())
    return visible(value)


def answer(sentence: str, kind: str = "") -> None:
    """The room's answer, which the page shows first; `kind` (ship, hold, rollback) colours the decision."""
    look = f"answer {kind}".strip()
    display(Shown({"text/plain": visible(sentence, 2000), "text/html": _p(look, sentence)}))


def rooms(frame: pd.DataFrame) -> None:
    """The rooms (column `room`) with their `question` and `answer`, each linked to its page."""
    lines = [f"{r.room}: {r.question} {visible(r.answer, 1000)}" for r in frame.itertuples()]
    items = "".join(
        f'<li><a href="{html.escape(str(r.room))}.html">{html.escape(str(r.room))}</a>: {html.escape(str(r.question))} '
        f"{_p('say', str(r.answer))}</li>"
        for r in frame.itertuples()
    )
    display(Shown({"text/plain": "\n".join(lines), "text/html": f"<ol>{items}</ol>"}))


def baseline(items: pd.DataFrame) -> None:
    """Says, for each component without any score, that its baseline is the base rate. `items` as of room clean."""
    bare = sorted(items.groupby("component")["score"].count().loc[lambda n: n == 0].index)
    if bare:
        say(f"No score was logged for {', '.join(map(str, bare))}: the baseline is the base rate, the share of events "
            "among the labels that the new model learns from.")  # fmt: skip


def say(*sentences: str) -> None:
    """Prose that contains numbers: printed from the data, never typed."""
    text = "\n".join(visible(s, 2000) for s in sentences)
    display(Shown({"text/plain": text, "text/html": "".join(_p("say", s) for s in sentences)}))


def table(frame: pd.DataFrame, caption: str, rows: int = 30) -> None:
    """A table, escaped, with a caption; says how many rows are left out beyond `rows`."""
    top = frame.head(rows)
    cells = [[number(v) for v in top[c].tolist()] for c in top.columns]
    heads = [visible(c) for c in top.columns]
    left = f"{len(frame) - len(top):,} more rows in the data" if len(frame) > len(top) else ""
    left = left if len(frame) else "no rows"
    numeric = [pd.api.types.is_numeric_dtype(frame[c]) and frame[c].dtype != bool for c in frame.columns]
    display(Shown({"text/plain": _plain(heads, cells, caption, left), "text/html": _html(heads, cells, caption, left,
                                                                                          numeric)}))  # fmt: skip


def _plain(heads: list[str], cells: list[list[str]], caption: str, left: str) -> str:
    widths = [max([len(h), *map(len, col)]) for h, col in zip(heads, cells, strict=True)]
    lines = [caption, "  ".join(h.ljust(w) for h, w in zip(heads, widths, strict=True))]
    lines += ["  ".join(v.ljust(w) for v, w in zip(r, widths, strict=True)) for r in zip(*cells, strict=True)]
    return "\n".join(line.rstrip() for line in [*lines, left] if line)


def _html(heads: list[str], cells: list[list[str]], caption: str, left: str, numeric: list[bool]) -> str:
    kind = [' class="number"' if n else "" for n in numeric]
    head = "".join(f'<th scope="col"{k}>{_bdi(h)}</th>' for h, k in zip(heads, kind, strict=True))
    body = "".join(
        "<tr>" + "".join(_cell(v, h, k) for v, h, k in zip(r, heads, kind, strict=True)) + "</tr>"
        for r in zip(*cells, strict=True)
    )
    foot = _p("left", left) if left else ""
    return (
        f'<div class="scroll"><table><caption>{html.escape(caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{foot}"
    )


def _cell(value: str, head: str, kind: str) -> str:
    if head == "verdict" and value in ("pass", "fail", "inconclusive"):
        kind = f' class="verdict {value.split()[0]}"'
    return f"<td{kind}>{_bdi(value)}</td>"


def text(quotes: Iterable[object], caption: str) -> None:
    """Words written by people, quoted one a line and marked as theirs. Never opened as markup or links."""
    lines = [visible(q) for q in quotes]
    items = "".join(f"<li><q>{_bdi(line)}</q></li>" for line in lines)
    display(Shown({
        "text/plain": "\n".join([caption, *(f"  “{line}”" for line in lines)]),
        "text/html": f'<figure class="quotes"><figcaption>{html.escape(caption)}</figcaption><ul>{items}</ul></figure>',
    }))  # fmt: skip


def figure(fig: matplotlib.figure.Figure, alt: str) -> None:
    """A figure as PNG with the alt text a reader who cannot see it needs; the same bytes in every run.

    Its labels are shown as they are written, never read as maths, whoever made the figure.
    """
    buffer = io.BytesIO()
    with matplotlib.rc_context({"text.parse_math": False}):  # for the labels that are only made while drawing
        for label in fig.findobj(matplotlib.text.Text):
            label.set_parse_math(False)
        fig.savefig(buffer, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(fig)
    data = {"image/png": buffer.getvalue(), "text/plain": f"[figure: {visible(alt, 1000)}]"}
    display(Shown(data, {"image/png": {"alt": visible(alt, 1000)}}))


def _bdi(value: str) -> str:
    return f"<bdi>{html.escape(value)}</bdi>"


def _p(kind: str, sentence: str) -> str:
    return f'<p class="{kind}">{html.escape(visible(sentence, 2000))}</p>'
