"""The arrays of a result on their way out: which go by file, and the others read into memory before they are sent.

A frame that is a map of a file would end the process if somebody shortened the file while libzmq sends it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shared.algorithm import Arrays
from shared.errors import InternalError
from shared.handoff import MIN_BYTES, Handoff, mapped_file, read_values


def _goes_by_file(values: np.ndarray, handoff: Handoff | None) -> bool:
    return handoff is not None and values.nbytes >= MIN_BYTES and mapped_file(values) is not None


def bytes_by_frame(arrays: Arrays, handoff: Handoff | None) -> int:
    """How much of these arrays goes by frame."""
    return sum(a.values.nbytes for given in arrays.values() for a in given if not _goes_by_file(a.values, handoff))


def in_memory(arrays: Arrays, handoff: Handoff | None) -> Arrays:
    """The arrays with everything read that goes by frame. Raises InternalError for a file that cannot be read whole."""
    try:
        return {
            port: tuple(
                array if _goes_by_file(array.values, handoff) else replace(array, values=read_values(array.values))
                for array in given
            )
            for port, given in arrays.items()
        }
    except OSError as error:
        raise InternalError(
            f"The result's files cannot be read: {error.strerror or error}.", hint="Run the job again."
        ) from error
