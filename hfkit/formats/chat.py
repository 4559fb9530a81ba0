"""Chat transcripts as JSON lines: an object with `messages`, a list of {role, content}, and any other keys.

The other keys are kept (dotted). Of the conversation only three columns are made: `last_user`, `last_assistant` (the
last words of each) and `turns` (how many messages the user wrote); the rest of it is not read further.
"""

from __future__ import annotations

from typing import Any

from hfkit.formats import jsonl
from hfkit.shared.records import Records


def read(data: bytes, source: str) -> Records:
    """The records of a chat export. A line without a proper `messages` list is rejected as `not_a_record`."""
    return jsonl.read_lines(data, source, _conversation)


def _conversation(record: dict[str, Any]) -> dict[str, Any] | None:
    messages = record.get("messages")
    if not isinstance(messages, list) or not messages:
        return None
    turns: dict[str, list[str]] = {"user": [], "assistant": []}
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            return None
        words = _words(message.get("content"))
        if words is None:
            return None
        turns.setdefault(message["role"], []).append(words)
    last = {f"last_{role}": turns[role][-1] if turns[role] else None for role in ("user", "assistant")}
    return {k: v for k, v in record.items() if k != "messages"} | last | {"turns": len(turns["user"])}


def _words(content: Any) -> str | None:
    """The text of a message: a string, or the text parts of a list of parts; None where it is neither."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        return None
    return "\n".join(part["text"] for part in content if isinstance(part.get("text"), str))
