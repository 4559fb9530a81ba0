"""Who answered and what they said: honest raters and tools, and the planted troubles among them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.commands.sample import vocabulary as v
from hfkit.commands.sample.items import DAYS, Ints, Rng, pick, times, words

ROLES = {"tool": 6, "spam": 10, "brigade": 15, "clique": 12, "withdrawn": 6, "annotator": 40}
"""Of 400 raters; everybody else is an ordinary user."""
CHANNELS = ("thumbs", "survey", "annotation", "chat", "tool_log")
PREFIX = "tsacg"
SHARES = {"tool_log": 0.25, "annotation": 0.07, "spam": 0.0225, "brigade": 0.009, "clique": 0.048, "misrouted": 0.01}
"""Of all answers; the rest are honest answers by thumbs, survey and chat."""
QUIET_AGE, QUIET_FACTOR = "60+", 0.2
BRIGADE_TOPIC, BRIGADE_WEEK, BRIGADE_DAYS = 0, 12, 3
CLIQUE_TOPIC, CLIQUE_ITEMS, CLIQUE_DENIES = 0, 0.6, 0.95
KINDS = ("honest", "spam", "brigade", "clique", "misrouted")
HONEST, SPAM, BRIGADE, CLIQUE, MISROUTED = range(5)
SECRETS, REFUSED = 60, 60


def people(n: int, rng: Rng) -> pd.DataFrame:
    """n raters with cohorts, `_role`, how exact they are and how much they answer."""
    number = {role: max(3, round(k * n / 400)) for role, k in ROLES.items()}
    role = np.array(["ordinary"] * n, dtype=object)
    role[: sum(number.values())] = [r for r, k in number.items() for _ in range(k)]
    role[number["tool"] :] = rng.permutation(role[number["tool"] :])
    tool = role == "tool"
    ids = [f"r{1001 + i}" for i in range(n)]
    ids[: number["tool"]] = [f"tool-{i + 1}" for i in range(number["tool"])]
    age = np.where(tool, -1, pick(rng, [s * 0.97 for s in v.AGES_OF_RATERS.values()], n))
    region = np.where(tool, -1, pick(rng, [s * 0.95 for s in v.REGIONS.values()], n))
    exact = np.select([tool, role == "annotator"], [0.82, 0.93], 0.78 + 0.16 * rng.random(n))
    quiet = age == list(v.AGES_OF_RATERS).index(QUIET_AGE)
    busy = np.exp(0.6 * rng.normal(size=n)) * np.where(quiet, QUIET_FACTOR, 1)
    busy = np.where(np.isin(role, ["ordinary", "withdrawn", "clique"]), busy, 0)
    return pd.DataFrame({
        "rater_id": ids, "consent": np.where(role == "withdrawn", "withdrawn", "granted"),
        "cohort.region": words(list(v.REGIONS), region), "cohort.age_band": words(list(v.AGES_OF_RATERS), age),
        "_role": role, "_exact": exact, "_busy": busy,
        "_constant": (role == "spam") & (np.cumsum(role == "spam") % 2 == 0),
    })  # fmt: skip


def make(items: pd.DataFrame, raters: pd.DataFrame, total: int, rng: Rng) -> pd.DataFrame:
    """`total` answers, no rater twice on one item, in the order given; `_kind` is why it was given."""
    plan = _plan(items, raters, total, rng)
    seconds = _when(plan, items, rng)
    plan = plan.assign(seconds=seconds).sort_values(["seconds", "rater", "item"], ignore_index=True)
    texts = _say(plan, items, raters, rng)
    rank = plan.groupby("channel").cumcount() + 1
    width = max(4, len(str(len(plan))))
    ids = [f"a{k}" if c == 2 else f"{PREFIX[c]}{k:0{width}d}" for c, k in zip(plan["channel"], rank, strict=True)]
    tool = plan["channel"] == CHANNELS.index("tool_log")
    scope = np.array(["train"] * len(plan), dtype=object)
    free = np.flatnonzero((plan["kind"] == HONEST) & np.isin(plan["channel"], (0, 1, 3)))
    scope[rng.choice(free, REFUSED * total // 20_000, replace=False)] = "none"
    return pd.DataFrame({
        "feedback_id": ids, "item_id": items["item_id"].to_numpy()[plan["item"]],
        "rater_id": raters["rater_id"].to_numpy()[plan["rater"]],
        "rater_kind": np.where(tool, "code", "human"), "channel": words(CHANNELS, plan["channel"].to_numpy()),
        "created_at": times(plan["seconds"].to_numpy()), "consent_scope": scope, "model_version": "v0",
        "component": items["component"].to_numpy()[plan["item"]],
        **texts, "_kind": plan["kind"].to_numpy(), "_item": plan["item"].to_numpy(), "_rater": plan["rater"].to_numpy(),
    })  # fmt: skip


def _plan(items: pd.DataFrame, raters: pd.DataFrame, total: int, rng: Rng) -> pd.DataFrame:
    """Who answers about which item, by which channel and why. Planned troubles come first, so that they stay whole."""
    n, n_of = len(items), {k: int(s * total) for k, s in SHARES.items()}
    thumbs, survey, annotation, chat, tool = range(5)
    parts = []
    for name, kind in (("spam", SPAM), ("brigade", BRIGADE), ("clique", CLIQUE)):
        who = np.flatnonzero(raters["_role"] == name)
        rater = np.resize(who, n_of[name])
        item = rng.choice(_target(kind, items, rng), n_of[name])
        channel = np.where(rng.random(n_of[name]) < (0.5 if kind == SPAM else 0), survey, thumbs)
        parts.append((rater, item, channel, kind))
    crowd = raters["_busy"].to_numpy() / raters["_busy"].sum()
    m = n_of["misrouted"]
    parts.append((rng.choice(len(raters), m, p=crowd), rng.integers(0, n, m), np.full(m, thumbs), MISROUTED))
    m = n_of["annotation"]
    expert, desk = np.flatnonzero(raters["_role"] == "annotator"), rng.choice(n, max(1, m * 3 // 7), replace=False)
    parts.append((rng.choice(expert, m), np.sort(np.resize(desk, m)), np.full(m, annotation), HONEST))
    m, machine = n_of["tool_log"], np.flatnonzero(raters["_role"] == "tool")
    item = np.resize(rng.permutation(n), m)
    parts.append((machine[item % 3 + 3 * rng.integers(0, len(machine) // 3, m)], item, np.full(m, tool), HONEST))
    m = int(total * 0.65)
    shielded = (items["_component"] == 2) & (items["_topic"] == CLIQUE_TOPIC)
    wanted = np.where(shielded, 0.5, 1.0)
    item = np.concatenate([rng.permutation(n), rng.choice(n, m - n, p=wanted / wanted.sum())])
    channel = np.array([thumbs, survey, chat])[np.searchsorted([0.4, 0.9], rng.random(m))]
    parts.append((rng.choice(len(raters), m, p=crowd), item, channel, HONEST))
    plan = pd.concat(
        [pd.DataFrame({"rater": r, "item": i, "channel": c, "kind": k}) for r, i, c, k in parts], ignore_index=True
    )
    return plan.drop_duplicates(["rater", "item"], ignore_index=True).head(total)


def _target(kind: int, items: pd.DataFrame, rng: Rng) -> Ints:
    """The items a trouble is about: spam any, the brigade one recent topic, the clique a part of one topic."""
    day = items["_seconds"] / 86_400
    if kind == BRIGADE:
        recent = day.between(BRIGADE_WEEK * 7 - 28, BRIGADE_WEEK * 7, inclusive="left")
        return np.flatnonzero(recent & (items["_component"] == 1) & (items["_topic"] == BRIGADE_TOPIC))
    if kind == CLIQUE:
        topic = np.flatnonzero((items["_component"] == 2) & (items["_topic"] == CLIQUE_TOPIC))
        return np.sort(rng.choice(topic, int(len(topic) * CLIQUE_ITEMS), replace=False))
    return np.arange(len(items))


def _when(plan: pd.DataFrame, items: pd.DataFrame, rng: Rng) -> pd.Series:
    """Seconds after the start: some days after serving, before the end; the brigade all in a few days."""
    served, u = items["_seconds"].to_numpy()[plan["item"]], rng.random(len(plan))
    delay = 60 - np.log1p(-rng.random(len(plan))) * np.where(plan["channel"] == 4, 60, 1.5 * 86_400)
    end = DAYS * 86_400.0
    at = np.where(served + delay < end - 1, served + delay, served + (end - 1 - served) * u)
    burst = (BRIGADE_WEEK * 7 + u * BRIGADE_DAYS) * 86_400
    return pd.Series(np.where(plan["kind"] == BRIGADE, burst, at), index=plan.index)


def _say(plan: pd.DataFrame, items: pd.DataFrame, raters: pd.DataFrame, rng: Rng) -> dict[str, object]:
    """question, value, label, seconds_spent, value_text (with `_secret`, the personal data in it) of every answer."""
    n, kind, channel = len(plan), plan["kind"].to_numpy(), plan["channel"].to_numpy()
    own = items.iloc[plan["item"]]
    event, decision = own["_event"].to_numpy(), own["decision"].to_numpy()
    right = rng.random(n) < raters["_exact"].to_numpy()[plan["rater"]]
    belief = np.where(right, event, 1 - event)
    belief = np.where((kind == CLIQUE) & (rng.random(n) < CLIQUE_DENIES), 0, belief)
    agree = belief == decision
    constant = raters["_constant"].to_numpy()[plan["rater"]]
    agree = np.where(kind == SPAM, constant | (rng.random(n) < 0.5), agree)
    agree = np.where((kind == BRIGADE) | (kind == MISROUTED), False, agree)
    neutral = rng.random(n) < np.choose(channel, [0, 0.12, 0.04, 0, 0])
    neutral &= kind == HONEST
    high = rng.random(n) < 0.5
    value = np.select(
        [channel == 0, channel == 1, channel == 2, channel == 3],
        [words(("down", "up"), agree.astype(int)),
         np.where(neutral, "3", words(("1", "2", "4", "5"), agree * 2 + np.where(constant, True, high))),
         np.where(neutral, "unsure", words(("no", "yes"), belief)), words(("no", "yes"), agree.astype(int))],
        words(("ok", "flag"), belief),
    )  # fmt: skip
    states = np.isin(channel, (2, 4))
    label = np.where(states, belief, np.where(agree, decision, 1 - decision)).astype(float)
    spent = np.exp(np.where(channel == 2, 3.2, 2.5) + 0.5 * rng.normal(size=n))
    spent = np.ceil(np.where(kind == SPAM, 2 * rng.random(n), spent))
    text, secret, about = _comment(plan, own, agree & ~states, rng)
    return {
        "question": words(("thumb", "satisfaction", "event_holds", "solved", "check"), channel), "value": value,
        "label": np.where(neutral, np.nan, label), "seconds_spent": np.where(np.isin(channel, (3, 4)), np.nan, spent),
        "value_text": text, "_secret": secret, "_about": about,
    }  # fmt: skip


def _comment(
    plan: pd.DataFrame, own: pd.DataFrame, agree: npt.NDArray[np.bool_], rng: Rng
) -> tuple[object, object, object]:
    """What was written with it, the personal data in it, and the component the words are about."""
    n, kind, channel = len(plan), plan["kind"].to_numpy(), plan["channel"].to_numpy()
    misrouted, component = kind == MISROUTED, own["_component"].to_numpy()
    about = np.where(misrouted, (component + rng.integers(1, 3, n)) % 3, component)
    chance = np.select([kind == BRIGADE, kind == CLIQUE, kind == SPAM], [0.9, 0.8, 0.0], 0.45)
    chance = np.where(agree, 0.03, chance)
    chance = np.where(misrouted | (channel == 3), 1.0, np.where(np.isin(channel, (2, 4)), 0.0, chance))
    spoke = rng.random(n) < chance
    core, decision = np.empty(n, dtype=object), own["decision"].to_numpy()
    noun, draw, topic = own["_noun"].to_numpy().copy(), rng.integers(0, 12, n), rng.integers(0, 30, n)
    for c, part in enumerate(v.PARTS):
        here = about == c
        missed, alarmed = words(part.missed, draw % len(part.missed)), words(part.alarmed, draw % len(part.alarmed))
        core[here] = np.where(decision == 1, alarmed, missed)[here]
        strange = here & misrouted
        core[strange] = missed[strange]
        noun[strange] = np.array([x for t in part.topics for x in t.nouns], dtype=object)[topic[strange]]
    lead = words(v.LEADS, rng.integers(0, len(v.LEADS), n))
    text = np.where(agree, words(v.THANKS, draw % len(v.THANKS)), lead + core + " (" + noun + ")")
    secret = np.full(n, None, dtype=object)
    free = np.flatnonzero(spoke & ~agree & (kind == HONEST) & (channel < 2))
    chosen = np.sort(rng.choice(free, min(len(free), SECRETS * n // 20_000), replace=False))
    for k, row in enumerate(chosen):
        which = list(v.SECRETS)[k % len(v.SECRETS)]
        secret[row] = (which, secret_of(which, k))
    text[~spoke] = None
    return text, secret, np.where(spoke, about, -1)


def secret_of(kind: str, k: int) -> str:
    """The k-th made-up e-mail address, phone number, card number or IBAN; check digits are right, nobody owns them.

    >>> secret_of("card", 0), secret_of("iban", 0)
    ('4000 0000 0000 0002', 'DE89 3704 0044 0532 0130 00')
    """
    if kind == "email":
        return f"pat.sample{k}@example.org"
    if kind == "phone":
        return f"+1 202-555-{100 + k % 100:04d}"
    if kind == "card":
        body = f"4{k:014d}"
        double = [int(c) * 2 - 9 * (int(c) > 4) for c in body[::2]]
        return _spaced(body + str(-(sum(double) + sum(map(int, body[1::2]))) % 10))
    body = f"37040044{532013000 + k:010d}"
    return _spaced(f"DE{98 - int(body + '131400') % 97:02d}{body}")


def _spaced(text: str) -> str:
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))
