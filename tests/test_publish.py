"""Publishing: only the card, only from one complete and untouched run, with a record of what went out."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import nbformat
import pytest
import yaml
from click.testing import CliRunner
from conftest import ROOT

from hfkit.commands import publish, rehash
from hfkit.shared import tables
from hfkit.shared.errors import HfkitError

pytestmark = pytest.mark.loop


@pytest.fixture
def project(loop, tmp_path, monkeypatch):
    """A finished run in a folder of its own."""
    shutil.copytree(loop.root, tmp_path / "p", symlinks=True)
    monkeypatch.setattr(tables, "ROOT", tmp_path / "p")
    return tmp_path / "p"


def run(*arguments: object) -> tuple[str, str]:
    """What the command says, and the sentence with which it refuses."""
    done = CliRunner().invoke(publish.publish, [str(a) for a in arguments])
    assert done.exception is None or isinstance(done.exception, HfkitError), done.exception
    return done.output, str(done.exception or "")


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def editions(project: Path) -> list[str]:
    return sorted(p.name for p in (project / publish.EDITIONS).glob("*.json"))


def test_the_card_goes_out_and_is_recorded_and_made_again_it_is_the_same(project, loop, tmp_path):
    said, refused = run(tmp_path / "out")
    assert (refused, "edition 1" in said) == ("", True)
    out = files(tmp_path / "out")
    assert out == {"card.html": (project / "reports/card.html").read_bytes(),
                   "card.json": (project / "data/card/card.json").read_bytes()}  # fmt: skip
    record = json.loads((project / publish.EDITIONS / "0001.json").read_text("utf-8"))
    assert (record["edition"], len(record["rows"])) == (1, len(json.loads(out["card.json"])["rows"]))
    assert "rater_id" not in json.dumps(record)
    _, refused = run(tmp_path / "out")
    assert "data/ledger/editions has changed" in refused  # the card knows nothing of its edition yet
    type(loop)(project)("dvc", "repro", "-q", "card")
    assert (project / "reports/card.html").read_bytes() == out["card.html"]
    said, refused = run(tmp_path / "out")
    assert "edition 1 again" in said
    assert editions(project) == ["0001.json"]


def edited(root: Path) -> None:
    page = root / "reports" / "card.html"
    page.write_text(page.read_text("utf-8").replace("not settled", "better", 1), "utf-8")


def script(root: Path) -> None:
    page = root / "reports" / "card.html"
    page.write_text(page.read_text("utf-8").replace("</body>", "<script>1</script></body>"), "utf-8")


def altered_cache(root: Path) -> None:
    """The cached page differs from its name, and DVC puts it in place without a look."""
    lock = yaml.safe_load((root / "dvc.lock").read_text("utf-8"))
    oid = next(o["md5"] for o in lock["stages"]["card"]["outs"] if o["path"] == "reports/card.html")
    cached = root / ".dvc" / "cache" / "files" / "md5" / oid[:2] / oid[2:]
    cached.chmod(0o644)
    cached.write_bytes(cached.read_bytes() + b"\n")
    cached.chmod(0o444)


def another_run(root: Path) -> None:
    """dvc.lock and pages of a run with other parameters."""
    file = root / "params.yaml"
    file.write_text(file.read_text("utf-8").replace("release: v1", "release: v2"), "utf-8")


def cut_run(root: Path) -> None:
    """A run that was killed half-way: dvc.lock knows no decision of it."""
    file = root / "dvc.lock"
    lock = yaml.safe_load(file.read_text("utf-8"))
    for room in ("decide", "card", "report"):
        del lock["stages"][room]
    file.write_text(yaml.safe_dump(lock), "utf-8")


def mixed_run(root: Path) -> None:
    """A room of this run has read what a room of another run made."""
    file = root / "dvc.lock"
    lock = yaml.safe_load(file.read_text("utf-8"))
    next(d for d in lock["stages"]["decide"]["deps"] if d["path"] == "data/audit")["md5"] = "0" * 32 + ".dir"
    file.write_text(yaml.safe_dump(lock), "utf-8")


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (edited, "reports/card.html has changed"),
        (script, "reports/card.html has changed"),
        (lambda root: (root / "reports" / "audit.html").unlink(), "reports/audit.html is missing"),
        (lambda root: (root / "reports" / "more.html").write_text("x"), "reports/more.html was not made by a room"),
        (lambda root: (root / "data" / "card" / "more.json").write_text("{}"), "data/card has changed"),
        (lambda root: (root / "data" / "raw" / "items" / "more.csv").write_text("x"), "data/raw has changed"),
        (altered_cache, "a result in the cache has changed"),
        (another_run, "params.yaml: decide has changed since room decide ran"),
        (cut_run, "no finished run of decide, card, report"),
        (mixed_run, "data/audit is of another run than a room that reads it"),
    ],
)
@pytest.mark.parametrize("team", [[], ["--team"]], ids=["card", "team"])
def test_what_is_not_one_untouched_run_is_refused(project, tmp_path, tamper, words, team):
    tamper(project)
    _, refused = run(tmp_path / "out", *team)
    assert words in refused
    assert "nothing was copied" in refused
    assert not (tmp_path / "out").exists()
    assert editions(project) == []


def test_time_stamps_count_for_nothing(project):
    """Same size, same time, other bytes: what DVC does not see."""
    import os

    page = project / "reports" / "card.html"
    before, text = page.stat(), page.read_bytes()
    page.chmod(0o644)
    page.write_bytes(text.replace(b"not settled", b"all settled", 1))
    os.utime(page, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert page.stat().st_size == before.st_size
    assert rehash.problems(project) == ["reports/card.html has changed since it was made or read"]


def test_a_copy_that_fails_leaves_no_record_and_says_why(project, tmp_path):
    (tmp_path / "file").write_text("x", "utf-8")
    _, refused = run(tmp_path / "file" / "out")
    assert "expected to write the copy" in refused
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.html").write_text("mine", "utf-8")
    _, refused = run(tmp_path / "full")
    assert "found mine.html" in refused
    assert files(tmp_path / "full") == {"mine.html": b"mine"}
    assert editions(project) == []


def test_the_team_gets_every_page_and_is_told_that_they_are_exact(project, tmp_path):
    said, _ = run("--team", tmp_path / "team")
    assert "exact: for the team only" in said
    assert files(tmp_path / "team") == files(project / "reports")
    assert editions(project) == []


def test_no_text_sends_the_exact_pages_out():
    front = nbformat.read(ROOT / "notebooks" / "report.ipynb", as_version=4).cells[-1].source
    for text in (front, " ".join((ROOT / "README.md").read_text("utf-8").split())):
        assert "for the team" in text
        assert re.search(r"hfkit publish", text)
        assert not re.search(r"to publish, copy|publish the pages|pages to publish|any web server", text, re.I)
