"""page and show: what a stranger wrote stays text; a page that could run or load anything is refused."""

from __future__ import annotations

import inspect
import io
import json
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest
from matplotlib.artist import Artist
from matplotlib.text import Text
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from hfkit import page
from hfkit.shared import plots, show
from hfkit.shared.errors import StageError

CORPORA = Path(__file__).resolve().parents[2] / "shared" / "corpora"


@pytest.fixture
def shown(monkeypatch):
    """What the helpers hand to Jupyter, as (data, metadata) pairs."""
    caught = []
    monkeypatch.setattr(show, "display", lambda s: caught.append(s._repr_mimebundle_()))
    return caught


def as_page(bundles, error=""):
    cells = [new_markdown_cell("# Room: question?"), new_code_cell("1 < 2", metadata={"tags": []})]
    cells += [
        new_code_cell("x", outputs=[new_output("display_data", data=_b64(d), metadata=m)], metadata={"tags": []})
        for d, m in bundles
    ]
    return page.render(new_notebook(cells=cells), "audit", error=error)


def _b64(data):
    import base64

    return {k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in data.items()}


def naughty():
    if not CORPORA.is_dir():
        pytest.skip("shared/corpora is absent")
    blns = json.loads((CORPORA / "blns" / "blns.json").read_text("utf-8"))
    purify = json.loads((CORPORA / "dompurify" / "payloads.json").read_text("utf-8"))
    return blns + [p if isinstance(p, str) else json.dumps(p) for p in purify]


def test_hostile_text_passes_every_helper_and_stays_text(shown):
    texts = naughty()
    frame = pd.DataFrame({"text": texts, texts[20][:30] or "x": texts})
    show.table(frame, "caption <script>", rows=10_000)
    show.text(texts, "quotes <b>")
    for t in texts[:200]:
        show.answer(t)
        show.say(t)
    html = as_page(shown)  # render() runs the gate over every byte
    assert "&lt;script&gt;" in html
    assert "<script" not in html.lower()


@pytest.mark.parametrize(
    "leak",
    [
        "<script>1</script>", "<img src=x onerror=alert(1)>", '<a href="javascript:alert(1)">x</a>',
        '<a href="https://example.org">x</a>', '<iframe src="x"></iframe>', '<form action="x"></form>',
        '<meta http-equiv="refresh" content="0;url=x">', '<link rel="stylesheet" href="x">', "<svg onload=1></svg>",
        '<img src="https://example.org/x.png" alt="a">', '<img src="data:image/png;base64,AA">', "<object></object>",
        '<p style="background:url(x)">a</p>', '<a href="//example.org/x.html">x</a>', "<base href='x'>",
        "<video src=x></video>", '<img src="data:image/svg+xml;base64,AA" alt="a">', "<details ontoggle=1>x</details>",
    ],
)  # fmt: skip
def test_the_gate_refuses_each_planted_leak(leak):
    with pytest.raises(StageError, match="without scripts"):
        page.gate(f"<html><body>{leak}</body></html>", where="here")


def test_a_figure_needs_alt_text_and_keeps_its_bytes(shown):
    frame = pd.DataFrame({"g": ["a", "b"], "value": [0.1, float("nan")], "low": [0, float("nan")], "high": [1.0, 2.0]})
    for _ in range(2):
        show.figure(plots.intervals(frame, "g", "x"), alt='two groups "quoted" <b>')
    assert shown[0] == shown[1]
    html = as_page(shown[:1])
    assert 'two groups "quoted" &lt;b&gt;' in html.split("alt=")[1][:40]


HOSTILE = ["a$_$b", r"$\frac{$", r"$\frac{", "$x^2$", r"\$", "costs $5 to $9", r"$\nope$", "100 % & {_^}~#"]
RANGES = pd.DataFrame({"g": HOSTILE, "value": 0.5, "low": 0.1, "high": [0.9] * len(HOSTILE)})
CURVES = RANGES.assign(component=HOSTILE, where=HOSTILE, model=HOSTILE[0], mean_score=0.5, event_rate=0.5)
COUNTS = pd.DataFrame({name: [1.0, 2.0] for name in HOSTILE}).assign(g=HOSTILE[:2])
DRAWN = {
    "intervals": lambda: plots.intervals(RANGES.assign(value=[float("nan")] + [0.5] * 7), "g", HOSTILE[1]),
    "grid": lambda: plots.grid(RANGES.assign(row=HOSTILE, column=HOSTILE[::-1], verdict="fail")),
    "lines": lambda: plots.lines(COUNTS.assign(x=HOSTILE[:2]), "x", {name: name for name in HOSTILE}, HOSTILE[1]),
    "bars": lambda: plots.bars(RANGES, "g", "value", HOSTILE[1]),
    "stacked": lambda: plots.stacked(COUNTS, "g", dict.fromkeys(HOSTILE[:4], "pass"), HOSTILE[1]),
    "reliability": lambda: plots.reliability(CURVES, models=(HOSTILE[0], HOSTILE[1])),
    "reliability_groups": lambda: plots.reliability_groups(CURVES),
}


