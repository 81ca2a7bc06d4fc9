"""Groups that travel with a person: bounded, and never without one on which a rule decides."""

import json

import pytest

from identities.groups import LARGEST, TooManyGroups, carried

MANY = tuple(f"group-{i:04}" for i in range(1000))


def test_few_groups_all_travel_the_named_ones_first() -> None:
    assert carried(("a", "b", "研究", "b"), {"研究", "nobody"}) == ("研究", "a", "b")
    assert carried((), {"a"}) == ()


def test_of_many_those_travel_on_which_rules_decide_and_as_many_more_as_fit() -> None:
    kept = carried(MANY, {"group-0999", "group-0500"})

    assert kept[:3] == ("group-0500", "group-0999", "group-0000")
    assert LARGEST - 50 < len(json.dumps(kept)) <= LARGEST


def test_groups_on_which_rules_decide_are_never_left_behind_in_silence() -> None:
    with pytest.raises(TooManyGroups):
        carried(MANY, set(MANY))
    with pytest.raises(TooManyGroups):
        carried(("研" * 400,), {"研" * 400})
