"""Checkpoints: the state of a training in one file, whole or not at all, without pickle.

A file is written beside its place, forced to the disk with its folder and only then renamed, so that a kill at any byte leaves the
checkpoints before it as they were. It ends with the SHA-256 of all before, by which a file that a dying disk or another program has
spoiled is passed over for the one before it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from shared.errors import InvalidInput, StorageFull

KEPT = 2  # a spoiled newest file costs one interval, not the run
DIGEST_BYTES = 32
_NAME = re.compile(r"step-(\d{8})\.checkpoint$")


def write(folder: Path, step: int, state: Mapping[str, Any]) -> Path:
    """The state of a training after `step` steps: nested dicts and lists of tensors, numbers, text. Raises StorageFull."""
    tensors: dict[str, Tensor] = {}
    outline = _outline(state, tensors, "")
    content = save(tensors, metadata={"step": str(step), "outline": json.dumps(outline)})
    path = folder / f"step-{step:08d}.checkpoint"
    temporary = folder / f".{path.name}.part"
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.write(hashlib.sha256(content).digest())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync(folder)
    except OSError as error:
        raise StorageFull(
            f"The checkpoint {path} could not be written: {error.strerror or error}.",
            hint="Free some space and start the same training again: it continues from the last checkpoint.",
        ) from error
    for old in _found(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def newest(folder: Path) -> tuple[int, dict[str, Any]] | None:
    """Step and state of the newest checkpoint that is whole; None where there is none at all.

    Raises InvalidInput where there are checkpoints and every one is spoiled: starting over would throw the run away in silence.
    """
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)  # of a run that was killed while it wrote
    found = _found(folder)
    for path in found:
        if (read_back := _read(path)) is not None:
            return read_back
    if found:
        raise InvalidInput(
            f"None of the {len(found)} checkpoints in {folder} is intact.",
            hint="Delete them to restart the training.",
            field="out",
        )
    return None


def _found(folder: Path) -> list[Path]:
    return sorted((path for path in folder.glob("step-*.checkpoint") if _NAME.search(path.name)), reverse=True)


def _read(path: Path) -> tuple[int, dict[str, Any]] | None:
    content = path.read_bytes()
    body, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        return None
    header = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])  # safetensors: its length, then JSON
    about = header["__metadata__"]
    return int(about["step"]), _filled(json.loads(about["outline"]), load(body))


def _sync(folder: Path) -> None:
    """Forces the folder's own entry to the disk, where the system can (not on Windows)."""
    if os.name != "nt":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# State <-> tensors and an outline in JSON ---------------------------------------------------------------------------


def _outline(value: Any, tensors: dict[str, Tensor], place: str) -> Any:
    """The value with each tensor replaced by its name; keys that are no text (an optimizer numbers its parameters) are kept."""
    if isinstance(value, Tensor):
        tensors[place] = value.detach().cpu().contiguous().clone()  # clones: safetensors refuses shared memory
        return {"tensor": place}
    if isinstance(value, Mapping):
        return {"items": [[key, _outline(part, tensors, f"{place}/{key}")] for key, part in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"list": [_outline(part, tensors, f"{place}/{number}") for number, part in enumerate(value)]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__} ({place})")


def _filled(outline: Any, tensors: Mapping[str, Tensor]) -> Any:
    ((kind, content),) = outline.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "items":
        return {key: _filled(part, tensors) for key, part in content}
    return [_filled(part, tensors) for part in content] if kind == "list" else content


def to_device(state: Any, device: torch.device) -> Any:
    """The same state with its tensors on another device."""
    if isinstance(state, Tensor):
        return state.to(device)
    if isinstance(state, Mapping):
        return {key: to_device(part, device) for key, part in state.items()}
    return [to_device(part, device) for part in state] if isinstance(state, list) else state
