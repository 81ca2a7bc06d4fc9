"""A front over https, by the listener's own certificate: the cookie that siblings cannot set, nothing in the clear."""

import ssl
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from exchange.principal import Principal
from identities.session import begin_session
from tests.fronts.socket_ui import SocketUi
from tests.fronts.standin import chat_ui
from tests.identities.certificates import authority, server_tls
from tests.journeys.instance import Instance
from tests.journeys.provider import Provider, completion
from tests.ports import free_port

_MORE = """
identity: {domains: [example.com], issuers: [{name: own, kind: own_token}]}
sign_in: {preset: oidc, issuer: 'http://127.0.0.1:9', client_id: sekisho}
"""
CALL = {"model": "gpt-4o", "messages": []}
ANN = Principal("ann", "ann@example.com", "example.com", "sign-in")
PAGE = {"accept": "text/html", "sec-fetch-mode": "navigate"}


def test_a_session_counts_over_https_alone_in_the_cookie_that_no_sibling_can_set(tmp_path: Path) -> None:
    trusted = ssl.create_default_context(cafile=authority(tmp_path))
    server_tls(tmp_path, "localhost")
    with Provider(completion("はい")) as provider, Provider(choose=chat_ui) as ui:
        gateway = Instance(
            tmp_path, provider.url, profile="gateway", more=_MORE + "#FRONTS", tls=tmp_path / "localhost.pem"
        )
        plain, host = free_port(), f"localhost:{gateway.port}"
        front = f"fronts: [{{host: '{host}', upstream: '{ui.url}', https: listener, models: [gpt-4o]}}]\n"
        rules = 'policies: {rules: [{name: all, models: ["gpt-4o*"], operations: [chat]}]}\n'
        written = gateway.config.read_text("utf-8").replace("#FRONTS", front + rules)
        line = next(line for line in written.splitlines() if "address:" in line)
        written = written.replace(line, f"{line}\n  - {{address: '127.0.0.1:{plain}'}}")
        gateway.config.write_text(written, "utf-8")
        with gateway, httpx2.Client(verify=trusted, timeout=20) as browser:
            session = begin_session(gateway.data_dir, ANN, gateway.url).token
            same = {"origin": gateway.url, "sec-fetch-site": "same-origin"}
            there = f"{gateway.url}/api/openai/v1/chat/completions"
            stranger = browser.get(gateway.url + "/", headers=PAGE)
            login = browser.get(gateway.url + "/_sekisho/login", headers={**PAGE, "accept-language": "ja"})
            page = browser.get(gateway.url + "/", headers={**PAGE, "cookie": f"__Host-sekisho={session}"})
            call = browser.post(there, json=CALL, headers={**same, "cookie": f"__Host-sekisho={session}"})
            tossed = browser.post(there, json=CALL, headers={**same, "cookie": f"sekisho-front={session}"})
            in_clear = {"host": host, "cookie": f"__Host-sekisho={session}", "x-forwarded-proto": "https", **same}
            clear = browser.post(f"http://127.0.0.1:{plain}/api/openai/v1/x", json=CALL, headers=in_clear)
            clear_page = browser.get(f"http://127.0.0.1:{plain}/", headers={**PAGE, **in_clear})

    assert (stranger.status_code, stranger.headers["location"]) == (303, "/_sekisho/login?to=%2F")
    assert (login.status_code, "会社のアカウントでサインイン" in login.text) == (200, True)
    assert (page.status_code, "NextChat" in page.text, call.status_code) == (200, True, 200)
    assert (tossed.status_code, tossed.json()["error"]["code"]) == (401, "missing_identity")
    assert (clear.status_code, clear.json()["error"]["code"]) == (421, "https_required")
    assert (clear_page.status_code, "https://" in clear_page.text) == (421, True)
    assert len(provider.received) == 1
    assert {received.header("x-forwarded-proto") for received in ui.received} == {"https"}


def test_a_websocket_counts_over_https_alone_too(tmp_path: Path) -> None:
    trusted = ssl.create_default_context(cafile=authority(tmp_path))
    server_tls(tmp_path, "localhost")
    with Provider() as provider, SocketUi() as ui:
        gateway = Instance(
            tmp_path, provider.url, profile="gateway", more=_MORE + "#FRONTS", tls=tmp_path / "localhost.pem"
        )
        plain, host = free_port(), f"localhost:{gateway.port}"
        front = (
            f"fronts: [{{host: '{host}', upstream: '{ui.url}', https: listener, kind: open-webui, api_path: null}}]\n"
        )
        written = gateway.config.read_text("utf-8").replace("#FRONTS", front)
        line = next(line for line in written.splitlines() if "address:" in line)
        gateway.config.write_text(written.replace(line, f"{line}\n  - {{address: '127.0.0.1:{plain}'}}"), "utf-8")
        with gateway:
            cookie = f"__Host-sekisho={begin_session(gateway.data_dir, ANN, gateway.url).token}"
            same = {"Origin": gateway.url, "Cookie": cookie}
            with connect(f"wss://{host}/ws/a", ssl=trusted, additional_headers=same, proxy=None) as secured:
                secured.send("x" * 100_000)
                heard = secured.recv(timeout=20)
            with pytest.raises(InvalidStatus) as refused:
                connect(f"ws://{host}/ws/a", address=("127.0.0.1", plain), additional_headers=same, proxy=None)

    assert heard == "x" * 100_000 + " はい"
    assert refused.value.response.status_code == 421
    assert [asked.headers["X-Forwarded-Proto"] for asked in ui.sockets] == ["https"]
