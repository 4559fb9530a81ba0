"""Learning from answers: which items belong together, who may be trained on, and a fit on soft labels.

What several rooms share. Nothing here draws at random: a split is a hash of the text.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from hfkit.shared import texts
from hfkit.shared.schema import NOT_STATED

Floats = NDArray[np.float64]
WORD = r"(?u)\b\w\w+\b"


def text_groups(items: pd.DataFrame) -> pd.Series:
    """Which items say the same? Clean has grouped them (`text_group`); a table that it did not make is grouped here."""
    grouped = "text_group" in items and items["text_group"].notna().all()
    return items["text_group"] if grouped else texts.groups(items)


def unit(names: Iterable[str], *, seed: int, salt: str) -> Floats:
    """One number in [0, 1) a name: the same in every run, process and row order, different for every seed and salt.

    >>> unit(["a", "b"], seed=1, salt="split").round(3).tolist()
    [0.072, 0.921]
    """
    keyed = (hashlib.blake2b(f"{salt}\0{seed}\0{n}".encode(), digest_size=8).digest() for n in names)
    return np.array([(int.from_bytes(k, "big") >> 11) / 2**53 for k in keyed], dtype=float)


def split(items: pd.DataFrame, *, seed: int, test: float, calibrate: float) -> pd.DataFrame:
    """Which items may a model learn from, which calibrate it, which test it? Columns item_id, group, split.

    Grouped by text (see text_groups) so that no text is on two sides. Shares are expected shares: a group goes where
    its hash falls, so a new item never moves an old one, unless it joins two groups. Sorted by item_id.

    >>> items = pd.DataFrame({"item_id": list("abcd"), "text": ["x y"] * 4})
    >>> split(items, seed=1, test=0.3, calibrate=0.2)["split"].nunique()
    1
    """
    items = items.sort_values("item_id", ignore_index=True)
    groups = text_groups(items)
    u = unit(groups, seed=seed, salt="split")
    kinds = np.where(u < test, "test", np.where(u < test + calibrate, "calibrate", "train"))
    return pd.DataFrame({"item_id": items["item_id"], "group": groups, "split": kinds})


def answers(judgements: pd.DataFrame) -> pd.DataFrame:
    """How many answers has an item, and how many say the event holds? Columns item_id, component, k, n (weighted).

    Answers of weight 0 (flagged raters) do not count; an item without any other answer is left out.

    >>> answers(pd.DataFrame({"item_id": ["a", "a"], "component": "c", "label": [1, 0], "weight": [1.0, 0.5]}))
      item_id component    k    n
    0       a         c  1.0  1.5
    """
    w = judgements["weight"].astype(float)
    frame = judgements[["item_id", "component"]].assign(k=w * judgements["label"], n=w)[w > 0]
    return frame.groupby(["item_id", "component"], as_index=False)[["k", "n"]].sum()


def teaching(answers: pd.DataFrame) -> pd.Series:
    """Which answers may any model learn from, by their rater's consent (`for_training`)? All, where none is recorded.

    >>> teaching(pd.DataFrame({"for_training": [1, 0, None]})).tolist()
    [True, False, False]
    """
    return answers["for_training"].eq(1) if "for_training" in answers else pd.Series(True, index=answers.index)


def input_names(items: pd.DataFrame, *, text: bool, features: bool, baseline: bool) -> list[str]:
    """What may a model see of an item? `text`, `score` and feature.*, as switched on and not wholly missing.

    Cohorts are never inputs.

    >>> items = pd.DataFrame({"text": ["hi"], "score": [0.5], "feature.n": [1.0], "cohort.age": ["18-24"]})
    >>> input_names(items, text=False, features=True, baseline=True)
    ['score', 'feature.n']
    """
    wanted = ["text"] * text + ["score"] * baseline
    wanted += sorted(c for c in items.columns if c.startswith("feature.") and features)
    return [c for c in wanted if items[c].notna().any()]


def inputs(items: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """The named columns as a model takes them: text and categories never missing, the score as its logit (see `logit`).

    >>> inputs(pd.DataFrame({"text": [None], "score": [0.5]}), ["text", "score"])
      text  score
    0         0.0
    """
    out: dict[str, Any] = {}
    for name in names:
        if name == "score":
            out[name] = logit(items[name].to_numpy(float))
        elif name != "text" and pd.api.types.is_numeric_dtype(items[name]):
            out[name] = items[name].astype(float)
        else:
            out[name] = items[name].fillna("" if name == "text" else NOT_STATED).astype(object)
    return pd.DataFrame(out, index=items.index)


def vocabulary(texts: Iterable[str], min_people: int) -> list[str]:
    """Which words and word pairs may a model know? Those in at least `min_people` different texts, sorted.

    A word that few people use can name one of them (see also rows of `text_groups`: pass one text a group).

    >>> vocabulary(["ship it", "ship now", "ann lee"], min_people=2)
    ['ship']
    """
    counts: Counter[str] = Counter()
    analyse = TfidfVectorizer(ngram_range=(1, 2), token_pattern=WORD).build_analyzer()
    for text in texts:
        counts.update(set(analyse(text)))
    return sorted(w for w, n in counts.items() if n >= min_people)


def design(frame: pd.DataFrame, groups: pd.Series, min_people: int) -> ColumnTransformer:
    """The fitted step that turns `inputs` into a matrix: words weighted (TF-IDF), numbers standardized, categories 0/1.

    `groups` names the text group of each row: a word counts once a group. A category used by fewer than `min_people`
    rows is one of the "infrequent" ones; an unknown one at prediction time too. Missing numbers become the mean.

    >>> frame = pd.DataFrame({"feature.n": [0.0, 2.0], "feature.kind": ["a", "b"]})
    >>> design(frame, pd.Series(["x", "y"]), 1).transform(frame).toarray().tolist()
    [[1.0, 0.0, -1.0], [0.0, 1.0, 1.0]]
    """
    parts: list[tuple[str, Any, Any]] = []
    numbers = [c for c in frame if pd.api.types.is_numeric_dtype(frame[c])]
    categories = [c for c in frame if c != "text" and c not in numbers]
    if "text" in frame:
        words = vocabulary(frame["text"][~groups.duplicated()], min_people)
        if words:
            weigh = TfidfVectorizer(ngram_range=(1, 2), token_pattern=WORD, vocabulary=words, sublinear_tf=True)
            parts.append(("text", weigh, "text"))
    if categories:
        encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=min_people)
        parts.append(("categories", encoder, categories))
    if numbers:
        parts.append(("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers))
    return ColumnTransformer(parts, sparse_threshold=1.0).fit(frame)


def fit_soft(matrix: Any, p: Floats, weight: Floats, penalty: float) -> LogisticRegression:
    """A logistic regression on soft labels: each row twice, as event with weight p and as no event with 1 - p.

    Its loss is the expected log loss under p. `penalty` is the L2 penalty (1 / C). p needs some weight on each side.

    >>> float(fit_soft(np.zeros((2, 1)), np.array([0.2, 0.4]), np.ones(2), 1.0).predict_proba([[0.0]])[0, 1].round(3))
    0.3
    """
    stack = sparse.vstack if sparse.issparse(matrix) else np.vstack
    y = np.repeat([1, 0], len(p))
    w = np.concatenate([weight * p, weight * (1 - p)])
    model = LogisticRegression(C=1.0 / penalty, max_iter=2000)
    model.fit(stack([matrix, matrix])[w > 0], y[w > 0], sample_weight=w[w > 0])
    return model


def logit(p: Floats) -> Floats:
    """Log odds of a probability, clipped to 1e-6; missing stays missing.

    >>> float(logit(np.array([0.5]))[0])
    0.0
    """
    clipped = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped) - np.log1p(-clipped), dtype=float)


def log_losses(y: Floats, p: Floats) -> Floats:
    """The log loss of each row against a soft label y in [0, 1]; p clipped to 1e-6; missing stays missing.

    >>> log_losses(np.array([1.0, 0.5]), np.array([0.5, 0.5])).round(4).tolist()
    [0.6931, 0.6931]
    """
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(-(y * np.log(p) + (1 - y) * np.log1p(-p)), dtype=float)
