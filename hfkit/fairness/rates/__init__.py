"""Rates by group: selection, true and false positives, precision, accuracy."""
