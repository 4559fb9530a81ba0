"""Which complaints belong together? Answers that say the model was wrong, grouped by words, component by component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.linalg import eigh
from scipy.sparse import coo_array, csr_array
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import normalize

from hfkit.shared.learn import WORD, Floats
from hfkit.shared.texts import normal

_DIMENSIONS = 50
_WORDS = 2000  # the most used words; a square matrix of them fits in memory
_PAIR = 2.5  # z above which two words are taken to belong together
_CLEAR = 0.05  # below this mean silhouette, groups are not better than one group
_STARTS = 5
_NOISE = 1e-8  # relative to the largest: smaller is rounding, and differs between processors


@dataclass(frozen=True)
class Words:
    """Distinct documents by words that enough people use (0/1), how many people used each document, the document of
    each complaint, and the words.
    """

    matrix: Any
    weight: Floats
    document: npt.NDArray[np.int64]
    names: list[str]


def complaints(
    feedback: pd.DataFrame, items: pd.DataFrame, routes: pd.DataFrame, rater_trust: pd.DataFrame
) -> pd.DataFrame:
    """Which answers say that the model was wrong, and which component are they about?

    One row an answer whose label differs from the item's decision: feedback_id, item_id, filed, component (as routed),
    rater_id, comment, text, wrong (True). Answers of flagged raters, and answers no component was found for, are left
    out. In a component whose items carry no decision nothing can be called wrong: all its labelled answers are kept,
    with wrong = False. Sorted by feedback_id.
    """
    answers = feedback.loc[feedback["label"].notna()]
    flagged = rater_trust.loc[rater_trust["flagged"].astype(bool), "rater_id"]
    frame = answers[~(answers["rater_id"].isin(flagged) & answers["rater_id"].notna())]
    frame = frame[["feedback_id", "item_id", "component", "rater_id", "value_text", "label"]].rename(
        columns={"component": "filed", "value_text": "comment"}
    )
    frame = frame.merge(items[["item_id", "text", "decision"]], on="item_id", validate="many_to_one")
    frame["component"] = frame["feedback_id"].map(routes.set_index("feedback_id")["routed"])
    blind = ~frame["decision"].notna().groupby(frame["filed"]).transform("any").astype(bool)
    frame["wrong"] = frame["decision"].notna() & (frame["label"] != frame["decision"])
    keep = (frame["wrong"] | blind) & frame["component"].notna()
    columns = ["feedback_id", "item_id", "filed", "component", "rater_id", "comment", "text", "wrong"]
    return frame.loc[keep, columns].sort_values("feedback_id", ignore_index=True)


def assign(
    frame: pd.DataFrame, *, max_issues: int, min_people: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Which issue does each complaint belong to, and what is each issue called?

    `frame` is the result of `complaints`. Returns it with a column issue_id, and a table issue_id, component, title.
    A component's complaints are told apart by their comments, or by the items' text where that is filled more often.
    They are one issue where there are no words, nothing to tell apart, or no decisions. Issues of a component are
    numbered by size, largest first. Only words used by at least `min_people` people (of an item's text: in that many
    items) count, for grouping and title.
    """
    issue, titles = pd.Series("", index=frame.index, dtype="str"), []
    for component, part in frame.groupby("component"):
        wrong = bool(part["wrong"].any())
        words = vocabulary(part, min_people)
        code = groups(words, max_issues=max_issues if wrong else 1, rng=rng)[words.document]
        sizes = np.bincount(code)
        rank = np.argsort(np.argsort(-sizes, kind="stable"), kind="stable")
        issue[part.index] = [f"{component}-{r + 1}" for r in rank[code]]
        for c in np.argsort(rank):
            named = title(words, code == c) if wrong else "all labelled answers"
            titles.append((f"{component}-{rank[c] + 1}", component, named))
    return frame.assign(issue_id=issue), pd.DataFrame(titles, columns=["issue_id", "component", "title"], dtype="str")


def vocabulary(frame: pd.DataFrame, min_people: int) -> Words:
    """Which words do complaints use, and in which distinct documents? Words of fewer than `min_people` are dropped.

    >>> frame = pd.DataFrame({"item_id": ["i", "j"], "rater_id": ["u", "v"], "comment": ["slow ann", "slow"],
    ...                       "text": None})
    >>> vocabulary(frame, 2).names
    ['slow']
    """
    comment, text = (frame[c].fillna("").map(normal) for c in ("comment", "text"))
    by_comment = bool((comment != "").sum() >= (text != "").sum())
    texts = comment if by_comment else text
    person = frame["rater_id"].fillna("item " + frame["item_id"]) if by_comment else frame["item_id"]
    document, documents = pd.factorize(texts, sort=True)
    who = pd.factorize(person)[0]
    uses = csr_array(coo_array((np.ones(len(who)), (who, document)), shape=(who.max() + 1, len(documents))))
    weight = np.asarray((uses > 0).sum(axis=0), dtype=np.float64).ravel()
    counter = CountVectorizer(binary=True, token_pattern=WORD, stop_words=sorted(ENGLISH_STOP_WORDS), max_df=1.0)
    try:
        matrix = csr_array(counter.fit_transform(documents))
    except ValueError:  # no word at all: no text, or only stop words
        return Words(csr_array((len(documents), 0)), weight, document.astype(np.int64), [])
    people = np.asarray(((uses @ matrix) > 0).sum(axis=0)).ravel()
    common = np.flatnonzero(people >= min_people)
    names = counter.get_feature_names_out()
    return Words(matrix[:, common], weight, document.astype(np.int64), [str(names[i]) for i in common])


