from pathlib import Path

import pytest
from pydantic import BaseModel

from settings.reading import SettingsProblems, parse_settings, read_settings
from settings.schema import Settings

ROOT = Path(__file__).resolve().parent.parent.parent


def problems(text: str) -> list[str]:
    with pytest.raises(SettingsProblems) as raised:
        parse_settings(text)
    return raised.value.problems


def test_the_sample_of_the_contract_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    settings = parse_settings(
        """
        profile: gateway
        listen: 127.0.0.1:8080
        data_dir: ./data
        workers: 1
        providers:
          openai: {upstream: https://api.openai.com, api_key: {env: OPENAI_API_KEY}}
        identity:
          domains: [example.com]
          issuers:
            - {name: own, kind: own_token}
            - {name: corp, kind: oidc, issuer: https://idp.example.com, audience: sekisho,
               jwks_url: https://idp.example.com/jwks, header: Authorization}
        policies:
          rules:
            - {name: everyone, domains: [example.com], models: ["gpt-4o*"], operations: [chat, responses]}
        storage:
          on_failure: allow
        """
    )

    assert str(settings.listen[0].address) == "127.0.0.1:8080"
    assert settings.providers["openai"].dialect == "openai"
    assert settings.on_failure == "allow"


def test_the_settings_file_in_the_repository_is_the_defaults() -> None:
    written, default = read_settings(ROOT / "config.yaml"), Settings()

    assert written == default.model_copy(update={"data_dir": written.data_dir})


def test_every_setting_stands_in_the_settings_file() -> None:
    text = (ROOT / "config.yaml").read_text(encoding="utf-8")
    sections: list[type[BaseModel]] = [
        Settings,
        *(type(getattr(Settings(), n)) for n in ("hosts", "identity", "policies", "storage", "limits", "timeouts")),
    ]

    missing = [field for section in sections for field in section.model_fields if f"{field}:" not in text]

    assert missing == []


def test_all_problems_are_said_at_once_by_path_with_the_remedy() -> None:
    said = problems(
        """
        profile: gatway
        listne: 127.0.0.1:8080
        workers: none
        drain_s: -1
        limits: {body: lots}
        providers:
          openai: {upstream: "http://api.example.com"}
          groq: {upstream: "https://api.groq.com"}
        """
    )

    text = "\n".join(said)
    assert len(said) >= 6
    assert "profile" in text
    assert "listne is no setting" in text
    assert "limits.body cannot be read. Write it as 64 MiB" in text
    assert "insecure_upstream: true" in text


def test_a_secret_in_the_settings_is_refused_and_not_echoed() -> None:
    said = "\n".join(problems("providers: {openai: {upstream: 'https://a.example', api_key: sk-inline-canary}}"))

    assert "{env: NAME}" in said
    assert "sk-inline-canary" not in said


def test_a_secret_that_cannot_be_read_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    empty = tmp_path / "empty"
    empty.touch()

    for written in ("{env: NOT_SET_HERE}", f"{{file: {tmp_path}/none}}", f"{{file: {empty}}}"):
        (said,) = problems(f"providers: {{openai: {{upstream: 'https://a.example', api_key: {written}}}}}")
        assert said.startswith("providers.openai.api_key names the ")


