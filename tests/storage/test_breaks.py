"""Ranges of seqs: what is lost, and what is left."""

import pytest

from storage.sqlite.breaks import Range, ranges, shown, without


@pytest.mark.parametrize(
    ("whole", "taken", "left"),
    [
        ((1, 9), (), ((1, 9),)),
        ((1, 9), ((1, 9),), ()),
        ((1, 9), ((3, 4),), ((1, 2), (5, 9))),
        ((1, 9), ((7, 12), (1, 2)), ((3, 6),)),
        ((5, 4), (), ()),
        ((3, 5), ((10, 20),), ((3, 5),)),
        ((3, 5), ((1, 3), (3, 4)), ((5, 5),)),
    ],
)
def test_what_is_left_of_a_range(whole: Range, taken: tuple[Range, ...], left: tuple[Range, ...]) -> None:
    assert without(whole, taken) == left


def test_seqs_are_said_as_ranges() -> None:
    assert shown(ranges([1, 2, 3, 7, 9, 10])) == "1 to 3, 7, 9 to 10"
