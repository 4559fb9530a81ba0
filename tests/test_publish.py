"""Publishing waits for the card: the command refuses with one sentence, and no text sends the exact pages out."""

import re

import nbformat
import pytest
from conftest import ROOT

from hfkit import cli


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("arguments", [[], ["site"], ["reports"], ["/"]])
def test_publish_refuses_with_one_sentence_and_copies_nothing(arguments, tmp_path, monkeypatch):
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "index.html").write_text("exact numbers", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["hfkit", "publish", *arguments])
    before = files(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    message = str(stopped.value)
    assert message.startswith("StageError: expected the card, the one page that is protected for the public, found ")
    assert "whose numbers are exact and for the team; nothing is copied." in message
    assert "to do: show the pages in reports/ to the team only" in message
    assert files(tmp_path) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["reports"]


def test_no_text_sends_the_exact_pages_out():
    front = nbformat.read(ROOT / "notebooks" / "report.ipynb", as_version=4).cells[-1].source
    for text in (front, " ".join((ROOT / "README.md").read_text("utf-8").split())):
        assert "for the team" in text
        assert re.search(r"nothing is published", text, re.I)
        assert not re.search(r"to publish, copy|publish the pages|pages to publish|any web server", text, re.I)
