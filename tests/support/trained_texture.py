"""A file of a tiny, untrained texture generator, written with NumPy alone: for tests in environments without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

WIDTHS, NOISES = (8, 8), (4, 4)


def write(path: Path) -> Path:
    """A model of colours alone, whose tiles are multiples of 4 pixels."""
    draw = np.random.default_rng(0)
    tensors = {
        "channels.mixing": np.eye(3), "channels.inverse": np.eye(3), "channels.mean": np.full(3, 0.5),
        "channels.low": np.zeros(3), "channels.high": np.ones(3),
    }  # fmt: skip
    shapes = {
        "first.0": (8, 4, 3, 3), "first.1": (8, 12, 3, 3), "second.0": (8, 8, 3, 3), "head": (12, 8, 3, 3),
    }  # fmt: skip
    for name, shape in shapes.items():
        tensors[f"network.{name}.weight"] = draw.normal(0, 0.15, shape)
        tensors[f"network.{name}.bias"] = np.zeros(shape[0])
    about = {
        "model": "texture", "format": 1, "maps": ["base_color"], "sample_px": 64,
        "network": {"widths": WIDTHS, "noises": NOISES},
    }  # fmt: skip
    header: dict[str, object] = {"__metadata__": {"relievo": json.dumps(about)}}
    content = b""
    for name, values in tensors.items():
        data = np.ascontiguousarray(values, "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": values.shape, "data_offsets": [len(content), len(content) + len(data)]}
        content += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)
    return path
