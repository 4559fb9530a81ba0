"""Whose labels count: the comparison under other rules for the label, and the fewest raters that decide it."""
