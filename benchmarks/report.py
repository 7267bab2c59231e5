"""docs/performance.md's table and picture, made from the kept results. Measures nothing.

python -m benchmarks.report     after a bench has been run again
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
DOCS = Path(__file__).resolve().parent.parent / "docs"
BEGIN, END = "<!-- results: made by benchmarks/report.py -->", "<!-- end of results -->"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One line of the table. share: how far past the target it is, above 1 is reached; for the picture."""

    what: str
    against: str
    asked: str
    measured: str
    share: float

    @property
    def reached(self) -> bool:
        return self.share >= 1.0


def main() -> int:
    claims = [claim for path in sorted(RESULTS.glob("*.json")) for claim in read(path)]
    page = DOCS / "performance.md"
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{table(claims)}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    draw(claims, DOCS / "images" / "performance.png")
    return 0


def read(path: Path) -> Iterator[Claim]:
    """The claims of one result file; a benchmark that this page does not know is an error."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    yield from _READERS[kept["benchmark"]](kept["result"])


def table(claims: list[Claim]) -> str:
    rows = [
        f"| {c.what} | {c.against} | {c.asked} | {c.measured} | {'yes' if c.reached else '**no**'} |" for c in claims
    ]
    return "\n".join(["| what | against | asked | measured | reached |", "|---|---|---|---|---|", *rows])


def draw(claims: list[Claim], path: Path) -> None:
    import matplotlib
    from PIL import Image

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    figure, axes = pyplot.subplots(figsize=(10, 0.36 * len(claims) + 1.2), dpi=110)
    places = range(len(claims))[::-1]  # by number: claims of one name and figure against two peers are two bars
    shares = [min(max(claim.share, 0.1), 100.0) for claim in claims]
    axes.barh(places, shares, color=["#4b7f52" if claim.reached else "#b5523b" for claim in claims], height=0.62)
    names = [f"{claim.what}  ({claim.measured}, asked {claim.asked})" for claim in claims]
    axes.set_yticks(places, names)
    axes.set_ylim(-0.8, len(claims) - 0.2)
    axes.axvline(1.0, color="#333333", linewidth=1.2)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axes.set_xlabel("how many times better than asked (1 = the target)")
    axes.tick_params(axis="y", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(32).save(path, optimize=True)


# One reader a benchmark ----------------------------------------------------------------------------------------


def _ratio(what: str, against: str, asked: float, fast_s: float, slow_s: float) -> Claim:
    ratio = slow_s / fast_s
    measured = f"{ratio:.1f}x ({_time(fast_s)} against {_time(slow_s)})"
    return Claim(what=what, against=against, asked=f"≥ {asked:g}x", measured=measured, share=ratio / asked)


def _most(what: str, against: str, most: float, value: float, unit: str) -> Claim:
    share = most / max(value, 1e-9)
    return Claim(
        what=what,
        against=against,
        asked=f"≤ {most:g} {unit}".rstrip(),
        measured=f"{value:.3g} {unit}".rstrip(),
        share=share,
    )


def _time(seconds: float) -> str:
    return (
        f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s" if seconds < 600 else f"{seconds / 60:.0f} min"
    )


def _noise(result: dict[str, Any]) -> Iterator[Claim]:
    for peer, version in result["peers"].items():
        timing = result[peer]
        yield _ratio(
            "Noise, 1024², 8 octaves", f"{peer} {version}", timing["target"], timing["fast_s"], timing["slow_s"]
        )


def _hydrology(result: dict[str, Any]) -> Iterator[Claim]:
    timing = result["no_tied_passes"]
    against = f"fastscapelib {result['peers']['fastscapelib']}, equal to {timing['max_difference_m']:.0e} m"
    yield _ratio("Hydrology step, 1024²", against, result["target"], timing["fast_s"], timing["slow_s"])


def _hydrology_land(result: dict[str, Any]) -> Iterator[Claim]:
    """The worst of the default settings, on the tiles that settings were chosen by and on those that none was."""
    rows = [row for row in result["rows"] if row["is_default"]]
    for group, against in (("tuned", "four tuned tiles"), ("held out", "four held-out tiles")):
        for key, what in (("slope", "slope, W1"), ("spectrum", "log-PSD RMSE"), ("concavity_off", "concavity")):
            worst = max(row[key] for row in rows if row["group"] == group)
            yield _most(f"Hydrology on land that drains: {what}", against, result["gates"][key], worst, "")
    if result["seconds"] is not None:  # a busy machine takes none
        yield _most("Hydrology, 1024²: time", "2 cores", result["target_s"], result["seconds"], "s")


def _terrain_mesh(result: dict[str, Any]) -> Iterator[Claim]:
    against = f"`foreach_set` and `calc_edges`, Blender {result['blender']}"
    yield _ratio("Terrain mesh, 2049²", against, 8.0, result["build_s"], result["baseline_s"])
    yield _most("Height update of that mesh", "", 50.0, result["update_ms"], "ms")


def _wire(result: dict[str, Any]) -> Iterator[Claim]:
    trip = result["round_trip"]
    against = f"memcpy of the same bytes ({trip['memcpy_ms']:.1f} ms)"
    yield _most(
        "64 MiB to the server's disk and back", against, result["targets"]["ratio"], trip["by file"]["ratio"], "x"
    )
    yield _most(
        "Answer to 1 KiB, one busy worker, p99",
        "",
        result["targets"]["p99_ms"],
        result["answer_ms"]["busy"]["p99"],
        "ms",
    )


def _memory(result: dict[str, Any]) -> Iterator[Claim]:
    yield _most("Relief transfer, 2048², peak memory", "whole process", result["target_gib"], result["peak_gib"], "GiB")


def _compile_time(result: dict[str, Any]) -> Iterator[Claim]:
    for name, asked in result["asked_s"].items():
        found = result["sets"].get(name)
        if found is not None:
            yield _most(f"Kernels compiled for the first time: {name}", "empty cache", asked, found["wall_s"], "s")


def _morphology(result: dict[str, Any]) -> Iterator[Claim]:
    ours = result["ours_s"]
    yield _most("Relief transfer, 512², drainage included", "", result["most_s"], ours, "s")
    names = {
        "gpdm": "own GPDM, coarser scales and 10 of 300 finest steps, scaled up",
        "merizzi": "Merizzi's loop, 20 of 2000 steps, scaled up",
    }
    for peer, against in names.items():
        claim = _ratio("Relief transfer, 512²", against, result[peer]["target"], ours, result[peer]["seconds"])
        if peer == "gpdm" and not result["gate"]:  # faster, but at a higher distance: the claim is not shown
            quality = result["time_to_quality"]
            share = quality["gpdm_held_out"] / quality["default"]["held_out"]
            claim = replace(claim, asked=f"{claim.asked}, distance not higher", share=min(claim.share, share))
        yield claim
    quality = result["time_to_quality"]
    side, default, final = quality["side_px"], quality["default"], quality["gpdm_held_out"]
    yield _ratio(
        f"Relief transfer, {side}²", "own GPDM in full, until it has our held-out distance",
        result["gpdm"]["target"], default["seconds"], default["gpdm_s"],
    )  # fmt: skip
    for name, label in (("default", ""), ("long", ", four times the steps")):
        ours_distance = quality[name]["held_out"]
        yield Claim(
            what=f"Held-out distance, {side}²{label}", against=f"own GPDM, all its steps ({quality['gpdm_whole_s']:.0f} s)",
            asked=f"≤ {final:.4f}", measured=f"{ours_distance:.4f}", share=final / ours_distance,
        )  # fmt: skip


_GATES = (
    ("slope", "Slope W1", 0.08), ("curvature", "Curvature W1", 0.08), ("spectrum", "log-PSD RMSE", 0.3),
    ("drainage", "Drainage-area W1", 0.03),
)  # fmt: skip


def _refine(result: dict[str, Any]) -> Iterator[Claim]:
    """The worst of the refined terrains, tuned and held out, and what it costs."""
    gates = (("slope", "slope W1", 0.08), ("curvature", "curvature W1", 0.08), ("spectrum", "log-PSD RMSE, new octaves", 0.3),
             ("geomorphons", "landform elements, L1", 0.12))  # fmt: skip
    for tuned, against in ((True, "tuned terrains"), (False, "held-out terrains")):
        rows = [row for row in result["rows"] if row["by"] == "refined" and row["tuned"] == tuned]
        for key, what, limit in gates:
            yield _most(f"Refined terrain: {what}", against, limit, max(row[key] for row in rows), "")
        over = max(row["pits"] - row["pits_real"] for row in rows)
        yield _most("Refined terrain: pits over the real share", against, 0.01, max(over, 0.0), "")
        yield _most("Refined terrain: averages off by", against, 1.0, max(row["off_m"] for row in rows), "m")
    for row in result["speed"]:
        what = f"Refine {row['side_px']}² to {4 * row['side_px']}²"
        yield _most(what, "all processors together", row["most_s"], row["processor_s"], "s")
        yield _most(f"{what}, peak memory", "whole process", row["most_gib"], row["peak_gib"], "GiB")


def _structure(result: dict[str, Any]) -> Iterator[Claim]:
    """The worst of all runs, on the tiles that settings were chosen by and on those that none was."""
    made = [row for row in result["rows"] if row["noise_seed"] is not None]
    for tuned, against in ((True, "four tuned tiles"), (False, "four held-out tiles")):
        rows = [row for row in made if row["tuned"] == tuned]
        off = max(abs(row["concavity"] - row["concavity_real"]) for row in rows)
        slots = max(row["slots"] - row["slots_real"] for row in rows)
        for what, limit, worst in (
            ("concavity", 0.08, off), ("height above rivers, W1", 0.12, max(row["hand"] for row in rows)),
            ("landform elements, L1", 0.12, max(row["geomorphons"] for row in rows)), ("slots over the real share", 0.005, slots),
        ):  # fmt: skip
            yield Claim(
                what=f"Relief transfer: {what}", against=against, asked=f"≤ {limit:g}", measured=f"{worst:.3f}",
                share=limit / max(worst, 1e-6),
            )  # fmt: skip


def _landscapes(result: dict[str, Any]) -> Iterator[Claim]:
    """The worst of the shipped landscapes that have real kin."""
    rows = [row for row in result["rows"] if row["kin"] and row["edition"] == 2]
    against = f"real kin of {len(rows)} landscapes"
    worst = max(rows, key=lambda row: abs(row["concavity"] - row["concavity_real"]))
    off = abs(worst["concavity"] - worst["concavity_real"])
    yield _most("Shipped landscapes: concavity off", f"{against}; worst: {worst['landscape']}", 0.08, off, "")
    yield _most(
        "Shipped landscapes: combing", "the most even of ten real terrains", round(result["most_even"], 3),
        max(row["combing"] for row in rows), "",
    )  # fmt: skip


def _peers(result: dict[str, Any]) -> Iterator[Claim]:
    """How near hillshades come to the real ones, beside the peers': the worst of the terrains."""
    found = {(row["terrain"], row["method"]): row["hillshade"] for row in result["rows"]}
    for peer, name, limit in (
        ("gpdm", "own GPDM, all its steps", 1.0), ("version 2", "version 2", 1.0), ("merizzi-2024", "preset merizzi-2024", 1.0),
        ("neighbours", "two real windows of the terrain", 2.0),
    ):  # fmt: skip
        ratios = {
            gate["terrain"]: found[gate["terrain"], "ours"] / found[gate["terrain"], peer] for gate in result["gates"]
        }
        near = sum(ratio <= limit for ratio in ratios.values())
        worst = max(ratios, key=lambda terrain: ratios[terrain])
        yield Claim(
            what=f"Relief transfer: hillshade distance, {len(ratios)} tiles", against=name, asked=f"≤ {limit:g}x on all",
            measured=f"{near} of {len(ratios)}; worst {ratios[worst]:.3g}x ({worst})", share=limit / ratios[worst],
        )  # fmt: skip


