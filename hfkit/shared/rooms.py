"""The rooms of the loop, in order: the one place that names them. Everything that needs the list reads it here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """One stage of the loop: its name, the same in every place, and the question that its page answers."""

    name: str
    question: str


ROOMS = (
    Room("clean", "Which feedback is usable?"),
    Room("audit", "Who spoke, who did not, how reliable are they, what skews it?"),
    Room("aggregate", "What does the crowd say about each item, and how sure are we?"),
    Room("route", "Which component is each piece of feedback about?"),
    Room("prioritize", "What should we fix first, what is it worth, whom do we ask next?"),
    Room("retrain", "Is the retrained model cheaper for the people served, on data it never saw?"),
    Room("fairness", "Is the new model at least as good for everyone?"),
    Room("calibration", "Does the score mean what it says?"),
    Room("experiment", "Did it help where it was tried, and would another policy do better?"),
    Room("monitor", "Has anything changed since: inputs, scores, latency, errors, feedback?"),
    Room("decide", "May we ship it, and who says so?"),
    Room("retrospective", "What was promised last time, what happened, which feedback paid off?"),
    Room("card", "What may people outside know, and what was done with the feedback?"),
    Room("report", "Where do we stand?"),
)
NAMES = tuple(room.name for room in ROOMS)
QUESTIONS = {room.name: room.question for room in ROOMS}
EVIDENCE = NAMES[: NAMES.index("decide")]  # the rooms whose evidence a decision may rest on
