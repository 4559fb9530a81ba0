"""Which texts say the same, or nearly? Grouped once, in clean; every room reads the column `text_group`."""

from __future__ import annotations

import hashlib
import re
import unicodedata

import pandas as pd
import rensa

NEAR = 0.9
MAX_DIFFERENT = 20
_LONGEST = 200
_PERMUTATIONS, _BANDS = 128, 16  # a pair at the Jaccard index of NEAR is a candidate with probability .9999


def normal(text: str) -> str:
    """What is left of a text when case, digits, punctuation and invisible characters are taken away?

    >>> normal("Order 66:  SHIP\\u200b it!"), normal("order 12 ship it")
    ('order 0 ship it', 'order 0 ship it')
    """
    folded = "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if unicodedata.category(c) != "Cf")
    return re.sub(r"\W+", " ", re.sub(r"\d+", "0", folded)).strip()


def groups(items: pd.DataFrame, near: float = NEAR, most: int = MAX_DIFFERENT) -> pd.Series:
    """Which items say the same? One group name an item: the group's first normal text, a long one cut and hashed.

    The text of an item is its `text`, or else its prompt, or else its response. A text joins the first one (shortest,
    then by alphabet) whose set of words is near: a Jaccard index of at least `near`, so that no chain of small edits
    makes one group of two different texts. More than `most` different texts near one are a template, not copies: of
    those only the same normal texts stay together. Items without a text are groups of their own. Candidates come from
    MinHash (Broder 1997) with locality-sensitive hashing, and every one is checked exactly.

    >>> items = pd.DataFrame({"item_id": ["a", "b", "c"], "text": ["Ship it now", "ship it NOW!", None]})
    >>> groups(items).tolist()
    ['ship it now', 'ship it now', 'item c']
    """
    columns = [items[c].astype("object") for c in ("text", "prompt", "response") if c in items]
    texts = columns[0] if columns else pd.Series(None, index=items.index, dtype="object")
    for other in columns[1:]:
        texts = texts.where(texts.notna(), other)
    plain = {t: normal(t) for t in texts.dropna().unique()}
    first = _first(sorted({w for w in plain.values() if w}), near, most)
    names = {w: f if len(f) <= _LONGEST else f"{f[:_LONGEST]} {_digest(f)}" for w, f in first.items()}
    words = [plain.get(t, "") for t in texts]
    named = [names[w] if w else f"item {i}" for w, i in zip(words, items["item_id"], strict=True)]
    return pd.Series(named, index=items.index, dtype="str")


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _first(texts: list[str], near: float, most: int) -> dict[str, str]:
    """The first text of each text's group."""
    sets = [frozenset(t.split()) for t in texts]
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), texts[i]))
    hashes = rensa.RMinHash.from_token_sets([sorted(sets[i]) for i in order], _PERMUTATIONS, 1)
    index = rensa.RMinHashLSH(near, _PERMUTATIONS, _BANDS)
    member: dict[int, list[int]] = {}
    for at, i in enumerate(order):
        heads = sorted(index.query(hashes[at]))
        head = next((h for h in heads if _jaccard(sets[i], sets[order[h]]) >= near), None)
        if head is None:
            index.insert(at, hashes[at])
        member.setdefault(at if head is None else head, []).append(i)
    out: dict[str, str] = {}
    for head, inside in member.items():
        out |= {texts[i]: texts[order[head] if len(inside) <= most else i] for i in inside}
    return out


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    both = len(one & other)
    return both / (len(one) + len(other) - both)