def _claims_of_2024(result: dict[str, Any]) -> Iterator[Claim]:
    asked = 100.0 * (result["asked_gain"] - 1.0)
    yield Claim(
        what="Relief transfer, 512²: SSIM with its noise", against="preset merizzi-2024", asked=f"≥ {asked:+.1f} %",
        measured=f"{100.0 * (result['gain'] - 1.0):+.1f} %", share=result["gain"] / result["asked_gain"],
    )  # fmt: skip
    mib = {what: sizes["own"] / 2**20 for what, sizes in result["memory"].items()}
    yield Claim(
        what="Relief transfer, 512²: peak memory beyond imports", against=f"training SPADE's generator ({mib['training']:.0f} MiB)",
        asked=f"≤ 1/{result['asked_smaller']:g}", measured=f"1/{result['smaller']:.1f} ({mib['ours']:.0f} MiB)",
        share=result["smaller"] / result["asked_smaller"],
    )  # fmt: skip


def _quality(result: dict[str, Any]) -> Iterator[Claim]:
    pairs = result["pairs"]
    against = f"worst of {len(pairs)}: 4 terrains, 3 seeds, 512²"
    for key, name, most in _GATES:
        yield _most(f"Relief: {name}", against, most, max(pair[key] for pair in pairs), "")
    layout = min(pair["layout"] for pair in pairs)
    yield Claim(
        what="Relief: layout correlation", against=against, asked="≥ 0.8", measured=f"{layout:.3g}", share=layout / 0.8
    )
    more = max(pair["pits"] - pair["pits_real"] for pair in pairs)
    yield Claim(
        what="Relief: pit cells beyond the real terrain's", against=against, asked="≤ 1 point",
        measured=f"{100 * more:.2g} points", share=0.01 / more if more > 0.001 else 10.0,
    )  # fmt: skip


