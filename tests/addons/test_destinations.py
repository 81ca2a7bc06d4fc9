import pytest

from addons.destinations import Destinations
from settings.schema import Provider

PROVIDERS = {
    "openai": Provider(upstream="https://api.openai.com", dialect="openai"),
    "own": Provider(upstream="https://llm.example:8443/base", dialect="openai"),
}


@pytest.mark.parametrize(
    ("scheme", "host", "port", "provider"),
    [
        ("https", "api.openai.com", 443, "openai"),
        ("https", "llm.example", 8443, "own"),
        ("http", "api.openai.com", 443, None),
        ("http", "api.openai.com", 80, None),
        ("https", "api.openai.com", 8443, None),
        ("https", "llm.example", 443, None),
        ("https", "openai", 443, None),
    ],
)
def test_a_host_that_is_asked_for_is_a_providers_only_at_its_very_address(
    scheme: str, host: str, port: int, provider: str | None
) -> None:
    found = Destinations(PROVIDERS, "openai").as_asked(scheme, host, port, "/v1/models")

    assert found.known is (provider is not None)  # and only what is known is shown our key
    assert found.provider == (provider or host)
