"""The connection file: how a client on this machine finds a backend and proves that it may use it.

Written by the backend with mode 0600, whole or not at all; read by the add-on and the command line.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from .errors import BackendUnavailable


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """address: "tcp://127.0.0.1:PORT". token: 64 hex digits. server_public_key: CURVE key (Z85), "" without
    encryption.
    """

    address: str
    token: str
    session: str = ""
    pid: int = 0
    version: str = ""
    server_public_key: str = ""


def default_data_dir() -> Path:
    """The user's data folder by the platform's custom; one for the command line and every Blender, so that they
    share.
    """
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    return base / "relievo"


def default_state_dir() -> Path:
    """Where a backend keeps jobs, results and its connection file if it is given no other folder."""
    return default_data_dir() / "state"


def write_endpoint(path: Path, endpoint: Endpoint) -> None:
    """Raises OSError, and then leaves what was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # through no link
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(endpoint), file, indent=1)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def read_endpoint(path: Path) -> Endpoint:
    """Raises BackendUnavailable when the file is missing or no connection file."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Endpoint(**{field.name: values[field.name] for field in fields(Endpoint) if field.name in values})
    except FileNotFoundError as error:
        raise BackendUnavailable(
            f"No backend is running: there is no connection file {path}.", hint="Start it.", field=str(path)
        ) from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BackendUnavailable(
            f"{path} is not the connection file of a backend ({error}).",
            hint="Restart the backend, or pick another file.",
            field=str(path),
        ) from error


def normalise_address(text: str) -> str:
    """Any spelling a person may give ("http://host:5555/", "host:5555", ":5555") as "tcp://host:5555"."""
    address = text.strip().rstrip("/")
    for prefix in ("http://", "https://", "tcp://", "//"):
        address = address.removeprefix(prefix)
    host, _, port = address.rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise BackendUnavailable(
            f"{text!r} is not an address.",
            hint="Write it as host:port, for example 192.168.1.20:5555.",
            field="address",
        )
    return f"tcp://{host or '127.0.0.1'}:{int(port)}"