def _scan_texture(result: dict[str, Any]) -> Iterator[Claim]:
    quality = result["quality"]
    names = {
        "loop": "NeuralTexGen's loop, its 60 epochs",
        "loop, 10x longer": f"NeuralTexGen's loop, {quality['methods'].get('loop, 10x longer', {}).get('epochs', 600)} epochs",
        "open3d": f"Open3D {quality['open3d']}",
        "averaging": "plain averaging",
    }
    ours = quality["methods"]["ours"]["psnr"]
    for name, against in names.items():
        if quality["gained_db"].get(name) is None:
            continue
        peer, gained, asked = quality["methods"][name]["psnr"], quality["gained_db"][name], quality["targets_db"][name]
        yield Claim(
            what=f"Scan texture, held-out views, {quality['size_px']}²", against=f"{against} ({peer:.1f} dB)",
            asked=f"≥ {asked:+g} dB", measured=f"{gained:+.1f} dB ({ours:.1f} dB)", share=10 ** ((gained - asked) / 20),
        )  # fmt: skip
    for size, row in result["speed"].items():
        yield _most(
            f"Scan texture, {size}²: step across seams / inside", "", quality["seam_target"], row["seam_ratio"], ""
        )
    for size, row in result["speed"].items():
        against = f"NeuralTexGen's loop, {row['loop_how']}"
        yield _ratio(f"Scan texture, {size}²", against, row["target"], row["ours_s"], row["loop_s"])


