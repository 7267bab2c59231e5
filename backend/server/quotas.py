"""How many jobs may wait: of an owner, of a user (all owners that came with one token), and of all together.

An owner is a UUID that a client makes up, so that a limit for each owner alone would stop nobody. Counts only; the queues are
scheduler.py's.
"""

from __future__ import annotations

from collections.abc import Collection

from backend.server.scheduler import MAX_QUEUED, Scheduler
from shared.errors import AccessDenied, QueueFull
from shared.jobs import JobState

MAX_QUEUED_PER_USER = MAX_QUEUED // 2  # less where there are more than two users
MAX_KNOWN_OWNERS = 4096
_HINT = "Wait for some to finish, or cancel them."


class Quotas:
    """users: how many people share the backend. The arguments `coming` are the owners of jobs that are being stored."""

    def __init__(self, scheduler: Scheduler, users: int) -> None:
        self._scheduler = scheduler
        self._most = min(MAX_QUEUED_PER_USER, MAX_QUEUED // users)
        self._users: dict[str, str] = {}  # by owner, of those that have said Hello

    def remember(self, owner: str, user: str) -> None:
        """The owner has come with this user's token."""
        if len(self._users) >= MAX_KNOWN_OWNERS:
            kept = {job.owner for job in self._scheduler.jobs.values()}
            self._users = {known: of for known, of in self._users.items() if known in kept}
        self._users[owner] = user

    def check_room(self, owner: str, coming: Collection[str]) -> None:
        """Raises QueueFull where this owner, its user or all together have as many jobs waiting as may wait."""
        self._scheduler.check_room(owner, sum(other == owner for other in coming))
        waiting = self._scheduler.queued_count + len(coming)
        if waiting >= MAX_QUEUED:
            raise QueueFull(f"{waiting} jobs of all clients are already queued.", hint=_HINT)
        if waiting >= self._most:  # only then is it worth counting
            user = self._users.get(owner)
            queued = [job.owner for job in self._scheduler.jobs.values() if job.state is JobState.QUEUED]
            if sum(self._users.get(other) == user for other in (*queued, *coming)) >= self._most:
                raise QueueFull(
                    f"{self._most} jobs with your token are already queued, by all its clients.", hint=_HINT
                )

    def busy_owners(self, coming: Collection[str]) -> set[str]:
        """Those with a job that waits, runs or is being stored."""
        return {job.owner for job in self._scheduler.jobs.values() if not job.state.is_final} | set(coming)

    def check_shutdown(self, owner: str, starter: str, coming: Collection[str]) -> None:
        """Raises AccessDenied where others have jobs and this is not the owner that started the backend."""
        others = sum(job.owner != owner and not job.state.is_final for job in self._scheduler.jobs.values())
        others += sum(other != owner for other in coming)
        if others and owner != starter:
            jobs = (
                "1 job of other clients waits or runs" if others == 1 else f"{others} jobs of other clients wait or run"
            )
            raise AccessDenied(
                f"{jobs}; only the client that started this backend can end it now.",
                hint="Wait until they have finished, or stop the backend's process.",
            )
