"""What waits to be sent to each client. A slow reader costs others nothing: its stale news is replaced, its last
words wait.

Sends never block. Progress and previews are thinned to 10 a second a job, of which the latest wins; replies and
Finished are kept in order and never dropped while the client is there.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import zmq

from shared.codec import Buffer, encode
from shared.handoff import Handoff
from shared.messages import Message

log = logging.getLogger(__name__)

EVENT_INTERVAL_S = 0.1
MAX_WAITING_REPLIES = 1024  # for a client that asks and never reads

Frames = list[Buffer]
Topic = tuple[str, str]  # job, message type


@dataclass
class _Box:
    replies: deque[Frames] = field(default_factory=deque)
    news: dict[Topic, Frames] = field(default_factory=dict)
    sent_at: dict[Topic, float] = field(default_factory=dict)


class Outbox:
    """One box a client, by its ROUTER identity."""

    def __init__(self, socket: zmq.Socket, on_gone: Callable[[bytes], None]) -> None:
        """on_gone is told of a client whose connection has ended."""
        self._socket = socket
        self._on_gone = on_gone
        self._boxes: dict[bytes, _Box] = {}

    def reply(self, client: bytes, message: Message, handoff: Handoff | None = None) -> None:
        """A message that must arrive, in order."""
        box = self._boxes.setdefault(client, _Box())
        box.replies.append(encode(message, handoff))
        self._flush_replies(client, box)
        if len(box.replies) > MAX_WAITING_REPLIES:
            log.warning("a client has %d answers waiting and reads none; it is forgotten", len(box.replies))
            self._forget(client)

    def news(self, client: bytes, topic: Topic, frames: Frames) -> None:
        """A message that the next one of its topic replaces, if that comes first."""
        self._boxes.setdefault(client, _Box()).news[topic] = frames

    def last_word(self, client: bytes, job: str, message: Message) -> None:
        """A message that must arrive, after which older news of the job would only confuse."""
        box = self._boxes.setdefault(client, _Box())
        for topic in [topic for topic in {*box.news, *box.sent_at} if topic[0] == job]:
            box.news.pop(topic, None)
            box.sent_at.pop(topic, None)
        self.reply(client, message)

    def flush(self, now: float) -> None:
        """Send what may be sent now."""
        for client, box in list(self._boxes.items()):
            if not self._flush_replies(client, box):
                continue
            for topic in [topic for topic in box.news if now - box.sent_at.get(topic, -1.0) >= EVENT_INTERVAL_S]:
                if not self._send(client, box.news[topic]):
                    break
                del box.news[topic]
                box.sent_at[topic] = now
            if not (box.replies or box.news or box.sent_at):
                self._boxes.pop(client, None)

    @property
    def has_mail(self) -> bool:
        return any(box.replies or box.news for box in self._boxes.values())

    def _flush_replies(self, client: bytes, box: _Box) -> bool:
        while box.replies:
            if not self._send(client, box.replies[0]):
                return False
            box.replies.popleft()
        return True

    def _send(self, client: bytes, frames: Frames) -> bool:
        try:
            self._socket.send_multipart([client, *frames], flags=zmq.NOBLOCK, copy=False)
        except zmq.Again:  # its queue is full: it does not read
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._forget(client)
            return False
        return True

    def _forget(self, client: bytes) -> None:
        self._boxes.pop(client, None)
        self._on_gone(client)
