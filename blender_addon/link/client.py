"""One connection to one backend: a DEALER socket that sends and receives whole messages and never blocks.

The only file of the add-on that imports zmq. It knows no job and no bpy; session.py says what to send and what an
answer means. libzmq reconnects, backs off and sends heartbeats from its own C++ threads, so a Blender that is
frozen by a render stays connected.
"""

from __future__ import annotations

from enum import Enum

import zmq
from zmq.utils.monitor import recv_monitor_message

from ..shared.codec import MAX_TOTAL_BYTES, decode, encode
from ..shared.endpoint import Endpoint
from ..shared.errors import BackendUnavailable
from ..shared.handoff import Handoff
from ..shared.messages import Message

RECONNECT_MS, RECONNECT_MAX_MS = 100, 3000  # first and longest pause between attempts; libzmq doubles it in between
HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS = 2000, 20000
SEND_LIMIT = 64  # messages
# No limit on what waits to be read: a full queue stops libzmq's reading, heartbeats are then missed, and a Blender that
# is frozen by a render is taken for dead. The backend sends at most 10 small previews a second while a job runs.
RECEIVE_LIMIT = 0


class Transport(Enum):
    """How the socket stands, whatever the other side may say to us."""

    CONNECTING = "connecting"
    UP = "up"
    DOWN = "down"  # it was up; libzmq tries again
    REFUSED = "refused"  # the encryption keys do not match


_EVENTS: dict[int, Transport] = {
    zmq.EVENT_HANDSHAKE_SUCCEEDED: Transport.UP,
    zmq.EVENT_DISCONNECTED: Transport.DOWN,
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: Transport.REFUSED,
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: Transport.REFUSED,
}
# A wrong key breaks off every handshake without a reason given; a backend that is just ending breaks off one.
BROKEN_HANDSHAKES = 3


class Client:
    """Speaks to `endpoint` until close(). generation counts how often the link came up: a new one needs a new Hello."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.generation = 0
        self.transport = Transport.CONNECTING
        self.handoff: Handoff | None = None  # large arrays go by file where the backend's Welcome has offered it
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._monitor: zmq.Socket | None = None
        self._broken_handshakes = 0
        try:
            self._configure()
            self._socket.connect(endpoint.address)
        except (zmq.ZMQError, ValueError) as error:  # ValueError: a key that is no Z85 text
            self.close()
            raise BackendUnavailable(
                f"{endpoint.address!r} cannot be connected to: {error}.",
                hint="Check the address and the key.",
                field="address",
            ) from error

    def _configure(self) -> None:
        options = {
            zmq.LINGER: 0,
            zmq.SNDHWM: SEND_LIMIT,
            zmq.RCVHWM: RECEIVE_LIMIT,
            zmq.MAXMSGSIZE: MAX_TOTAL_BYTES,
            # never IMMEDIATE: at a disconnect libzmq then drops the pipe between two frames of a message that is being
            # read, and aborts the process ("!_more", fq.cpp). What was queued for the old link the backend refuses.
            zmq.RECONNECT_IVL: RECONNECT_MS,
            zmq.RECONNECT_IVL_MAX: RECONNECT_MAX_MS,
            zmq.HEARTBEAT_IVL: HEARTBEAT_MS,
            zmq.HEARTBEAT_TIMEOUT: HEARTBEAT_TIMEOUT_MS,
            zmq.HEARTBEAT_TTL: HEARTBEAT_TIMEOUT_MS,
        }
        for option, value in options.items():
            self._socket.setsockopt(option, value)
        if self.endpoint.server_public_key:
            public, secret = zmq.curve_keypair()
            self._socket.setsockopt(zmq.CURVE_SERVERKEY, self.endpoint.server_public_key.encode())
            self._socket.setsockopt(zmq.CURVE_PUBLICKEY, public)
            self._socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
        self._monitor = self._socket.get_monitor_socket()
        self._monitor.setsockopt(zmq.LINGER, 0)

    def send(self, message: Message) -> bool:
        """Hand the message to libzmq; False when its queue is full, so that it must be sent later.

        Raises ProtocolError for a message over the limits. Frames are copied: pyzmq's zero-copy send would start a
        Python thread.
        """
        frames = encode(message, self.handoff)
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def receive(self) -> Message | None:
        """The next message, or None when none waits. Arrays are read-only views of the received frames.

        Raises ProtocolError or VersionMismatch for one that cannot be read; the next call goes on behind it.
        """
        self._watch()
        try:
            frames = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return None
        return decode([frame.buffer for frame in frames], self.handoff)

    def wait(self, timeout_s: float) -> None:
        """Sleep until a message or a change of the link arrives, at most timeout_s. For background mode only."""
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        if self._monitor is not None:
            poller.register(self._monitor, zmq.POLLIN)
        poller.poll(int(timeout_s * 1000))

    def _watch(self) -> None:
        while self._monitor is not None and self._monitor.poll(0):
            event = recv_monitor_message(self._monitor, zmq.NOBLOCK)["event"]
            transport = _EVENTS.get(event)
            if event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
                self._broken_handshakes += 1
                transport = Transport.REFUSED if self._broken_handshakes >= BROKEN_HANDSHAKES else Transport.DOWN
            elif transport is Transport.UP:
                self._broken_handshakes = 0
            if transport is None or (transport is Transport.DOWN and self.transport is Transport.REFUSED):
                continue
            self.transport = transport
            if transport is not Transport.UP:
                self.handoff = None
            self.generation += transport is Transport.UP

    def close(self) -> None:
        """Drop the link at once. Safe to call twice; a lingering context would hang Blender's exit."""
        if self._monitor is not None:
            self._socket.disable_monitor()
            self._monitor.close(0)
            self._monitor = None
        self._socket.close(0)
        self._context.destroy(linger=0)
