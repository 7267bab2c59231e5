"""What an engine tells beside its result: as a text that a person reads, and as rows for the panel.

A REPORT is free JSON. `summary` (sentences) and `photographs` (a row for each) are shown as such; a report without photographs is
shown as it is, so that an engine needs no reader of its own. The JSON itself lies on the datablock, so that a script has it whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import bpy

from ..shared.arrays import Array
from ..shared.read_files import parse_json

KEY = "relievo_report"  # custom property of the datablock that it is about: the report as JSON
TEXT_KEY = "relievo_report_text"  # name of the text datablock that tells it


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """One photograph's line. residual: RMS in sRGB from 0 to 1. psnr: dB. shift: px; None where the report does not say."""

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


def write(item: bpy.types.ID, name: str, array: Array) -> None:
    """Put a REPORT on what it is about, and tell it in a text datablock."""
    text_json = bytes(array.values).decode("utf-8", errors="replace")
    item[KEY] = text_json
    text = bpy.data.texts.get(str(item.get(TEXT_KEY, ""))) or bpy.data.texts.new(f"{name} report")
    text.clear()
    text.write(to_text(text_json, name))
    item[TEXT_KEY] = text.name


def read(item: bpy.types.ID) -> Report | None:
    """The report on a datablock, None where there is none with a summary or photographs. Cheap enough for draw()."""
    text_json = item.get(KEY)
    if not isinstance(text_json, str):
        return None
    try:
        return parse(text_json)
    except (ValueError, TypeError, KeyError):
        return None


def text_of(item: bpy.types.ID) -> bpy.types.Text | None:
    """The text that tells a datablock's report, None when it was deleted."""
    return bpy.data.texts.get(str(item.get(TEXT_KEY, "")))


@lru_cache(maxsize=8)
def parse(text_json: str) -> Report:
    """Raises ValueError, TypeError or KeyError for JSON that is no report."""
    values = parse_json(text_json)
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


def to_text(text_json: str, name: str) -> str:
    """A report as a person reads it: the summary, a line for each photograph, then whatever else it says."""
    lines = [name, "=" * len(name)]
    try:
        values = parse_json(text_json)
    except ValueError:
        return "\n".join([*lines, text_json]) + "\n"
    rest, found = values, Report()
    try:
        found = parse(text_json)
    except (ValueError, TypeError, KeyError):
        pass  # of another engine, in words of its own
    else:
        rest = {key: value for key, value in values.items() if key not in ("summary", "photographs")}
    lines += found.summary
    if found.photographs:
        width = max(len(photograph.name) for photograph in found.photographs)
        lines += ["", f"{'photograph':{width}}  residual    PSNR  gain                shift px"]
        lines += [_row(photograph, width) for photograph in found.photographs]
    if rest and not found.photographs:  # of photographs the rows are what a person asks for; the JSON has it all
        lines += ["", *_told(rest)]
    return "\n".join(lines) + "\n"


def _told(value: Any, indent: str = "") -> list[str]:
    """Any JSON in lines: a name and its value, what is inside it indented."""
    if isinstance(value, dict):
        entries = [(str(key).replace("_", " "), inner) for key, inner in value.items()]
    elif isinstance(value, list):
        entries = [("-", inner) for inner in value]
    else:
        return [f"{indent}{value}"]
    lines = []
    for label, inner in entries:
        mark = label if label == "-" else f"{label}:"
        if isinstance(inner, (dict, list)) and inner and not _is_flat(inner):
            lines += [f"{indent}{mark}", *_told(inner, f"{indent}    ")]
        else:
            lines.append(f"{indent}{mark} {_brief(inner)}")
    return lines


def _is_flat(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(inner, (dict, list)) for inner in value)


def _brief(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_brief(inner) for inner in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _row(photograph: Photograph, width: int) -> str:
    residual = "" if photograph.residual is None else f"{100.0 * photograph.residual:.2f} %"
    psnr = "" if photograph.psnr is None else f"{photograph.psnr:.1f} dB"
    gain = " ".join(f"{value:.3f}" for value in photograph.gain)
    shift = " ".join(f"{value:+.2f}" for value in photograph.shift_px)
    row = f"{photograph.name:{width}}  {residual:>8}  {psnr:>7}  {gain:18}  {shift:12}  {photograph.standing}"
    return row.rstrip()
