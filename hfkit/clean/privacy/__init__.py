"""Personal data: found by rule, masked in every text before anything is written, ids of people made pseudonyms."""

from hfkit.clean.privacy.masks import (
    Privacy,
    finders,
    mask,
    mask_column,
    masked,
    names_a_person,
    pseudonym,
    pseudonymised,
)  # fmt: skip
from hfkit.clean.privacy.patterns import normalised

__all__ = [
    "Privacy", "finders", "mask", "mask_column", "masked", "names_a_person", "normalised", "pseudonym", "pseudonymised",
]  # fmt: skip
