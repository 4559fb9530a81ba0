"""Scores by group: ranking, losses and calibration in the large."""
