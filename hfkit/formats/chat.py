"""Chat transcripts as JSON lines: an object with `messages`, a list of {role, content}, and any other keys.

The other keys are kept (dotted). Of the conversation only three columns are made: `last_user`, `last_assistant` (the
last words of each) and `turns` (how many messages the user wrote); the rest of it is not read further.
"""

from __future__ import annotations

from typing import Any

from hfkit.formats import jsonl
from hfkit.formats.plugin import Format
from hfkit.shared.records import Records


def read(data: bytes, source: str) -> Records:
    """The records of a chat export. An object without a proper `messages` list is rejected as `not_a_record`."""
    return jsonl.records(source, jsonl.either(data, source), lambda r: [_conversation(r)])


def _conversation(record: dict[str, Any]) -> jsonl.Parsed:
    messages = record.get("messages")
    if not isinstance(messages, list) or not messages:
        return "not_a_record"
    turns: dict[str, list[str]] = {"user": [], "assistant": []}
    for message in messages:
        text = words(message)
        if text is None:
            return "not_a_record"
        turns.setdefault(message["role"], []).append(text)
    last = {f"last_{role}": turns[role][-1] if turns[role] else None for role in ("user", "assistant")}
    return {k: v for k, v in record.items() if k != "messages"} | last | {"turns": len(turns["user"])}


def words(message: Any) -> str | None:
    """The text of a message {role, content}: a string, or the text parts of a list; None where it is no message."""
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        return None
    content = message.get("content")
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        return None
    return "\n".join(part["text"] for part in content if isinstance(part.get("text"), str))


def last_words(value: Any) -> str | None:
    """A prompt or a reply as text, be it text or a list of messages (then the last one's)."""
    if isinstance(value, list) and value:
        return words(value[-1])
    return value if isinstance(value, str) else None


FORMAT = Format(read)
