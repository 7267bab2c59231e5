"""Names of devices as users and the protocol write them: "auto", "cpu", "mps", "cuda" (the first one), "cuda:1". No hardware."""

from __future__ import annotations

import re

from .errors import InvalidParameter

DEVICE_KINDS = ("cpu", "cuda", "mps")
AUTO = "auto"
_NAME = re.compile(r"cpu|mps|cuda(:\d{1,3})?")


def check_name(name: str) -> str:
    """The full name of a device, or "auto". InvalidParameter for what is neither; whether it is there is another question."""
    if name != AUTO and not _NAME.fullmatch(name):
        raise InvalidParameter(
            f"There is no device {name[:80]!r}.", hint="Use auto, cpu, cuda:0 ... or mps.", field="device"
        )
    return full_name(name)


def full_name(name: str) -> str:
    """ "cuda" is "cuda:0"; every other name is itself."""
    return "cuda:0" if name == "cuda" else name


def kind_of(name: str) -> str:
    """The kind of a device, out of DEVICE_KINDS: "cuda" of "cuda:1"."""
    return name.partition(":")[0]
