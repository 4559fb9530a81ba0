"""Clean: which feedback is usable, and what became of the rest?

Consent first, strict types, duplicates and conflicts out, references checked, answers given a meaning by the rubric,
personal data masked; every record of every source is kept or rejected with a reason.
"""

from hfkit.clean.bins import binned
from hfkit.clean.consent import declared as consented
from hfkit.clean.erasure import belonging, digest, forgotten, slots
from hfkit.clean.privacy import Privacy, mask
from hfkit.clean.room import Cleaned, clean
from hfkit.clean.summary import answer, evidence, metrics, reasons

__all__ = [
    "Cleaned", "Privacy", "answer", "belonging", "binned", "clean", "consented", "digest", "evidence", "forgotten",
    "mask", "metrics", "reasons", "slots",
]  # fmt: skip
