"""Claim: the published painting scheme comes nearer on our renderer than with a network that was trained to draw strokes.

The scheme of de Guevara et al. 2023 (preset de-guevara-2023) paints two photographs with either: as many strokes and steps, on
pictures of one patch, small enough for the network. --model is a file of `train stroke-renderer`; its alphas are compared with the
true ones first. Needs the photographs beside the repository (../shared/data) or --data.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from backend.algorithms.painting.patch_scheme import BRUSHES
from backend.models.stroke_renderer import StrokeRenderer
from backend.runtime.weights import load_trained
from backend.training.data.random_strokes import alphas, shapes
from benchmarks.machine import describe_machine, print_machine, save_result
from benchmarks.paint import DATA, KINDS, encoded, ours, photograph, psnr
from shared.arrays import Array

SIDE, STEPS = 128, 60  # a patch: 512 px with the scheme's 300 steps take the network an hour
STROKES, SEED = 256, 77  # that the network has not learned


def main(argv: list[str] | None = None) -> int:
    """Print the table and keep the result; 0 when our renderer is ahead on both photographs, else 1."""
    parser = argparse.ArgumentParser(
        prog="relievo.py bench paint-network", description=(__doc__ or "").partition("\n\n")[0]
    )
    parser.add_argument("--model", type=Path, required=True, help="weights.safetensors of train stroke-renderer")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the photographs")
    options = parser.parse_args(argv)
    if not options.data.is_dir():
        print(f"There is no folder {options.data}; --data names the folder of the photographs.")
        return 2
    machine = describe_machine()
    print_machine(machine)
    file = load_trained(options.model)
    errors = alpha_errors(options.model)
    print(f"  alpha: {errors}", flush=True)
    names = [names[0] for names in KINDS.values()][:2]
    rows = {name: painted(photograph(options.data, name, SIDE), options.model) for name in names}
    gained = min(row["analytic"] - row["network"] for row in rows.values())
    print(f"  least dB over the network: {gained:.2f}")
    about = {key: file.about[key] for key in ("steps", "settings", "network")}
    result = {
        "side": SIDE,
        "steps": STEPS,
        "trained": about,
        "alpha_errors": errors,
        "photographs": rows,
        "gained": gained,
    }
    print(save_result("paint-network", result, machine).name)
    return 0 if gained > 0 else 1


def alpha_errors(model: Path) -> dict[str, float]:
    """How far a network's alphas are from those that it has learned, on strokes of the scheme: the mean over all pixels, and over
    the area of the strokes, for all of them and for those of each brush."""
    file = load_trained(model)
    network = StrokeRenderer(**file.about["network"])
    network.load_state_dict(file.tensors)
    drawn = shapes(STROKES, 1.0, torch.Generator().manual_seed(SEED))
    with torch.no_grad():
        true, made = alphas(drawn, file.about["settings"]["bristles"]), network(drawn)
    error, area = (made - true).abs().sum((1, 2)), true.sum((1, 2))
    errors = {"mean": float((made - true).abs().mean()), "by area": float(error.sum() / area.sum())}
    widest = drawn[:, 6:8].amax(1)
    for thinner, brush in zip((*BRUSHES[1:], 0.0), BRUSHES, strict=True):
        some = (widest > thinner) & (widest <= brush)
        errors[f"by area, radius {thinner} to {brush}"] = float(error[some].sum() / area[some].sum())
    return errors


def painted(picture: np.ndarray, model: Path) -> dict[str, float]:
    """dB and seconds of the scheme with the network and with our renderer, and of the network's strokes drawn by our renderer."""
    settings = {"preset": "de-guevara-2023", "steps": STEPS, "impasto": 0.0}
    exact, strokes, exact_s = ours(picture, **settings)
    theirs, learned, theirs_s = ours(picture, **settings, model=str(model))
    assert len(strokes.values) == len(learned.values)
    row = {
        "strokes": len(learned.values), "network": psnr(theirs, picture), "network_redrawn": psnr(redrawn(learned), picture),
        "network_s": theirs_s, "analytic": psnr(exact, picture), "analytic_s": exact_s,
    }  # fmt: skip
    print(f"  {row}", flush=True)
    return row


def redrawn(strokes: Array) -> np.ndarray:
    """Saved strokes as our renderer draws them, in sRGB."""
    import backend

    return encoded(backend.run("paint", strokes=strokes, device="cpu", bristles=0.0, impasto=0.0)["painting"])


if __name__ == "__main__":
    raise SystemExit(main())
