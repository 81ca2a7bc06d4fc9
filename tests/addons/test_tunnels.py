"""The gate for tunnels: a fault of its own refuses, and a flood cannot fill the journal."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import http

from addons.pipeline import Pipeline, pipeline_from
from addons.tunnels import OpenTunnel, TunnelGate
from lanes import pinned
from lanes.mitm.forward import ForwardMode
from settings.reading import parse_settings
from storage.journal.reading import JournalFile
from storage.journal.rows import UNREAD


def built(folder: Path, more: str = "") -> tuple[Pipeline, TunnelGate]:
    pipeline = pipeline_from(parse_settings(f"data_dir: {folder}\n{more}"))
    gate = next(one for one in pipeline.addons if isinstance(one, TunnelGate))
    return pipeline, gate


def connect(host: str, port: int = 443) -> http.HTTPFlow:
    target = f"{host}:{port}".encode()
    client = pinned.client(("10.0.0.1", 5), ("10.0.0.2", 3128), ForwardMode.parse("forward@3128"))
    asked = pinned.request(host, port, b"", b"CONNECT", target, b"", b"HTTP/1.1", ((b"Host", target),), 0.0)
    return pinned.flow(client, pinned.server((host, port)), asked)


def rows(folder: Path) -> list[int]:
    found: list[int] = []
    for path in sorted((folder / "journal").glob("*/*.sqlite")):
        file = JournalFile(path)
        found += [kind for _, _, kind in file.after(0, 10_000)]
        file.close()
    return found


async def test_a_fault_of_ours_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, gate = built(tmp_path)

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(gate, "_target_problem", broken)
    tunnel = await gate.judge(connect("api.openai.com"), None)
    assert tunnel.becomes == "block"
    assert tunnel.refusal is not None
    assert tunnel.refusal.status_code == 500
    await pipeline.stop()


async def test_a_flood_is_counted_and_not_recorded_once_the_journal_is_crowded(tmp_path: Path) -> None:
    pipeline, gate = built(tmp_path)
    tunnel = await gate.judge(connect("www.example.com"), None)
    gate.unread(tunnel, "noted")
    await asyncio.sleep(0.1)
    pipeline.journal.crowded = True
    for _ in range(1000):
        gate.unread(tunnel, "noted")
    assert gate.passed_over == 1000
    await pipeline.stop()
    assert rows(tmp_path).count(UNREAD) == 1


@pytest.mark.parametrize(
    ("host", "name", "may"),
    [
        ("www.example.com", "www.example.com", True),
        ("www.example.com", "cdn.example.net", True),
        ("www.example.com", "api.openai.com", False),
        ("www.example.com", "x.blocked.example", False),
    ],
)
async def test_what_is_read_or_blocked_is_not_reached_through_another_tunnel(
    tmp_path: Path, host: str, name: str, may: bool
) -> None:
    pipeline, gate = built(tmp_path, "hosts: {rules: [{host: '*.blocked.example', then: block}]}")
    tunnel = await gate.judge(connect(host), None)
    assert tunnel.becomes == "pass-and-note"
    assert gate.may_be_behind(tunnel, name) is may
    await pipeline.stop()


async def test_what_a_tunnel_knows_is_gone_with_its_connection(tmp_path: Path) -> None:
    pipeline, gate = built(tmp_path)
    for number in range(100):
        tunnel: OpenTunnel = await gate.judge(connect("api.openai.com"), None)
        gate.entered(tunnel, f"client-{number}")
        gate.left(f"client-{number}")
    assert gate._by_client == {}
    assert len(gate._open) == 0
    await pipeline.stop()
