"""The state of the connection to the backend, as shown to the user: one sentence, a hint, and the action that fixes it.

Reads what connection.py knows and changes nothing; no I/O, since every redraw of the sidebar asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..shared.devices import kind_of
from ..shared.version import VERSION
from .client import Client, Transport
from .connection import Connection

SILENCE_S = 6.0  # after which a backend that does not answer is said to be silent


class LinkState(Enum):
    NOT_INSTALLED = "not installed"
    INSTALLING = "installing"
    OUTDATED = "outdated"
    STOPPED = "stopped"
    STARTING = "starting"
    CONNECTING = "connecting"
    READY = "ready"
    LOST = "lost"
    FAILED = "failed"  # refused, crashed, of another version: it does not mend itself


@dataclass(frozen=True)
class Standing:
    """action: "install", "update", "start", "stop", "cancel_install", "reconnect", "preferences" or ""."""

    state: LinkState
    sentence: str
    hint: str = ""
    action: str = ""


_OWN = {
    "missing": Standing(
        LinkState.NOT_INSTALLED, "Relievo computes in its own process. Nothing is installed yet.", action="install"
    ),
    "incomplete": Standing(
        LinkState.NOT_INSTALLED, "The installation was interrupted.", "Press Install to continue.", "install"
    ),
}


def describe(connection: Connection) -> Standing:
    """The connection's standing now."""
    if connection.installer is not None and connection.progress is not None:
        progress = connection.progress
        return Standing(LinkState.INSTALLING, f"Installing: {progress.stage}", progress.line, "cancel_install")
    if connection.is_ready:
        ready = f"Ready: {describe_devices(connection.devices)}" if connection.devices else "Ready"
        return Standing(LinkState.READY, ready, action="stop" if connection.place.is_managed else "")
    if connection.error is not None:
        return Standing(LinkState.FAILED, connection.error.message, connection.error.hint, _mend(connection))
    if connection.client is not None:
        return _of_client(connection, connection.client)
    if not connection.place.is_managed:
        return Standing(
            LinkState.STOPPED, "Not connected to the backend that the preferences name.", action="reconnect"
        )
    return _of_own_backend(connection)


def _of_client(connection: Connection, client: Client) -> Standing:
    address = client.endpoint.address.removeprefix("tcp://")
    managed = connection.place.is_managed
    again = "start" if managed else "preferences"
    if client.transport is Transport.REFUSED:
        hint = "Copy the server key from its connection file."
        key = "the encryption key" if client.endpoint.server_public_key else "a connection without encryption"
        return Standing(LinkState.FAILED, f"The backend at {address} refuses {key}.", hint, "preferences")
    if client.transport is Transport.DOWN:
        return Standing(
            LinkState.LOST,
            "The connection to the backend is lost; trying again.",
            "Jobs that it has accepted continue, and their results are fetched when it answers.",
            "start" if managed else "reconnect",
        )
    if connection.silent_s < SILENCE_S:
        return Standing(LinkState.CONNECTING, "Connecting to the backend.")
    if client.transport is Transport.UP:
        hint = "Check the address and the port, and whether it needs a key."
        return Standing(LinkState.LOST, f"The program that listens at {address} is not a Relievo backend.", hint, again)
    hint = "Start it again." if managed else "Start it there, or check the address and the firewall."
    return Standing(LinkState.LOST, f"No backend answers at {address}; still trying.", hint, again)


def _of_own_backend(connection: Connection) -> Standing:
    if connection.installed in _OWN:
        return _OWN[connection.installed]
    if connection.installed == "outdated":
        version = connection.installed_version
        sentence = "The backend is from another build than this add-on."
        if version != VERSION:
            sentence = f"The backend is version {version}; this add-on is {VERSION}."
        return Standing(LinkState.OUTDATED, sentence, action="update")
    if connection.is_wanted:
        return Standing(LinkState.STARTING, "The backend is starting.", action="stop")
    return Standing(LinkState.STOPPED, "The backend is not running.", action="start")


def _mend(connection: Connection) -> str:
    if not connection.place.is_managed:
        return "preferences"
    code = connection.error.code if connection.error is not None else ""
    if code in ("install_failed", "cancelled"):
        return "install"
    return "update" if code == "version_mismatch" else "start"


def selftest_sentence(selftest: dict[str, Any] | None) -> str:
    """What an installation's self-test found, "" where none was made."""
    if not selftest:
        return ""
    memory = f", {selftest['memory_bytes'] / 2**30:.0f} GB" if selftest.get("memory_bytes") else ""
    return f"Self-test passed: {selftest['device']}{memory}, PyTorch {selftest['torch']}, {selftest['seconds']:.2g} s"


def describe_devices(devices: list[dict[str, Any]]) -> str:
    """ "NVIDIA RTX 4070, 11 GB" or "CPU, 8 cores": the first device, which is the best one."""
    if not devices:
        return "no device"
    device = devices[0]
    if device.get("kind") == "cpu":
        cores = device.get("cores", "?")
        return f"CPU, {cores} core{'' if cores == 1 else 's'}"
    name = str(device.get("label") or device.get("name", "?"))
    return f"{name}, {int(device.get('memory_bytes', 0)) / 2**30:.0f} GB"


def choices(
    devices: Sequence[Mapping[str, Any]], auto_devices: Mapping[str, str], labels: Mapping[str, str]
) -> list[str]:
    """Where each engine computes, a line per kind of device: "NVIDIA RTX 4070: Terrain from a Sketch", "CPU: Noise, Hydrology".

    Empty where there is one kind only. auto_devices: as in Welcome. labels: of the engines, by name.
    """
    names: dict[str, str] = {}
    for device in devices:
        kind = str(device.get("kind", ""))
        names.setdefault(kind, "CPU" if kind == "cpu" else str(device.get("label") or device.get("name", "?")))
    if len(names) < 2:
        return []
    engines = {kind: [label for name, label in labels.items() if _kind(auto_devices, name) == kind] for kind in names}
    return [f"{names[kind]}: {', '.join(found)}" for kind, found in engines.items() if found]


def _kind(auto_devices: Mapping[str, str], engine: str) -> str:
    return kind_of(str(auto_devices.get(engine, "")))


def place_of(device: str, devices: Sequence[Mapping[str, Any]]) -> str:
    """Where a job ran, as in "done in 3 s on the GPU"; "" where the backend has that device only. device: its name."""
    if len(devices) < 2 or not device:
        return ""
    others = [found for found in devices if found.get("kind") != "cpu"]
    return "the CPU" if device == "cpu" else "the GPU" if len(others) == 1 else device
