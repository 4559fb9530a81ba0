"""What the assistant did: items with a latent event, a distorted serving score, an experiment and logged actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.commands.sample import vocabulary as v

Rng = np.random.Generator
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
START = pd.Timestamp("2026-01-05", tz="UTC")
RUN_DATE = "2026-07-06"
DAYS = 182
DRIFT_WEEK = 18
LATENCY_FACTOR = 1.8
LENGTH_SHIFT = 18.0
AB_EFFECT = 0.1
AB_CONTROL = 0.45
HARMED_LANGUAGE = "es"
SHRINK, SHIFT = 0.45, -1.2
OVERCONFIDENCE = 1.7
RISKY_TOPIC_LIFT = 2.2
MISSING = -1


def pick(rng: Rng, shares: Sequence[float], n: int) -> Ints:
    """n codes drawn with the given shares; where they sum to less than 1 the rest is MISSING."""
    code = np.searchsorted(np.cumsum(shares), rng.random(n), side="right")
    return np.where(code == len(shares), MISSING, code).astype(np.int64)


def words(values: Sequence[Any], code: Ints) -> npt.NDArray[np.object_]:
    """Codes as words; MISSING as None."""
    return np.array([*values, None], dtype=object)[code]


def times(seconds: Floats) -> pd.Series:
    """Seconds after START as times, whole seconds."""
    return pd.Series(START + pd.to_timedelta(np.floor(seconds).astype("int64"), unit="s")).astype("datetime64[us, UTC]")


def make(n: int, rng: Rng) -> pd.DataFrame:
    """n items in the order they were served; columns starting with `_` are latent (the truth, codes for `answers`)."""
    number = np.arange(n)
    seconds = (number + rng.random(n)) / n * DAYS * 86_400
    component = number % len(v.PARTS)
    late = seconds >= DRIFT_WEEK * 7 * 86_400
    language = pick(rng, [s * 0.98 for s in v.LANGUAGES.values()], n)
    gap = np.round(rng.random(n), 2)
    text, topic, noun, z = _texts(component, rng)
    z = z + 2.4 * (gap - 0.5)
    width = max(4, len(str(n)))
    items = pd.DataFrame({
        "item_id": [f"i{k:0{width}d}" for k in range(1, n + 1)],
        "component": words([p.name for p in v.PARTS], component),
        "served_at": times(seconds),
        "text": text,
        "latency_ms": np.round(np.exp(6 + 0.35 * rng.normal(size=n)) * np.where(late, LATENCY_FACTOR, 1)),
        "error": (rng.random(n) < 0.01).astype("int64"),
        "model_version": "v0",
        "cohort.language": words(list(v.LANGUAGES), language),
        "cohort.age_band": words(list(v.AGES), pick(rng, [s * 0.95 for s in v.AGES.values()], n)),
        "feature.length": np.clip(np.round(40 + 12 * rng.normal(size=n) + LENGTH_SHIFT * late), 3, None),
        "feature.gap": gap,
        "feature.tenure": np.round(-200 * np.log1p(-rng.random(n))),
        "_event": (rng.random(n) < 1 / (1 + np.exp(-z))).astype("int64"),
        "_topic": topic, "_noun": noun, "_component": component, "_seconds": seconds,
    })  # fmt: skip
    items["score"] = _serving_score(z, language, rng)
    threshold = np.array([p.threshold for p in v.PARTS])[component]
    items["decision"] = (items["score"] >= threshold).astype("int64")
    return _experiment(_logs(items, rng), rng)


def _texts(component: Ints, rng: Rng) -> tuple[npt.NDArray[np.object_], Ints, npt.NDArray[np.object_], Floats]:
    """Text, topic code, noun and the logit of the event that the words carry."""
    n = len(component)
    text, noun_of = np.empty(n, dtype=object), np.empty(n, dtype=object)
    topic, z = rng.integers(0, 5, n), np.zeros(n)
    opener, detail = rng.integers(0, len(v.OPENERS), n), rng.integers(0, len(v.DETAILS), n)
    noun, place = rng.integers(0, 6, n), rng.integers(0, 6, n)
    mark, source = rng.integers(0, 10, n), rng.integers(0, 8, n)
    for c, part in enumerate(v.PARTS):
        own = np.flatnonzero(component == c)
        nouns = np.array([t.nouns for t in part.topics], dtype=object)[topic[own], noun[own]]
        places = np.array([t.places for t in part.topics], dtype=object)[topic[own], place[own]]
        marks, sources = words(part.marks, mark[own]), words(part.sources, source[own])
        text[own] = (words(v.OPENERS, opener[own]) + " " + marks + " " + nouns + " " + places + ", " + sources + " "
                     + words(v.DETAILS, detail[own]))  # fmt: skip
        noun_of[own] = nouns
        z[own] = part.intercept + (mark[own] - 4.5) * 0.6 + (source[own] - 3.5) * 0.6
    risky = RISKY_TOPIC_LIFT * ((component == 2) & (topic == 0))
    return text, topic, noun_of, z + (topic - 2) * 0.25 + risky


def _serving_score(z: Floats, language: Ints, rng: Rng) -> Floats:
    """v0 sees half of the signal, is overconfident, and for one language it is shrunk and too low: it misses more."""
    seen = OVERCONFIDENCE * (0.5 * z + 0.9 * rng.normal(size=len(z)))
    harmed = language == list(v.LANGUAGES).index(HARMED_LANGUAGE)
    seen = np.where(harmed, SHRINK * seen + SHIFT, seen)
    return np.clip(np.round(1 / (1 + np.exp(-seen)), 3), 0.001, 0.999)


def _experiment(items: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    """Half of the ranking items went to the treatment arm, which raises the chance of a reward by AB_EFFECT."""
    own = np.flatnonzero(items["_component"] == 0)
    treated = rng.permutation(len(own)) % 2
    arm = np.full(len(items), MISSING)
    arm[own] = treated
    reward = items["reward"].to_numpy(copy=True)
    reward[own] = rng.random(len(own)) < AB_CONTROL + AB_EFFECT * treated
    return items.assign(arm=words(("control", "treatment"), arm), reward=reward)


def _logs(items: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    """On policy items a logged policy chose one of four actions with a known probability, given the context."""
    n = len(items)
    context = np.where(items["_component"] == 1, pick(rng, list(v.CONTEXTS.values()), n), MISSING)
    logging = np.array(list(v.LOGGING.values()))
    action = (rng.random(n)[:, None] > np.cumsum(logging, axis=1)[context][:, :-1]).sum(axis=1)
    action = np.where(context == MISSING, MISSING, action)
    has_context = context != MISSING
    mean = np.array(list(v.REWARD.values()))[context, action]
    return items.assign(
        context=words(list(v.CONTEXTS), context),
        action=words(v.ACTIONS, action),
        propensity=np.where(has_context, logging[context, action], np.nan),
        reward=np.where(has_context, (rng.random(n) < mean).astype(float), np.nan),
    )


def policy_value(policy: Mapping[str, Sequence[float]]) -> float:
    """The true mean reward of a policy, by arithmetic over contexts and actions."""
    return round(sum(
        share * sum(p * r for p, r in zip(policy[c], v.REWARD[c], strict=True)) for c, share in v.CONTEXTS.items()
    ), 6)  # fmt: skip