def test_every_kind_of_figure_is_drawn_with_hostile_names():
    own = {n for n, f in vars(plots).items() if inspect.isfunction(f) and f.__module__ == plots.__name__}
    assert {n for n in own if not n.startswith("_")} - {"canvas"} == set(DRAWN)


@pytest.mark.parametrize("kind", DRAWN)
def test_labels_are_never_read_as_maths(kind, shown):
    """Saved as it is and through the helper; matplotlib stops at some of these names, and drops signs of others."""
    figure = DRAWN[kind]()
    figure.savefig(io.BytesIO(), format="png")
    labels = [t for t in figure.findobj(Text) if "$" in t.get_text()]
    assert len(labels) >= 4
    assert not any(t.get_parse_math() for t in labels)
    show.figure(DRAWN[kind](), alt=HOSTILE[1])
    assert shown[0][0]["image/png"].startswith(b"\x89PNG")


class Late(Artist):
    """Makes its label only while it is drawn, as an axis does with ticks it finds it needs."""

    def draw(self, renderer):
        label = Text(0.0, 0.0, HOSTILE[1])
        label.set_figure(self.get_figure())
        label.draw(renderer)


def test_a_figure_made_elsewhere_is_shown_as_written_too(shown):
    """Titles, legends, categories, and labels that are only made while drawing; the caller's setting stays."""
    with matplotlib.rc_context({"text.parse_math": True}):
        for name in HOSTILE:
            figure, axes = plt.subplots()
            axes.plot(HOSTILE, range(len(HOSTILE)), label=name)
            axes.set_title(name)
            axes.legend()
            axes.add_artist(Late())
            show.figure(figure, alt=name)
            assert not any(t.get_parse_math() for t in figure.findobj(Text))
        assert matplotlib.rcParams["text.parse_math"]
    assert len(shown) == len(HOSTILE)


def test_question_then_answer_then_the_rest_and_code_folded():
    nb = new_notebook(
        cells=[
            new_markdown_cell("# Q?"),
            new_code_cell("secret_code()", metadata={"tags": []}),
            new_code_cell(
                "a",
                metadata={"tags": ["answer"]},
                outputs=[new_output("display_data", data={"text/html": "<p>THE ANSWER</p>", "text/plain": "x"})],
            ),
        ]
    )
    html = page.render(nb, "audit")
    assert html.index("Q?") < html.index("THE ANSWER") < html.index("secret_code()")
    assert "<details" in html.split("secret_code()")[0].rsplit("</section>", 1)[-1]


def test_a_failed_page_says_so_first_and_escapes_the_message():
    html = as_page([], error="BadValue: expected <b>")
    assert html.index("This stage failed") < html.index("question?")
    assert "expected &lt;b&gt;" in html


def test_a_failed_page_says_where_the_last_good_one_is():
    nb = new_notebook(cells=[new_markdown_cell("# Q?")])
    html = page.render(nb, "audit", error="BadValue", note="it stands: reports/<audit>.html")
    assert html.index("BadValue") < html.index("it stands: reports/&lt;audit&gt;.html") < html.index("Q?")
    assert "it stands" not in page.render(nb, "audit", error="BadValue")


def test_an_old_page_says_so_once_at_its_top_and_is_mended_to_the_byte():
    nb = new_notebook(cells=[new_markdown_cell("# Q?\n\n**bold**"), new_markdown_cell("**end**")])
    good = page.render(nb, "audit")
    old = page.marked(good, "audit", "BadValue: expected <b>, found '</strong></div><script>1</script>'.")
    page.gate(old, where="here")
    sentence = "This page is of an earlier run: the last run of audit failed: BadValue: expected &lt;b&gt;, found"
    assert old.count(sentence) == 1
    assert old.index('<main id="main">') < old.index(sentence) < old.index("Q?")
    assert ".." not in old.split(sentence)[1][:80]  # the error's own full stop is not doubled
    again = page.marked(old, "clean", "another reason")
    assert again.count("of an earlier run") == 1
    assert "the last run of clean failed: another reason.</strong>" in again
    assert page.unmarked(old) == page.unmarked(again) == page.unmarked(good) == good
    assert page.unmarked(again, "clean") == good
    assert page.unmarked(again, "audit") == again


def test_control_and_direction_characters_are_visible():
    assert show.visible("a\x1b]8;;x\x07\u202eb\u200b") == "a\\x1b]8;;x\\x07\\u202eb\\u200b"


def test_rendering_twice_gives_the_same_bytes():
    nb = new_notebook(cells=[new_markdown_cell("# Q?\n\n## Part\n\ntext")])
    assert page.render(nb, "audit") == page.render(nbformat.from_dict(nb), "audit")
