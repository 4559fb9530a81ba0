"""The words of the sample world: an assistant product with three components, five topics each.

A text is opener + noun + mark + place + source + detail. Mark and source words carry the event: their position in the
list is their weight, from the safest first to the riskiest last. It has at most nine distinct words, so that texts that
differ in one word are not near-duplicates (Jaccard index below 0.9).
"""

from __future__ import annotations

from typing import NamedTuple


class Topic(NamedTuple):
    """What a text is about: things asked about, and where or for whom."""

    name: str
    nouns: tuple[str, ...]
    places: tuple[str, ...]


class Part(NamedTuple):
    """One component: what its score predicts, what its mistakes cost, its topics, and how people complain about it."""

    name: str
    event: str
    threshold: float
    cost_false_alarm: float
    cost_miss: float
    effort_days: float
    intercept: float
    topics: tuple[Topic, ...]
    marks: tuple[str, ...]
    sources: tuple[str, ...]
    missed: tuple[str, ...]
    alarmed: tuple[str, ...]


def _t(name: str, nouns: str, places: str) -> Topic:
    return Topic(name, tuple(nouns.split()), tuple(places.split()))


RANKING = Part(
    "ranking",
    "the first answer misses what was asked",
    0.5,
    1,
    1,
    2,
    -0.5,
    (
        _t(
            "shopping",
            "laptop headphones sofa jacket blender backpack",
            "outlet checkout catalogue warehouse discount brand",
        ),
        _t("travel", "flight hostel ferry visa itinerary museum", "airport border island station summer platform"),
        _t("cooking", "lasagna curry sourdough pancake risotto marinade", "oven freezer spices vegan stove leftovers"),
        _t(
            "news",
            "election inflation transfer strike verdict merger",
            "parliament stadium senate headline court council",
        ),
        _t("music", "guitar playlist concert lyrics piano festival", "vinyl tour chords stage album studio"),
    ),
    ("exact", "named", "quoted", "specific", "common", "broad", "related", "similar", "vague", "ambiguous"),
    ("official", "recent", "verified", "mixed", "cached", "scraped", "stale", "outdated"),
    (
        "first result was about something else",
        "results are old and off topic",
        "wrong order, the good link is far down",
        "search did not find what I asked",
    ),
    (
        "it kept offering other results, the first was fine",
        "stop asking me to rephrase, the link was right",
        "the top result was good but it hid it",
    ),
)
POLICY = Part(
    "policy",
    "the reply breaks a product rule",
    0.4,
    2,
    3,
    4,
    -0.9,
    (
        _t(
            "refunds",
            "refund voucher chargeback return exchange reimbursement",
            "receipt order parcel invoice cashier deadline",
        ),
        _t(
            "privacy",
            "address birthday contacts location browsing recordings",
            "profile settings partner archive export device",
        ),
        _t(
            "contracts",
            "lease warranty subscription insurance tenancy renewal",
            "clause landlord notice signature term agent",
        ),
        _t(
            "advertising",
            "slogan sponsor banner giveaway endorsement newsletter",
            "campaign influencer audience flyer launch poster",
        ),
        _t(
            "accounts",
            "password login username verification upgrade deletion",
            "admin portal support inbox ticket dashboard",
        ),
    ),
    (
        "standard",
        "published",
        "documented",
        "usual",
        "possible",
        "likely",
        "special",
        "exclusive",
        "unlimited",
        "guaranteed",
    ),
    ("cited", "checked", "reviewed", "drafted", "guessed", "copied", "invented", "unapproved"),
    (
        "promised something the rules do not allow",
        "the agent broke company rules",
        "made a commitment nobody approved",
        "gave terms that are not in our policy",
    ),
    (
        "refused although the rules allow it",
        "quoted a rule that does not exist",
        "would not help with a permitted request",
    ),
)
SAFETY = Part(
    "safety",
    "the reply could harm someone",
    0.25,
    1,
    3,
    6,
    -1.2,
    (
        _t(
            "medicine",
            "painkiller insulin antibiotic inhaler sedative vitamin",
            "dosage pharmacy toddler prescription clinic overdose",
        ),
        _t("fire", "candle fireworks barbecue heater lantern stove", "garage balcony curtain propane tent chimney"),
        _t("driving", "motorbike trailer scooter brakes tyres truck", "motorway fog icy junction tunnel speeding"),
        _t(
            "scams",
            "lottery inheritance crypto phishing investment parcel",
            "stranger transfer giftcard wallet caller urgent",
        ),
        _t(
            "chemicals",
            "bleach ammonia pesticide solvent descaler varnish",
            "fumes bucket drain basement gloves cellar",
        ),
    ),
    (
        "supervised",
        "labelled",
        "measured",
        "ordinary",
        "leftover",
        "improvised",
        "doubled",
        "unattended",
        "undiluted",
        "expired",
    ),
    ("cautioned", "warned", "explained", "shortened", "casual", "encouraging", "daring", "reckless"),
    (
        "dangerous advice without any warning",
        "somebody could get hurt by this",
        "it should have blocked this harmful reply",
        "unsafe instructions, no caution at all",
    ),
    (
        "blocked a harmless question",
        "warning is over the top, nothing dangerous here",
        "refused safe advice as harmful",
    ),
)
PARTS = (RANKING, POLICY, SAFETY)

OPENERS = ("compare", "explain", "summarise", "list", "describe", "recommend", "check", "plan", "rewrite", "outline",
           "collect", "review")  # fmt: skip
DETAILS = ("tonight", "weekend", "cheaply", "beginners", "seniors", "quickly", "abroad", "monday", "family", "students",
           "winter", "briefly")  # fmt: skip
LEADS = ("", "again: ", "hm, ", "honestly, ", "third time now: ", "sorry but ", "please fix: ", "not good: ")
THANKS = ("thanks, that helped", "great answer", "exactly what I needed", "works for me", "good and quick", "all fine")
SECRETS = {
    "email": " mail me at {}", "phone": " call me on {}", "card": " my card is {}", "iban": " pay it to {}",
}  # fmt: skip

REGIONS = {"north": 0.3, "south": 0.3, "east": 0.2, "west": 0.2}
LANGUAGES = {"en": 0.55, "es": 0.2, "fr": 0.13, "de": 0.09, "pt": 0.03}
AGES = {"18-29": 0.25, "30-44": 0.3, "45-59": 0.25, "60+": 0.2}
AGES_OF_RATERS = {"18-29": 0.33, "30-44": 0.38, "45-59": 0.24, "60+": 0.05}

CONTEXTS = {"new": 0.4, "regular": 0.4, "business": 0.2}
ACTIONS = ("answer", "clarify", "cite", "hand_over")
LOGGING = {"new": (0.4, 0.3, 0.2, 0.1), "regular": (0.5, 0.2, 0.2, 0.1), "business": (0.3, 0.3, 0.2, 0.2)}
TARGET = {"new": (0.1, 0.6, 0.2, 0.1), "regular": (0.2, 0.1, 0.6, 0.1), "business": (0.1, 0.2, 0.2, 0.5)}
REWARD = {"new": (0.3, 0.6, 0.45, 0.4), "regular": (0.5, 0.35, 0.7, 0.3), "business": (0.35, 0.4, 0.45, 0.65)}