def test_a_gateway_without_issuers_or_domains_says_that_nobody_could_pass() -> None:
    said = "\n".join(problems("profile: gateway"))

    assert "identity.issuers is empty" in said
    assert "identity.domains is empty" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("listen: 127.0.0.1:8080\nlisten: 127.0.0.1:9090\n", "duplicate"),
        ("listen: [", "line"),
        ("just text", "list of settings"),
        ("- a\n- b", "list of settings"),
        ("listen: nowhere", "127.0.0.1:8080"),
        ("listen: 127.0.0.1:99999", "less than or equal to 65535"),
        ("providers: {}", "providers"),
        ("identity: {domains: [com]}", "domains"),
        ("identity: {issuers: [{name: a, kind: martian}]}", "kind"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(text: str, words: str) -> None:
    assert words in "\n".join(problems(text)).lower()


def test_a_file_that_does_not_exist_is_said_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(SettingsProblems, match=r"does not exist\. Name one with --config"):
        read_settings(tmp_path / "none.yaml")


def test_an_empty_file_means_the_defaults() -> None:
    assert parse_settings("") == Settings()


def test_client_certificates_need_a_listener_with_tls_where_they_count() -> None:
    def said(listen: str) -> str:
        identity = "{issuers: [{name: people, kind: mtls, ca_file: ca.pem}, {name: own, kind: own_token}]}"
        return "\n".join(problems(f"listen: [{listen}]\nidentity: {identity}"))

    tls = "tls: {cert: a.pem, key: a.pem}"
    for without in ("{address: '127.0.0.1:8080'}", f"{{address: '127.0.0.1:8080', issuers: [own], {tls}}}"):
        assert "identity.issuers[0] takes client certificates, and no listener where it counts has tls" in said(without)
    identity = "identity: {issuers: [{name: people, kind: mtls, ca_file: ca.pem}]}"
    assert parse_settings(f"listen: [{{address: '127.0.0.1:8080', {tls}}}]\n{identity}").identity.issuers


def test_models_are_listed_in_the_way_of_openais_api_alone() -> None:
    (said,) = problems("providers: {anthropic: {upstream: 'https://a.example', models: [claude-opus-5]}}")
    assert "anthropic has models, which are listed in the way of OpenAI's API alone" in said


def test_safety_identifier_is_for_openais_api_alone() -> None:
    (said,) = problems("providers: {anthropic: {upstream: 'https://a.example', safety_identifier: true}}")
    assert "anthropic has safety_identifier, which is a field of OpenAI's API alone" in said
    assert parse_settings(
        "providers: {groq: {upstream: 'https://a.example', dialect: openai, safety_identifier: true}}"
    ).providers["groq"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("listen: 8080", "Write host:port, as in 127.0.0.1:8080"),
        ("listen: 127.0.0.1:0", "must be chosen"),
        ("limits: {body: 0}", "limits.body must be more than nothing"),
        ("limits: {connections: -1}", "limits.connections must be more than nothing"),
        ("data_dir: {file}", "is no directory"),
        ("policies: {{rules: [{{name: a, operations: [chta]}}]}}", "An operation is one of chat, responses"),
        ("policies: {{rules: [{{name: a, providers: [grok]}}]}}", "names 'grok', which is not under providers"),
        ("a: " + "[" * 5000, "nested too deeply"),
    ],
)
def test_what_could_not_work_is_said_at_the_start(tmp_path: Path, written: str, said: str) -> None:
    file = tmp_path / "file"
    file.touch()

    assert said in "\n".join(problems(written.replace("{file}", str(file)).replace("{{", "{").replace("}}", "}")))


def test_a_provider_is_known_by_its_upstream_unless_hosts_say_otherwise() -> None:
    settings = parse_settings(
        """
        providers:
          openai: {upstream: "http://127.0.0.1:9", hosts: [API.openai.com]}
          groq: {dialect: openai, upstream: https://api.groq.com/openai}
          ollama: {dialect: ollama, upstream: "http://localhost:11434"}
          other: {dialect: openai, upstream: "http://127.0.0.1:9"}
        """
    )

    assert {name: one.known_by for name, one in settings.providers.items()} == {
        "openai": ("api.openai.com",), "groq": ("api.groq.com",), "ollama": (), "other": (),
    }  # fmt: skip


def test_a_provider_of_another_name_is_told_every_dialect_there_is() -> None:
    (said,) = problems("providers: {other: {upstream: 'https://a.example'}}")
    assert "anthropic, azure, bedrock, cohere, gemini, ollama, openai" in said


def test_a_host_is_one_providers_and_no_pattern() -> None:
    said = problems("providers: {a: {dialect: openai, upstream: https://a.example, hosts: ['*.example.com']}}")
    assert "Name each" in said[0]
    said = problems(
        """
        providers:
          a: {dialect: openai, upstream: https://a.example, hosts: [x.example]}
          b: {dialect: openai, upstream: https://b.example, hosts: [x.example]}
        """
    )
    assert said == ["providers.b.hosts names x.example, which is providers.a's already. A host is one provider's"]


def test_hosts_that_are_no_hosts_are_said() -> None:
    said = problems("hosts: {rules: [{host: 'https://x.example/', then: pass}], addresses: [10.0.0.0/33], ports: [0]}")

    assert len(said) == 3
    assert "is no host" in said[0] + said[1] + said[2]
    assert "no address" in said[0] + said[1] + said[2]


def test_a_library_that_is_missing_is_named_by_its_path_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (said,) = problems("providers: {azure: {upstream: 'https://a.example', auth: {kind: entra}}}")

    assert said.startswith("providers.azure.auth of kind entra needs azure-identity, which is not installed.")
    assert "pip install 'sekisho[azure]'" in said


def test_a_key_for_a_rule_that_is_not_there_is_said() -> None:
    text = "providers: {openai: {upstream: 'https://a.example', keys: [{label: a, secret: {env: PATH}, rules: [x]}]}}"

    assert problems(text) == ["providers.openai.keys[0].rules names x, which is not under policies.rules"]


