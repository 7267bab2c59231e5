"""What clients have sent and the server has not dealt with yet. The client that has cost the least time so far comes first, so
that one with costly requests delays no other.

Takes messages from the ROUTER socket, whole and never more than a bounded number at a time, and says whose each is. Reads none.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import zmq

from backend.server.bind import NUMBERS
from backend.server.connections import Connection, Connections
from shared.codec import MAX_ARRAYS

log = logging.getLogger(__name__)

MESSAGES_A_TURN = 256  # taken from libzmq before anything else gets its turn
TAKE_S = 0.01
MAX_PARTS = MAX_ARRAYS + 2
MAX_STRANGER_PARTS = 64  # of a message before Hello
MAX_WAITING = 16_384  # messages of one client
MAX_WAITING_BYTES = 24 << 20  # of their headers and small frames; large ones are counted with the connection
MAX_WAITING_BYTES_IN_ALL = 64 << 20
_FRAME_BYTES, _LARGE_BYTES = 512, 64 << 10  # what a frame costs beside its content
COST_HALVES_S = 1.0
MAX_ENDED = 4096
MAX_LOOKS = 8  # at what has happened to connections, for a message of one that is not known yet

Frames = list[zmq.Frame]


@dataclass
class _Line:
    """The messages of one connection that wait. cost_s: processing time that it has had lately."""

    connection: Connection
    messages: deque[tuple[Frames, int]] = field(default_factory=deque)  # with the bytes that each holds
    held_bytes: int = 0
    cost_s: float = 0.0


class Inbox:
    """Messages by connection. follow: brings `connections` up to date; called where a message is of none that is known yet.

    first_number: of the routing id that libzmq gives to the first client.
    """

    def __init__(
        self, router: zmq.Socket, connections: Connections, follow: Callable[[], None], first_number: int
    ) -> None:
        self._router = router
        self._connections = connections
        self._follow = follow
        self._first_number = first_number
        self._lines: dict[Connection, _Line] = {}
        self._costs_at = 0.0
        self._held_bytes = 0
        self._ended: dict[bytes, None] = {}  # routing ids of the latest connections that have ended, oldest first
        self._is_skipping = False  # the rest of a message that nobody reads

    def take(self, now: float) -> None:
        """Take what has come from libzmq, up to a limit."""
        until = time.perf_counter() + TAKE_S
        for _ in range(MESSAGES_A_TURN):
            try:
                if self._is_skipping:
                    self._skip()
                else:
                    self._take_message(now)
            except zmq.Again:
                self._connections.note_all_read()
                return
            if time.perf_counter() > until:
                return

    def _take_message(self, now: float) -> None:
        """One message, [routing id, frame, ...]. Whose it is shows in the first two; the rest of what nobody reads is skipped."""
        frames: Frames = [self._router.recv(zmq.NOBLOCK, copy=False)]  # the parts of a message come all together
        while frames[-1].more:
            frames.append(self._router.recv(zmq.NOBLOCK, copy=False))
            if len(frames) == 2:
                connection = self._connection_of(frames)
                if connection is None or connection.is_dropped or connection.is_mute:  # its last words
                    self._is_skipping = frames[-1].more
                    return
                most = MAX_PARTS if connection.is_greeted else MAX_STRANGER_PARTS
            if len(frames) > most and frames[-1].more:
                self._drop_flooding(connection, f"a message has more than {most} frames")
                self._is_skipping = True
                return
        if len(frames) > 1:
            self._put(connection, frames, now)

    def _skip(self) -> None:
        """Take more of a message that nobody reads."""
        for _ in range(MAX_PARTS):
            if not self._router.recv(zmq.NOBLOCK, copy=False).more:
                self._is_skipping = False
                return

    def _connection_of(self, frames: Frames) -> Connection | None:
        """The connection that a message came over, by descriptor and routing id; None where it has ended.

        Libzmq's descriptors are used again by later connections, and a client may announce the routing id of another that has
        ended: only both together name a connection.
        """
        client, descriptor = frames[0].bytes, _descriptor(frames[1])
        if client in self._ended:
            return None
        connection = self._connections.get(descriptor)
        for _ in range(MAX_LOOKS):
            if connection is not None and connection.client in (b"", client):
                break
            self._follow()
            connection = self._connections.get(descriptor)
        if connection is None or connection.client == client:
            return connection
        # Two routing ids over one descriptor: the last words of the connection that had it before, or the first of this one, for
        # which such words were taken. libzmq numbers clients as they come, so that the higher number is the later one.
        if connection.client and (
            self._is_chosen(client)
            or (not self._is_chosen(connection.client) and self._number(client) < self._number(connection.client))
        ):
            return None
        self._connections.demote(connection)
        connection.client, connection.refusals = client, 0
        connection.is_mute, connection.closes_at = False, math.inf
        return connection

    def has_chosen_id(self, connection: Connection) -> bool:
        """Whether the connection has announced its routing id: libzmq's own are numbered as clients come."""
        return self._is_chosen(connection.client)

    def _is_chosen(self, client: bytes) -> bool:
        if len(client) != 5 or client[0]:
            return True
        if self._number(client) >= self._connections.count_accepted:  # it may have come since we looked
            self._follow()
        return self._number(client) >= self._connections.count_accepted

    def _number(self, client: bytes) -> int:
        return (int.from_bytes(client[1:], "big") - self._first_number) % NUMBERS

    def _put(self, connection: Connection, frames: Frames, now: float) -> None:
        connection.heard = now
        size = _held_bytes(frames)
        connection.small += size
        line = self._lines.setdefault(connection, _Line(connection))
        line.messages.append((frames, size))
        line.held_bytes += size
        self._held_bytes += size
        if len(line.messages) > MAX_WAITING or line.held_bytes > MAX_WAITING_BYTES:
            self._drop_flooding(connection, "more of its requests wait than may wait")
        elif self._held_bytes > MAX_WAITING_BYTES_IN_ALL:
            largest = max(self._lines.values(), key=lambda line: line.held_bytes)
            self._drop_flooding(largest.connection, "too many requests of all clients wait")

    def _drop_flooding(self, connection: Connection, why: str) -> None:
        self._connections.drop_flooding(connection, why)
        self.forget(connection)

    def next(self, now: float, is_waiting: Callable[[Connection], bool]) -> tuple[Connection, Frames] | None:
        """The message to deal with now: of the client that has had least time lately, of those that need not wait."""
        if now - self._costs_at >= COST_HALVES_S:
            self._costs_at = now
            for line in self._lines.values():
                line.cost_s /= 2.0
        for line in sorted(self._lines.values(), key=lambda line: line.cost_s):
            connection = line.connection
            if connection.is_dropped or (connection.has_ended and not line.messages):
                self.forget(connection)
            elif line.messages and not is_waiting(connection):
                frames, size = line.messages.popleft()
                line.held_bytes -= size
                self._held_bytes -= size
                return connection, frames
        return None

    def charge(self, connection: Connection, seconds: float) -> None:
        """Note the time that a message of this client has taken."""
        line = self._lines.get(connection)
        if line is not None:
            line.cost_s += seconds

    def note_end(self, connection: Connection) -> None:
        """The connection has ended; what comes under its routing id from now on is nobody's."""
        if connection.client:
            self._ended[connection.client] = None
            if len(self._ended) > MAX_ENDED:
                del self._ended[next(iter(self._ended))]
        if not connection.is_greeted:
            self.forget(connection)

    def forget(self, connection: Connection) -> None:
        """What this connection has sent is not dealt with any more."""
        line = self._lines.pop(connection, None)
        if line is not None:
            self._held_bytes -= line.held_bytes


def _held_bytes(frames: Frames) -> int:
    sizes = [len(frame) for frame in frames[1:]]
    small = sum(size for number, size in enumerate(sizes) if size < _LARGE_BYTES or number == 1)
    return small + _FRAME_BYTES * len(frames)


def _descriptor(frame: zmq.Frame) -> int:
    try:
        return int(frame.get(zmq.SRCFD))  # type: ignore[arg-type]
    except (zmq.ZMQError, TypeError, ValueError):
        return -1
