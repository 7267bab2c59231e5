"""Water on heights: the same bytes for any number of threads, and for any tiles that walks along rivers are cut into."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.ops.dispatch import kernel_threads
from backend.ops.terrain import depressions, drainage, erosion, rivers, routing, walks_cpu
from tests.backend.ops.terrain.test_hydrology import rough

ROOT = Path(__file__).resolve().parents[4]
LAW = rivers.RiverLaw(np.array([0.0, 2.0, 3.0, 6.0]), np.array([-1.0, -1.5, -1.7, -4.0]))
random = np.random.default_rng(3)
rows, columns = np.mgrid[:150, :140]
MAPS = {
    "rough": rough(190, 2)[:, :171],
    "flats": np.round(rough(130, 5) / 20.0) * 20.0,
    "level": np.zeros((70, 90)),
    "one row": random.normal(size=(1, 200)),
    "one basin": np.hypot(rows - 70, columns - 75) + 0.01 * random.normal(size=rows.shape),
    "one mountain": -np.hypot(rows - 70, columns - 75),
}


def made(z: Tensor) -> dict[str, Tensor]:
    """What the kernels make of heights [H, W] float64."""
    flow = routing.route(z, 30.0, jitter=0.6, seed=3)
    law = erosion.ErosionLaw(erodibility=2e-5, deposition=0.6, steepest=0.8)
    lowered, settled = erosion.incise_and_settle(z, flow, law, erosion.stream_rate(flow, law, 3.0))
    assert settled is not None
    return {
        "codes": flow.codes,
        "upstream": flow.upstream,
        "sums": routing.accumulate(flow, (z.flatten() * 0.37).sin()),
        "lowered": lowered,
        "settled": settled,
        "crept": erosion.creep(z, 30.0, 5.0, 100.0),
        "falling": drainage.falling(z, flow),
        "profiles": rivers.with_profiles(z, [LAW], still=depressions.pit_mask(z.float())),
        "filled": depressions.fill_depressions(z.float()),
        "tilted": depressions.fill_depressions(z.float(), epsilon_m=1e-3),
        "breached": depressions.breach_depressions(z.float()),
    }


def digests(threads: int) -> dict[str, str]:
    found = {}
    with kernel_threads(threads):
        for name, height in MAPS.items():
            for what, values in made(torch.from_numpy(np.ascontiguousarray(height))).items():
                found[f"{what}, {name}"] = hashlib.sha256(values.numpy().tobytes()).hexdigest()
    return found


def test_threads_do_not_change_a_byte() -> None:
    code = f"import json\nfrom {__name__} import digests\nprint(json.dumps([digests(count) for count in (2, 16)]))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "NUMBA_NUM_THREADS": "16"}, stdout=subprocess.PIPE,
        text=True, check=True,
    )  # fmt: skip
    two, sixteen = json.loads(done.stdout.splitlines()[-1])
    assert digests(1) == two
    assert two == sixteen


@pytest.mark.parametrize("side", [5, 33])
def test_sums_along_rivers_do_not_depend_on_tiles(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_tiles_of(least: int) -> dict[str, Tensor]:
        monkeypatch.setattr(walks_cpu, "LEAST_SIDE", least)
        monkeypatch.setattr(walks_cpu, "MOST_SIDE", least)
        return made(torch.from_numpy(np.ascontiguousarray(MAPS["rough"])))

    whole, cut = with_tiles_of(1000), with_tiles_of(side)  # one tile is one walk over the map
    assert [name for name in whole if not torch.equal(whole[name], cut[name])] == []


@pytest.mark.parametrize("fill", [depressions.fill_depressions, depressions.breach_depressions])
def test_a_map_of_many_deep_hollows_is_filled_as_by_the_flood(fill: Callable[..., Tensor]) -> None:
    """More than is raised cell by cell: the flood goes over all of them."""
    height = torch.from_numpy(random.normal(size=(60, 80))).float()
    assert torch.equal(fill(height, epsilon_m=1e-3), fill(height, epsilon_m=1e-3, impl="plain"))
