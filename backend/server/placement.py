"""On which devices a job may be computed, and which devices get a worker. Pure logic: no process, no socket, no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.devices import AUTO, full_name, kind_of


class Placement:
    """The devices of one server.

    A CPU worker is always there. Without named devices "auto" takes those of the preferred kind that the machine has; with some
    it takes the preferred kind among the named ones, and the CPU for what runs on none of them.
    """

    def __init__(self, named: Iterable[str] = ()) -> None:
        """named: the devices that the user asked to compute on; () or "auto" among them for all of the machine."""
        names = [full_name(name) for name in named]
        self._named = () if AUTO in names else tuple(dict.fromkeys(names))
        self._machine: tuple[str, ...] = ()  # known once the first worker is up
        self._failed: set[str] = set()  # devices whose worker does not come up

    @property
    def at_start(self) -> tuple[str, ...]:
        """The devices whose workers start with the server."""
        return tuple(dict.fromkeys((*self._named, "cpu")))

    def learn(self, machine: Sequence[str]) -> None:
        """What the first worker has found: the names of the machine's devices."""
        self._machine = tuple(machine)

    def set_failed(self, device: str, failed: bool) -> None:
        """Whether the worker of this device has failed to start too often."""
        (self._failed.add if failed else self._failed.discard)(device)

    def devices_for(self, wanted: str, kinds: Sequence[str]) -> tuple[str, ...]:
        """The devices whose workers may compute a job; () while that is not known, or where none is left.

        wanted: "auto" or a device's name. kinds: what the job's algorithm runs on, the preferred kind first. A named device that
        the job cannot use leads to the CPU's worker, which tells why (backend/runtime/device.py) or refuses it.
        """
        if wanted == AUTO:
            return self._auto(kinds)
        device = full_name(wanted)
        if device != "cpu" and not self._usable:
            return ()
        if kind_of(device) not in kinds or device not in self._usable:
            device = "cpu"
        return () if device in self._failed else (device,)

    def _auto(self, kinds: Sequence[str]) -> tuple[str, ...]:
        if not self._usable:
            candidates = ["cpu"] if kinds[0] == "cpu" else []
        else:
            chosen = self._named or self._usable
            candidates = [device for device in chosen if kind_of(device) in kinds] or ["cpu"]
        alive = [device for device in candidates if device not in self._failed]
        best = next((kind for kind in (*kinds, "cpu") if any(kind_of(device) == kind for device in alive)), "")
        return tuple(device for device in alive if kind_of(device) == best)

    @property
    def _usable(self) -> tuple[str, ...]:
        """The devices that this server computes on; () while that is not known."""
        return self.at_start if self._named else self._machine
