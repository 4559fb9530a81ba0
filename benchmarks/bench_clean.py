"""What do cleaning and near duplicates cost, against the limit and the peers?

    python benchmarks/bench_clean.py

A million answers with comments, as CSV: read and cleaned, against reading the same table from Parquet (the limit), and
against pandas with presidio over the comments (its pattern recognisers alone, without a language model; measured on
SOME comments and scaled). Near duplicates of 100,000 texts, against datasketch. Wall-clock seconds, one run each.
"""

import io
import logging
import time

import numpy as np
import pandas as pd
import spacy
from datasketch import MinHash, MinHashLSH
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import SpacyNlpEngine

from hfkit import clean, formats
from hfkit.clean import privacy
from hfkit.shared import texts

N, ITEMS, RATERS, SOME, TEXTS = 1_000_000, 50_000, 20_000, 2_000, 100_000
WORDS = np.array([a + b + c for a in "bcdfg" for b in "aeiou" for c in ("lt", "nk", "rp", "st", "mb", "ss")])


def clock(call):
    """Seconds and result of one call."""
    start = time.perf_counter()
    out = call()
    return time.perf_counter() - start, out


def world(rng):
    """Items and a million answers; one comment in ten, one comment in fifty with personal data."""
    items = pd.DataFrame({"id": [f"i{k}" for k in range(ITEMS)], "score": rng.random(ITEMS).round(4)})
    comment = np.where(
        rng.random(N) < 0.1, np.char.add(np.char.add(rng.choice(WORDS, N), " "), rng.choice(WORDS, N)), ""
    )
    hidden = (comment != "") & (rng.random(N) < 0.02)
    comment = np.where(hidden, np.char.add(comment, " write to ann.smith@example.org or +49 30 901820"), comment)
    answers = pd.DataFrame({
        "id": [f"f{k}" for k in range(N)], "item": rng.integers(0, ITEMS, N), "user": rng.integers(0, RATERS, N),
        "vote": rng.choice(["up", "down"], N), "comment": comment,
        "at": pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 10**7, N), "s"),
    })  # fmt: skip
    return items, answers.assign(item="i" + answers["item"].astype(str), user="u" + answers["user"].astype(str),
                                 at=answers["at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))  # fmt: skip


def cleaned(items, answers):
    """Both CSV files through the readers and the room."""
    columns = {"feedback_id": "id", "item_id": "item", "rater_id": "user", "question": "=thumb", "value": "vote",
               "value_text": "comment", "created_at": "at"}  # fmt: skip
    sources = [
        {"name": "items", "table": "items", "path": "i", "format": "csv",
         "columns": {"item_id": "id", "component": "=c", "score": "score"}},
        {"name": "votes", "table": "feedback", "path": "v", "format": "csv", "columns": columns},
    ]  # fmt: skip
    component = {"component": "c", "event": "e", "threshold": 0.5, "cost_false_alarm": 1.0, "cost_miss": 1.0,
                 "effort_days": 1.0}  # fmt: skip
    rubric = {"question": "thumb", "component": "item", "states": "agreement", "positive": ["up"], "negative": ["down"]}
    records = [formats.read(data, "csv", source=name) for name, data in (("items", items), ("votes", answers))]
    return clean.clean(records, sources=sources, components=[component], rubric=[rubric], run_date="2026-12-31",
                       consent=clean.consented({}, True))  # fmt: skip


def presidio():
    """Its pattern recognisers, on a pipeline that only splits words."""
    engine = SpacyNlpEngine()
    engine.nlp = {"en": spacy.blank("en")}
    logging.getLogger("tldextract").disabled = True  # it looks for a newer list of domains, and has one of its own
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
    return lambda text: analyzer.analyze(text=text, language="en")


def datasketch(words):
    """Groups by union of all pairs above the threshold, as its documentation shows."""
    index, out = MinHashLSH(threshold=texts.NEAR, num_perm=128), {}
    for at, text in enumerate(words):
        sketch = MinHash(num_perm=128)
        sketch.update_batch([w.encode() for w in set(texts.normal(text).split())])
        near = index.query(sketch)
        out[at] = out[min(near)] if near else at
        index.insert(at, sketch)
    return out


def main():
    rng = np.random.default_rng(1)
    items, answers = world(rng)
    parquet, table = io.BytesIO(), [t.to_csv(index=False).encode() for t in (items, answers)]
    answers.to_parquet(parquet, index=False)
    limit, _ = clock(lambda: pd.read_parquet(io.BytesIO(parquet.getvalue())))
    ours, made = clock(lambda: cleaned(*table))
    print(
        f"clean {N:,} answers from CSV: {ours:.1f} s, {len(made.feedback):,} kept, {sum(made.masked.values()):,} masked"
    )
    print(f"  {ours / limit:.0f} times the reading of the same table from Parquet ({limit:.2f} s)")
    comments = answers.loc[answers["comment"] != "", "comment"]
    find = presidio()
    peer, _ = clock(lambda: [find(t) for t in comments.head(SOME)])
    masks, _ = clock(lambda: [privacy.mask(t) for t in comments.head(SOME)])
    read, _ = clock(lambda: pd.read_csv(io.BytesIO(table[1])))
    whole = read + peer * len(comments) / SOME
    print(f"  pandas and presidio: {whole:.0f} s (scaled from {SOME:,} of {len(comments):,} comments): "
          f"{whole / ours:.0f} times ours; a comment alone: {peer / masks:.0f} times")  # fmt: skip
    words = [" ".join(t) for t in rng.choice(WORDS, (TEXTS, 20))]
    words[: TEXTS // 10] = [f"{w} again" for w in words[TEXTS // 10 : TEXTS // 5]]
    frame = pd.DataFrame({"item_id": [f"i{k}" for k in range(TEXTS)], "text": words})
    ours, groups = clock(lambda: texts.groups(frame))
    theirs, others = clock(lambda: datasketch(words))
    print(f"near duplicates of {TEXTS:,} texts: {ours:.1f} s, {groups.nunique():,} groups; datasketch {theirs:.1f} s, "
          f"{len(set(others.values())):,} groups: {theirs / ours:.1f} times ours")  # fmt: skip


if __name__ == "__main__":
    main()
