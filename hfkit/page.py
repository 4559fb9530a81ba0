"""Turn an executed notebook into a page: question and answer first, code folded away.

The template (hfkit/page_template) stands on nbconvert's `basic`. `gate` reads the finished bytes and refuses a
page that could run a script, load something from elsewhere, or show a figure without alt text.
"""

from __future__ import annotations

import copy
import html as markup
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter

from hfkit.shared.errors import StageError
from hfkit.shared.rooms import NAMES

_TEMPLATES = Path(__file__).parent
_TAGS = frozenset({
    "html", "head", "meta", "title", "style", "body", "a", "nav", "ol", "ul", "li", "main", "div", "section", "strong",
    "em", "pre", "code", "details", "summary", "p", "h1", "h2", "h3", "h4", "table", "caption", "thead", "tbody", "tr",
    "th", "td", "bdi", "q", "figure", "figcaption", "img", "footer", "br", "hr", "blockquote",
})  # fmt: skip
_ATTRIBUTES = frozenset({
    "lang", "charset", "name", "content", "http-equiv", "class", "href", "id", "aria-label", "aria-current", "role",
    "src", "alt", "scope", "start", "align",
})  # fmt: skip
PUBLIC = "card"  # the page that is for people outside: no code on it, and no way to the team's pages
_MAIN = '<main id="main">'
_EARLIER = "This page is of an earlier run: the last run of "


def render(notebook: nbformat.NotebookNode, room: str, error: str = "", note: str = "") -> str:
    """The page of a room as HTML. With `error`, a page that says so first and shows how far the notebook came.

    `note` is one more sentence about the error.
    """
    exporter = HTMLExporter(
        template_name="page_template", extra_template_basedirs=[str(_TEMPLATES)], exclude_anchor_links=True,
    )  # fmt: skip
    css = (_TEMPLATES / "page_template" / "page.css").read_text("utf-8")
    public = room == PUBLIC and not error
    title = "Model card" if public else f"{room} · hfkit"
    about = {"title": title, "css": css, "rooms": NAMES, "room": room, "error": error, "note": note, "public": public}
    html, _ = exporter.from_notebook_node(_answer_first(notebook), resources={"hfkit": about})
    page = "\n".join(line.rstrip() for line in str(html).splitlines() if line.strip()) + "\n"
    gate(page, where=f"reports/{room}.html", alone=public)
    return page


def marked(page: str, room: str, reason: str) -> str:
    """A page that has become old, with a sentence at its top that says so: a run of `room` failed since, and why.

    `reason` is one printable line. A sentence that an earlier failure left gives way to the new one.
    """
    sentence = markup.escape(f"{_EARLIER}{room} failed: {reason.rstrip('.')}.")
    mark = f'\n<div class="error" role="alert" id="earlier"><strong>{sentence}</strong></div>'
    return unmarked(page).replace(_MAIN, _MAIN + mark, 1)


def unmarked(page: str, room: str = r"\w+") -> str:
    """A page without the sentence of `marked`, byte for byte as it was; with `room`, only a sentence about that room.

    >>> old = marked('<main id="main">all', "audit", "expected <b>.")
    >>> unmarked(old), unmarked(old, "clean") == old
    ('<main id="main">all', True)
    """
    mark = rf'\n<div class="error" role="alert" id="earlier"><strong>{_EARLIER}{room} failed: [^<\n]*</strong></div>'
    return re.sub(f"(?<={_MAIN}){mark}", "", page, count=1)


def _answer_first(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The cell tagged `answer` moves behind the question; cells that have nothing to show but code keep their place."""
    shown = copy.deepcopy(notebook)
    answers = [c for c in shown.cells if "answer" in c.metadata.get("tags", [])]
    rest = [c for c in shown.cells if "answer" not in c.metadata.get("tags", [])]
    shown.cells = rest[:1] + answers + rest[1:]
    return shown


class _Gate(HTMLParser):
    """Collects what a published page must not hold."""

    def __init__(self, alone: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.alone = alone
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One start tag against the allow-list."""
        given = {k: v or "" for k, v in attrs}
        if tag not in _TAGS:
            self.found.append(f"<{tag}>")
        self.found += [f"<{tag} {k}>" for k in given if k not in _ATTRIBUTES]
        if tag == "img" and not (given.get("src", "").startswith("data:image/png;base64,") and given.get("alt")):
            self.found.append("<img> that is not an inline PNG with alt text")
        link = given.get("href", "")
        if link and not (
            link.startswith("#") or (not self.alone and link.endswith(".html") and link[:-5].isidentifier())
        ):
            self.found.append(f"a link to {link[:60]}")
        if tag == "meta" and given.get("http-equiv", "").lower() not in ("", "content-security-policy"):
            self.found.append(f"<meta http-equiv={given['http-equiv']}>")


def gate(page: str, *, where: str, alone: bool = False) -> None:
    """Refuse a page with anything outside the allow-list: scripts, handlers, frames, forms, outside links, bare images.

    `alone`: a page that goes out by itself, and may not link to another one.

    >>> gate('<p class="say">fine</p>', where="here")
    >>> gate('<img src="x" onerror="alert(1)">', where="here")
    Traceback (most recent call last):
        ...
    hfkit.shared.errors.StageError: StageError: expected a page without scripts, outside links or bare images, found ...
    """
    parser = _Gate(alone)
    parser.feed(page)
    parser.close()
    if parser.found:
        raise StageError(
            expected="a page without scripts, outside links or bare images", found=", ".join(parser.found[:5]),
            where=where, todo="show text, tables and figures only through hfkit.shared.show",
        )  # fmt: skip
