"""What a texture engine found out about its photographs: as a text that a person reads, and as rows for the panel.

The JSON itself lies on the material, so that a script has it whole. A field that an engine leaves out is not shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import bpy

from ..shared.arrays import Array

KEY = "relievo_report"  # custom property of a material: the report as JSON
TEXT_KEY = "relievo_report_text"  # name of the text datablock that tells it


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """One photograph's line. residual: RMS in sRGB from 0 to 1. psnr: dB. shift: px; None where it is not told."""

    name: str
    used: bool = True
    held_out: bool = False
    reason: str = ""
    residual: float | None = None
    psnr: float | None = None
    gain: tuple[float, ...] = ()
    shift_px: tuple[float, ...] = ()

    @property
    def is_misfit(self) -> bool:
        """Whether it was to go into the texture, and did not fit."""
        return not self.used and not self.held_out

    @property
    def standing(self) -> str:
        """ "" for a photograph that went into the texture, else why not."""
        return "" if self.used else self.reason or ("held out" if self.held_out else "did not fit")

    @property
    def sentence(self) -> str:
        """The numbers in a line: "residual 2.1 %, exposure +0.12 EV, 0.4 px off"."""
        parts = [self.standing] if self.standing else []
        if self.psnr is not None:
            parts.append(f"{self.psnr:.1f} dB")
        if self.residual is not None:
            parts.append(f"{100.0 * self.residual:.1f} % off in colour")
        if self.gain:
            parts.append("gain " + " ".join(f"{value:.2f}" for value in self.gain))
        if self.shift_px:
            parts.append(f"{sum(value * value for value in self.shift_px) ** 0.5:.1f} px moved")
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Report:
    """summary: the whole in a few sentences, photographs that did not fit and warnings among them."""

    summary: tuple[str, ...] = ()
    photographs: tuple[Photograph, ...] = ()

    @property
    def misfits(self) -> tuple[Photograph, ...]:
        return tuple(photograph for photograph in self.photographs if photograph.is_misfit)


def write(material: bpy.types.Material, name: str, array: Array) -> None:
    """Put a REPORT on a material, and tell it in a text datablock."""
    told = bytes(array.values).decode("utf-8")
    material[KEY] = told
    text = bpy.data.texts.get(str(material.get(TEXT_KEY, ""))) or bpy.data.texts.new(f"{name} report")
    text.clear()
    text.write(to_text(parse(told), name))
    material[TEXT_KEY] = text.name


def read(material: bpy.types.Material) -> Report | None:
    """The report on a material, None where there is none that can be read. Cheap enough for draw()."""
    told = material.get(KEY)
    if not isinstance(told, str):
        return None
    try:
        return parse(told)
    except (ValueError, TypeError, KeyError):
        return None


def text_of(material: bpy.types.Material) -> bpy.types.Text | None:
    """The text that tells a material's report, None when it was deleted."""
    return bpy.data.texts.get(str(material.get(TEXT_KEY, "")))


@lru_cache(maxsize=8)
def parse(told: str) -> Report:
    """Raises ValueError, TypeError or KeyError for JSON that is no report."""
    values = json.loads(told)
    if not isinstance(values, dict):
        raise ValueError("a report is a JSON object")
    return Report(
        summary=tuple(str(sentence) for sentence in values.get("summary", ())),
        photographs=tuple(_photograph(entry) for entry in values.get("photographs", ())),
    )


def _photograph(entry: Mapping[str, Any]) -> Photograph:
    return Photograph(
        name=str(entry["name"]),
        used=bool(entry.get("used", True)),
        held_out=bool(entry.get("held_out", False)),
        reason=str(entry.get("reason") or ""),
        residual=_number(entry, "residual"),
        psnr=_number(entry, "psnr"),
        gain=tuple(float(value) for value in entry.get("gain") or ()),
        shift_px=tuple(float(value) for value in entry.get("shift_px") or ()),
    )


def _number(values: Mapping[str, Any], name: str) -> float | None:
    value = values.get(name)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def to_text(found: Report, name: str) -> str:
    """A report as a person reads it, a line a photograph."""
    lines = [name, "=" * len(name), *found.summary]
    if found.photographs:
        width = max(len(photograph.name) for photograph in found.photographs)
        lines += ["", f"{'photograph':{width}}  residual    PSNR  gain                shift px"]
        lines += [_row(photograph, width) for photograph in found.photographs]
    return "\n".join(lines) + "\n"


def _row(photograph: Photograph, width: int) -> str:
    residual = "" if photograph.residual is None else f"{100.0 * photograph.residual:.2f} %"
    psnr = "" if photograph.psnr is None else f"{photograph.psnr:.1f} dB"
    gain = " ".join(f"{value:.3f}" for value in photograph.gain)
    shift = " ".join(f"{value:+.2f}" for value in photograph.shift_px)
    row = f"{photograph.name:{width}}  {residual:>8}  {psnr:>7}  {gain:18}  {shift:12}  {photograph.standing}"
    return row.rstrip()
