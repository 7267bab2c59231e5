"""What is installed here, what is wrong with it, and what to do: each check looks at the real thing and answers with a Finding.

A check never raises and never mends: what it meets is its answer. Printing is commands/doctor.py's part.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from backend.setup import environment, locks
from backend.setup.interpreters import PYTHON_VERSIONS
from shared.algorithm import AlgorithmSpec
from shared.endpoint import Endpoint, default_state_dir, read_endpoint
from shared.errors import BackendUnavailable, RelievoError
from shared.version import PROTOCOL, VERSION

GIB = 1 << 30
FEW_BYTES, NO_BYTES = 4 * GIB, GIB // 2
ANSWER_TIMEOUT_S = 3.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """state: "ok", "note" (works, but worth knowing) or "broken". fix: what to do, "" where there is nothing."""

    name: str
    state: Literal["ok", "note", "broken"]
    text: str
    fix: str = ""


def examine() -> Iterator[Finding]:
    """Every finding, one after another as it is made; about three seconds on a sound installation."""
    for check in CHECKS:
        try:
            yield from check()
        except Exception as error:  # a check that breaks has found something, too
            yield Finding(
                name=check.__name__.strip("_"),
                state="broken",
                text=f"{type(error).__name__}: {error}",
                fix="Send the report of doctor --report to the project.",
            )


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    fits = sys.version_info[:2] in PYTHON_VERSIONS
    yield Finding(
        name="Python",
        state="ok" if fits else "broken",
        text=f"{version} in {short(Path(sys.prefix))}",
        fix="" if fits else "Use Python 3.11.",
    )


def _libraries() -> Iterator[Finding]:
    marker = environment.read_marker(Path(sys.prefix))
    lock = marker.get("locks", {}).get("backend") or locks.lock_name("backend", marker.get("variant") or "cpu")
    pins = [pin for pin in locks.read(lock) if pin.wanted_here]
    wrong = list(wrong_versions(pins))
    missing = [text for text in wrong if text.endswith("is missing")]
    if not wrong:
        yield Finding(name="Libraries", state="ok", text=f"all {len(pins)} match {lock}.lock")
    else:
        yield Finding(
            name="Libraries",
            state="broken" if missing else "note",
            text="; ".join(wrong),
            fix="relievo.py prepare updates the environment.",
        )


def wrong_versions(pins: list[locks.Pin]) -> Iterator[str]:
    """What differs from the pins in the running environment, in words."""
    for pin in pins:
        try:
            found = metadata.version(pin.name)
        except metadata.PackageNotFoundError:
            yield f"{pin.name} is missing"
            continue
        # an environment that the user made may have a local build of the same version
        if found != pin.version and found.partition("+")[0] != pin.version.partition("+")[0]:
            yield f"{pin.name} is {found}, not {pin.version}"


def _devices() -> Iterator[Finding]:
    import torch

    from backend.runtime import registry
    from backend.runtime.device import describe_device, device_names, why_no_cuda

    names = device_names()
    for name in names:
        device = describe_device(name)
        memory = f", {device['memory_bytes'] / GIB:.1f} GiB" if device["memory_bytes"] else ""
        cores = f", {device['cores']} cores" if device["kind"] == "cpu" else ""
        yield Finding(
            name="Device", state="ok", text=f"{name}: {device['label']}{cores}{memory} (PyTorch {torch.__version__})"
        )
    engines = (f"{spec.label}: {_auto_device(spec, names)}" for spec in registry.algorithms())
    yield Finding(name="Devices", state="ok", text=", ".join(engines))
    yield from _device_speeds(names)
    if names == ["cpu"] and (environment.has_nvidia() or torch.version.cuda is not None):
        yield Finding(name="Device", state="note", text="this PyTorch uses no NVIDIA card here", fix=why_no_cuda())


def _device_speeds(names: list[str]) -> Iterator[Finding]:
    """Whether "auto" goes by measured speeds, on a machine with more than one kind of device, and by this machine's."""
    from backend.runtime import device_speeds
    from backend.runtime.device import describe_device
    from shared.devices import kind_of

    labels = {kind_of(name): describe_device(name)["label"] for name in reversed(names)}
    if len(labels) < 2:
        return
    speeds, fix = device_speeds.load(), "relievo.py prepare measures them."
    if speeds is None:
        yield Finding(name="Devices", state="note", text="no speeds of the devices are measured yet", fix=fix)
    elif dict(speeds.kinds) != labels:
        was = ", ".join(speeds.kinds.values())
        yield Finding(name="Devices", state="note", text=f"the measured speeds are of other devices ({was})", fix=fix)


