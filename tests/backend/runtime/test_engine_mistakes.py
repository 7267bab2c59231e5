"""What an engine's author gets wrong in its code is named in a sentence: no module, no run(), a result that is no Array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import backend
from backend.commands.flags import PARAM, PORT
from backend.commands.run import parser
from backend.runtime import registry
from shared.catalog import ALGORITHMS
from shared.catalog.extra import EXTRA_ALGORITHMS
from shared.declaration_checks import RESERVED
from shared.errors import DeclarationError, InternalError, InvalidInput
from tests.support import toy_engines

ENGINES = """
from dataclasses import dataclass

import numpy as np

from shared.algorithm import AlgorithmSpec, Port
from shared.arrays import HEIGHT_MAP, MASK, Array


@dataclass(frozen=True, kw_only=True)
class Params:
    pass


def spec(name, number):
    height = Port(name="height", kind=HEIGHT_MAP, label="Height", help="A map")
    return AlgorithmSpec(
        name=name, label="Wrong", summary="Wrong", icon="NONE", number=number, makes="terrain", params=Params, inputs=(),
        outputs=(height,),
    )


NAMES = ("returns_array", "returns_nothing", "returns_numpy", "returns_mask")
SPECS = tuple(spec(name, 3000 + place) for place, name in enumerate(NAMES))
IMPLEMENTATIONS = {name: f"wrong_engines:{name}" for name in NAMES}
VALUES = np.zeros((4, 4), np.float32)


def returns_array(params, inputs, job):
    return Array(HEIGHT_MAP, VALUES, {"pixel_size_m": 1.0})


def returns_nothing(params, inputs, job):
    pass


def returns_numpy(params, inputs, job):
    return {"height": VALUES}


def returns_mask(params, inputs, job):
    return {"height": Array(MASK, VALUES)}
"""


@pytest.fixture
def wrong_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wrong_engines.py").write_text(ENGINES, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(EXTRA_ALGORITHMS, "wrong_engines")


@pytest.mark.usefixtures("wrong_engines")
@pytest.mark.parametrize(
    ("engine", "sentence"),
    [
        ("returns_array", "returned a Array; it must return a dictionary from output ports to Arrays"),
        ("returns_nothing", "returned a NoneType; it must return a dictionary"),
        ("returns_numpy", "made a ndarray for 'height'; it must be an Array"),
        ("returns_mask", "made a MASK for 'height'; it declares a HEIGHT_MAP"),
    ],
)
def test_a_wrong_result_is_named(engine: str, sentence: str) -> None:
    with pytest.raises(InternalError, match="Wrong") as caught:
        backend.run(engine, device="cpu")
    assert sentence in caught.value.message


def test_an_engine_without_code_is_named() -> None:
    with pytest.raises(DeclarationError, match=r"has no code: backend/algorithms/nothing\.py does not exist"):
        registry.code_of("backend.algorithms.nothing", ALGORITHMS[0])
    with pytest.raises(DeclarationError, match=r"backend\.ops\.dispatch has no function run\(params, inputs, job\)"):
        registry.code_of("backend.ops.dispatch", ALGORITHMS[0])
    assert registry.code_of("backend.algorithms.noise", ALGORITHMS[0]) is registry.implementation("noise")


def test_bytes_are_not_taken_for_linear_light() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(EXTRA_ALGORITHMS, "tests.support.toy_engines")
        with pytest.raises(InvalidInput, match="uint8 was given for a COLOR_IMAGE, which is float32 and linear"):
            backend.run("toy_painting", image=np.zeros((4, 4, 3), np.uint8))


def is_of_engine(destination: str) -> bool:
    return destination.startswith((PORT, PARAM))


def test_options_of_the_command_are_reserved() -> None:
    """Or an engine's own option of that name would end every `run` with argparse's error."""
    shared_with_engines = {"pixel_size", "size"}  # where an engine has a parameter of that name, its option is that
    for spec in (*ALGORITHMS, *toy_engines.SPECS):
        options = [action.option_strings for action in parser(spec)._actions if not is_of_engine(action.dest)]
        names = {name.lstrip("-").replace("-", "_") for given in options for name in given if name.startswith("--")}
        assert names - shared_with_engines <= RESERVED
