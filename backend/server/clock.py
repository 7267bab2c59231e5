"""The time of day as the server uses it: read from the system once, counted on from there, so that it never jumps.

A clock that is set forward by a week must not make every result a week old. No job, no disk.
"""

from __future__ import annotations

import sys
import time

if sys.platform == "linux":
    # goes on while a laptop sleeps, as Linux's monotonic clock does not

    def counted_s() -> float:
        """Seconds since some moment; never set, never backwards."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

else:

    def counted_s() -> float:
        """Seconds since some moment; never set, never backwards."""
        return time.monotonic()


class Clock:
    """Seconds since 1970, as the system had them when the object was made, plus what has passed since then."""

    def __init__(self) -> None:
        self._system_s = time.time()
        self._counted_s = counted_s()

    @property
    def running_s(self) -> float:
        """How long ago the clock was made."""
        return counted_s() - self._counted_s

    def now(self) -> float:
        return self._system_s + self.running_s


_clock = Clock()


def now() -> float:
    """Seconds since 1970 by the clock of this process."""
    return _clock.now()