FRONT = "fronts: [{{host: chat.example.com, upstream: 'https://nextchat.example.com', {more}}}]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FRONT.format(more=""), "fronts[0] (chat.example.com) has no https"),
        (FRONT.format(more="https: none"), "fronts[0] has https: none, which is for this machine alone"),
        (FRONT.format(more="https: proxy"), "Name the proxy's addresses"),
        (FRONT.format(more="https: proxy, proxies: [ten]"), "fronts[0].proxies names what is no address"),
        (FRONT.format(more="https: proxy, proxies: [10.0.0.1]") + "lane: mitm\n", "fronts need the express lane"),
        (FRONT.format(more="https: proxy, proxies: [10.0.0.1], provider: groq"), "not under providers"),
        (FRONT.format(more="https: proxy, proxies: [10.0.0.1], api_path: /chat/x"), "which is ours"),
        (FRONT.format(more="https: proxy, proxies: [10.0.0.1], api_path: /a/../b"), "is no path"),
        (FRONT.format(more="https: proxy, proxies: [10.0.0.1]"), "fronts need sign_in"),
        (FRONT.format(more="email_header: Cookie"), "is no name for such a header"),
        (FRONT.format(more="email_header: X-Forwarded-Host"), "is no name for such a header"),
        ("fronts: [{host: chat.localhost, email_header: X-Sekisho-Email}]", "no upstream that it could tell"),
        ("fronts: [{host: chat.localhost, upstream: 'http://nextchat:3000'}]", "insecure_upstream: true"),
        ("fronts: [{host: chat.localhost, upstream: 'http://localhost:1/x'}]", "without a path"),
        ("fronts: [{host: 'https://chat.example.com'}]", "fronts[0].host is no host"),
        ("fronts: [{host: a.localhost}, {host: A.localhost}]", "which is another front's already"),
        (f"data_dir: /{'x' * 100}\nfronts: [{{host: a.localhost}}]", "data_dir has too long a path for a socket"),
    ],
)
def test_what_of_a_front_cannot_be_used_is_said_with_the_remedy(text: str, said: str) -> None:
    assert any(said in problem for problem in problems(text)), problems(text)


@pytest.mark.parametrize(
    ("listener", "said"),
    [
        ("{address: '0.0.0.0:1', mode: wireguard}", "listen[0].peer is missing"),
        ("{address: '0.0.0.0:1', peer: {public_key: 'KEY', email: ann@example.com}}", "is for mode: wireguard only"),
        (
            "{address: '0.0.0.0:1', mode: wireguard, peer: {public_key: abc, email: a@b.example}}",
            "no WireGuard key",
        ),
        ("{address: '0.0.0.0:1', mode: wireguard, peer: {public_key: 'KEY', email: ann}}", "is not an e-mail address"),
        (
            "{address: '0.0.0.0:1', mode: wireguard, tls: {cert: a, key: b}, peer: {public_key: KEY, email: a@b.co}}",
            "wireguard callers do not know that we are there",
        ),
    ],
)
def test_a_wireguard_listener_is_for_one_peer(listener: str, said: str) -> None:
    key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    assert said in "\n".join(problems(f"listen: [{listener.replace('KEY', key)}]"))


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("{url: proxy.example.com}", "upstream_proxy.url is not a proxy's address"),
        ("{url: 'http://proxy.example.com'}", "Write http://host:port"),
        ("{url: 'socks5://proxy.example.com:1080'}", "Write http://host:port"),
        ("{url: 'http://ann:secret@proxy.example.com:3128'}", "holds a user"),
        ("{url: 'http://p.example.com:1', user: ann}", "a user without a password"),
        ("{url: 'http://p.example.com:1', password: {env: X}}", "a password without a user"),
        ("{url: 'http://p.example.com:1', user: 'a:b', password: {env: X}}", "a colon"),
        ("{url: 'http://p.example.com:1', user: ann, password: secret-canary}", "is written into the settings itself"),
        (
            "{url: 'http://p.example.com:1', user: ann, password: {env: NOT_SET}}",
            "NOT_SET, which is not set",
        ),
        ("{url: 'http://p.example.com:1', no_proxy: ['a b']}", "neither a host nor a network"),
        ("{url: 'http://p.example.com:1', ca_file: /x}", "counts for an https:// proxy only"),
    ],
)
def test_a_companys_proxy_that_cannot_be_used_is_said(proxy: str, said: str) -> None:
    found = "\n".join(problems(f"upstream_proxy: {proxy}"))
    assert said in found
    assert "secret-canary" not in found


def test_no_proxy_takes_names_and_networks() -> None:
    text = "upstream_proxy: {url: 'http://p.example.com:3128/', no_proxy: [.Corp.example, vllm, 10.0.0.0/8, '::1']}"
    proxy = parse_settings(text).upstream_proxy
    assert proxy is not None
    resolved = proxy.resolved()
    assert (resolved.host, resolved.port, resolved.exempt) == ("p.example.com", 3128, ("*.corp.example", "vllm"))
    assert [str(one) for one in resolved.exempt_networks] == ["10.0.0.0/8", "::1/128"]
