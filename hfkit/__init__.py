"""hfkit: weave human feedback into model improvement, with evidence good enough to sign."""

__version__ = "0.1.0"
