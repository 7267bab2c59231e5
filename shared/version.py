"""The version of Relievo, and that of its wire protocol (PROTOCOL.md)."""

from __future__ import annotations

VERSION = "0.1.0"

PROTOCOL_MAJOR = 1
PROTOCOL_MINOR = 5
PROTOCOL = f"{PROTOCOL_MAJOR}.{PROTOCOL_MINOR}"