def _scan_long(result: dict[str, Any]) -> Iterator[Claim]:
    """Only kept for the bench above to compare with."""
    yield from ()


def _scan_bloster(result: dict[str, Any]) -> Iterator[Claim]:
    ours, count = result["mean"]["ours"], len(result["views"]) // 3
    for peer, name in (("open3d", f"Open3D {result['peers']['open3d']}"), ("averaging", "plain averaging")):
        there = result["mean"][peer]
        against = f"{name}, mean of {count} held-out views"
        yield Claim(
            what="Real capture: PSNR", against=against, asked=f"> {there['psnr']:.2f} dB",
            measured=f"{ours['psnr']:.2f} dB", share=10 ** ((ours["psnr"] - there["psnr"]) / 20),
        )  # fmt: skip
        yield Claim(
            what="Real capture: LPIPS-like distance", against=against, asked=f"< {there['distance']:.3f}",
            measured=f"{ours['distance']:.3f}", share=there["distance"] / ours["distance"],
        )  # fmt: skip
    least = min(view["sharpness"] for view in result["views"] if view["method"] == "ours")
    for name, sharp in ((f"mean of {count} held-out views", ours["sharpness"]), ("the least sharp of them", least)):
        yield Claim(
            what="Real capture: sharpness", against=f"the photographs, {name}", asked=f"≥ {result['target_sharpness']:g}",
            measured=f"{sharp:.2f}", share=sharp / result["target_sharpness"],
        )  # fmt: skip


