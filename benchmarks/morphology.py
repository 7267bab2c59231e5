"""Claim: relief transfer is 50x as fast as GPDM at an equal held-out distance, 2000x as fast as the loop of 2024.

Noise against the shipped alpine exemplar. Drainage is included in our time and in our distance, which it raises; the
lock on the layout is off, for the peers have none. First, at --gate-side, time to quality: GPDM runs all its steps as
published, its held-out sliced Wasserstein distance is looked at every ten steps of its finest scale, and the time to
come down to ours is what counts, or its whole time if it never does. Its last distance is printed too, and our own with
four times the steps and twice the filters: given a hundred times as long, GPDM may end lower.

Then, at 512 pixels, GPDM runs --gpdm-steps of its 300 steps at each scale; counted are all 300 of the coarser scales
and the first ten of the finest, the least that it can need; the loop of 2024 runs 20 of its 2000, scaled up.
--full runs GPDM in full at 512.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np

import backend  # before torch, which loads OpenMP: it sets how waiting threads wait
from benchmarks.machine import describe_machine, print_machine, save_result, time_once
from benchmarks.peers.gpdm import CHECK_EVERY, Gpdm
from benchmarks.peers.merizzi import Merizzi

SIDE = 512
TARGETS = {"gpdm": 50.0, "merizzi": 2000.0}
MOST_S = 4.0
LONG = {"steps": 160, "filters": 48}


def main(argv: list[str] | None = None) -> int:
    """Print the table, keep the result; 0 when the gate and the targets hold, else 1."""
    parser = argparse.ArgumentParser(
        prog="relievo.py bench morphology", description=(__doc__ or "").split("\n\n", 1)[0]
    )
    parser.add_argument(
        "--repeats", type=int, default=3, help="timings of ours, thrice; the median counts (default: 3)"
    )
    parser.add_argument("--gate-side", type=int, default=128, help="side of the map on which GPDM runs (default: 128)")
    parser.add_argument("--gpdm-steps", type=int, default=3, help="steps a scale of GPDM that are timed (default: 3)")
    parser.add_argument("--loop-steps", type=int, default=20, help="steps of the loop of 2024 timed (default: 20)")
    parser.add_argument(
        "--full", action="store_true", help="time to quality at 512, nothing scaled (15 minutes and more)"
    )
    options = parser.parse_args(argv)
    machine = describe_machine()
    print_machine(machine)
    quality = time_to_quality(SIDE if options.full else options.gate_side)

    layout, exemplar = maps(SIDE)
    held_out = distance(transfer(layout, exemplar), exemplar)  # compiles, too

    def ours() -> list[float]:
        return [time_once(lambda: transfer(layout, exemplar)) for _ in range(options.repeats)]

    times = ours()
    gpdm_s = quality["gpdm_s"]
    if not options.full:
        timed = Gpdm()
        timed.run(layout, exemplar, timed_steps=options.gpdm_steps)
        gpdm_s = timed.seconds(finest_steps=CHECK_EVERY)
    times += ours()
    rivals = {"gpdm": gpdm_s, "merizzi": Merizzi().seconds(SIDE, options.loop_steps)}
    times += ours()
    ours_s = statistics.median(times)
    gate = quality["default"]["held_out"] <= quality["gpdm_held_out"]  # a speed at a worse result proves nothing
    reached = gate and ours_s <= MOST_S
    result: dict[str, Any] = {"side_px": SIDE, "ours_s": ours_s, "best_s": min(times), "most_s": MOST_S}
    result |= {"held_out": held_out, "time_to_quality": quality, "gate": gate}
    print(f"\n{SIDE} px, ours with a held-out distance of {held_out:.5f}")
    print(f"{'peer':<10}{'ours s':>9}{'peer s':>11}{'ratio':>9}{'target':>9}")
    for name, seconds in rivals.items():
        ratio = seconds / ours_s
        reached = reached and ratio >= TARGETS[name]
        result[name] = {"seconds": seconds, "ratio": ratio, "target": TARGETS[name]}
        print(f"{name:<10}{ours_s:>9.2f}{seconds:>11.1f}{ratio:>8.0f}x{TARGETS[name]:>8.0f}x")
    print(f"gate, held-out distance at most that of all GPDM's steps: {'ok' if gate else 'FAILED'}")
    print(f"ours at most {MOST_S:g} s: {ours_s:.2f} s, drainage included (best of {len(times)}: {min(times):.2f} s)")
    result["reached"] = reached
    print(f"\n{save_result('morphology', result, machine).name}: {'reached' if reached else 'NOT reached'}")
    return 0 if reached else 1


def time_to_quality(side: int) -> dict[str, Any]:
    """GPDM in full, and when it came down to our distance; ours with its defaults, and with LONG."""
    layout, exemplar = maps(side)
    transfer(layout, exemplar)  # compiles
    ours = _timed_distance(layout, exemplar, {})
    peer, course = Gpdm(), []

    def look(height: np.ndarray) -> bool:
        course.append((peer.spent_s, distance(height, exemplar)))
        return False

    peer.run(layout, exemplar, good_enough=look)
    long = _timed_distance(layout, exemplar, LONG)
    result: dict[str, Any] = {"side_px": side, "gpdm_whole_s": peer.spent_s, "gpdm_held_out": course[-1][1]}
    for name, (seconds, held_out) in (("default", ours), ("long", long)):
        needed = next((spent for spent, reached in course if reached <= held_out), None)
        result[name] = {"seconds": seconds, "held_out": held_out, "gpdm_s": needed or peer.spent_s,
                        "ratio": (needed or peer.spent_s) / seconds, "gpdm_gets_there": needed is not None}  # fmt: skip
        sentence = f"GPDM needs {needed:.1f} s for it" if needed else f"GPDM never gets there in {peer.spent_s:.1f} s"
        print(f"  {side} px, {name}: held-out {held_out:.5f} in {seconds:.2f} s; {sentence}: "
              f"{result[name]['ratio']:.0f}x", flush=True)  # fmt: skip
    print(f"  {side} px, GPDM's last: held-out {course[-1][1]:.5f} after {peer.spent_s:.1f} s; "
          f"ours with {LONG}: {'not higher' if long[1] <= course[-1][1] else 'higher'}")  # fmt: skip
    return result | {"gpdm_s": result["default"]["gpdm_s"]}


def _timed_distance(layout: np.ndarray, exemplar: np.ndarray, values: dict[str, Any]) -> tuple[float, float]:
    """Median seconds of three runs, and the held-out distance of what they made."""
    made, times = layout, []
    for _ in range(3):
        began = time.perf_counter()
        made = transfer(layout, exemplar, **values)
        times.append(time.perf_counter() - began)
    return statistics.median(times), distance(made, exemplar)


def maps(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Layout and exemplar, float32 [side, side] m, at the exemplar's pixel size."""
    from backend.files import exemplars

    alpine = exemplars.load("alpine")
    made = backend.run(
        "noise",
        seed=3,
        width_px=side,
        height_px=side,
        pixel_size_m=alpine.pixel_size_m,
        feature_m=side * alpine.pixel_size_m / 2.5,
    )
    return made["height"].values, np.ascontiguousarray(alpine.values[:side, :side])


def transfer(layout: np.ndarray, exemplar: np.ndarray, **settings: Any) -> np.ndarray:
    """Ours, through the public call; the lock on the layout is off, for the peers have none."""
    values = {"height": layout, "exemplar": [exemplar], "layout": 0.0, "level": "exemplar", "seed": 1}
    values |= settings
    return backend.run("morphology", pixel_size_m=1.0, device="cpu", **values)["height"].values


def distance(height: np.ndarray, exemplar: np.ndarray) -> float:
    from backend.ops.patches.sliced_wasserstein import held_out_distance

    unit = float(exemplar.std())
    return held_out_distance((height / unit).astype(np.float32), (exemplar / unit).astype(np.float32))


if __name__ == "__main__":
    raise SystemExit(main())