def _auto_device(spec: AlgorithmSpec, names: list[str]) -> str:
    """What "auto" takes for the algorithm with default parameters at a usual size, and what else it runs on where that is here."""
    from backend.runtime import device_speeds
    from backend.runtime.device import resolve
    from shared.devices import kind_of
    from shared.params import parse

    kinds = device_speeds.ordered(spec, parse(spec.params, {}))
    try:
        device = str(resolve("auto", kinds, spec.label, names).device)
    except RelievoError:
        return f"not here (needs {' or '.join(kinds)})"
    others = [name for name in names if kind_of(name) in spec.devices and name != device]
    return (device.upper() if device == "cpu" else device) + (f" (also {', '.join(others)})" if others else "")


def _job() -> Iterator[Finding]:
    import backend
    from backend.runtime import registry

    start = time.perf_counter()
    try:
        spec = next(spec for spec in registry.algorithms() if not any(not port.optional for port in spec.inputs))
        outputs = backend.run(spec.name)
    except RelievoError as error:
        yield Finding(name="Job", state="broken", text=error.message, fix=error.hint)
        return
    shape = " x ".join(map(str, next(iter(outputs.values())).values.shape))
    yield Finding(name="Job", state="ok", text=f"{spec.label.lower()}, {shape}, in {time.perf_counter() - start:.2f} s")


def _kernel_cache() -> Iterator[Finding]:
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).resolve().parents[1] / "ops")
    if os.access(folder, os.W_OK):
        yield Finding(name="Kernels", state="ok", text="compiled code is kept")
    else:
        yield Finding(
            name="Kernels",
            state="note",
            text=f"{short(folder)} cannot be written: kernels are compiled at each start",
            fix="Set NUMBA_CACHE_DIR to a folder that you can write.",
        )


def _disk() -> Iterator[Finding]:
    state_dir = default_state_dir()
    folder = next(parent for parent in (state_dir, *state_dir.parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    text = f"{free / GIB:.1f} GiB free for jobs in {short(state_dir)}"
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield Finding(
            name="Disk",
            state="broken",
            text=f"{short(folder)} cannot be written: {error.strerror}",
            fix="Change its permissions, or choose another folder with serve --state.",
        )
        return
    state: Literal["ok", "note", "broken"] = "broken" if free < NO_BYTES else "note" if free < FEW_BYTES else "ok"
    yield Finding(
        name="Disk",
        state=state,
        text=text,
        fix="" if state == "ok" else "Free some space: a 4096² job takes about 1 GiB.",
    )


def _port() -> Iterator[Finding]:
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname(), timeout=2.0),
        ):
            yield Finding(name="Port", state="ok", text="the loopback address accepts connections")
    except OSError as error:
        yield Finding(
            name="Port",
            state="broken",
            text=f"127.0.0.1 refuses connections ({error.strerror or error})",
            fix="A firewall or a sandbox blocks it: let Python connect to 127.0.0.1.",
        )


def _server() -> Iterator[Finding]:
    path = default_state_dir() / "endpoint.json"
    if not path.exists():
        yield Finding(name="Backend", state="ok", text="not running (Blender starts it when needed)")
        return
    try:
        endpoint = read_endpoint(path)
        session = greet(endpoint)
    except BackendUnavailable as error:
        yield Finding(name="Backend", state="note", text=error.message, fix=error.hint or f"Delete {short(path)}.")
        return
    except RelievoError as error:
        yield Finding(name="Backend", state="broken", text=error.message, fix=error.hint or "Restart it.")
        return
    if endpoint.version != VERSION:
        yield Finding(
            name="Backend",
            state="broken",
            text=f"the running one is version {endpoint.version}, this is {VERSION}",
            fix="Stop it (Stop Backend in Blender) and start it again.",
        )
        return
    yield Finding(
        name="Backend", state="ok", text=f"running at {endpoint.address}, protocol {PROTOCOL}, session {session[:8]}"
    )


