"""Settings of single segments: which segments a key stands for, and one sentence for what cannot be used."""

from __future__ import annotations

import json

import pytest

from shared.errors import InvalidParameter
from shared.segment_settings import read_settings

NUMBERS = (0, 1, 2, 5)
NAMES = ("background", "sky-other-merged", "Cube", "gone", "", "tree")


def test_nothing_is_said_by_no_text() -> None:
    assert read_settings(" \n", NUMBERS) == {}
    assert read_settings("{}", NUMBERS) == {}


def test_keys_are_names_words_of_names_or_numbers() -> None:
    text = json.dumps({"sky": {"smallest": 6, "order": -1}, "Cube": {"strokes": 5.0}, "5": {"share": 10}, "gone": {}})
    found = read_settings(text, NUMBERS, NAMES)
    assert {key: entry.numbers for key, entry in found.items()} == {"sky": (1,), "Cube": (2,), "5": (5,), "gone": ()}
    assert found["Cube"].strokes == 5
    assert found["sky"].named() == ("smallest", "order")
    assert found["5"].share == 10.0
    assert found["5"].opacity == 1.0


def test_a_word_stands_for_all_segments_that_have_it() -> None:
    found = read_settings('{"tree": {"strokes": 3}}', (0, 1, 2), ("tree-merged", "house", "tree-old"))
    assert found["tree"].numbers == (0, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "it is not JSON"),
        ("[1]", "it must be a JSON object"),
        ('{"skyy": {}}', "there is no segment 'skyy'"),
        ('{"9": {}}', "there is no segment 9"),
        ('{"sky": 3}', "'sky' has 3 instead of an object"),
        ('{"sky": {"size": 3}}', "'sky' has 'size', which segments do not have"),
        ('{"sky": {"strokes": -1}}', "'sky' has strokes -1; it must be a whole number from 0 to 1e+06"),
        ('{"sky": {"strokes": 2.5}}', "'sky' has strokes 2.5; it must be a whole number"),
        ('{"sky": {"strokes": true}}', "'sky' has strokes True"),
        ('{"sky": {"share": NaN}}', "'sky' has share nan; it must be a number from 0 to 100"),
        ('{"sky": {"share": 5, "strokes": 5}}', "'sky' has both strokes and share"),
        ('{"sky": {"largest": 2, "smallest": 5}}', "'sky' has the smallest brush 5 % and the largest 2 %"),
        ('{"sky": {}, "1": {}}', "'sky' and '1' are both settings of segment 1"),
        ("[" * 2000, "it is not JSON"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(text: str, said: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        read_settings(text, NUMBERS, NAMES)
    assert caught.value.message.startswith(f"The settings of segments cannot be used: {said}")
    assert caught.value.field == "segment_settings"


def test_names_that_are_not_there_are_told_from_mistyped_ones() -> None:
    with pytest.raises(InvalidParameter, match="the segments have no names, and 'sky' is not a number") as caught:
        read_settings('{"sky": {}}', NUMBERS)
    assert caught.value.hint == "Their numbers are 0, 1, 2, 5."
    with pytest.raises(InvalidParameter) as caught:
        read_settings('{"cube1": {}}', NUMBERS, ("", "cube"))
    assert caught.value.hint == "Did you mean 'cube'?"
