"""Messages to frames and back, without copying an array: [magic, JSON header, buffer, buffer, ...].

Nothing here trusts what it is given: sizes, types and names are checked before an array is made over a buffer, and
the only exceptions that leave decode() are ProtocolError and VersionMismatch. Sockets are handled elsewhere.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import types
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from .algorithm import Arrays
from .arrays import KINDS, Array
from .errors import ProtocolError, RelievoError, VersionMismatch
from .handoff import MIN_BYTES, Handoff
from .messages import MESSAGES, Message
from .version import PROTOCOL_MAJOR

log = logging.getLogger(__name__)

MAGIC_PREFIX = b"RLVO"
MAGIC = MAGIC_PREFIX + bytes([PROTOCOL_MAJOR])

MAX_HEADER_BYTES = 1 << 20
MAX_HEADER_VALUES = (
    96 << 10
)  # commas and opening brackets, counted before it is parsed: what each costs is 10 to 300 times a byte
MAX_ARRAYS = 4096  # a scan brings a photograph, and sometimes three maps, for each camera
MAX_AXES = 8
MAX_ID_CHARS = 128  # every answer repeats it
MAX_PORT_CHARS = 128
MAX_TOTAL_BYTES = 4 << 30
DTYPES: Mapping[str, np.dtype] = {
    name: np.dtype(name) for name in ("|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8")
}

Buffer = bytes | memoryview


# Out ----------------------------------------------------------------------------------------------------------------


def encode(message: Message, handoff: Handoff | None = None) -> list[Buffer]:
    """Frames of a message. Arrays are not copied unless they are strided or big-endian; they must not change until
    sent.

    With a handoff, large arrays go by a file in its folder, and only the file's name goes into the message.
    """
    header: dict[str, Any] = {"type": type(message).__name__}
    descriptors: list[dict[str, Any]] = []
    buffers: list[Buffer] = []
    for field in dataclasses.fields(message):
        value = getattr(message, field.name)
        if field.name == "arrays":
            for port, arrays in value.items():
                for array in arrays:
                    descriptor, buffer = _encode_array(port, array, handoff)
                    descriptors.append(descriptor)
                    if buffer is not None:
                        buffers.append(buffer)
        else:
            header[field.name] = value
    if descriptors:
        header["arrays"] = descriptors
    try:
        text = json.dumps(header, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"{type(message).__name__} cannot be sent: {error}.") from error
    _check_sizes(len(text), len(descriptors), sum(len(buffer) for buffer in buffers))
    _check_values(text)
    return [MAGIC, text, *buffers]


def _encode_array(port: str, array: Array, handoff: Handoff | None) -> tuple[dict[str, Any], Buffer | None]:
    shape = array.values.shape  # ascontiguousarray makes a 0-d array 1-d
    values = np.ascontiguousarray(array.values)
    values = values.astype(values.dtype.newbyteorder("<"), copy=False)
    dtype = values.dtype.str.replace("=", "<")
    if dtype not in DTYPES:
        raise ProtocolError(f"An array of {values.dtype} cannot be sent.", field=port)
    descriptor = {
        "port": port,
        "kind": array.kind.name,
        "dtype": dtype,
        "shape": list(shape),
        "attributes": dict(array.attributes),
    }
    if handoff is not None and values.nbytes >= MIN_BYTES:
        try:
            return descriptor | {"file": handoff.put(values)}, None
        except OSError as error:  # a full disk, a folder that has gone: frames need neither
            log.info("an array goes by frame, not by file: %s", error)
    return descriptor, values.reshape(-1).view(np.uint8).data if values.size else b""


# In -----------------------------------------------------------------------------------------------------------------


def decode(frames: Sequence[Buffer], handoff: Handoff | None = None) -> Message:
    """The message in these frames; its arrays are read-only views of them, or of files that `handoff` finds.

    Raises VersionMismatch for another major version and ProtocolError for anything else that PROTOCOL.md does not
    allow. Fields that this version does not know are ignored.
    """
    try:
        return _decode(frames, handoff)
    except RelievoError:
        raise
    except Exception as error:  # whatever numpy, json or the memory's end make of it: the sender's message is at fault
        raise ProtocolError(f"The message cannot be read: {type(error).__name__}: {str(error)[:200]}.") from error


def _decode(frames: Sequence[Buffer], handoff: Handoff | None) -> Message:
    if len(frames) < 2:
        raise ProtocolError(f"A message has at least 2 frames; this one has {len(frames)}.")
    _check_magic(bytes(frames[0][:16]))
    _check_sizes(len(frames[1]), len(frames) - 2, sum(len(frame) for frame in frames[2:]))
    header = _parse_header(bytes(frames[1]))
    type_name = header.get("type")
    cls = MESSAGES.get(type_name) if isinstance(type_name, str) else None
    if cls is None:
        raise ProtocolError(f"There is no message of type {str(type_name)[:MAX_ID_CHARS]!r}.")
    fields = {}
    for name, annotation, required in _fields(cls):
        if name == "arrays":
            fields[name] = _decode_arrays(header.get("arrays", []), frames[2:], handoff)
        elif name in header:
            fields[name] = _check_field(cls.__name__, name, header[name], annotation)
        elif required:
            raise ProtocolError(f"{cls.__name__} lacks the field {name!r}.", field=name)
    if "arrays" not in fields and len(frames) > 2:
        raise ProtocolError(f"{cls.__name__} carries no arrays; {len(frames) - 2} buffers came with it.")
    return cls(**fields)


def _check_magic(magic: bytes) -> None:
    if len(magic) != len(MAGIC) or not magic.startswith(MAGIC_PREFIX):
        raise ProtocolError("This is not a Relievo message: its first frame is not the magic number.")
    if magic[-1] != PROTOCOL_MAJOR:
        raise VersionMismatch(
            f"The other side speaks protocol {magic[-1]}, this one protocol {PROTOCOL_MAJOR}.",
            hint="Update the older one: the add-on in Blender's preferences, the backend with its Update button.",
        )


def _check_sizes(header_bytes: int, arrays: int, total_bytes: int) -> None:
    if header_bytes > MAX_HEADER_BYTES:
        raise ProtocolError(f"The header has {header_bytes} bytes; at most {MAX_HEADER_BYTES} are allowed.")
    if arrays > MAX_ARRAYS:
        raise ProtocolError(f"The message has {arrays} arrays; at most {MAX_ARRAYS} are allowed.")
    if total_bytes > MAX_TOTAL_BYTES:
        raise ProtocolError(
            f"The arrays have {total_bytes} bytes together; at most {MAX_TOTAL_BYTES} are allowed.",
            hint="Send a smaller map.",
        )


def _check_values(text: bytes) -> None:
    count = text.count(b",") + text.count(b"[") + text.count(b"{")
    if count > MAX_HEADER_VALUES:
        raise ProtocolError(
            f"The header has {count} commas and opening brackets; at most {MAX_HEADER_VALUES} are allowed."
        )


def _parse_header(text: bytes) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    _check_values(text)
    try:
        header = json.loads(text.decode(), parse_constant=refuse)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"The header is not JSON: {str(error)[:200]}.") from error
    if not isinstance(header, dict):
        raise ProtocolError("The header is not a JSON object.")
    if b"\\ud" in text.lower():  # half a surrogate pair is JSON, but no text that could be sent back
        try:
            json.dumps(header, ensure_ascii=False).encode()
        except (UnicodeEncodeError, RecursionError) as error:
            raise ProtocolError("The header holds text that is not Unicode.") from error
    return header


@cache
def _fields(cls: type[Message]) -> tuple[tuple[str, Any, bool], ...]:
    hints = typing.get_type_hints(cls)
    return tuple(
        (f.name, hints[f.name], f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING)
        for f in dataclasses.fields(cls)
    )


def _check_field(message: str, name: str, value: Any, annotation: Any) -> Any:
    if not _fits(value, annotation):
        raise ProtocolError(f"{message}.{name} is of a wrong type ({type(value).__name__}).", field=name)
    if name in ("id", "reply_to") and len(value) > MAX_ID_CHARS:
        raise ProtocolError(
            f"{message}.{name} has {len(value)} characters; at most {MAX_ID_CHARS} are allowed.", field=name
        )
    return float(value) if annotation is float else value


def _fits(value: Any, annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, choice) for choice in typing.get_args(annotation))
    if annotation is Any:
        return True
    if annotation is type(None):
        return value is None
    if origin is list:
        (item,) = typing.get_args(annotation)
        return isinstance(value, list) and all(_fits(entry, item) for entry in value)
    if origin in (dict, Mapping):
        _, item = typing.get_args(annotation)
        return isinstance(value, dict) and all(_fits(entry, item) for entry in value.values())
    if annotation is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, annotation)


def _decode_arrays(descriptors: Any, buffers: Sequence[Buffer], handoff: Handoff | None) -> Arrays:
    if not isinstance(descriptors, list) or not all(isinstance(descriptor, dict) for descriptor in descriptors):
        raise ProtocolError("The header's arrays are not described by JSON objects.")
    if sum("file" not in descriptor for descriptor in descriptors) != len(buffers) or len(descriptors) > MAX_ARRAYS:
        raise ProtocolError(f"The header does not describe the {len(buffers)} buffers that came with it.")
    left = iter(buffers)
    arrays: dict[str, list[Array]] = {}
    for descriptor in descriptors:
        port, array = _decode_array(descriptor, None if "file" in descriptor else next(left), handoff)
        arrays.setdefault(port, []).append(array)
    if sum(array.values.nbytes for given in arrays.values() for array in given) > MAX_TOTAL_BYTES:
        raise ProtocolError(f"The arrays have more than {MAX_TOTAL_BYTES} bytes together.", hint="Send a smaller map.")
    return {port: tuple(given) for port, given in arrays.items()}


def _decode_array(descriptor: dict[str, Any], buffer: Buffer | None, handoff: Handoff | None) -> tuple[str, Array]:
    port, kind_name, dtype_name = (descriptor.get(key) for key in ("port", "kind", "dtype"))
    if not isinstance(port, str) or not 0 < len(port) <= MAX_PORT_CHARS:
        raise ProtocolError("An array's description names no port.")
    kind = KINDS.get(kind_name) if isinstance(kind_name, str) else None
    dtype = DTYPES.get(dtype_name) if isinstance(dtype_name, str) else None
    if kind is None or dtype is None:
        kind_text, type_text = str(kind_name)[:MAX_ID_CHARS], str(dtype_name)[:MAX_ID_CHARS]
        raise ProtocolError(f"Array {port!r} is of unknown kind {kind_text!r} or type {type_text!r}.", field=port)
    shape = _check_shape(port, descriptor.get("shape"))
    attributes = _check_attributes(port, descriptor.get("attributes", {}))
    if buffer is None:
        if handoff is None:
            raise ProtocolError(f"Array {port!r} is handed over by a file, which was not agreed on.", field=port)
        return port, Array(kind, handoff.take(descriptor["file"], dtype, shape), attributes)
    expected = math.prod(shape) * dtype.itemsize
    if expected != len(buffer):
        raise ProtocolError(f"Array {port!r} says {expected} bytes and brings {len(buffer)}.", field=port)
    values = np.frombuffer(buffer, dtype=dtype).reshape(shape)
    values.flags.writeable = False
    return port, Array(kind, values, attributes)


def _check_shape(port: str, shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, list) or len(shape) > MAX_AXES:
        raise ProtocolError(f"Array {port!r} has an invalid shape.", field=port)
    for length in shape:
        if isinstance(length, bool) or not isinstance(length, int) or not 0 <= length <= MAX_TOTAL_BYTES:
            raise ProtocolError(f"Array {port!r} has an invalid shape.", field=port)
    if (
        math.prod(max(length, 1) for length in shape) > MAX_TOTAL_BYTES
    ):  # numpy refuses it, also where another length is 0
        raise ProtocolError(f"Array {port!r} has a shape beyond all limits.", field=port)
    return tuple(shape)


def _check_attributes(port: str, attributes: Any) -> dict[str, Any]:
    if not isinstance(attributes, dict) or not all(
        isinstance(value, (str, bool, list)) or _fits(value, float) for value in attributes.values()
    ):
        raise ProtocolError(f"The attributes of array {port!r} are not numbers and texts.", field=port)
    return attributes
