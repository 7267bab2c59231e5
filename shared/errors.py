"""The errors a person can meet: one sentence of what happened, a hint of what to do, and a stable code for the wire.

Foreign exceptions (rasterio, zmq, torch) are turned into these at the boundary where they arise; anything else that escapes is a
defect and travels as InternalError.
"""

from __future__ import annotations

from typing import ClassVar


class RelievoError(Exception):
    """Base of every expected failure.

    message: one sentence that says what happened, to what. hint: what to do about it, "" where there is nothing to say.
    field: the parameter, port or file it is about, "" where it is about none.
    """

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str = "", field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple:
        return _rebuild, (type(self), self.message, self.hint, self.field)


def _rebuild(cls: type[RelievoError], message: str, hint: str, field: str) -> RelievoError:
    return cls(message, hint=hint, field=field)


class DeclarationError(TypeError):
    """An engine declares what does not exist: one sentence for its author, raised when its module is imported.

    Not a RelievoError: no input of a person's leads to it.
    """


class InternalError(RelievoError):
    """A bug in Relievo or in a library."""

    code = "internal"


class InvalidParameter(RelievoError):
    """A parameter is unknown, of another type, or out of its bounds."""

    code = "invalid_parameter"


class InvalidInput(RelievoError):
    """An array or a file is missing, broken, or not of the kind that its port takes."""

    code = "invalid_input"


class UnknownAlgorithm(RelievoError):
    code = "unknown_algorithm"


class ProtocolError(RelievoError):
    """A message that does not follow PROTOCOL.md. Nothing of it has been acted on."""

    code = "protocol"


class VersionMismatch(RelievoError):
    """The two sides are of versions that do not understand each other."""

    code = "version_mismatch"


class AccessDenied(RelievoError):
    """The token or the key is wrong, or a job belongs to somebody else."""

    code = "access_denied"


class UnknownJob(RelievoError):
    code = "unknown_job"


class JobCancelled(RelievoError):
    """Raised inside an algorithm by job.step() once somebody has cancelled the job."""

    code = "cancelled"


class WorkerDied(RelievoError):
    """The process that computed the job ended in the middle of it."""

    code = "worker_died"


class OutOfMemory(RelievoError):
    code = "out_of_memory"


class StorageFull(RelievoError):
    code = "storage_full"


class QueueFull(RelievoError):
    """As many jobs wait as may wait."""

    code = "queue_full"


class BackendUnavailable(RelievoError):
    """No backend is installed, started or reachable."""

    code = "backend_unavailable"


class AddressInUse(RelievoError):
    code = "address_in_use"


class InsecureAddress(RelievoError):
    """An address beyond this machine was asked for without CURVE keys."""

    code = "insecure_address"


class InstallFailed(RelievoError):
    """The backend's environment could not be made."""

    code = "install_failed"


ERRORS: tuple[type[RelievoError], ...] = (
    InternalError,
    InvalidParameter,
    InvalidInput,
    UnknownAlgorithm,
    ProtocolError,
    VersionMismatch,
    AccessDenied,
    UnknownJob,
    JobCancelled,
    WorkerDied,
    OutOfMemory,
    StorageFull,
    QueueFull,
    BackendUnavailable,
    AddressInUse,
    InsecureAddress,
    InstallFailed,
)

_BY_CODE = {error.code: error for error in ERRORS}


def error_from_code(code: str, message: str, *, hint: str = "", field: str = "") -> RelievoError:
    """The error of a Failure message; a code from a newer version becomes a plain RelievoError."""
    return _BY_CODE.get(code, RelievoError)(message, hint=hint, field=field)
