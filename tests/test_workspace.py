"""Workspaces: made again they refresh what the command wrote, and never touch, delete or overwrite anything else."""

from __future__ import annotations

import shutil

import pytest
import yaml
from click.testing import CliRunner
from conftest import ROOT, Loop

from hfkit.commands import workspace
from hfkit.shared import rooms, tables
from hfkit.shared.errors import HfkitError, MissingFile, ParamError, WouldOverwrite

PARAMS = "# mine: keep\nproject: {min_people: 5}\n" + "".join(f"{room}: {{}}  # of {room}\n" for room in rooms.NAMES)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A small project, an example's params and exports beside it."""
    for name, text in {
        "home/hfkit/__init__.py": "one = 1\n", "home/hfkit/route.py": "two = 2\n", "home/hfkit/__pycache__/x.pyc": "",
        "home/notebooks/clean.ipynb": "{}", "home/dvc.yaml": "stages: {}\n", "home/requirements.txt": "click\n",
        "home/.dvcignore": "build\n", "home/params.yaml": PARAMS, "params.yaml": PARAMS, "exports/a.csv": "x\n1\n",
        "exports/deep/b.csv": "x\n2\n", "home/data/raw/own.csv": "mine\n",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    monkeypatch.setattr(tables, "ROOT", tmp_path / "home")
    return tmp_path


def make(project, target="ws", params="params.yaml", data="exports"):
    workspace.make(project / target, params=project / params, data=project / data)


def files(folder):
    """Everything below a folder: contents of files, targets of links, and empty folders."""
    return {
        p.relative_to(folder).as_posix(): p.readlink() if p.is_symlink() else p.read_bytes() if p.is_file() else None
        for p in folder.rglob("*")
    }


def refuses(project, *phrases, error=WouldOverwrite, **arguments):
    """The command stops with a sentence that has these phrases, and not one byte anywhere is another one."""
    before = files(project)
    with pytest.raises(error) as caught:
        make(project, **arguments)
    assert files(project) == before
    message = str(caught.value)
    assert [phrase for phrase in phrases if phrase not in message] == []
    assert "to do: " in message


def test_a_workspace_holds_the_loop_the_params_and_the_exports_unedited(project):
    make(project)
    made = files(project / "ws")
    assert made["data/raw/deep/b.csv"] == b"x\n2\n"
    assert made["params.yaml"] == PARAMS.encode()
    assert made["hfkit/route.py"] == b"two = 2\n"
    assert made["data/raw/signoffs/.gitkeep"] == b""
    assert b"no_scm = true" in made[".dvc/config"]
    assert "hfkit/__pycache__" not in made


def test_made_again_it_refreshes_what_it_wrote_and_leaves_what_the_pipeline_made(project):
    make(project)
    home, ws = project / "home", project / "ws"
    for name in ("data/clean/items.parquet", "reports/index.html", "dvc.lock", "notes.txt", "hfkit/__pycache__/y.pyc"):
        (ws / name).parent.mkdir(parents=True, exist_ok=True)
        (ws / name).write_text("made later", "utf-8")
    before = files(ws)
    stamp = (ws / "data/raw/a.csv").stat().st_mtime_ns
    make(project)
    assert files(ws) == before
    (home / "hfkit/route.py").unlink()
    (home / "hfkit/route").mkdir()
    (home / "hfkit/route/__init__.py").write_text("two = 3\n", "utf-8")
    (project / "exports/deep/b.csv").unlink()
    (project / "params.yaml").write_text(PARAMS + "# more\n", "utf-8")
    make(project)
    after = files(ws)
    assert after["hfkit/route/__init__.py"] == b"two = 3\n"
    assert after["params.yaml"].endswith(b"# more\n")
    assert not {"hfkit/route.py", "data/raw/deep/b.csv", "data/raw/deep"} & set(after)
    later = {name: content for name, content in before.items() if content == b"made later"}
    assert len(later) == 5
    assert later.items() <= after.items()
    assert (ws / "data/raw/a.csv").stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("data/raw/signoffs/legal.json", "added"), ("data/raw/releases/v1.json", "added"), ("params.yaml", "changed"),
        ("data/raw/a.csv", "changed"), ("data/raw/c.csv", "added"), ("notebooks/clean.ipynb", "changed"),
        ("notebooks/mine.ipynb", "added"), ("hfkit/route.py", "changed"), ("hfkit/more/__init__.py", "added"),
        ("dvc.yaml", "changed"),
    ],
)  # fmt: skip
def test_a_file_that_a_person_changed_or_added_stops_it_by_name(project, name, kind):
    make(project)
    (project / "ws" / name).parent.mkdir(parents=True, exist_ok=True)
    (project / "ws" / name).write_text("mine", "utf-8")
    (project / "home/hfkit/route.py").write_text("two = 4\n", "utf-8")  # there is something to refresh
    refuses(project, f"{name} ({kind})", "choose another folder", "dvc repro")


def test_what_is_as_it_would_be_written_is_nobodys_change(project):
    """Half made, then interrupted: the same files are there, but the manifest does not have them yet."""
    make(project)
    (project / "home/hfkit/route.py").write_text("two = 4\n", "utf-8")
    (project / "ws/hfkit/route.py").write_text("two = 4\n", "utf-8")
    (project / "ws/params.yaml").write_text("# edited in place\n" + PARAMS, "utf-8")
    make(project, params="ws/params.yaml")
    assert files(project / "ws")["params.yaml"].startswith(b"# edited in place\n")


