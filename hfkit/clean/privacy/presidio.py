"""Presidio as a further finder (`clean.masks: [presidio]`): names, places and more, by its language model.

Presidio is not installed with hfkit: `pip install presidio-analyzer`, and a spaCy model for your language.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from hfkit.shared.errors import ParamError

_KINDS = {"PERSON": "name", "LOCATION": "address", "EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone"}


def find(text: str) -> list[tuple[int, int, str]]:
    """What presidio finds in an English text: from, to and kind. Raises ParamError where it is not installed."""
    spans = _engine().analyze(text=text, language="en")
    best = sorted(spans, key=lambda s: (-s.score, s.start))
    out: list[tuple[int, int, str]] = []
    for s in best:
        if all(s.end <= start or s.start >= end for start, end, _ in out):
            out.append((s.start, s.end, _KINDS.get(s.entity_type, s.entity_type.lower())))
    return sorted(out)


@cache
def _engine() -> Any:
    try:
        from presidio_analyzer import AnalyzerEngine

        return AnalyzerEngine()
    except (ImportError, OSError) as e:
        raise ParamError(
            expected="presidio-analyzer and its spaCy model", found=str(e)[:120], where="params.yaml: clean.masks",
            todo="pip install presidio-analyzer, python -m spacy download en_core_web_lg, or remove presidio",
        ) from None  # fmt: skip
