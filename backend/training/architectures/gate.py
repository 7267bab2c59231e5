"""Dynamic training: the discriminators always learn, the generator only while they keep up with it."""

from __future__ import annotations

from collections.abc import Mapping

OFF_FROM = (
    2.0  # loss of the discriminators over both pairs (4 where they cannot tell anything) from which the generator waits
)
ON_BELOW = 1.5


class Gate:
    """Whether the generator learns; between the two limits it stays as it was. A checkpoint holds it."""

    def __init__(self) -> None:
        self.open = True

    def reset(self) -> None:
        """At the beginning of an epoch."""
        self.open = True

    def see(self, loss: float) -> None:
        """loss: of the discriminators in the last step."""
        if loss >= OFF_FROM:
            self.open = False
        elif loss < ON_BELOW:
            self.open = True

    def state_dict(self) -> dict[str, bool]:
        return {"open": self.open}

    def load_state_dict(self, state: Mapping[str, bool], /) -> None:
        self.open = bool(state["open"])
