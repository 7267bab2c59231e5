"""The way to a backend: install it, start it, find it, greet it, follow it when it comes back under another port.

A state machine that is stepped by pump(); it owns the installer, the process and the client, and does the
handshake. backend_status.py puts it into words for the session. It knows no job and no bpy.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..install.installation import Installation, Installer, InstallProgress, find_installation, size_of
from ..install.process import BackendProcess
from ..shared.endpoint import Endpoint, normalise_address, read_endpoint
from ..shared.errors import AccessDenied, BackendUnavailable, RelievoError, error_from_code
from ..shared.handoff import Handoff
from ..shared.messages import Failure, Hello, Message, Ping, Pong, Shutdown, Welcome
from ..shared.version import PROTOCOL, VERSION
from .client import Client, Transport

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 0.5  # between looks at the connection file
RESTARTS, RESTARTS_WITHIN_S = 3, 600.0
ENDS_WITHIN_S = 10.0  # a backend that is asked to end
ANSWERS_WITHIN_S = 0.5
ASKED_AGAIN_WITHIN_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which backend to use: the one that the add-on installs and starts, or one that runs already.

    endpoint_path: a connection file. address, key, token: another machine's backend. All empty: our own.
    """

    endpoint_path: str = ""
    address: str = ""
    key: str = ""
    token: str = ""

    @property
    def is_managed(self) -> bool:
        return not (self.endpoint_path or self.address)

    def endpoint(self) -> Endpoint:
        """Raises BackendUnavailable when the file is missing or the address is none."""
        if self.address:
            return Endpoint(
                address=normalise_address(self.address), token=self.token.strip(), server_public_key=self.key.strip()
            )
        return read_endpoint(Path(self.endpoint_path))


