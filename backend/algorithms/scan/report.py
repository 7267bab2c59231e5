"""What the scan texture engine tells about its photographs: the report as JSON, the same bytes for the same input.

Keys: summary (sentences for people), warnings, photographs (name, used, held_out, reason, residual, psnr, gain, bias, shift_px,
warp_px), noise (root mean square by which photographs typically miss the texture), hold_out_psnr and hold_out_psnr_own_gain (dB,
null without held-out photographs), coverage (share of the charts' texels that some photograph has seen), seen_texels, size,
tiles, blocks, passes, uv_overlap, unwrapped, seam_ratio.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.algorithms.scan.inputs import Scan
from backend.algorithms.scan.passes import Passes, Photograph
from backend.ops.texels.observations import Residuals
from shared.arrays import REPORT, Array

NAMED = 5  # photographs in a sentence


@dataclass(frozen=True)
class Held:
    """How well the texture predicts a photograph that it was not made from: PSNR in dB as it is, and after its own gain and
    bias were fitted."""

    plain: float
    own_gain: float


def held_out(residuals: Residuals) -> Held:
    """From the sums of a photograph taken with gain 1, offset 0, least squares and no solving."""
    count, weight = residuals.count, residuals.weight
    if not count or not weight > 0:
        return Held(math.nan, math.nan)
    mean_m, mean_c = residuals.model / weight, residuals.photograph / weight
    variance = residuals.model_squared / weight - mean_m**2
    covariance = residuals.product / weight - mean_m * mean_c
    left = residuals.photograph_squared / weight - mean_c**2 - covariance**2 / np.maximum(variance, 1e-12)
    return Held(_psnr(float(residuals.plain_squared.sum()) / (3 * count)), _psnr(float(np.maximum(left, 0).mean())))


def make_report(
    scan: Scan, passes: Passes, predictions: dict[int, Held], *, size: int, blocks: int, coverage: float, seen_texels: int,
    seam_ratio: float | None,
) -> Array:  # fmt: skip
    """The REPORT. predictions: by a held-out photograph's number."""
    held = [prediction for prediction in predictions.values() if math.isfinite(prediction.plain)]
    plain = _mean([prediction.plain for prediction in held])
    own = _mean([prediction.own_gain for prediction in held])
    unused = [photograph for photograph in passes.photographs if photograph.reason]
    content = {
        "summary": [*_summary(passes, plain, own, coverage, unused), *scan.warnings],
        "warnings": [*_named(unused), *scan.warnings],
        "hold_out_psnr": plain,
        "hold_out_psnr_own_gain": own,
        "coverage": _rounded(coverage),
        "seen_texels": seen_texels,
        "size": size,
        "tiles": scan.tiles,
        "blocks": blocks,
        "passes": passes.params.passes,
        "uv_overlap": _rounded(scan.overlap),
        "unwrapped": scan.unwrapped,
        "noise": _rounded(passes.noise, 5),
        "seam_ratio": _rounded(seam_ratio),
        "photographs": [_entry(passes, photograph, predictions) for photograph in passes.photographs],
    }
    text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False)
    return Array(REPORT, np.frombuffer(text.encode(), np.uint8).copy(), {"name": "report.json"})


def _entry(passes: Passes, photograph: Photograph, predictions: dict[int, Held]) -> dict[str, Any]:
    index, moved = photograph.view.index, photograph.displacement
    prediction, psnr = predictions.get(index), math.nan
    if prediction is not None:
        psnr = prediction.plain
    elif photograph.last is not None and photograph.last.count:
        psnr = _psnr(float(photograph.last.plain_squared.sum()) / (3 * photograph.last.count))
    return {
        "name": photograph.view.name,
        "used": photograph.is_used,
        "held_out": photograph.held_out,
        "reason": photograph.reason or ("held out" if photograph.held_out else ""),
        "residual": _rounded(photograph.residual, 5),
        "psnr": _rounded(psnr, 2),
        "gain": [round(float(value), 5) for value in passes.correction.gain[index]],
        "bias": [round(float(value), 5) for value in passes.correction.bias[index]],
        "shift_px": [0.0, 0.0] if moved is None else [round(float(value), 3) for value in moved.shift_px],
        "warp_px": 0.0 if moved is None else round(moved.most_px, 3),
    }


def _summary(
    passes: Passes, plain: float | None, own: float | None, coverage: float, unused: Sequence[Photograph]
) -> list[str]:
    # These sentences are bytes of a result, which a recipe repeats: another wording is another version of the engine.
    lines = [
        f"{len(passes.used)} of {len(passes.photographs)} photographs made the texture; {coverage:.1%} of it was seen."
    ]
    if plain is not None:
        held = sum(photograph.held_out for photograph in passes.photographs)
        lines.append(f"{held} held-out photographs are predicted at {plain} dB ({own} dB with their own exposure).")
    return [*lines, *_named(unused)]


def _named(unused: Sequence[Photograph]) -> list[str]:
    """A sentence for each reason (up to its figures) with the photographs that it concerns."""
    by_reason: dict[str, list[str]] = {}
    for photograph in unused:
        by_reason.setdefault(photograph.reason.split(":")[0], []).append(photograph.view.name)
    sentences = []
    for reason, names in by_reason.items():
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        sentences.append(f"Not used, for it {reason}: {', '.join(names[:NAMED])}{more}.")
    return sentences


def _psnr(mean_square: float) -> float:
    return 10.0 * math.log10(1.0 / max(mean_square, 1e-12))


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 2) if values else None


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), digits)