def greet(endpoint: Endpoint) -> str:
    """Says Hello to a running backend and returns its session id. Raises BackendUnavailable where nobody answers."""
    import uuid

    import zmq

    from shared.codec import decode, encode
    from shared.errors import error_from_code
    from shared.messages import Failure, Hello, Welcome

    context = zmq.Context()
    try:
        socket_ = context.socket(zmq.DEALER)
        if endpoint.server_public_key:
            socket_.curve_publickey, socket_.curve_secretkey = zmq.curve_keypair()
            socket_.curve_serverkey = endpoint.server_public_key.encode()
        socket_.connect(endpoint.address)
        hello = Hello(
            id=str(uuid.uuid4()),
            token=endpoint.token,
            owner=str(uuid.uuid4()),
            protocol=PROTOCOL,
            client="doctor",
            client_version=VERSION,
        )
        socket_.send_multipart(encode(hello))
        if not socket_.poll(round(ANSWER_TIMEOUT_S * 1000)):
            raise BackendUnavailable(
                f"the backend of the connection file ({endpoint.address}) does not answer",
                hint="It has ended or does not respond: the next start replaces it.",
            )
        answer = decode([bytes(frame) for frame in socket_.recv_multipart()])
    finally:
        context.destroy(linger=0)
    if isinstance(answer, Failure):
        raise error_from_code(answer.code, answer.message, hint=answer.hint)
    if not isinstance(answer, Welcome):
        raise BackendUnavailable(f"the backend answers a Hello with {type(answer).__name__}")
    return answer.session


def _blenders() -> Iterator[Finding]:
    for version in environment.BLENDERS:
        found = environment.blender_environment(version)
        if found.state == "ready":
            yield Finding(name="Blender", state="ok", text=f"{version} without a window, in {short(found.root)}")
        elif found.state != "missing":
            yield Finding(
                name="Blender",
                state="note",
                text=f"{version}: its environment is {found.state}",
                fix=f"relievo.py prepare --blender {version} continues it.",
            )


def _weights() -> Iterator[Finding]:
    """Each file of weights, whether it is here and whole, and who may want it."""
    from backend.runtime import registry, weights
    from shared.weights import WEIGHTS

    for entry in WEIGHTS.values():
        found = weights.presence(entry, thorough=True)
        text = found.text.replace(str(found.path), short(found.path)) if found.path else found.text
        users = ", ".join(spec.label for spec in registry.algorithms() if entry.name in spec.weights)
        is_broken = bool(found.problem) or (found.path is None and entry.origin == "shipped")
        yield Finding(
            name=entry.label,
            state="note" if is_broken else "ok",
            text=text if found.path else f"{text}; optional, for {users}",
            fix=found.hint,
        )


def _classes() -> Iterator[Finding]:
    """The user's own list of classes, where there is one."""
    from shared import painted_classes

    if painted_classes.PROBLEM is not None:
        yield Finding(
            name="Classes", state="broken", text=painted_classes.PROBLEM.message, fix=painted_classes.PROBLEM.hint
        )
    elif painted_classes.LIST_SHA256:
        where = short(painted_classes.class_file())
        yield Finding(name="Classes", state="ok", text=f"{len(painted_classes.PAINTED_CLASSES)} of the list {where}")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _python,
    _libraries,
    _devices,
    _job,
    _kernel_cache,
    _disk,
    _port,
    _server,
    _blenders,
    _weights,
    _classes,
)


def short(path: Path) -> str:
    """The path with the home folder as ~, for reports that are sent to others."""
    home = str(Path.home())
    return re.sub(f"^{re.escape(home)}(?=/|\\\\|$)", "~", str(path)) if home not in ("/", "") else str(path)


def report(findings: list[Finding]) -> str:
    """Everything that helps somebody else to help, without names of users and hosts."""
    lines = [
        f"Relievo {VERSION}, protocol {PROTOCOL}, Python {platform.python_version()}, {platform.system()} {platform.release()}, "
        f"{platform.machine()}"
    ]
    lines += [
        f"{finding.state:<7}{finding.name}: {finding.text}" + (f" -> {finding.fix}" if finding.fix else "")
        for finding in findings
    ]
    versions = sorted({f"{d.metadata['Name']}=={d.version}" for d in metadata.distributions()}, key=str.lower)
    return "\n".join([*lines, "packages: " + " ".join(versions)])
