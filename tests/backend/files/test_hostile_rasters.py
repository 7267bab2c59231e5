"""Raster files that try to be more than data: programs of GDAL, companions that point elsewhere, pipes, devices and bombs."""

from __future__ import annotations

import http.server
import os
import socket
import struct
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from backend.commands import recipe_files
from backend.files import kinds, photographs
from backend.files.raster_options import RasterOptions
from backend.files.rasters import formats, read_height
from backend.files.rasters import pixels as px
from shared.algorithm import Port
from shared.arrays import HEIGHT_MAP, PHOTOGRAPH, Array
from shared.errors import InvalidInput, OutOfMemory
from tests.backend.files.test_rasters import save_bil, save_tif

SECRET = b"root:x:0:0:SECRET-FILE-CONTENT--" * 128


@pytest.fixture
def requests():
    """(port, paths that were asked for) of a web server on this machine."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(404)
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], seen
        server.shutdown()


def vrt(source: str, *, raw: bool = False, size: int = 64) -> str:
    kind = ' subClass="VRTRawRasterBand"' if raw else ""
    band = f'<SourceFilename relativeToVRT="0">{source}</SourceFilename>'
    band = f"{band}<ImageOffset>0</ImageOffset><PixelOffset>1</PixelOffset><LineOffset>{size}</LineOffset>" if raw else (
        f"<SimpleSource>{band}<SourceBand>1</SourceBand></SimpleSource>"
    )  # fmt: skip
    return (
        f'<VRTDataset rasterXSize="{size}" rasterYSize="48"><GeoTransform>0,30,0,0,0,-30</GeoTransform>'
        f'<VRTRasterBand dataType="Byte" band="1"{kind}>{band}</VRTRasterBand></VRTDataset>'
    )


@pytest.mark.parametrize("ending", [".tif", ".png", ".vrt", ".asc", ".hgt", ".bil", ".jpg", ".dat", ".raw.tif"])
def test_a_program_in_place_of_an_image_reads_nothing(tmp_path, requests, ending):
    port, seen = requests
    (tmp_path / "secret.bin").write_bytes(SECRET)
    wms = (
        f'<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:{port}/tile</ServerUrl></Service><DataWindow>'
        "<UpperLeftX>0</UpperLeftX><UpperLeftY>0</UpperLeftY><LowerRightX>1</LowerRightX><LowerRightY>-1</LowerRightY>"
        "<SizeX>64</SizeX><SizeY>48</SizeY></DataWindow><Projection>EPSG:3857</Projection><BandsCount>1</BandsCount></GDAL_WMS>"
    )
    wcs = f"<WCS_GDAL><ServiceURL>http://127.0.0.1:{port}/wcs?</ServiceURL><CoverageName>x</CoverageName></WCS_GDAL>"
    stac = '{"type": "FeatureCollection", "stac_version": "1.0.0", "features": [{"assets": {"a": {"href": "http://127.0.0.1:%d/s.tif"}}}]}'
    for text in (
        vrt(str(tmp_path / "secret.bin"), raw=True),
        vrt(f"/vsicurl/http://127.0.0.1:{port}/x.tif"),
        wms,
        wcs,
        stac % port,
        f"http://127.0.0.1:{port}/link.tif",
    ):
        path = tmp_path / f"height{ending}"
        path.write_text(text)
        with pytest.raises(InvalidInput):
            read_height(path, pixel_size_m=10.0)
    assert not seen


@pytest.mark.parametrize("companion", [".msk", ".ovr", ".aux.xml", ".aux"])
@pytest.mark.parametrize("name", ["a.tif", "a.bil", "a.png"])
def test_companions_of_a_file_are_not_opened(tmp_path, requests, companion, name):
    port, seen = requests
    values = np.full((48, 64), 500, np.uint16)
    values[5] = 700
    if name == "a.bil":
        save_bil(tmp_path / name, values.astype(np.float32))
    elif name == "a.png":
        Image.fromarray(values).save(tmp_path / name)
    else:
        save_tif(tmp_path / name, values)
    for path in (tmp_path / f"{name}{companion}", tmp_path / f"a{companion}"):
        path.write_text(vrt(f"/vsicurl/http://127.0.0.1:{port}/x.tif"))
    height = read_height(tmp_path / name, pixel_size_m=25.0)
    np.testing.assert_array_equal(height.values, values)
    assert not seen


SPECIAL = [name for name, there in (("fifo", hasattr(os, "mkfifo")), ("socket", hasattr(socket, "AF_UNIX"))) if there]


def special(path: Path, kind: str, monkeypatch) -> Path:
    if kind == "fifo":
        os.mkfifo(path)
    else:
        monkeypatch.chdir(path.parent)  # the path of a socket is short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    return path


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("ending", [".tif", ".npy", ".exr", ".png", ".bil", ".r16"])
def test_pipes_and_sockets_are_refused(tmp_path, monkeypatch, kind, ending):
    path = special(tmp_path / f"a{ending}", kind, monkeypatch)
    with pytest.raises(InvalidInput, match=r"is a (named pipe \(FIFO\)|socket); a file is needed"):
        read_height(path, pixel_size_m=1.0, options=RasterOptions(raw_size=(4, 4)))


@pytest.mark.skipif(not SPECIAL, reason="this system has no named pipes")
def test_pipes_in_place_of_headers_photographs_and_recipes_are_refused(tmp_path, monkeypatch):
    save_bil(tmp_path / "a.bil", np.ones((48, 64), np.float32))
    special(tmp_path / "a.prj", "fifo", monkeypatch)
    with pytest.raises(InvalidInput, match="FIFO"):
        read_height(tmp_path / "a.bil")
    pipe = special(tmp_path / "IMG_1.jpg", "fifo", monkeypatch)
    for kind in (PHOTOGRAPH, HEIGHT_MAP):
        port = Port(name="images", kind=kind, label="Images", help="Images")
        with pytest.raises(InvalidInput, match="FIFO"):
            kinds.read(pipe, kinds.Reading(port=port))
    with pytest.raises(InvalidInput, match="FIFO"):
        recipe_files.load(pipe)
    recipe_files.check_digest(
        "images", {"path": str(pipe), "sha256": ""}
    )  # leaves it to the reader instead of waiting for it


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no devices")
def test_devices_are_refused_through_links(tmp_path):
    (tmp_path / "a.tif").symlink_to("/dev/zero")
    with pytest.raises(InvalidInput, match="is a device"):
        read_height(tmp_path / "a.tif", pixel_size_m=1.0)


def test_a_deep_recipe_is_refused(tmp_path):
    (tmp_path / "r.json").write_text(
        '{"format":1,"algorithm":"noise","params":{"a":' + "[" * 200_000 + "]" * 200_000 + "}}"
    )
    with pytest.raises(InvalidInput, match="nested too deeply"):
        recipe_files.load(tmp_path / "r.json")


def png_header(path: Path, side: int, content: bytes = b"") -> Path:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b""))
    return path


def test_bombs_are_refused_before_they_are_read(tmp_path):
    start = time.perf_counter()
    with rasterio.open(
        *(tmp_path / "bomb.tif", "w"),
        driver="GTiff",
        height=60000,
        width=60000,
        count=1,
        dtype="uint8",
        sparse_ok=True,
        transform=Affine(1, 0, 5e5, 0, -1, 5e6),
        tiled=True,
    ):
        pass
    png_header(tmp_path / "bomb.png", 30000, zlib.compress(bytes(10**7)))
    (tmp_path / "bomb.asc").write_text("ncols 60000\nnrows 60000\nxllcorner 0\nyllcorner 0\ncellsize 1\n1 2 3\n")
    for name in ("bomb.tif", "bomb.png", "bomb.asc"):
        with pytest.raises(InvalidInput, match=r"cannot hold them|take more"):
            read_height(tmp_path / name, pixel_size_m=1.0)
    photograph = Array(PHOTOGRAPH, np.fromfile(tmp_path / "bomb.png", np.uint8), {"name": "bomb.png"})
    with pytest.raises(InvalidInput, match="cannot hold them"):
        photographs.decode(photograph)
    assert time.perf_counter() - start < 5.0


def test_a_map_larger_than_the_memory_is_refused(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.ones((400, 400), np.float32))
    save_tif(tmp_path / "a.tif", np.ones((400, 400), np.float32))
    monkeypatch.setattr(px, "available_bytes", lambda: 10**6)
    for name in ("a.npy", "a.tif"):
        with pytest.raises(OutOfMemory, match=r"400 x 400 pixels take about 0\.0 GiB, and 0\.0 GiB are free"):
            read_height(tmp_path / name, pixel_size_m=1.0)


def test_a_photograph_of_another_kind_is_not_decoded():
    """Pillow would hand PostScript to Ghostscript; only the headers of photographs get that far."""
    content = np.frombuffer(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", np.uint8)
    with pytest.raises(InvalidInput, match="neither JPEG, PNG, TIFF nor WebP"):
        photographs.decode(Array(PHOTOGRAPH, content, {"name": "a.jpg"}))
    with pytest.raises(InvalidInput, match="cannot be decoded"):
        photographs.color_profile(Array(PHOTOGRAPH, content, {"name": "a.jpg"}))


@pytest.mark.parametrize("shape", [(64, 64, 3), (64, 64)])
def test_a_png_that_was_cut_short_or_changed_is_refused(tmp_path, shape):
    """GDAL reads it without an error, and shows what memory held where rows are missing."""
    path, image = tmp_path / "map.png", np.random.default_rng(1).integers(0, 255, shape, np.uint8)
    Image.fromarray(image).save(path)
    content = path.read_bytes()
    np.testing.assert_array_equal(formats.load(path).values.squeeze(), image)
    for length in (40, len(content) // 2, len(content) - 30, len(content) - 12, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(InvalidInput, match="damaged, cut short"):
            formats.load(path)
    changed = bytearray(content)
    changed[len(content) // 2] ^= 0x10
    path.write_bytes(changed)
    with pytest.raises(InvalidInput, match="checksum of a chunk IDAT"):
        formats.load(path)
