"""Objects of a photograph by a panoptic network, for who has the transformers library and the network on this machine.

The only module that knows that library. It comes with neither, and downloads nothing. Networks are read from safetensors, which
hold no code.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.errors import InvalidInput
from shared.object_classes import BACKGROUND, depth

NETWORK = "facebook/detr-resnet-50-panoptic"
LIBRARY = "transformers"
MOST = 255
_INSTEAD = "Leave out --objects to find parts by their colours, or draw them in an image editor."


@dataclass(frozen=True)
class Objects:
    """numbers: uint8 [H, W], from back to front. names: the class of each number."""

    numbers: np.ndarray
    names: tuple[str, ...]


def find_objects(image: np.ndarray, network: str = NETWORK) -> Objects:
    """The classes of things in a picture, uint8 [H, W, 3] sRGB, one number for each. network: a name that was downloaded before, or
    a folder. Raises InvalidInput where the library or the network is not there."""
    if importlib.util.find_spec(LIBRARY) is None:
        raise InvalidInput(
            f"Objects are found by a network of the {LIBRARY} library, which is not installed.",
            hint=f"Install it into the backend's environment: pip install {LIBRARY}. {_INSTEAD}",
            field="objects",
        )
    labels, found = _run(image, network)
    return numbered(labels, found)


def numbered(labels: np.ndarray, found: Sequence[tuple[int, str]]) -> Objects:
    """One number for each class, from back to front.

    labels: ids of segments [H, W], any other number where there is none. found: the ids with their classes' names.
    """
    names = sorted({name for _, name in found} | {BACKGROUND}, key=lambda name: (depth(name), name))
    ids = {name: [label for label, its in found if its == name] for name in names}
    inside = {name: np.isin(labels, ids[name]) for name in names}
    inside[BACKGROUND] |= ~np.isin(labels, [label for label, _ in found])
    names = [name for name in names if inside[name].any()][-MOST:]
    numbers = np.zeros(labels.shape, np.uint8)
    for number, name in enumerate(names):
        numbers[inside[name]] = number
    return Objects(numbers, tuple(names))


def _run(image: np.ndarray, network: str) -> tuple[np.ndarray, list[tuple[int, str]]]:
    """Ids of segments [H, W], and each with the name of its class."""
    import torch
    from PIL import Image

    library = importlib.import_module(LIBRARY)
    logging.getLogger(LIBRARY).setLevel(logging.ERROR)  # it recommends other libraries
    library.utils.logging.disable_progress_bar()
    try:
        read = {"local_files_only": True}
        processor = library.AutoImageProcessor.from_pretrained(network, **read)
        model = library.AutoModelForUniversalSegmentation.from_pretrained(network, use_safetensors=True, **read).eval()
    except (OSError, ValueError) as error:
        fetch = "" if Path(network).exists() else f"Download it once with: hf download {network}. "
        raise InvalidInput(
            f"The network {network} is not on this machine, or {LIBRARY} cannot read it.",
            hint=f"{fetch}{_INSTEAD}",
            field="objects",
        ) from error
    except ImportError as error:  # some networks need one more library
        said = " ".join(str(error).split())[:200]
        raise InvalidInput(f"The network {network} cannot be loaded: {said}", hint=_INSTEAD, field="objects") from error
    picture = Image.fromarray(image)
    with torch.no_grad():
        answer = model(**processor(images=picture, return_tensors="pt"))
    made = processor.post_process_panoptic_segmentation(answer, target_sizes=[image.shape[:2]])[0]
    classes = model.config.id2label
    found = [(int(entry["id"]), str(classes[entry["label_id"]])) for entry in made["segments_info"]]
    return made["segmentation"].numpy().astype(np.int64), found
