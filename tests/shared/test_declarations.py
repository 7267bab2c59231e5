"""What an engine declares is checked when its module is imported, in a sentence for its author."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from shared import texture_set
from shared.algorithm import AlgorithmSpec, Port, Preset, check_inputs
from shared.arrays import CLASS_MAP, COLOR_IMAGE, HEIGHT_MAP, STROKES, Array, ArrayKind, check, height_map
from shared.catalog import ALGORITHMS
from shared.declaration_checks import check_catalog
from shared.errors import DeclarationError, InvalidInput
from shared.params import describe, param
from shared.strokes import COLUMNS

NUMBERS = json.loads((Path(__file__).parent / "saved_numbers.json").read_text(encoding="utf-8"))


@dataclass(frozen=True, kw_only=True)
class Params:
    seed: int = param(0, label="Seed", help="", role="seed")


def declare(**changes: Any) -> AlgorithmSpec:
    given = {
        "name": "toy",
        "params": Params,
        "number": 2000,
        "makes": "terrain",
        "inputs": (),
        "outputs": (HEIGHT,),
    } | changes
    return AlgorithmSpec(label="Toy", summary="", icon="NONE", **given)


HEIGHT = Port(name="height", kind=HEIGHT_MAP, label="Height", help="")
SEEDED = Port(name="base", kind=HEIGHT_MAP, label="Base", help="", unless="seed")


def preset(**values: Any) -> Preset:
    return Preset(name="steep", label="Steep", help="", values=values)


@dataclass(frozen=True, kw_only=True)
class Steep:
    height: float = param(1.0, label="Height", help="")


@dataclass(frozen=True, kw_only=True)
class Plain:
    steps: int = 3


@dataclass(frozen=True, kw_only=True)
class Filed:
    file: str = param("", label="File", help="", role="file")


@dataclass(frozen=True, kw_only=True)
class Taken:
    format: str = param("", label="Format", help="")


@dataclass(frozen=True, kw_only=True)
class TooMuch:
    share: float = param(8.0, max=1.0, label="Share", help="")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"devices": ("cpu", "gpu")}, "declares the device 'gpu'. Available: cpu, cuda, mps."),
        ({"devices": ()}, "declares no device"),
        ({"devices": "cpu"}, "declares devices as 'cpu'; it must be a tuple of str. A tuple of one needs a comma"),
        ({"outputs": HEIGHT}, "declares outputs as a Port; it must be a tuple of Port. A tuple of one needs a comma"),
        ({"presets": (("steep", {}),)}, "declares presets as a tuple; it must be a tuple of Preset."),
        ({"weights": ("vgg16",)}, "declares the weights 'vgg16'. Did you mean 'vgg19'?"),
        ({"makes": "terain"}, "makes 'terain'. Did you mean 'terrain'?"),
        ({"makes": "video"}, "Available: terrain, surface, painting, maps."),
        ({"makes": "painting"}, "must be of the kind COLOR_IMAGE, "),
        ({"inputs": (HEIGHT,), "params": Steep}, "has the name 'height' twice"),
        (
            {"inputs": (SEEDED,)},
            "the input 'base' is needed unless 'seed'; that is no parameter of text and no optional input.",
        ),
        ({"params": Plain}, "Engine 'toy': parameter 'steps' is not made with param()"),
        ({"params": Taken}, "has a port or parameter 'format'; that name is taken"),
        ({"params": TooMuch}, "the default of 'share': share is 8.0; it must be at most 1.0."),
        ({"presets": (preset(steps=1),)}, "preset 'steep': Unknown parameter 'steps'."),
        ({"presets": (preset(seed="x"),)}, "preset 'steep': seed is 'x'; it must be a number."),
    ],
)
def test_what_does_not_exist_is_refused(changes: dict[str, Any], sentence: str) -> None:
    assert declare().devices == ("cpu",)
    with pytest.raises(DeclarationError) as caught:
        declare(**changes)
    assert sentence in str(caught.value)


def test_two_engines_of_one_name_or_number_are_refused() -> None:
    check_catalog([declare(), declare(name="other", number=2001)])
    with pytest.raises(DeclarationError, match="Two engines have the name 'toy'"):
        check_catalog([declare(), declare(number=2001)])
    with pytest.raises(DeclarationError, match=r"'toy' and 'other' both have the number 2000, .*; 2002 is free"):
        check_catalog([declare(), declare(name="other"), declare(name="third", number=2001)])


def test_a_parameter_stands_in_for_an_input() -> None:
    port = Port(name="base", kind=HEIGHT_MAP, label="Base", help="", unless="file")
    spec = declare(inputs=(port,), params=Filed)
    assert check_inputs(spec, {}, {"file": "model.safetensors"}) == {"base": None}
    for params in (None, {"file": ""}):
        with pytest.raises(InvalidInput, match="needs the input 'base'") as caught:
            check_inputs(spec, {}, params)
        assert caught.value.hint == "Or set file, which stands in for it."


def test_an_input_stands_in_for_another() -> None:
    base = Port(name="base", kind=HEIGHT_MAP, label="Base", help="", unless="classes")
    classes = Port(name="classes", kind=CLASS_MAP, label="Classes", help="", optional=True)
    spec = declare(inputs=(base, classes))
    given = {"classes": (Array(CLASS_MAP, np.zeros((2, 2), np.uint8)),)}
    assert check_inputs(spec, given)["base"] is None
    with pytest.raises(InvalidInput, match="needs the input 'base'") as caught:
        check_inputs(spec, {"classes": ()})
    assert caught.value.hint == "Or set classes, which stands in for it."
    both = {"base": (height_map(np.zeros((2, 2)), 1.0),), **given}
    with pytest.raises(InvalidInput, match="classes is set, so the input 'base' would not be read"):
        check_inputs(spec, both)
    with pytest.raises(DeclarationError, match="no optional input"):
        declare(inputs=(base, Port(name="classes", kind=CLASS_MAP, label="Classes", help="")))


def test_a_class_beyond_the_ports_own_is_refused() -> None:
    colors = (("Water", (0.0, 0.2, 1.0)), ("Rock", (0.4, 0.4, 0.4)))
    spec = declare(inputs=(Port(name="classes", kind=CLASS_MAP, label="Classes", help="", classes=colors),))
    classes = np.array([[0, 1], [1, 2]], np.uint8)
    check_inputs(spec, {"classes": (Array(CLASS_MAP, classes.clip(0, 1), {"pixel_size_m": 1.0}),)})
    with pytest.raises(InvalidInput, match=r"has a class 2; its classes are 0 \(Water\) to 1 \(Rock\)"):
        check_inputs(spec, {"classes": (Array(CLASS_MAP, classes, {"pixel_size_m": 1.0}),)})


def test_a_port_of_a_strange_kind_is_refused() -> None:
    with pytest.raises(
        DeclarationError, match=r"kind 'HEIGHT_MAP'; it must be one of the objects in shared/arrays\.py"
    ):
        Port(name="height", kind="HEIGHT_MAP", label="Height", help="")  # type: ignore[arg-type]
    strange = ArrayKind(name="SMELL_MAP", dtype="float32", axes=("H", "W"), unit="", help="")
    with pytest.raises(DeclarationError, match="SMELL_MAP"):
        Port(name="smell", kind=strange, label="Smell", help="")
    with pytest.raises(DeclarationError, match="Did you mean 'image'"):
        Port(name="height", kind=HEIGHT_MAP, label="Height", help="", reads=("imag",))
    with pytest.raises(DeclarationError, match="only a CLASS_MAP"):
        Port(name="height", kind=HEIGHT_MAP, label="Height", help="", classes=(("water", (0.0, 0.0, 1.0)),))
    with pytest.raises(ValueError, match="shows 'smells'"):
        ArrayKind(name="X", dtype="float32", axes=("H",), unit="", help="", shows="smells")  # type: ignore[arg-type]


def test_a_parameter_of_a_strange_role_is_refused() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Strange:
        seed: int = param(0, label="Seed", help="", role="sead")  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="role 'sead'"):
        declare(params=Strange)


def test_a_palette_changes_the_digest_and_its_absence_does_not() -> None:
    plain = Port(name="classes", kind=CLASS_MAP, label="Classes", help="")
    named = Port(name="classes", kind=CLASS_MAP, label="Classes", help="", classes=(("water", (0.0, 0.2, 1.0)),))
    assert declare(inputs=(plain,)).digest != declare(inputs=(named,)).digest


def test_saved_numbers_never_change() -> None:
    """Blender saves these numbers in .blend files. A new engine or choice is added to saved_numbers.json; none is renumbered."""
    now = {
        spec.name: {
            "number": spec.number,
            "choices": {
                parameter.name: dict(zip([value for value, _ in parameter.choices], parameter.numbers, strict=True))
                for parameter in spec.parameters
                if parameter.choices
            },
        }
        for spec in ALGORITHMS
    }
    new = {name: entry for name, entry in now.items() if name not in NUMBERS}
    assert not new, f"add to saved_numbers.json: {json.dumps(new, indent=2)[2:-2]}"
    assert now == NUMBERS


def test_numbers_are_those_declared() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Chosen:
        way: Literal["new", "old"] = param("old", label="Way", help="", numbers={"old": 0, "new": 1})

    @dataclass(frozen=True, kw_only=True)
    class Doubled:
        way: Literal["new", "old"] = param("old", label="Way", help="", numbers={"old": 0, "new": 0})

    assert describe(Chosen)[0].numbers == (1, 0)
    with pytest.raises(TypeError, match="all different"):
        describe(Doubled)


def test_a_texture_set_is_what_it_says() -> None:
    rng = np.random.default_rng(1)
    maps = {"base_color": rng.random((4, 6, 3)), "roughness": rng.random((4, 6)), "normal": rng.random((4, 6, 3))}
    made = check(texture_set.stack(maps, tile=1001))
    parts = texture_set.split(made)
    assert list(parts) == list(maps)
    for name, values in maps.items():
        np.testing.assert_array_equal(parts[name], values.astype(np.float32).reshape(4, 6, -1))
    assert [entry.color_space for entry in texture_set.maps_of(made)] == ["linear", "data", "data"]
    for wrong in ({}, {"maps": made.attributes["maps"][:2]}, {"maps": [{"name": "smell", "channels": 7}]}):
        with pytest.raises(InvalidInput):
            check(Array(made.kind, made.values, wrong))


def test_strokes_have_a_column_for_each_number() -> None:
    assert len(COLUMNS) == int(STROKES.axes[1])
    values = np.zeros((3, len(COLUMNS)), np.float32)
    canvas = {"canvas_width_px": 64, "canvas_height_px": 48}
    assert check(Array(STROKES, values, canvas)).kind is STROKES
    with pytest.raises(InvalidInput, match="canvas_height_px"):
        check(Array(STROKES, values, {"canvas_width_px": 64}))
    assert COLOR_IMAGE.color_space == "linear"
