"""Which hosts are read, which pass unread, which do not pass."""

import pytest

from policies.hosts import HostBook, HostVerdict
from settings.hosts import Hosts, host_pattern, known_services

PROVIDERS = {"openai": ("api.openai.com",), "groq": ("api.groq.com",)}


def book(**hosts: object) -> HostBook:
    return HostBook(PROVIDERS, Hosts.model_validate(hosts), known_services())


@pytest.mark.parametrize(
    ("hosts", "host", "becomes", "rule"),
    [
        ({}, "api.openai.com", "open", "providers/openai"),
        ({}, "API.OpenAI.com.", "open", "providers/openai"),
        ({}, "evil-api.openai.com", "pass-and-note", "hosts.services"),
        ({}, "api.openai.com.evil.test", "pass-and-note", "hosts.unknown"),
        ({}, "chatgpt.com", "pass-and-note", "hosts.services"),
        ({}, "pypi.example", "pass-and-note", "hosts.unknown"),
        ({"services": "block"}, "chatgpt.com", "block", "hosts.services"),
        ({"services": "block"}, "api.openai.com", "open", "providers/openai"),
        ({"services": "block"}, "pypi.example", "pass-and-note", "hosts.unknown"),
        ({"unknown": "block", "rules": [{"host": "*.example.com", "then": "pass"}]}, "a.example.com", "pass",
         "hosts/*.example.com"),
        ({"unknown": "block", "rules": [{"host": "*.example.com", "then": "pass"}]}, "example.com", "block",
         "hosts.unknown"),
        ({"unknown": "block", "rules": [{"host": "*.example.com", "then": "pass"}]}, "notexample.com", "block",
         "hosts.unknown"),
        ({"rules": [{"host": "chatgpt.com", "then": "pass"}, {"host": "*.com", "then": "block"}]}, "chatgpt.com",
         "pass", "hosts/chatgpt.com"),
        ({"rules": [{"host": "api.openai.com", "then": "block"}]}, "api.openai.com", "open", "providers/openai"),
    ],
)  # fmt: skip
def test_a_host_is_opened_only_for_a_provider_and_the_first_rule_decides_on_others(
    hosts: dict[str, object], host: str, becomes: str, rule: str
) -> None:
    verdict = book(**hosts).of(host)

    assert (verdict.becomes, verdict.rule) == (becomes, rule)


@pytest.mark.parametrize(
    ("host", "service"),
    [
        ("api.openai.com", "OpenAI"),
        ("ab.chatgpt.com", "OpenAI"),
        ("claude.ai", "Anthropic"),
        ("europe-west4-aiplatform.googleapis.com", "Google Gemini"),
        ("corp.openai.azure.com", "Azure OpenAI"),
        ("bedrock-runtime.eu-central-1.amazonaws.com", "Amazon Bedrock"),
        ("s3.eu-central-1.amazonaws.com", None),
        ("github.com", None),
        ("openai.com.evil.test", None),
    ],
)
def test_the_table_knows_whose_host_it_is(host: str, service: str | None) -> None:
    assert book().of(host).service == service


def test_verdicts_are_remembered_within_bounds() -> None:
    asked = book()
    for number in range(10_000):
        asked.of(f"h{number}.example")

    assert len(asked._remembered) <= 4096
    assert asked.of("api.groq.com") == HostVerdict("open", "providers/groq", "groq", "Groq")


def test_every_row_of_the_table_is_a_host_of_one_service() -> None:
    hosts = [host for each in known_services() for host in each.hosts]

    assert [host_pattern(host) for host in hosts] == hosts
    assert len(hosts) == len(set(hosts))
    assert all(operations for each in known_services() for operations in each.hosts.values())
