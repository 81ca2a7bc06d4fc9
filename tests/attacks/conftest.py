from collections.abc import Iterator

import pytest

from tests.journeys.provider import Provider


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running


@pytest.fixture(params=["express", "mitm"])
def lane(request: pytest.FixtureRequest) -> str:
    """Both lanes hold against the same table."""
    return str(request.param)
