"""Frames: exact bytes, odd arrays, and that nothing but ProtocolError comes out of broken ones."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import codec
from shared.arrays import CLASS_MAP, HEIGHT_MAP, KINDS, Array, check, height_map
from shared.codec import decode, encode
from shared.errors import InvalidInput, ProtocolError, VersionMismatch
from shared.handoff import Handoff, blocks, read_values
from shared.messages import MESSAGES, Finished, Hello, Ping, Preview, Progress, Query, Submit

HEIGHTS = np.arange(6, dtype=np.float32).reshape(2, 3)
SUBMIT = Submit(id="i", job="j", algorithm="noise", params={"seed": 7}, arrays={"height": (height_map(HEIGHTS, 5.0),)})


def raw(frames: list[codec.Buffer]) -> list[bytes]:
    return [bytes(frame) for frame in frames]


def test_golden_ping() -> None:
    assert raw(encode(Ping(id="1"))) == [b"RLVO\x01", b'{"type":"Ping","id":"1","reply_to":""}']


def test_golden_arrays() -> None:
    magic, header, buffer = raw(encode(Preview(job="j", arrays={"height": (height_map([[0.0, 1.0]], 2.0),)})))  # type: ignore[arg-type]
    assert magic == b"RLVO\x01"
    assert header == (
        b'{"type":"Preview","id":"","reply_to":"","job":"j","arrays":[{"port":"height","kind":"HEIGHT_MAP","dtype":"<f4",'
        b'"shape":[1,2],"attributes":{"pixel_size_m":2.0}}]}'
    )
    assert buffer == b"\x00\x00\x00\x00\x00\x00\x80\x3f"


ODD_ARRAYS = {
    "0-d": np.array(3.5, np.float32),
    "empty": np.zeros((0, 4), np.float32),
    "strided": np.arange(24, dtype=np.float32).reshape(4, 6)[::2, ::-3],
    "column-major": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "big-endian": np.arange(4, dtype=">f4"),
    "infinite": np.array([np.inf, -np.inf, np.nan, -0.0], np.float32),
    "transposed": np.arange(6, dtype=np.int64).reshape(2, 3).T,
    "one byte": np.array([[255]], np.uint8),
    "half": np.array([1.5, 65504.0], np.float16),
    "broadcast": np.broadcast_to(np.float64(2.0), (3, 2)),
    "eight axes": np.zeros((1, 2, 1, 2, 1, 2, 1, 2), np.int16),
}


@pytest.mark.parametrize("name", ODD_ARRAYS)
def test_odd_arrays_come_back(name: str) -> None:
    values = ODD_ARRAYS[name]
    before = values.copy()
    frames = encode(Preview(job="j", arrays={"x": (Array(HEIGHT_MAP, values),)}))
    back = decode(raw(frames)).arrays["x"][0].values  # type: ignore[attr-defined]
    assert back.shape == values.shape
    assert back.dtype == values.dtype.newbyteorder("<")
    np.testing.assert_array_equal(back, values)
    np.testing.assert_array_equal(values, before)
    assert not back.flags.writeable


def test_arrays_are_not_copied() -> None:
    frames = encode(SUBMIT)
    assert np.shares_memory(np.frombuffer(frames[2], np.float32), HEIGHTS)
    decoded = decode(frames)
    assert np.shares_memory(decoded.arrays["height"][0].values, HEIGHTS)  # type: ignore[attr-defined]


def test_many_arrays_of_a_port_keep_their_order() -> None:
    given = tuple(height_map(np.full((1, 2), n), 1.0) for n in range(3))
    back = decode(raw(encode(Submit(job="j", algorithm="a", arrays={"a": given, "b": given[:1]}))))
    assert [array.values[0, 0] for array in back.arrays["a"]] == [0, 1, 2]  # type: ignore[attr-defined]
    assert len(back.arrays["b"]) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("values", [np.array(["a"]), np.array([object()]), np.array([1j]), np.zeros(2, "f4,i4")])
def test_dtypes_off_the_list_are_not_sent(values: np.ndarray) -> None:
    with pytest.raises(ProtocolError, match="cannot be sent"):
        encode(Preview(job="j", arrays={"x": (Array(HEIGHT_MAP, values),)}))


def test_nan_does_not_travel_in_a_header() -> None:
    with pytest.raises(ProtocolError):
        encode(Progress(job="j", state="running", done=0, total=1, remaining_s=float("nan")))


def header_of(message: Any) -> dict[str, Any]:
    return json.loads(bytes(encode(message)[1]))


def with_header(header: Any, *buffers: bytes) -> list[bytes]:
    return [codec.MAGIC, json.dumps(header).encode(), *buffers]


def test_unknown_fields_are_ignored() -> None:
    assert decode(with_header({"type": "Ping", "id": "1", "colour": "green"})) == Ping(id="1")


def test_missing_optional_fields_take_their_default() -> None:
    hello = decode(with_header({"type": "Hello", "token": "t", "owner": "o", "protocol": "1.0"}))
    assert hello == Hello(token="t", owner="o", protocol="1.0")


def descriptor(**changes: Any) -> dict[str, Any]:
    return header_of(SUBMIT)["arrays"][0] | changes


REFUSED_HEADERS: dict[str, Any] = {
    "not an object": [1],
    "no type": {},
    "type of wrong type": {"type": ["Ping"]},
    "unknown type": {"type": "Explode"},
    "missing field": {"type": "Hello", "token": "t"},
    "number for text": {"type": "Fetch", "job": 7},
    "boolean for number": {"type": "Progress", "job": "j", "state": "s", "done": True, "total": 1},
    "huge number": {"type": "Progress", "job": "j", "state": "s", "done": 0, "total": 1, "remaining_s": 10**400},
    "list for object": {"type": "Submit", "job": "j", "algorithm": "a", "params": []},
    "number in error": {"type": "Finished", "job": "j", "state": "s", "seconds": 1.0, "error": {"code": 3}},
}


@pytest.mark.parametrize("name", REFUSED_HEADERS)
def test_wrong_headers_are_refused(name: str) -> None:
    with pytest.raises(ProtocolError):
        decode(with_header(REFUSED_HEADERS[name]))


REFUSED_DESCRIPTORS: dict[str, Any] = {
    "short buffer": descriptor(shape=[2, 4]),
    "long buffer": descriptor(shape=[2, 2]),
    "negative shape": descriptor(shape=[-2, -3]),
    "shape that overflows": descriptor(shape=[2**32, 2**32]),
    "boolean shape": descriptor(shape=[True, 6]),
    "fractional shape": descriptor(shape=[2.0, 3]),
    "too many axes": descriptor(shape=[1] * 9 + [6]),
    "object dtype": descriptor(dtype="|O"),
    "dtype as list": descriptor(dtype=["<f4"]),
    "unknown kind": descriptor(kind="SECRET"),
    "no port": descriptor(port=""),
    "attributes as list": descriptor(attributes=[1]),
    "nested attributes": descriptor(attributes={"a": {"b": 1}}),
    "a number beyond all floats": descriptor(attributes={"pixel_size_m": 10**400}),
    "a file nobody agreed on": descriptor(file="0" * 32),
    "no object": "height",
}


@pytest.mark.parametrize("name", REFUSED_DESCRIPTORS)
def test_wrong_descriptors_are_refused(name: str) -> None:
    header = header_of(SUBMIT) | {"arrays": [REFUSED_DESCRIPTORS[name]]}
    with pytest.raises(ProtocolError):
        decode(with_header(header, HEIGHTS.tobytes()))


@pytest.mark.parametrize("count", [0, 2])
def test_wrong_number_of_buffers_is_refused(count: int) -> None:
    with pytest.raises(ProtocolError):
        decode(with_header(header_of(SUBMIT), *[HEIGHTS.tobytes()] * count))


def test_buffers_for_a_message_without_arrays_are_refused() -> None:
    with pytest.raises(ProtocolError):
        decode([*raw(encode(Ping())), b"1234"])


def test_limits_hold_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProtocolError, match="header"):
        encode(Submit(job="j", algorithm="a", params={"x": "y" * codec.MAX_HEADER_BYTES}))
    with pytest.raises(ProtocolError, match="header"):
        decode([codec.MAGIC, b" " * (codec.MAX_HEADER_BYTES + 1)])
    many = {"x": (height_map([[1.0]], 1.0),) * (codec.MAX_ARRAYS + 1)}  # type: ignore[arg-type]
    with pytest.raises(ProtocolError, match="arrays"):
        encode(Preview(job="j", arrays=many))
    monkeypatch.setattr(codec, "MAX_TOTAL_BYTES", 23)
    with pytest.raises(ProtocolError, match="bytes"):
        encode(SUBMIT)
    with pytest.raises(ProtocolError, match="bytes"):
        decode(with_header(header_of(SUBMIT), HEIGHTS.tobytes()))


def test_another_major_version_is_told_apart() -> None:
    with pytest.raises(VersionMismatch):
        decode([codec.MAGIC_PREFIX + b"\x02", b"{}"])
    with pytest.raises(ProtocolError):
        decode([b"HTTP\x01", b"{}"])


@pytest.mark.parametrize("text", [r'{"type":"Ping","id":"\ud800"}', r'{"type":"Query","job":"\uDC00x"}'])
def test_half_a_surrogate_pair_is_refused(text: str) -> None:
    """JSON can spell it; an answer that repeated it could not be sent."""
    with pytest.raises(ProtocolError, match="Unicode"):
        decode([codec.MAGIC, text.encode()])


def test_a_whole_surrogate_pair_is_text() -> None:
    message = decode([codec.MAGIC, rb'{"type":"Query","job":"\ud83d\ude00"}'])
    assert message == Query(job="\U0001f600")


def test_a_long_id_is_refused() -> None:
    for name in ("id", "reply_to"):
        decode(with_header({"type": "Ping", name: "x" * codec.MAX_ID_CHARS}))
        with pytest.raises(ProtocolError, match=name):
            decode(with_header({"type": "Ping", name: "x" * (codec.MAX_ID_CHARS + 1)}))


@pytest.mark.parametrize("shape", [[0, 2**32, 2**32], [2**32, 0, 2**32], [0] + [2**32] * 7, [2**31, 2**31], [2**32, 2]])
def test_shapes_beyond_all_limits_are_refused_also_where_a_length_is_0(shape: list[int]) -> None:
    array = {"port": "p", "kind": "HEIGHT_MAP", "dtype": "|u1", "shape": shape}
    header = json.dumps({"type": "Preview", "job": "j", "arrays": [array]}).encode()
    with pytest.raises(ProtocolError, match="beyond all limits"):
        decode([codec.MAGIC, header, b""])


COSTLY = {
    "lists": b'{"type":"Ping","x":[' + b"[]," * 349_000 + b"[]]}",
    "objects": b'{"type":"Ping","x":[' + b"{}," * 349_000 + b"{}]}",
    "keys": b'{"type":"Ping",' + b",".join(b'"%x":1' % key for key in range(105_000)) + b"}",
    "numbers": b'{"type":"Ping","x":[' + b"1," * 500_000 + b"1]}",
}


@pytest.mark.parametrize("name", COSTLY)
def test_headers_of_too_many_values_are_refused_before_they_are_parsed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("it was parsed"))
    with pytest.raises(ProtocolError, match="commas and opening brackets"):
        decode([codec.MAGIC, COSTLY[name]])


def test_a_message_of_as_many_arrays_as_may_be_is_within_the_limit_of_values() -> None:
    photographs = tuple(
        Array(KINDS["PHOTOGRAPH"], np.zeros(1, np.uint8), {"name": f"IMG_{number}.JPG"})
        for number in range(codec.MAX_ARRAYS)
    )
    header = bytes(encode(Preview(job="j", arrays={"images": photographs}))[1])
    assert sum(map(header.count, (b",", b"[", b"{"))) < 0.6 * codec.MAX_HEADER_VALUES


@pytest.mark.parametrize("error", [MemoryError(), RecursionError(), OverflowError("x"), KeyError("x"), ValueError("x")])
def test_whatever_goes_wrong_in_decode_is_a_protocol_error(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(codec, "_parse_header", fail)
    with pytest.raises(ProtocolError, match=type(error).__name__):
        decode(raw(encode(Ping())))


def test_what_an_error_quotes_is_short() -> None:
    long = "x" * 500_000
    headers = [
        {"type": long},
        {"type": "Preview", "job": "j", "arrays": [{"port": "p", "kind": long, "dtype": long, "shape": [0]}]},
        {"type": "Preview", "job": "j", "arrays": [{"port": long, "kind": "MASK", "dtype": "|u1", "shape": [0]}]},
    ]
    for header in headers:
        with pytest.raises(ProtocolError) as caught:
            decode([codec.MAGIC, json.dumps(header).encode(), *[b""] * ("arrays" in header)])
        assert len(str(caught.value)) < 500


def test_deep_json_is_refused() -> None:
    with pytest.raises(ProtocolError):
        decode([codec.MAGIC, b"[" * 100_000])


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_mutated_frames_give_no_other_error(data: st.DataObject) -> None:
    frames = [bytearray(frame) for frame in raw(encode(SUBMIT))]
    for _ in range(data.draw(st.integers(1, 4))):
        frame = frames[data.draw(st.integers(0, len(frames) - 1))]
        action = data.draw(st.sampled_from(("flip", "cut", "insert")))
        place = data.draw(st.integers(0, max(len(frame) - 1, 0)))
        if action == "flip" and frame:
            frame[place] ^= data.draw(st.integers(1, 255))
        elif action == "cut":
            del frame[place:]
        else:
            frame[place:place] = data.draw(st.binary(min_size=1, max_size=8))
    decodes_or_refuses([bytes(frame) for frame in frames[: data.draw(st.integers(0, len(frames)))] or frames])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=64), max_size=5))
def test_random_frames_give_no_other_error(frames: list[bytes]) -> None:
    decodes_or_refuses(frames)
    decodes_or_refuses([codec.MAGIC, *frames])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(name=st.sampled_from(sorted(MESSAGES)), data=st.data())
def test_fields_of_any_type_give_no_other_error(name: str, data: st.DataObject) -> None:
    names = [field.name for field in dataclasses.fields(MESSAGES[name])]
    header = {key: data.draw(JSON) for key in names if data.draw(st.booleans())} | {"type": name}
    decodes_or_refuses(with_header(header, *data.draw(st.lists(st.binary(max_size=8), max_size=2))))


def decodes_or_refuses(frames: list[bytes]) -> None:
    """Any other exception than these two fails the test that calls this."""
    try:
        message = decode(frames)
    except (ProtocolError, VersionMismatch):
        return
    assert type(message).__name__ in MESSAGES


def test_every_message_survives_the_wire() -> None:
    for cls in MESSAGES.values():
        values = {field.name: sample(str(field.type)) for field in dataclasses.fields(cls) if field.name != "arrays"}
        message = cls(**values)
        assert decode(raw(encode(message))) == message


def sample(annotation: str) -> Any:
    samples = {
        "str": "täxt", "int": 7, "float": 0.5, "bool": True, "float | None": None,
        "Mapping[str, str] | None": {"code": "x"},
        "list[dict[str, Any]]": [{"a": 1}], "Mapping[str, Any]": {"a": [1, None]}, "Mapping[str, str]": {"a": "b"},
        "Mapping[str, int]": {"a": 1},
    }  # fmt: skip
    return samples[annotation]


def test_finished_keeps_its_error() -> None:
    finished = Finished(
        job="j", state="failed", seconds=1.0, error={"code": "internal", "message": "m", "hint": "", "field": ""}
    )
    assert decode(raw(encode(finished))) == finished


# Handoff ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Handoff, Handoff]:
    """The backend's and a client's side of one folder."""
    backend, offer = Handoff.create(tmp_path / "handoff")
    client = Handoff.join(offer)
    assert client is not None
    return backend, client


BIG = np.random.default_rng(1).random((1024, 512), dtype=np.float32)


def test_large_arrays_go_by_file(sides: tuple[Handoff, Handoff]) -> None:
    backend, client = sides
    arrays = {
        "height": (height_map(BIG, 2.0), height_map(HEIGHTS, 2.0)),
        "c": (Array(CLASS_MAP, np.zeros((1200, 1000), np.uint8)),),
    }
    frames = encode(Submit(job="j", algorithm="a", arrays=arrays), client)
    assert len(frames) == 3, "only the small one is a buffer"
    back = decode(raw(frames), backend).arrays  # type: ignore[attr-defined]
    np.testing.assert_array_equal(back["height"][0].values, BIG)
    np.testing.assert_array_equal(back["height"][1].values, HEIGHTS)
    assert back["c"][0].values.shape == (1200, 1000)


def test_a_result_is_linked_and_its_name_is_gone_once_taken(sides: tuple[Handoff, Handoff]) -> None:
    backend, client = sides
    taken = decode(raw(encode(Preview(job="j", arrays={"x": (height_map(BIG, 1.0),)}), client)), backend).arrays  # type: ignore[attr-defined]
    back = decode(raw(encode(Preview(job="j", arrays=taken), backend)), client)
    np.testing.assert_array_equal(back.arrays["x"][0].values, BIG)  # type: ignore[attr-defined]
    backend.discard(taken["x"][0].values)
    assert [path.name for path in backend.folder.iterdir()] == ["proof"]


def test_a_clients_mapped_file_is_copied_so_that_the_user_may_edit_it(
    sides: tuple[Handoff, Handoff], tmp_path: Path
) -> None:
    backend, client = sides
    BIG.tofile(tmp_path / "photograph")
    mapped = np.memmap(tmp_path / "photograph", np.float32, "r", shape=BIG.shape)
    back = decode(raw(encode(Preview(job="j", arrays={"x": (height_map(mapped, 1.0),)}), client)), backend)
    np.zeros_like(BIG).tofile(tmp_path / "photograph")
    np.testing.assert_array_equal(back.arrays["x"][0].values, BIG)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["../../etc/passwd", "proof", "", "0" * 31, "0" * 32, "/etc/passwd", "0" * 32 + "\n"])
def test_only_names_of_the_folder_are_opened(sides: tuple[Handoff, Handoff], name: str) -> None:
    with pytest.raises(ProtocolError):
        decode(with_header(header_of(SUBMIT) | {"arrays": [descriptor(file=name)]}), sides[0])


def test_links_and_wrong_sizes_are_refused(sides: tuple[Handoff, Handoff], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(HEIGHTS.tobytes())
    (sides[0].folder / ("a" * 32)).symlink_to(secret)
    (sides[0].folder / ("b" * 32)).write_bytes(b"short")
    for name in ("a" * 32, "b" * 32):
        with pytest.raises(ProtocolError, match="not what"):
            decode(with_header(header_of(SUBMIT) | {"arrays": [descriptor(file=name)]}), sides[0])


def test_a_client_elsewhere_does_not_join(sides: tuple[Handoff, Handoff], tmp_path: Path) -> None:
    folder = str(sides[0].folder)
    assert Handoff.join({"folder": folder, "proof": "another"}) is None
    assert Handoff.join({"folder": str(tmp_path / "none"), "proof": "x"}) is None
    assert Handoff.join({}) is None


def test_a_handed_over_file_is_read_with_bounds(sides: tuple[Handoff, Handoff]) -> None:
    """One that somebody shortens while it is in use is an error; touching its map would end the process."""
    backend, client = sides
    values = np.random.default_rng(3).random((1024, 700), dtype=np.float32)
    name = client.put(values)
    taken = backend.take(name, values.dtype, values.shape)
    np.testing.assert_array_equal(read_values(taken), values)
    np.testing.assert_array_equal(np.concatenate([block.copy() for block in blocks(taken)]), values.ravel())
    assert check(Array(HEIGHT_MAP, taken, {"pixel_size_m": 1.0})).values is taken
    os.truncate(backend.folder / name, 4096)
    with pytest.raises(OSError, match="shorter"):
        read_values(taken)
    with pytest.raises(InvalidInput, match="shorter"):
        check(Array(HEIGHT_MAP, taken, {"pixel_size_m": 1.0}))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_handed_over_file_is_checked_to_its_last_value(sides: tuple[Handoff, Handoff], bad: float) -> None:
    backend, client = sides
    values = np.ones((1000, 1000), np.float32)
    values[-1, -1] = bad
    taken = backend.take(client.put(values), values.dtype, values.shape)
    with pytest.raises(InvalidInput, match="1 of 1000000 cells"):
        check(Array(HEIGHT_MAP, taken, {"pixel_size_m": 1.0}))


def test_a_result_that_was_taken_can_be_sent_on(sides: tuple[Handoff, Handoff]) -> None:
    """The client's map outlives the name of its file."""
    backend, client = sides
    values = np.random.default_rng(4).random((1024, 512), dtype=np.float32)
    taken = client.take(backend.put(values), values.dtype, values.shape)
    again = backend.take(client.put(taken), values.dtype, values.shape)
    np.testing.assert_array_equal(again, values)
    check(Array(HEIGHT_MAP, taken, {"pixel_size_m": 1.0}))
