"""Signed heads on their way to a webhook."""

import json
import logging
from pathlib import Path

import pytest

from recording.anchors import Anchors
from settings.storage import Heads
from tests.identities.key_server import key_server
from tests.upstreams.token_server import token_server


def posted(data_dir: Path, url: str) -> None:
    (data_dir / "keys").mkdir(parents=True, exist_ok=True)
    anchors = Anchors(data_dir, Heads(webhook=url))
    anchors.publish({"gw-1": (7, "ab" * 32)})
    anchors.close()


def test_a_webhook_gets_each_signed_head(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with token_server() as hook:
        hook.answer = lambda path, body: (202, b"thanks")
        posted(tmp_path, hook.url("/hook?team=audit"))

    ((path, body),) = hook.asked
    assert path == "/hook?team=audit"
    assert json.loads(body)["heads"] == (tmp_path / "heads.txt").read_text().splitlines()
    assert not caplog.records


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"HTTP/1.1 500 No\r\n\r\n", "status 500"),
        (b"HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n", "status 302"),
        (b"garbage\r\n", "BadStatusLine"),
    ],
)
def test_a_webhook_that_does_not_take_a_head_is_said(
    raw: bytes, why: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    with key_server() as hook:
        hook.behave = lambda connection, _: connection.sendall(raw)
        posted(tmp_path, hook.url())

    assert [r.getMessage() for r in caplog.records if "could not be posted" in r.getMessage() and why in r.getMessage()]
    assert len((tmp_path / "heads.txt").read_text().splitlines()) == 1
