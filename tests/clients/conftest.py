from tests.journeys.conftest import provider

__all__ = ["provider"]
