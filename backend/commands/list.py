"""`list`: what there is to run: algorithms with inputs, outputs, presets and settings, and the exemplars that ship."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from backend.cli import DONE, PROGRAM, Parser
from backend.files import exemplars
from backend.runtime import registry
from shared.algorithm import AlgorithmSpec, Port, classes_text
from shared.weights import WEIGHTS


def main(argv: Sequence[str]) -> int:
    parser = Parser(prog=f"{PROGRAM} list", description="Algorithms with their presets, and the exemplars that ship.")
    parser.add_argument("algorithm", nargs="?", metavar="ALGORITHM", help="only this one, with every setting")
    parser.add_argument("--json", action="store_true", help="as JSON, every setting included")
    options = parser.parse_args(argv)
    specs = (registry.find_algorithm(options.algorithm),) if options.algorithm else registry.algorithms()
    if options.json:
        listing = {"algorithms": [_json(spec) for spec in specs], "exemplars": _exemplars(), "weights": _weights()}
        print(json.dumps(listing, indent=1))
        return DONE
    print("\n\n".join(_text(spec, settings=bool(options.algorithm)) for spec in specs))
    if not options.algorithm:
        print("\nexemplars (give the name in place of a file):")
        print(
            "\n".join(_row(entry["name"], entry["help"]) for entry in _exemplars()) or "  none ship with this version"
        )
        print("\npretrained weights (prepare --weights NAME downloads them):")
        print("\n".join(_row(entry["name"], f"{entry['help']}: {entry['text']}") for entry in _weights()))
        print(f"\n{PROGRAM} list ALGORITHM shows its settings; {PROGRAM} run ALGORITHM --help its options.")
    return DONE


def _exemplars() -> list[dict[str, str]]:
    """Those that are there: a checkout whose exemplars are being made again may lack some."""
    there = [name for name in exemplars.NAMES if exemplars.path(name).is_file()]
    return [{"name": name, "help": str(exemplars.recipe(name).get("help", ""))} for name in there]


def _weights() -> list[dict[str, Any]]:
    from backend.runtime import weights

    found = [weights.presence(entry) for entry in WEIGHTS.values()]
    return [{**asdict(here.entry), "path": str(here.path or ""), "text": here.text} for here in found]


def _text(spec: AlgorithmSpec, *, settings: bool) -> str:
    lines = [f"{spec.name}  {spec.summary}"]
    lines += [f"  in   {_port(port)}" for port in spec.inputs]
    lines += [f"  out  {_port(port)}" for port in spec.outputs]
    lines.append(f"  runs on {', '.join(spec.devices)}")
    if spec.weights:
        lines.append(f"  weights that settings may ask for: {', '.join(spec.weights)}")
    if spec.presets:
        lines += ["  presets", *(_row(preset.name, preset.help, indent=4) for preset in spec.presets)]
    if settings:
        lines += [
            "  settings",
            *(
                _row(parameter.name, f"{parameter.help} [{parameter.default!r}]", indent=4)
                for parameter in spec.parameters
            ),
        ]
    return "\n".join(lines)


def _port(port: Port) -> str:
    notes = "".join([", optional"] * port.optional + [", one or more"] * port.many)
    classes = f"; classes: {classes_text(port)}" if port.classes else ""
    return f"{port.name} ({port.kind.name}{notes}): {port.help}{classes}"


def _row(name: str, text: str, *, indent: int = 2) -> str:
    return f"{' ' * indent}{name:<22}  {text}"


def _json(spec: AlgorithmSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "label": spec.label,
        "summary": spec.summary,
        "version": spec.version,
        "devices": list(spec.devices),
        "weights": list(spec.weights),
        "digest": spec.digest,
        "inputs": [_port_json(port) for port in spec.inputs],
        "outputs": [_port_json(port) for port in spec.outputs],
        "parameters": [asdict(parameter) for parameter in spec.parameters],
        "presets": [{"name": p.name, "label": p.label, "help": p.help, "values": dict(p.values)} for p in spec.presets],
    }


def _port_json(port: Port) -> dict[str, Any]:
    return {
        "name": port.name,
        "kind": port.kind.name,
        "help": port.help,
        "optional": port.optional,
        "many": port.many,
        "classes": [[name, list(rgb)] for name, rgb in port.classes],
    }
