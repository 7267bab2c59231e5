"""What waits to be sent to each client. A slow reader delays nobody else: its events are replaced by newer ones, its replies wait.

Sends never block. Progress and Preview are thinned to 10 per second and job, of which the latest wins; replies and
Finished are kept in order and never dropped while the client is connected.
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
LARGE_BYTES = 1 << 20
MAX_LARGE_UNREAD = 4  # large messages that a client may leave unread before its next request has to wait
MAX_LARGE_BYTES = 4 << 30  # of large messages to all clients that are not with the system yet

Frames = list[Buffer]
Topic = tuple[str, str]  # job, message type


@dataclass
class _Waiting:
    replies: deque[Frames] = field(default_factory=deque)
    events: dict[Topic, Frames] = field(default_factory=dict)
    sent_at: dict[Topic, float] = field(default_factory=dict)
    large: list[tuple[zmq.MessageTracker, int]] = field(default_factory=list)  # with libzmq, and their bytes

    def large_bytes(self) -> int:
        self.large = [(tracker, size) for tracker, size in self.large if not tracker.done]
        return sum(size for _, size in self.large)


class SendQueue:
    """The messages of every client, by its ROUTER identity."""

    def __init__(self, socket: zmq.Socket, on_silent: Callable[[bytes], None]) -> None:
        """on_silent is called with a client whose connection must end since it reads nothing."""
        self._socket = socket
        self._on_silent = on_silent
        self._waiting: dict[bytes, _Waiting] = {}

    def reply(self, client: bytes, message: Message, handoff: Handoff | None = None) -> None:
        """Send a message that must arrive, in order."""
        waiting = self._waiting.setdefault(client, _Waiting())
        waiting.replies.append(encode(message, handoff))
        self._flush_replies(client, waiting)
        if len(waiting.replies) > MAX_WAITING_REPLIES:
            log.warning("a client has %d answers waiting and reads none; it is dropped", len(waiting.replies))
            self.forget(client)
            self._on_silent(client)

    def send_event(self, client: bytes, topic: Topic, frames: Frames) -> None:
        """Send a message that the next one of its topic replaces if that comes before it could be sent."""
        self._waiting.setdefault(client, _Waiting()).events[topic] = frames

    def send_final(self, client: bytes, job: str, message: Message) -> None:
        """Send a message that must arrive and is the last about its job: events of the job that still wait are dropped."""
        waiting = self._waiting.setdefault(client, _Waiting())
        for topic in [topic for topic in {*waiting.events, *waiting.sent_at} if topic[0] == job]:
            waiting.events.pop(topic, None)
            waiting.sent_at.pop(topic, None)
        self.reply(client, message)

    def flush(self, now: float) -> None:
        """Send what may be sent now."""
        for client, waiting in list(self._waiting.items()):
            if not self._flush_replies(client, waiting):
                continue
            for topic in [
                topic for topic in waiting.events if now - waiting.sent_at.get(topic, -1.0) >= EVENT_INTERVAL_S
            ]:
                if not self._send(client, waiting, waiting.events[topic]):
                    break
                del waiting.events[topic]
                waiting.sent_at[topic] = now
            if not (waiting.replies or waiting.events or waiting.sent_at or waiting.large_bytes()):
                self._waiting.pop(client, None)

    def is_behind(self, client: bytes) -> bool:
        """Whether the client has not read what it asked for before, so that its next request has to wait."""
        waiting = self._waiting.get(client)
        if waiting is None or not (waiting.replies or waiting.large):
            return False
        own = waiting.large_bytes()
        if waiting.replies or len(waiting.large) >= MAX_LARGE_UNREAD:
            return True
        return bool(own) and sum(other.large_bytes() for other in self._waiting.values()) > MAX_LARGE_BYTES

    @property
    def has_waiting(self) -> bool:
        return any(waiting.replies or waiting.events or waiting.large for waiting in self._waiting.values())

    def forget(self, client: bytes) -> None:
        """Its connection has ended."""
        self._waiting.pop(client, None)

    def _flush_replies(self, client: bytes, waiting: _Waiting) -> bool:
        while waiting.replies:
            if not self._send(client, waiting, waiting.replies[0]):
                return False
            waiting.replies.popleft()
        return True

    def _send(self, client: bytes, waiting: _Waiting, frames: Frames) -> bool:
        size = sum(len(frame) for frame in frames[2:])
        is_large = size >= LARGE_BYTES
        try:
            tracker = self._socket.send_multipart([client, *frames], flags=zmq.NOBLOCK, copy=False, track=is_large)
        except zmq.Again:  # its queue is full: it does not read
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self.forget(client)  # its connection has ended, as the monitor says too
            return False
        if is_large and tracker is not None:
            waiting.large.append((tracker, size))
        return True
