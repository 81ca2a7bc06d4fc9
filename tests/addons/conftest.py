from tests.journeys.conftest import lane, provider

__all__ = ["lane", "provider"]
