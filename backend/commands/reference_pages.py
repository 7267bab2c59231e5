"""The reference pages of docs/reference, made from the catalog: `python -m backend.commands.reference_pages` rewrites them.

A declaration is the only source: --help, the sidebar's tooltips and the validation of requests are made from it too.
"""

from __future__ import annotations

import sys
from pathlib import Path

from backend.files.kinds import ENDINGS, file_kind
from backend.setup.small_inputs import typical_ports
from shared.algorithm import AlgorithmSpec, Port, classes_text
from shared.arrays import KINDS, TEXTURE_SET, ArrayKind
from shared.catalog import ALGORITHMS
from shared.params import Param, with_role

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
NOTE = "<!-- Made by `python -m backend.commands.reference_pages` from shared/catalog. Change the declaration, not this page. -->"


def pages() -> dict[str, str]:
    """File name -> Markdown, for every algorithm and an index."""
    made = {f"{spec.name}.md": page(spec) for spec in ALGORITHMS}
    made["README.md"] = index()
    return made


def index() -> str:
    lines = [NOTE, "", "# Reference", "", "## Engines", "", "| name | what it does |", "|---|---|"]
    lines += [f"| [{spec.name}]({spec.name}.md) | {_cell(spec.summary)} |" for spec in ALGORITHMS]
    lines += [
        "",
        "## Kinds of Array",
        "",
        "Axes: rows run from the top down; C counts channels, N items.",
        "On the command line each is a file; in Blender an image, a mesh, curves or a text.",
        "",
        "| kind | type | axes | unit | what it is |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {kind.name} | {kind.dtype} | {_axes(kind)} | {kind.unit or '-'} | {_cell(kind.help)} |"
        for kind in KINDS.values()
    ]
    return "\n".join(lines) + "\n"


def page(spec: AlgorithmSpec) -> str:
    lines = [NOTE, "", f"# {spec.label}", "", _sentence(spec.summary), ""]
    lines += ["```", _example(spec), "```", "", "```python", *_python(spec), "```", ""]
    if spec.inputs:
        lines += [
            "## Inputs",
            "",
            "| port | kind | what goes in |",
            "|---|---|---|",
            *(_port(port) for port in spec.inputs),
            "",
        ]
    lines += [
        "## Outputs",
        "",
        "| port | kind | what comes out |",
        "|---|---|---|",
        *(_port(port) for port in spec.outputs),
        "",
    ]
    if spec.presets:
        lines += ["## Presets", "", "| name | | sets |", "|---|---|---|"]
        lines += [
            f"| `{preset.name}` | {_cell(preset.help)} | {_values(dict(preset.values))} |" for preset in spec.presets
        ]
        lines += [""]
    for group in dict.fromkeys(parameter.group for parameter in spec.parameters):
        lines += [f"## {group or 'Settings'}", "", "| name | default | range | what it does |", "|---|---|---|---|"]
        lines += [_parameter(parameter) for parameter in spec.parameters if parameter.group == group]
        lines += [""]
    return "\n".join(lines)


def _example(spec: AlgorithmSpec) -> str:
    inputs = "".join(f" --{port.name.replace('_', '-')} {example_file(port)}" for port in typical_ports(spec))
    preset = f" --preset {spec.presets[0].name}" if spec.presets else ""
    return f"relievo.py run {spec.name}{inputs}{preset}{_seed(spec, ' --{} 7')} --out DIR"


def example_file(port: Port) -> str:
    """What the example calls a port's file, in the format that the kind is written in by default; photographs and the maps of a
    material are a folder."""
    if port.kind is TEXTURE_SET:
        return port.name
    formats = file_kind(port.kind).default or file_kind(port.kind).formats
    return f"{port.name}{ENDINGS[formats[-1]]}" if formats else port.name


def _seed(spec: AlgorithmSpec, template: str) -> str:
    return "".join(
        template.format(entry.name.replace("_", "-" if "--" in template else "_"))
        for entry in with_role(spec.parameters, "seed")
    )


def _python(spec: AlgorithmSpec) -> list[str]:
    ports = typical_ports(spec)
    inputs = "".join(f", {port.name}={port.name}" for port in ports)
    size = ", pixel_size_m=30.0" if any("pixel_size_m" in port.kind.attributes for port in ports) else ""
    first = spec.outputs[0]
    axes = ", ".join({"H": "H", "W": "W"}.get(axis, axis) for axis in first.kind.axes)
    return [
        "import backend",
        "",
        f'outputs = backend.run("{spec.name}"{inputs}{size}{_seed(spec, ", {}=7")})',
        f'values = outputs["{first.name}"]{"[0]" if first.many else ""}.values  # {first.kind.dtype} [{axes}]',
    ]


def _port(port: Port) -> str:
    classes = [f"classes: {classes_text(port)}"] if port.classes else []
    least = [f"at least {port.least_px} x {port.least_px} px"] * (port.least_px > 1)
    unless = [f"not needed with `{port.unless}`"] if port.unless else []
    notes = "; ".join(["optional"] * port.optional + ["one or more"] * port.many + unless + least + classes)
    return f"| `{port.name}` | {port.kind.name} | {_cell(_sentence(port.help))}{f' ({notes})' if notes else ''} |"


def _parameter(parameter: Param) -> str:
    default = (
        "on"
        if parameter.default is True
        else "off"
        if parameter.default is False
        else f"{parameter.default}" or "(empty)"
    )
    return f"| `{parameter.name}` | {default}{_unit(parameter)} | {_range(parameter)} | {_cell(_sentence(parameter.help))} |"


def _range(parameter: Param) -> str:
    if parameter.type == "choice":
        return ", ".join(f"`{value}`" for value, _ in parameter.choices)
    if parameter.type in ("bool", "str"):
        return "on, off" if parameter.type == "bool" else "text"
    low, high = (f"{value:.12g}" if value is not None else "" for value in (parameter.min, parameter.max))
    return f"{low} to {high}" if low and high else f"{low} and up" if low else f"up to {high}" if high else "any"


def _unit(parameter: Param) -> str:
    return f" {parameter.unit}" if parameter.unit else ""


def _values(values: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "the defaults"


def _axes(kind: ArrayKind) -> str:
    return " x ".join({"H": "rows", "W": "columns"}.get(axis, axis) for axis in kind.axes)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = pages()
    for stale in set(FOLDER.glob("*.md")) - {FOLDER / name for name in made}:
        stale.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