def test_an_interrupted_first_run_is_finished_by_the_next(project, monkeypatch):
    put = workspace.files.put

    def full(target, source):
        if target.name == "dvc.yaml":
            raise OSError(28, "No space left on device")
        put(target, source)

    monkeypatch.setattr(workspace.files, "put", full)
    with pytest.raises(OSError, match="No space left"):
        make(project)
    monkeypatch.setattr(workspace.files, "put", put)
    make(project)
    make(project, target="other")
    assert files(project / "ws") == files(project / "other")


@pytest.mark.parametrize("manifest", [None, "{", "[]", '{"files": {"../home/params.yaml": "x"}}', '{"files": [1]}'])
def test_a_folder_that_is_no_workspace_is_left_alone(project, manifest):
    (project / "ws/data/raw/signoffs").mkdir(parents=True)
    (project / "ws/thesis.txt").write_text("years of work", "utf-8")
    if manifest:
        (project / "ws" / workspace.MANIFEST).write_text(manifest, "utf-8")
    refuses(project, "a new or empty folder, or a workspace that hfkit made", "choose another folder")


def test_a_manifest_that_points_outside_removes_nothing(project):
    make(project)
    file = project / "ws" / workspace.MANIFEST
    outside = workspace.files.digest(project / "params.yaml")
    for name in ("../params.yaml", str(project / "params.yaml")):
        file.write_text(f'{{"files": {{"{name}": "{outside}"}}}}', "utf-8")
        refuses(project, "a workspace that hfkit made")


@pytest.mark.parametrize("target", ["home", ".", "home/workspaces", "home/notebooks", "home/data/w", "home/hfkit/w"])
def test_the_project_is_never_a_target(project, target):
    refuses(project, "outside of this project", "workspaces/<name>", target=target)


def test_below_workspaces_is_allowed_and_a_file_is_no_folder(project):
    make(project, target="home/workspaces/mine")
    assert (project / "home/workspaces/mine/data/raw/a.csv").is_file()
    (project / "taken").write_text("a file", "utf-8")
    refuses(project, "choose another folder", target="taken")


@pytest.mark.parametrize("link", ["notebooks", "data", "data/raw/deep", "hfkit/route.py"])
def test_nothing_is_written_through_a_link(project, link):
    make(project)
    there = project / "ws" / link
    there.rename(project / "elsewhere")
    there.symlink_to(project / "elsewhere")
    refuses(project, link, "choose another folder")


@pytest.mark.parametrize(("target", "data"), [("exports/ws", "exports"), ("exports", "exports"), ("ws", "ws/data/raw")])
def test_exports_and_workspace_lie_apart(project, target, data):
    if data.startswith("ws"):
        make(project)
    refuses(project, "folders apart", target=target, data=data)


def test_what_is_missing_is_named(project):
    refuses(project, "an example's params.yaml", "examples/", error=MissingFile, params="nowhere.yaml")
    refuses(project, "the folder with the exports", error=MissingFile, data="nowhere")
    refuses(project, "the folder with the exports", error=MissingFile, data="params.yaml")
    (project / "params.yaml").write_text("- a list", "utf-8")
    refuses(project, "one section a room", error=ParamError)


@pytest.mark.parametrize("end", ["\n", "", "\r\n"])
def test_a_missing_section_is_appended_and_the_text_stays(project, end):
    text = f"# mine\r\nclean:   {{'a': 1}}   # twice{end}".encode()
    (project / "params.yaml").write_bytes(text)
    make(project)
    out = (project / "ws/params.yaml").read_bytes()
    assert out.startswith(text)
    sections = yaml.safe_load(out)
    assert sections == {"clean": {"a": 1}} | {room: {} for room in rooms.NAMES if room != "clean"} | {
        "project": {"min_people": 5}
    }


@pytest.mark.parametrize("text", ["{clean: {}}\n", "clean: {}\n...\n", "clean: |\n  kept as it ends"])
def test_where_nothing_can_be_appended_a_sentence_says_what_to_add(project, text):
    (project / "params.yaml").write_text(text, "utf-8")
    refuses(project, "no audit, ", "add `audit: {}`", error=ParamError)


def test_the_command_says_so(project):
    arguments = [str(project / "ws"), "--params", str(project / "params.yaml"), "--data", str(project / "exports")]
    assert "is ready" in CliRunner().invoke(workspace.workspace, arguments).output
    (project / "ws/data/raw/signoffs/legal.json").write_text("{}", "utf-8")
    assert isinstance(CliRunner().invoke(workspace.workspace, arguments).exception, HfkitError)


@pytest.mark.loop
def test_a_room_without_a_section_is_met_by_hfkit_not_by_dvc(tmp_path):
    """DVC stops at a missing section with its own words; with the empty one the room says what belongs there."""
    whole = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({k: v for k, v in whole.items() if k != "clean"}), "utf-8")
    workspace.make(tmp_path / "ws", params=tmp_path / "params.yaml", data=ROOT / "data" / "raw")
    loop = Loop(tmp_path / "ws")
    (loop.root / "build").mkdir()
    out = loop("dvc", "repro", "clean", ok=False)
    assert "at least one entry in sources" in out
    assert "where: params.yaml: clean" in out
    shutil.copyfile(tmp_path / "params.yaml", loop.root / "params.yaml")
    assert "ParamError" not in loop("dvc", "repro", "clean", ok=False)