class Connection:
    """One backend as this Blender sees it. Everything here returns at once; pump() moves it on."""

    def __init__(self, data_dir: Path, owner: str, client_name: str, place: Place | None = None) -> None:
        self.data_dir, self.owner, self.client_name = data_dir, owner, client_name
        self.place = place or Place()
        self.welcome: Welcome | None = None
        self.devices: list[dict[str, Any]] = []
        self.auto_devices: Mapping[str, str] = {}  # by algorithm, as in Welcome
        self.installer: Installer | None = None
        self.progress: InstallProgress | None = None
        self.installation: Installation = find_installation(data_dir)
        self.installed, self.installed_version = "missing", ""  # as pump() has last read it: draw() does no I/O
        self.process = BackendProcess(self.installation, data_dir / "state", owner=owner)
        self.serve_options: tuple[str, ...] = ()
        self.installer_log: Sequence[str] = ()
        self.selftest: dict[str, Any] | None = None  # what the environment installed last said of itself
        self.size_bytes: int = 0  # on disk, as measure() has found
        self.results_bytes: int | None = None  # None: not measured yet
        self.client: Client | None = None
        self.handshakes = 0
        self._error: RelievoError | None = None
        self.in_use = False  # set by the session: whether jobs wait for this backend
        self._wanted = False  # whether a person wants a backend: start, restart and reconnect follow from it
        self._starting = False  # from start() to the first Welcome
        self._started_here = False
        self._hello_id, self._hello_generation = "", 0
        self._since = time.monotonic()
        self._next_look = 0.0
        self._crashes: list[float] = []
        self._refused_at = float("-inf")  # when the backend has refused to stop
        self._look_at_installation()

    # What a person sees ---------------------------------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        return self.welcome is not None

    @property
    def error(self) -> RelievoError | None:
        return self._error

    @property
    def is_wanted(self) -> bool:
        """Whether a person wants a backend to be there, so that it is started, and followed when it comes back."""
        return self._wanted

    @property
    def silent_s(self) -> float:
        """For how long nothing has answered, where nothing answers."""
        return time.monotonic() - self._since

    # What a person does ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Use the backend: connect to one that runs, start ours otherwise.

        Raises BackendUnavailable when none is installed.
        """
        self._error, self._wanted, self._starting = None, True, True
        self._drop_client()
        if self.place.is_managed:
            self._start_process()
        else:
            self._connect()

    def attach(self) -> None:
        """Connect to a backend that runs already, ours or the one the preferences name;
        start nothing and complain of nothing.
        """
        self._drop_client()
        self._error = None
        self._wanted = self.process.poll() == "running" if self.place.is_managed else self._connect(quietly=True)

    def stop(self, *, force: bool = False) -> None:
        """Stop our own backend, or leave one that is not ours. Its accepted jobs stay on its disk.

        Raises AccessDenied where it computes for other Blenders and goes on; asked again within a minute, or with force, it is
        ended all the same, and their jobs go on at its next start.
        """
        now = time.monotonic()
        if self.place.is_managed and self.is_ready and self.client is not None:
            refusal = self._ask_to_end(self.client)
            if refusal is not None and not force and now - self._refused_at > ASKED_AGAIN_WITHIN_S:
                self._refused_at = now
                raise AccessDenied(
                    refusal.message, hint="Press Stop again to end it all the same; their jobs go on later."
                )
        self._wanted, self._error = False, None
        self._drop_client()
        if self.place.is_managed:
            self.process.stop()

    def _ask_to_end(self, client: Client) -> RelievoError | None:
        """Why the backend refuses to end, None where it does not, or says nothing."""
        request = Shutdown(id=str(uuid.uuid4()))
        client.send(request)
        deadline = time.monotonic() + ANSWERS_WITHIN_S
        while time.monotonic() < deadline:
            client.wait(deadline - time.monotonic())
            try:
                message = client.receive()
            except RelievoError:
                return None
            if message is not None and message.reply_to == request.id:
                if not isinstance(message, Failure):
                    return None
                return error_from_code(message.code, message.message, hint=message.hint, field=message.field)
        return None

    def use(self, place: Place) -> None:
        """Turn to another backend."""
        if place != self.place:
            self._drop_client()
            self.place, self._error = place, None

    def install(self, variant: str, wheels: Path | None) -> None:
        self._error = None
        self.stop(force=True)
        self.installer = Installer(self.data_dir, variant=variant, wheels=wheels)
        self.installer_log = self.installer.log
        try:
            self.installer.start()
        except RelievoError:
            self.installer = None
            raise
        self.progress = self.installer.poll()

    def cancel_install(self) -> None:
        if self.installer is not None:
            self.installer.cancel()

    def remove(self) -> None:
        """Delete the installed backend. Waits until it has ended: what runs still writes into its folder."""
        self.stop(force=True)
        deadline = time.monotonic() + ENDS_WITHIN_S
        while self.process.poll() in ("starting", "running") and time.monotonic() < deadline:
            time.sleep(0.05)
        Installer(self.data_dir).remove()
        self.selftest, self.progress, self.size_bytes, self.results_bytes = None, None, 0, None
        self._find_installation()

    def measure(self) -> None:
        """Count what the installation and the kept results take on disk. Walks tens of thousands of files."""
        self.size_bytes = size_of(self.installation.root) if self.installation.managed else 0
        self.results_bytes = size_of(self.data_dir / "state")

    def close(self) -> None:
        """Blender ends or the add-on is switched off: stop what we started, leave no socket behind."""
        self.cancel_install()
        self._drop_client()
        if self._started_here:
            self.process.stop()

    @property
    def takes_files(self) -> bool:
        """Whether large arrays may come by file: the backend and we see the same disk."""
        return self.client is not None and self.client.handoff is not None

    # Stepping -------------------------------------------------------------------------------------------------

    def send(self, message: Message) -> bool:
        """False when there is no link for it now."""
        return self.client is not None and self.welcome is not None and self.client.send(message)

    def pump(self) -> None:
        """Move the installation, the process and the handshake on by one step."""
        if self.installer is not None:
            self._step_installer(self.installer)
        elif self._wanted and self.place.is_managed:
            self._step_process()
        if self.client is None:
            self._look_at_installation()
            return
        if self.client.transport is not Transport.UP and self.welcome is not None:
            log.info("the link to %s is down", self.client.endpoint.address)
            self.welcome, self._since = None, time.monotonic()
        if self.client.transport is Transport.UP and self.client.generation != self._hello_generation:
            self._say_hello(self.client)
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_AGAIN_S
            if self.welcome is None:
                self._follow_endpoint()
            elif not self.devices:  # the first worker comes up seconds after the backend
                self.client.send(Ping(id=str(uuid.uuid4())))

    def _look_at_installation(self) -> None:
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_AGAIN_S
            self.installed, self.installed_version = self.installation.state, self.installation.version

    def receive(self, on_message: Callable[[Message], None]) -> bool:
        """Hand the next message over; False when none waits. The handshake's own messages are dealt with here."""
        if self.client is None:
            return False
        try:
            message = self.client.receive()
        except RelievoError as error:
            self._fail(error)
            return False
        if message is None:
            return False
        if message.reply_to and message.reply_to == self._hello_id:
            self._greeted(message)
        elif isinstance(message, Pong):
            self.devices, self.auto_devices = message.devices, message.auto_devices
        else:
            on_message(message)
        return True

    def _say_hello(self, client: Client) -> None:
        self._hello_id, self._hello_generation = str(uuid.uuid4()), client.generation
        self.welcome, self._since = None, time.monotonic()
        client.send(
            Hello(
                id=self._hello_id,
                token=client.endpoint.token,
                owner=self.owner,
                protocol=PROTOCOL,
                client=self.client_name,
                client_version=VERSION,
            )
        )

    def _greeted(self, message: Message) -> None:
        if isinstance(message, Welcome):
            self.welcome, self._error = message, None
            self.devices, self.auto_devices = message.devices, message.auto_devices
            if self.client is not None:
                self.client.handoff = Handoff.join(message.handoff)
            self.handshakes += 1
            self._starting = False
            return
        if isinstance(message, Failure):
            self._fail(error_from_code(message.code, message.message, hint=message.hint, field=message.field))

    def _fail(self, error: RelievoError) -> None:
        log.warning("%s", error)
        self._error, self._wanted = error, False
        self._drop_client()

    def _step_installer(self, installer: Installer) -> None:
        self.progress = installer.poll()
        if not self.progress.done:
            return
        self.installer = None
        self._find_installation()
        self.selftest = self.progress.selftest or self.selftest
        self._error = self.progress.error
        if self._error is None and self.installation.state == "ready":
            self.start()

    def _find_installation(self) -> None:
        self.installation = find_installation(self.data_dir)
        self._next_look = 0.0
        self._look_at_installation()
        self.process = BackendProcess(
            self.installation, self.data_dir / "state", options=self.serve_options, owner=self.owner
        )

    def _start_process(self) -> None:
        self._find_installation()
        self._since = time.monotonic()
        try:
            self.process.start()
        except RelievoError:
            self._wanted = False
            raise
        self._started_here |= self.process.poll() == "starting"

    def _step_process(self) -> None:
        state = self.process.poll()
        if state == "running" and self.client is None:
            self._connect(quietly=True)
        elif state == "crashed":
            self._restart()
        elif state == "stopped":  # somebody else has stopped it
            self._drop_client()
            if self.in_use or self._starting:  # or it was ending already when we attached to it
                self._restart()
            else:
                self._wanted = False

    def _restart(self) -> None:
        now = time.monotonic()
        self._crashes = [moment for moment in self._crashes if now - moment < RESTARTS_WITHIN_S] + [now]
        self._drop_client()
        never_ran = self.process.error is not None and not self.handshakes
        if not never_ran and len(self._crashes) <= RESTARTS:
            log.warning("the backend has ended; starting it again")
            self._start_process()
            return
        tail = self.process.log_tail().strip().splitlines()
        self._fail(
            self.process.error
            or BackendUnavailable("The backend ended unexpectedly.", hint=tail[-1] if tail else "See its log.")
        )

    def _follow_endpoint(self) -> None:
        """A backend that came back has another port and token: read its file again."""
        if self.client is None or self.place.address:
            return
        try:
            endpoint = self._endpoint()
        except RelievoError:
            return  # it is gone; standing says that the link is lost
        if endpoint != self.client.endpoint:
            self._drop_client()
            self._connect(quietly=True)

    def _endpoint(self) -> Endpoint:
        return read_endpoint(self.process.endpoint_path) if self.place.is_managed else self.place.endpoint()

    def _connect(self, *, quietly: bool = False) -> bool:
        self._since = time.monotonic()
        self._hello_generation = 0
        try:
            self.client = Client(self._endpoint())
        except RelievoError as error:
            if not quietly:
                self._error = error
            return False
        return True

    def _drop_client(self) -> None:
        self.welcome = None
        if self.client is not None:
            self.client.close()
            self.client = None
