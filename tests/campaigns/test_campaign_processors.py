"""No discrete choice hangs on the last digits: on other processors, unpinned, every page says the same.

The door pins what the processor decides, so that the bytes are the same everywhere. Here the pins are replaced by other
processors' ways of adding up; numbers then differ in their last digits, and nothing that a person reads may.

HFKIT_CAMPAIGN=1 python -m pytest tests/campaigns/test_campaign_processors.py -o testpaths= -q -s
"""

import re
from pathlib import Path

import pytest

from hfkit import run

PINS = "PROCESSOR = {"
OTHERS = {
    "newest, nothing pinned": {},
    "Haswell": {"OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"},
    "Sandybridge, new mathematics": {"OPENBLAS_CORETYPE": "Sandybridge"},
}


def pages(root: Path) -> dict[str, str]:
    """What people read; a digest is of the bytes of the models, and may differ."""
    return {
        p.name: re.sub(r"\b[0-9a-f]{64}\b", "digest", p.read_text("utf-8")) for p in (root / "reports").glob("*.html")
    }


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", OTHERS)
def test_every_page_reads_the_same_on_another_processor(loop, scratch, name):
    door = scratch.root / "hfkit" / "run" / "__init__.py"
    code = door.read_text("utf-8")
    start = code.index(PINS)
    door.write_text(code[:start] + f"PROCESSOR = {OTHERS[name]}" + code[code.index("}", start) + 1 :], "utf-8")
    scratch("git", "init", "-q")
    scratch("dvc", "repro", "-q")
    tables = sorted((loop.root / "data").glob("*/*.parquet"))
    other = [t for t in tables if t.read_bytes() != (scratch.root / t.relative_to(loop.root)).read_bytes()]
    print(f"\n| {name} | {len(other)} of {len(tables)} tables differ in bytes |", end=" ")
    assert other, "the pins make no difference here: nothing was tried"
    here, there = pages(loop.root), pages(scratch.root)
    assert here.keys() == there.keys()
    assert [page for page in here if here[page] != there[page]] == []
    print(f"all {len(here)} pages read the same |")


def test_the_pins_are_where_this_campaign_replaces_them():
    assert run.PROCESSOR["OPENBLAS_CORETYPE"] == "Nehalem"