def together(words: Words) -> Floats:
    """Where does each document lie among the words that occur together more often than chance? Unit rows, or zeros.

    Word pairs by z = (observed - expected) / sqrt(expected) over uses, kept from 2.5 on; the words' latent directions
    (eigenvectors) add up to the document's. Words that go with any topic (greetings, verbs) have no such partner and
    do not count, which plain TF-IDF does not achieve. After Levy and Goldberg (2014), with z for mutual information.
    """
    top = np.argsort(-(words.weight @ words.matrix), kind="stable")[:_WORDS]
    texts = words.matrix[:, np.sort(top)].astype(float)
    total = float(words.weight.sum())
    observed = (texts.T @ (texts * words.weight[:, None])).toarray()
    alone = np.diag(observed).copy()
    expected = np.outer(alone, alone) / total
    z = (observed - expected) / np.sqrt(np.maximum(expected, 1e-9))
    np.fill_diagonal(z, 0.0)
    z[z < _PAIR] = 0.0
    if not z.any():
        return np.zeros((texts.shape[0], 1))
    size = min(_DIMENSIONS, len(z) - 1)
    value, vector = eigh(z, subset_by_index=[len(z) - size, len(z) - 1])
    real = value > _NOISE * value[-1]  # the others are what rounding left of zero, and would place the documents
    place = texts @ (vector[:, real] * np.sqrt(value[real]))
    place[np.abs(place).max(axis=1) < _NOISE] = 0.0
    return np.asarray(normalize(place), dtype=np.float64)


def lloyd(place: Floats, weight: Floats, centre: Floats) -> tuple[float, npt.NDArray[np.int64]]:
    """k-means from these centres (k by dimensions) on: the inertia, less a constant, and a code for each row.

    Texts of unrelated topics lie equally far from a text that is a centre, and the last digit of a sum would decide:
    distances are rounded, so that a tie goes to the first centre on every processor. Lloyd (1982).

    >>> lloyd(np.array([[0.0], [0.1], [1.0]]), np.ones(3), np.array([[0.0], [1.0]]))[1].tolist()
    [0, 0, 1]
    """
    code = np.full(len(place), -1)
    for _ in range(300):
        far = ((centre**2).sum(axis=1) - 2 * place @ centre.T).round(9)
        before, code = code, far.argmin(axis=1)
        if (code == before).all():
            break
        mine = [code == c for c in range(len(centre))]
        centre = np.array([np.average(place[m], axis=0, weights=weight[m]) if m.any() else c
                           for m, c in zip(mine, centre, strict=True)])  # fmt: skip
    return round(float(weight @ far.min(axis=1)), 6), code


def k_means(place: Floats, weight: Floats, k: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """The best of several runs of `lloyd`, each from k rows drawn by k-means++ (Arthur and Vassilvitskii, 2007)."""
    runs = []
    for _ in range(_STARTS):
        centre = place[rng.choice(len(place), 1, p=weight / weight.sum())]
        while len(centre) < k:
            far = weight * np.min([((place - c) ** 2).sum(axis=1) for c in centre], axis=0)
            centre = np.vstack([centre, place[rng.choice(len(place), 1, p=far / far.sum())]])
        runs.append(lloyd(place, weight, centre))
    return min(runs, key=lambda run: run[0])[1]


def groups(words: Words, *, max_issues: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Into which groups do the documents fall? A code each; the number of groups is the one of the best silhouette.

    k-means on `together` for 2 to `max_issues` groups (Rousseeuw, 1987, for the silhouette). All documents are one
    group where no words occur together or no number of groups is clearly better than one.
    """
    code = np.zeros(words.matrix.shape[0], dtype=np.int64)
    state = int(rng.integers(2**31))
    if len(words.names) < 2 or max_issues < 2:
        return code
    place = together(words)
    spoken = np.flatnonzero(np.abs(place).sum(axis=1) > 0)
    place, many = place[spoken], words.weight[spoken]
    best, different = _CLEAR, len(np.unique(place.round(6), axis=0)) if len(spoken) else 0
    for k in range(2, min(max_issues, different) + 1):
        fit = k_means(place, many, k, rng)
        if not 1 < len(np.unique(fit)) < len(fit):
            continue
        clear = silhouette_score(place, fit, sample_size=min(len(fit), 1500), random_state=state)
        if clear > best + 1e-9:
            best, code[spoken] = clear, fit
    # Documents without a telling word join the largest group: there is nothing to tell them apart by.
    rest = np.setdiff1d(np.arange(len(code)), spoken)
    code[rest] = np.bincount(code[spoken], weights=many).argmax() if len(spoken) else 0
    return code


def title(words: Words, member: npt.NDArray[np.bool_], top: int = 4) -> str:
    """The words that tell this issue from the component's other complaints, most telling first.

    Ranked by (observed - expected) / sqrt(expected) uses, expected if the issue's complaints used words as all do.

    >>> words = Words(csr_array(np.array([[1, 1], [0, 1]])), np.ones(2), np.array([0, 1]), ["slow", "bad"])
    >>> title(words, np.array([True, False]), top=1)
    'slow'
    """
    if not words.names:
        return "no word is used by enough people"
    rows = words.matrix[words.document]
    inside, all_ = (np.asarray(rows[m].sum(axis=0)).ravel() for m in (member, np.ones(len(member), bool)))
    expected = np.maximum(all_ * member.mean(), 1e-9)
    telling = (inside - expected) / np.sqrt(expected) if not member.all() else inside
    order = [i for i in np.argsort(-telling, kind="stable")[:top] if inside[i] > 0]
    return " · ".join(words.names[i] for i in order) or "no word is used by enough people"
