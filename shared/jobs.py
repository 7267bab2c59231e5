"""The states of a job and the only moves between them."""

from __future__ import annotations

from enum import Enum


class JobState(str, Enum):
    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return not MOVES[self]


MOVES: dict[JobState, frozenset[JobState]] = {
    # a server that comes back after a crash finds its running jobs dead: RUNNING -> QUEUED is that one restart
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.FAILED}),
    JobState.RUNNING: frozenset(
        {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.CANCELLING, JobState.QUEUED}
    ),
    # the algorithm may have been done, or have failed, before it heard of the cancel
    JobState.CANCELLING: frozenset({JobState.CANCELLED, JobState.SUCCEEDED, JobState.FAILED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


def move(state: JobState, to: JobState) -> JobState:
    """The new state; ValueError, a defect of the caller, for a move that does not exist."""
    if to not in MOVES[state]:
        raise ValueError(f"a job cannot go from {state.value} to {to.value}")
    return to