def _scan_memory(result: dict[str, Any]) -> Iterator[Claim]:
    what = f"Scan texture, {result['size_px']}², {result['photographs']} photographs of {result['megapixels']:g} Mpx"
    yield _most(f"{what}: peak memory", "whole process", result["target_gib"], result["peak_gib"], "GiB")
    speed, asked = result["pass"]["mpx_per_s"], result["target_mpx_per_s"]
    decoding = f"JPEG decoding apart ({result['pass']['decoding_mpx_per_s']:.0f} Mpx/s)"
    yield Claim(
        what="Scan texture, a pass over them", against=decoding, asked=f"≥ {asked:g} Mpx/s",
        measured=f"{speed:.1f} Mpx/s", share=speed / asked,
    )  # fmt: skip


def _scan_robustness(result: dict[str, Any]) -> Iterator[Claim]:
    rows = result["super_resolution"]
    gained = rows[-1]["ours"] - rows[0]["ours"]
    yield Claim(
        what="Super-resolution: view with pixels a third as wide", against=f"from 1 photograph ({rows[0]['ours']:.1f} dB)",
        asked=f"more from {rows[-1]['photographs']}", measured=f"{gained:+.1f} dB", share=10 ** (gained / 20),
    )  # fmt: skip
    plain = rows[-1]["averaging"]
    yield Claim(
        what="Super-resolution", against=f"plain averaging of the {rows[-1]['photographs']}", asked=f"> {plain:.1f} dB",
        measured=f"{rows[-1]['ours']:.1f} dB", share=10 ** ((rows[-1]["ours"] - plain) / 20),
    )  # fmt: skip


_LIKENESS = (
    ("slope", "slope W1"), ("curvature", "curvature W1"), ("spectrum", "log-PSD RMSE"), ("drainage", "drainage-area W1")
)  # fmt: skip


def _terrain_quality(result: dict[str, Any]) -> Iterator[Claim]:
    for scale in ("regional", "continental"):
        found = result[scale]
        of = f"{len(found['sketches'])} sketches that no training saw, 512²"
        iou = found["iou"]
        yield Claim(
            what=f"Terrain, {scale}: IoU of its classes, read back, with the sketch", against=of, asked="≥ 0.8",
            measured=f"{iou:.3f}", share=iou / 0.8,
        )  # fmt: skip
        data = found["light_of_the_data"]
        against = f"worst of {of}" + (f"; the data themselves: {data:.2g}" if data is not None else "")
        yield _most(f"Terrain, {scale}: light in the colour, R²", against, 0.02, found["light"], "")
        yield _most(f"Terrain, {scale}: pit cells", f"worst of {of}", 3.0, 100.0 * found["pits"], "%")
        windows = len(found["likeness"]["windows"])
        for key, name in _LIKENESS:
            row = found["likeness"][key]
            against = f"neighbouring windows of one real tile, mean of {windows} held-out windows"
            yield Claim(
                what=f"Terrain, {scale}: {name} to real ground", against=against, asked=f"≤ {row['neighbours']:.3g}",
                measured=f"{row['ours']:.3g}", share=row["neighbours"] / row["ours"],
            )  # fmt: skip


def _terrain_uniform(result: dict[str, Any]) -> Iterator[Claim]:
    for scale in ("regional", "continental"):
        found = result[scale]
        against = f"real ground's mean + 0.05, worst of {len(found['rows'])} classes"
        yield _most(
            f"Terrain, {scale}, one class only: autocorrelation peak",
            against,
            round(found["most_peak"], 3),
            found["peak"],
            "",
        )
        yield _most(
            f"Terrain, {scale}, one class only: correlation of two seeds", "worst of 6", 0.5, found["seeds_alike"], ""
        )


