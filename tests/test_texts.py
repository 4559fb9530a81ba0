"""Texts that say the same: by brute force, by planted copies, and templates that are none."""

import numpy as np
import pandas as pd
import pytest

from hfkit.shared import learn, texts

WORDS = [a + b for a in ("ba", "ce", "di", "fo", "gu", "ha") for b in ("lam", "nor", "pit", "rus", "tek", "vim")]


def items(written):
    return pd.DataFrame({"item_id": [f"i{n}" for n in range(len(written))], "text": written})


def brute(written, near):
    """Each text joins the first, shortest one, whose set of words is near; every pair is compared."""
    heads, out = [], {}
    for t in sorted(set(written), key=lambda t: (len(t), t)):
        mine = set(t.split())
        head = next((h for h in heads if len(mine & set(h.split())) / len(mine | set(h.split())) >= near), None)
        heads += [t] if head is None else []
        out[t] = head or t
    return [out[t] for t in written]


@pytest.mark.parametrize("near", [0.8, 0.9])
def test_groups_are_those_of_comparing_every_pair(near):
    rng = np.random.default_rng(0)
    written = [" ".join(rng.choice(WORDS[:14], rng.integers(3, 13))) for _ in range(150)]
    written += [f"{t} extra" for t in written[:40]]
    ours = texts.groups(items(written), near=near, most=10**6)
    assert ours.tolist() == brute(written, near)
    assert ours.nunique() < len(set(written))


def test_planted_copies_are_found_and_different_texts_stay_apart():
    rng = np.random.default_rng(1)
    written = [" ".join(rng.choice(WORDS, 25)) for _ in range(500)]
    copies = [" ".join([*t.split()[:-1], "instead"]).upper() + " !" for t in written]
    groups = texts.groups(items(written + copies)).to_numpy()
    same = groups[:500] == groups[500:]
    jaccard = [len({*a.split()} & {*b.lower()[:-2].split()}) / len({*a.split()} | {*b.lower()[:-2].split()})
               for a, b in zip(written, copies, strict=True)]  # fmt: skip
    near = np.array(jaccard) >= 0.9
    assert near.sum() > 100
    assert same[near].mean() > 0.99
    assert not same[~near].any()
    assert pd.Series(groups[:500]).nunique() == 500


def test_a_template_is_no_group_but_the_same_text_twice_is():
    names = [a + b for a in WORDS for b in WORDS[:10]]
    template = (
        "please write a short and friendly reply to the customer who asked about {} and then close the ticket as soon "
        "as you can today"
    )
    written = [template.format(n) for n in names]
    assert texts.groups(items(written)).nunique() == len(written) == 360
    assert texts.groups(items(written + written)).nunique() == 360
    assert texts.groups(items(written[:15])).nunique() == 1  # so few are copies with a word changed


def test_a_prompt_stands_in_for_a_text_and_long_texts_get_short_names():
    frame = pd.DataFrame({"item_id": ["a", "b", "c"], "text": [None, None, None],
                          "prompt": ["Why is the sky blue?", "why is the sky BLUE", None],
                          "response": ["one", "two", None]})  # fmt: skip
    assert texts.groups(frame).tolist() == ["why is the sky blue", "why is the sky blue", "item c"]
    long = texts.groups(items(["word " * 1000, "word " * 999 + "other", "x"]))
    assert long.str.len().max() < 250


def test_rooms_read_the_column_that_clean_made():
    frame = items(["same", "same"]).assign(text_group=["one", "two"])
    assert learn.text_groups(frame).tolist() == ["one", "two"]
    assert learn.text_groups(frame.drop(columns="text_group")).nunique() == 1
