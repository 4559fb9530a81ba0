"""Slices nobody declared: proposed by one half of the items, confirmed by the other."""
