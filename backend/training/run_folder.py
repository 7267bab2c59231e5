"""What a training leaves on disk: its resolved configuration, its losses, sheets of samples, checkpoints, and the weights.

config.json                 all that the result depends on
stats.jsonl                 one line per logged step
samples/step-00001000.png
checkpoints/                checkpoints.py
weights.safetensors, card.md
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.torch import save
from torch import Tensor

from backend.files.tensor_digests import tensors_digest
from backend.files.whole_files import storage_error, write_bytes
from shared.errors import InvalidInput

DEFAULTS = {"processes": 1}  # of a configuration that was written before there was this


class RunFolder:
    """The folder of one run: a new one, or the run that is in it."""

    def __init__(self, path: Path, config: Mapping[str, Any]) -> None:
        """Makes nothing yet. Raises InvalidInput where the folder holds a run with other settings: two runs in one folder would be
        neither."""
        self.path = path
        self.checkpoints = path / "checkpoints"
        self._stats = path / "stats.jsonl"
        self._new_config = DEFAULTS | dict(config)
        known = self._config()
        if known is not None and known != self._new_config:
            raise InvalidInput(
                f"{path} holds a run with other settings: {_difference(known, config)}.",
                hint="Choose another folder with --out, or use the same settings to continue that run.",
                field="out",
            )

    def make(self) -> None:
        """The folder itself, when there is something to train: settings that cannot be trained must not block the next ones.

        Raises StorageFull, and InvalidInput where nothing can be written.
        """
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            (self.path / "samples").mkdir(exist_ok=True)
        except OSError as error:
            raise storage_error(self.path, error) from error
        if self._config() is None:
            write_bytes(self.path / "config.json", (json.dumps(self._new_config, indent=1) + "\n").encode())

    def _config(self) -> dict[str, Any] | None:
        try:
            return DEFAULTS | json.loads((self.path / "config.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise InvalidInput(f"{self.path / 'config.json'} cannot be read: {error}.", field="out") from error

    def log(self, step: int, values: Mapping[str, float]) -> None:
        with open(self._stats, "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    def stats(self) -> list[dict[str, Any]]:
        """Every whole line; a half one at the end is of a run that was killed."""
        if not self._stats.is_file():
            return []
        lines = self._stats.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines[:-1]]

    def rewind(self, step: int) -> None:
        """Drops what was logged after a checkpoint: those steps are taken again."""
        kept = [entry for entry in self.stats() if entry["step"] < step]
        temporary = self.path / ".stats.jsonl.part"
        temporary.write_text("".join(json.dumps(entry) + "\n" for entry in kept), encoding="utf-8")
        os.replace(temporary, self._stats)

    def write_sample(self, step: int, sheet: np.ndarray) -> None:
        Image.fromarray(sheet).save(self.path / "samples" / f"step-{step:08d}.png")

    def write_weights(self, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Path:
        """weights.safetensors with `about` in its header, and card.md that tells the same to a person."""
        path = self.path / "weights.safetensors"
        whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        about = {**about, "tensors_sha256": tensors_digest(whole)}
        write_bytes(path, save(whole, metadata={"relievo": json.dumps(about)}))
        rows = "".join(f"| {key} | {value} |\n" for key, value in about.items())
        write_bytes(self.path / "card.md", f"# {about['model']}\n\n| | |\n|---|---|\n{rows}".encode())
        return path


def _difference(known: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    differences = [
        f"{key} is {known.get(key)!r} there and {now.get(key)!r} here"
        for key in dict.fromkeys((*known, *now))
        if known.get(key) != now.get(key)
    ]
    return "; ".join(differences)