def _terrain_speed(result: dict[str, Any]) -> Iterator[Claim]:
    asked = result["targets"]
    yield _most(
        "Terrain, 512²: one pass of the network", "weights loaded", asked["network_s"], result["network_s"], "s"
    )
    yield _most("Terrain, 512²: all of it", "weights loaded", asked["engine_s"], result["engine_s"], "s")
    against = "one pass of SPADE of the published size, plain PyTorch"
    yield _ratio(
        "Terrain, 512²: one pass of the network", against, asked["ratio"], result["network_s"], result["spade_s"]
    )


def _terrain_tiles(result: dict[str, Any]) -> Iterator[Claim]:
    asked, large = result["targets"], result["4096"]
    yield _most("Terrain, 4096²: peak memory", "whole process", asked["peak_gib"], large["peak_gib"], "GiB")
    ratio = result["time_per_pixel_ratio"]
    yield _most(
        "Terrain, 4096²: time per pixel",
        f"that of 1024² ({large['seconds']:.0f} s in all)",
        asked["linear"],
        ratio,
        "x",
    )
    yield _most("Terrain, 4096²: step across tile borders / beside them", "", asked["seams"], large["seam_energy"], "")


def _terrain_lines(result: dict[str, Any]) -> Iterator[Claim]:
    asked, large = result["targets"], result["4096"]
    what = "Terrain bent to 20 lines, 4096²: peak memory"
    yield _most(what, f"whole process ({large['engine_s']:.0f} s)", asked["peak_gib"], large["peak_gib"], "GiB")


