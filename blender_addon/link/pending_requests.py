"""Requests on their way: which wait to be sent, which wait for an answer, and what an answer is about.

Nothing here outlives a connection: after the next handshake the session asks again for whatever still matters.
"""

from __future__ import annotations

from ..shared.messages import Message
from .connection import Connection


class Correspondence:
    """The requests of one session to its backend."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._asked: dict[str, tuple[type[Message], str]] = {}  # message id -> (its type, the job it is about)
        self._unsent: list[Message] = []

    def ask(self, message: Message, job: str) -> None:
        """Send a request about a job, now or when there is room. Without a link nothing waits: see above."""
        self._asked[message.id] = (type(message), job)
        if not self._connection.send(message) and self._connection.is_ready:
            self._unsent.append(message)

    def flush(self) -> None:
        """Send what had to wait."""
        self._unsent = [message for message in self._unsent if not self._connection.send(message)]

    def close_case(self, reply_to: str) -> tuple[type[Message] | None, str]:
        """The request that a reply answers, and its job;

        (None, "") for an event or for a request of an earlier connection.
        """
        return self._asked.pop(reply_to, (None, ""))

    def is_open(self, request: type[Message], job: str) -> bool:
        return (request, job) in self._asked.values()

    def forget(self) -> None:
        """The link is a new one: no answer to the old one's requests will come."""
        self._asked.clear()
        self._unsent.clear()
