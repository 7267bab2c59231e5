"""Claim: one step of routing, accumulation and stream power at 1024² is 3 times as fast as fastscapelib's, to 1 mm.

The same work for both, float64, one thread each: steepest descent, closed basins led out over the minimum spanning
tree of their passes, drainage areas, one implicit stream-power step (n = 1), the edge held. First the gate: the
heights after the step differ nowhere by more than 1 mm.

Where one saddle cell leads down into several other basins, its passes have one height and the spanning tree is not
unique; fastscapelib leaves the choice to an unstable sort. The gate is therefore run on terrain whose tied hollows
were filled beforehand, for both. The table also tells how the untouched terrain fares: its time, and the share of
cells on which the two agree.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.machine import describe_machine, print_machine, save_result, time_pair, versions

SIDE, PIXEL_M = 1024, 30.0
ERODIBILITY, AREA_EXPONENT, YEARS = 2e-4, 0.4, 1e4
TARGET, TOLERANCE_M = 3.0, 1e-3

Step = Callable[[], np.ndarray]


def main(argv: list[str] | None = None) -> int:
    """Print the table, keep the result; 0 when the gate and the target hold, else 1."""
    parser = argparse.ArgumentParser(prog="relievo.py bench hydrology", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--repeats", type=int, default=9, help="timings of each rival, taken in turns (default: 9)")
    options = parser.parse_args(argv)

    machine = describe_machine()
    print_machine(machine)
    untouched = terrain()
    unique = without_tied_passes(untouched)
    result: dict[str, Any] = {"side_px": SIDE, "peers": versions("fastscapelib"), "target": TARGET}
    print(f"\n{'terrain':<18}{'pits':>7}{'ours ms':>10}{'peer ms':>10}{'ratio':>8}{'max dz m':>12}{'agree':>10}")
    for name, height in (("no tied passes", unique), ("untouched", untouched)):
        ours, peer = our_step(height), fastscapelib_step(height)
        gap = np.abs(ours() - peer())
        timing = time_pair(ours, peer, repeats=options.repeats)
        row = timing._asdict() | {
            "ratio": timing.ratio,
            "pits": pit_count(height),
            "max_difference_m": float(gap.max()),
            "agree_within_1mm": float((gap <= TOLERANCE_M).mean()),
        }
        result[name.replace(" ", "_")] = row
        print(
            f"{name:<18}{row['pits']:>7}{1e3 * timing.fast_s:>10.1f}{1e3 * timing.slow_s:>10.1f}{timing.ratio:>7.1f}x"
            f"{row['max_difference_m']:>12.2e}{row['agree_within_1mm']:>10.3%}"
        )
    gate = result["no_tied_passes"]["max_difference_m"] <= TOLERANCE_M
    ratios = [result[name]["ratio"] for name in ("no_tied_passes", "untouched")]
    result["reached"] = gate and min(ratios) >= TARGET
    print(f"gate: largest difference at most {TOLERANCE_M} m: {'ok' if gate else 'FAILED'}; target {TARGET:.0f}x")
    print(f"\n{save_result('hydrology', result, machine).name}: {'reached' if result['reached'] else 'NOT reached'}")
    return 0 if result["reached"] else 1


def terrain() -> np.ndarray:
    """Fractal noise of eight octaves, [SIDE, SIDE] float64 m, with the thousands of hollows that noise has.

    A tenth of a millimetre of white noise keeps float32's steps from giving two saddles one height.
    """
    from backend.ops.terrain.noise import NoiseField, Window, evaluate

    field = NoiseField(wavelength_px=(SIDE / 4, SIDE / 4), octaves=8, seed=1)
    noise = evaluate(field, Window(0, 0, SIDE, SIDE))[0, 0].numpy().astype(np.float64)
    return noise * 500.0 + 500.0 + np.random.default_rng(7).uniform(0.0, 1e-4, (SIDE, SIDE))


def without_tied_passes(height: np.ndarray) -> np.ndarray:
    """The terrain with those hollows filled, by steps of a millimetre, whose lowest pass leads to several basins."""
    from backend.ops.terrain import basins_cpu, routing_cpu
    from backend.ops.terrain.depressions import fill_depressions

    height = height.copy()
    filled = fill_depressions(torch.from_numpy(height.astype(np.float32)), epsilon_m=1e-3).double().numpy()
    filled += np.random.default_rng(8).uniform(0.0, 1e-4, height.shape)  # no two saddles of one height
    step = routing_cpu.offsets(height.shape[1])[:8]
    for _ in range(100):
        codes = routing_cpu.steepest_receivers(height, PIXEL_M)
        labels, pits = basins_cpu.basin_labels(codes)
        bits = basins_cpu.pass_bits(height, labels)
        outlet = outlets(codes)
        tied = np.zeros(pits.size + 1, bool)
        for cell in basins_cpu.basin_tree(height, codes, labels, bits, pits.size)[:, 0]:
            near = cell + step[(bits.ravel()[cell] >> np.arange(8) & 1).astype(bool)]
            if np.unique(outlet[near]).size > 1:
                tied[labels[near]] = tied[labels[cell]] = True
        tied[0] = False
        if not tied.any():
            return height
        hollow = tied[labels].reshape(height.shape)
        height[hollow] = np.maximum(height, filled)[hollow]
    raise RuntimeError("tied passes remain after 100 rounds of filling")


def outlets(codes: np.ndarray) -> np.ndarray:
    """The cell [N] where the water of each cell ends, by doubling: to fastscapelib each is a basin of its own."""
    from backend.ops.terrain import routing_cpu

    end = np.arange(codes.size) + routing_cpu.offsets(codes.shape[1])[codes.ravel()]
    while not np.array_equal(further := end[end], end):
        end = further
    return end


def pit_count(height: np.ndarray) -> int:
    from backend.ops.terrain.routing import route

    return route(torch.from_numpy(height), PIXEL_M).pits


def our_step(height: np.ndarray) -> Step:
    from backend.ops.terrain.erosion import ErosionLaw, incise, stream_rate
    from backend.ops.terrain.routing import route

    law = ErosionLaw(erodibility=ERODIBILITY, area_exponent=AREA_EXPONENT)

    ground = torch.from_numpy(height)

    def step() -> np.ndarray:
        flow = route(ground, PIXEL_M)
        return incise(ground, flow, law, stream_rate(flow, law, YEARS), lakes=False).numpy()

    return step


def fastscapelib_step(height: np.ndarray) -> Step:
    import fastscapelib as fs

    grid = fs.RasterGrid(list(height.shape), [PIXEL_M, PIXEL_M], fs.NodeStatus.FIXED_VALUE)
    graph = fs.FlowGraph(grid, [fs.SingleFlowRouter(), fs.MSTSinkResolver()])
    eroder = fs.SPLEroder(graph, ERODIBILITY, AREA_EXPONENT, 1.0, 1e-5)
    one = np.ones_like(height)

    def step(_grid: object = grid) -> np.ndarray:  # the graph does not keep its grid alive, and crashes without it
        graph.update_routes(height)
        return height - eroder.erode(height, graph.accumulate(one), YEARS)

    return step


if __name__ == "__main__":
    raise SystemExit(main())