def _texture_quality(result: dict[str, Any]) -> Iterator[Claim]:
    checks, count, seeds = result["checks"], len(result["samples"]), result["seeds"]
    for key, name in (
        ("features", "random-feature Fréchet distance"),
        ("perceptual", "distance of SqueezeNet's features"),
    ):
        better = checks["better than quilting"][key]
        yield Claim(
            what=f"Texture, 256²: {name} to the sample", against=f"image quilting, {count} samples, means of {seeds} seeds",
            asked="better on ≥ 8", measured=f"better on {better}", share=better / 8,
        )  # fmt: skip
    low, high = checks["seam ratios"]
    yield Claim(
        what="Texture, 256²: step across the wrap over a step inside, and of the gradient",
        against=f"worst mean of {count} samples, both directions, {seeds} seeds; mean {checks['seam ratio, mean']:.2f}",
        asked="0.9 to 1.1", measured=f"{low:.2f} to {high:.2f}", share=min(low / 0.9, 1.1 / high),
    )  # fmt: skip
    ranks = result["seam ranks"]
    outside = checks["seams unlike 95 % of the steps inside"]
    against = f"of {ranks}; {ranks / 20:.0f} by chance"
    yield _most("Texture, 256²: steps across the wrap unlike 95 % of those inside", against, ranks // 8, outside, "")
    yield _most(
        "Texture, 256²: patches copied from the sample",
        f"worst mean of {count}",
        5.0,
        100 * checks["copies, worst"],
        "%",
    )
    worst = checks["repetition over the sample's, worst"]
    yield _most("Texture, 256²: repetition over the sample's own", f"worst mean of {count}", 0.1, worst, "")


def _texture_gpdm(result: dict[str, Any]) -> Iterator[Claim]:
    for name in ("default", "grain", "grain, 100 steps"):
        row = result[name]
        against = f"GPDM, NumPy's sort, {result['gpdm_held_out']:.4f} at its end; ours {row['held_out']:.4f}"
        yield Claim(
            what=f"Texture, 128² colours, {name}", against=against, asked="≥ 15x at no larger distance",
            measured=f"{row['ratio']:.0f}x", share=row["ratio"] / 15 if row["held_out"] <= result["gpdm_held_out"] else 0.5,
        )  # fmt: skip


def _texture_speed(result: dict[str, Any]) -> Iterator[Claim]:
    yield _most("Texture, 512² colours", "2 cores", 8.0, result["512"]["seconds"], "s")
    yield _most("Texture, 2048², tiling set of 7 channels", "2 cores", 90.0, result["2048 set"]["seconds"], "s")
    yield _most("Texture, 2048² set, peak memory", "whole process", 1.5, result["2048 set"]["peak_gib"], "GiB")


def _texture_generator(result: dict[str, Any]) -> Iterator[Claim]:
    rows, speed = result["rows"], result["mpx_per_s"]
    value = speed["generator"]
    yield Claim(
        what="Texture by a trained generator, 2048² colours", against="2 cores", asked="≥ 20 Mpx/s",
        measured=f"{value:.1f} Mpx/s", share=value / 20.0,
    )  # fmt: skip
    peer = rows["spatial GAN"]
    ours = rows["sand"]
    for key, name in (("held_out", "held-out distance"), ("features", "random-feature Fréchet distance")):
        yield Claim(
            what=f"Trained generator, sand, {ours['minutes']:.0f} min of training: {name}",
            against=f"spatial GAN as published, {peer['minutes']:.0f} min", asked=f"< {peer[key]:.2g}",
            measured=f"{ours[key]:.2g}", share=peer[key] / ours[key],
        )  # fmt: skip
    minutes = [row["minutes"] for name, row in rows.items() if name != "spatial GAN"]
    if nearer := result.get("nearer_than_quilting"):
        tuned, held_out = (
            [nearer[name] for name in nearer if rows[name]["tuned"] is chosen] for chosen in (True, False)
        )
        yield Claim(
            what="Trained generators: nearer to the sample by the features of random filters and SqueezeNet's",
            against=f"image quilting, {len(tuned)} samples that settings were chosen by, {len(held_out)} others",
            asked="on ≥ 4", measured=f"on {sum(tuned)} and {sum(held_out)}", share=sum(nearer.values()) / 4,
        )  # fmt: skip
    yield _most("Trained generator: training", f"longest of {len(minutes)} samples", 15.0, max(minutes), "min")


def _least(what: str, against: str, least: float, value: float, unit: str) -> Claim:
    """A claim in decibels: a difference of 20 counts as ten times better."""
    share = 10 ** ((value - least) / 20)
    return Claim(what=what, against=against, asked=f"≥ {least:g} {unit}", measured=f"{value:.2f} {unit}", share=share)


def _paint_quality(result: dict[str, Any]) -> Iterator[Claim]:
    rows, checks = result["photographs"].values(), result["checks"]
    strokes = max(row["strokes"] for row in rows)
    against = f"mean of {len(rows)} photographs, at most {strokes:,} strokes"
    for name, least_db, most_s in (("quick", 27.5, 8.0), ("long", 29.0, 20.0)):
        yield _least(f"Painting, 512², {name}", against, least_db, checks[f"{name}: mean dB"], "dB")
        yield _most(f"Painting, 512², {name}: time", "2 cores", most_s, checks[f"{name}: mean s"], "s")
    yield _most("Painting, 512²: mean absolute error", against, 0.026, checks["mean L1"], "")
    yield _least("Painting, 512²", "Hertzmann's brush strokes, as many", 0.0, checks["dB over Hertzmann"], "dB more")
    worst = f"worst of {len(rows)} photographs"
    yield _most("Painting: paint outside of its segment", worst, 2.0, 100 * checks["worst leak"], "%")
    yield _most("Painting: steps at a pitch of 108 px / elsewhere", against, 1.05, checks["mean borders"], "")
    yield _most("Painting: strokes painted again at 4x, reduced", worst, 2.0, checks["worst again"], "levels of 255")


def _paint_kinds(result: dict[str, Any]) -> Iterator[Claim]:
    for what, value in result["checks"].items():
        kind = what.partition(":")[0]
        if kind in result["stated"]:
            against = "what de Guevara et al. 2023 state for pictures of that kind"
            stated = result["stated"][kind]
            yield _most(f"Painting, 4,000 strokes, {kind}: mean absolute error", against, stated, value, "")
    yield _most("Painting, 1024², 1,600 strokes", "2 cores", 10.0, result["checks"]["1024², 1,600 strokes, s"], "s")


def _paint_renderer(result: dict[str, Any]) -> Iterator[Claim]:
    error = result["checks"]["alpha error against 64 x 64 samples"]
    yield _most("Stroke renderer: largest error of alpha", "64 x 64 samples per pixel", 0.02, error, "")
    against = "the network of de Guevara et al. 2023, 11.0 M numbers, of random values"
    yield _ratio("A small stroke's step", against, 150.0, result["ours_s"], result["network_s"])
    against = "the same curves in plain PyTorch, patch by patch"
    yield _ratio("A small stroke's step", against, 1.0, result["ours_s"], result["analytic_s"])


def _paint_scheme(result: dict[str, Any]) -> Iterator[Claim]:
    against = f"the scheme of de Guevara et al. 2023 on our renderer, least of {len(result['photographs'])}"
    yield _least("Painting, equal strokes", against, 2.0, result["checks"]["least dB over their scheme"], "dB more")


def _paint_network(result: dict[str, Any]) -> Iterator[Claim]:
    against = (
        f"with a network that was trained to draw strokes, least of {len(result['photographs'])}, {result['side']}²"
    )
    gained = result["gained"]
    yield _least("Scheme of de Guevara et al. 2023 on our renderer, equal strokes", against, 0.0, gained, "dB more")


def _paint_size(result: dict[str, Any]) -> Iterator[Claim]:
    yield _most("Painting, 2048², peak memory", "whole process", 1.0, result["2048"]["peak_gib"], "GiB")
    yield _most("Painting, 2048²: time", "that of 1024²", 4.5, result["checks"]["time over 1024²'s"], "x")


def _threads(result: dict[str, Any]) -> Iterator[Claim]:
    """16 threads against two where there were as many cores; else all against one, and what Amdahl's law allows 16 by it."""
    most = max(result["threads"])
    for name, row in result["works"].items():
        what = f"{name[0].upper()}{name[1:]}: many cores"
        bytes_agree = "the same bytes" if row["same_bytes"] else "OTHER BYTES"
        if most >= 16:
            claim = _ratio(
                what, f"2 threads, {bytes_agree}", result["target"], *(row["seconds"][n] for n in ("16", "2"))
            )
        else:
            claim = Claim(
                what=what,
                against=f"2 threads; predicted from {row['speed_up']:.2f}x of one on {most} cores; {bytes_agree}",
                asked=f"≥ {result['target']:g}x",
                measured=f"{row['allowed']:.1f}x predicted with 16",
                share=row["allowed"] / result["target"],
            )
        yield claim if row["same_bytes"] else replace(claim, share=0.0)


_READERS = {
    "threads": _threads,
    "paint-quality": _paint_quality,
    "paint-kinds": _paint_kinds,
    "paint-renderer": _paint_renderer,
    "paint-scheme": _paint_scheme,
    "paint-network": _paint_network,
    "paint-size": _paint_size,
    "texture-generator": _texture_generator,
    "texture-quality": _texture_quality,
    "texture-gpdm": _texture_gpdm,
    "texture-speed": _texture_speed,
    "terrain-quality": _terrain_quality,
    "terrain-uniform": _terrain_uniform,
    "terrain-quality-assemble": lambda result: iter(()),  # the yardstick, whose figures the page's text gives
    "terrain-uniform-assemble": lambda result: iter(()),
    "terrain-speed": _terrain_speed,
    "terrain-tiles": _terrain_tiles,
    "terrain-lines": _terrain_lines,
    "noise": _noise,
    "hydrology": _hydrology,
    "hydrology-land": _hydrology_land,
    "terrain-mesh": _terrain_mesh,
    "wire": _wire,
    "memory": _memory,
    "compile-time": _compile_time,
    "morphology": _morphology,
    "morphology-quality": _quality,
    "morphology-border": lambda result: iter(()),  # held-out figures, which the page's text gives
    "morphology-structure": _structure,
    "morphology-peers": _peers,
    "morphology-2024": _claims_of_2024,
    "morphology-refine": _refine,
    "landscapes": _landscapes,
    "scan-texture": _scan_texture,
    "scan-texture-long": _scan_long,
    "scan-bloster": _scan_bloster,
    "scan-memory": _scan_memory,
    "scan-robustness": _scan_robustness,
    "device": lambda result: iter(()),  # times by device: figures, no claims
}

if __name__ == "__main__":
    sys.exit(main())
