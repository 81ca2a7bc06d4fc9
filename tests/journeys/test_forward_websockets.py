"""WebSockets in a tunnel: the same relay, the identity of the connection."""

import json
from pathlib import Path

from websockets.sync.client import connect

from tests.journeys.forwarding import HOST, ForwardInstance, basic
from tests.journeys.instance import PROVIDER_KEY
from tests.journeys.socket_provider import TEXT, SocketProvider
from tests.journeys.test_websockets import GATEWAY, ask


def test_a_websocket_passes_in_a_tunnel_and_is_recorded_as_of_its_caller(tmp_path: Path) -> None:
    with (
        SocketProvider() as provider,
        ForwardInstance(tmp_path, provider.url, profile="gateway", more=GATEWAY) as instance,
    ):
        token = instance.mint("ann@example.com")
        tunnel, head = instance.knocks(f"{HOST}:443", basic(token))
        assert head.startswith(b"HTTP/1.1 200 ")
        context = instance.trusting()
        with connect(
            f"wss://{HOST}/v1/responses",
            sock=tunnel,
            ssl=context,
            server_hostname=HOST,
            proxy=None,
            additional_headers={"Authorization": "Bearer sk-mine"},
        ) as connection:
            events = ask(connection, model="gpt-4o", input="天気は？")
            denied = ask(connection, model="o3", input="天気は？")
        said = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
        assert said == TEXT
        assert denied[-1]["type"] == "error"
        instance.wait_until(lambda: any(r["end_state"] == "complete" for r in instance.records()))
        record = next(r for r in instance.records() if r["end_state"] == "complete")
        disk = instance.on_disk()
    assert (record["client"]["mode"], record["operation"]) == ("forward", "responses")
    assert record["principal"]["email"] == "ann@example.com"
    assert "o3" not in json.dumps(provider.received)
    assert token.encode() not in disk
    assert PROVIDER_KEY.encode() not in disk
