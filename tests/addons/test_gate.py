"""The door: shut first, opened by one line, for who may pass when it opens."""

import asyncio
import re
from pathlib import Path

import pytest

import addons.gate
from addons.gate import AccessGate
from identities.own_token import mint
from storage.journal.rows import Intent
from tests.addons.running import worker
from tests.addons.test_faults import rows
from tests.journeys.provider import Provider, completion

CHAT = b'{"model": "gpt-4o", "messages": []}'
ROOT = Path(__file__).resolve().parent.parent.parent


def test_one_line_in_the_whole_project_opens_the_door() -> None:
    opening = re.compile(r"\.response\s*=\s*None\b|\bdel\s+\w+\.response\b")
    rooms = ("addons", "cli", "fronts", "lanes", "recording", "run_proxy.py")
    files = [
        f for room in rooms for f in ([ROOT / room] if room.endswith(".py") else sorted((ROOT / room).rglob("*.py")))
    ]

    lines = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if opening.search(line)
    ]

    assert lines == ["addons/gate.py: flow.response = None  # the door opens: the one line that does it"]


@pytest.mark.parametrize("how", ["revoked", "not revoked", "no JSON"])
async def test_who_is_revoked_while_the_body_arrives_does_not_pass(
    tmp_path: Path, provider: Provider, lane: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head sent in good time is no ticket for later: with a byte now and then its body may take hours."""
    monkeypatch.setattr(addons.gate, "_STILL", 0.1)
    provider.answer = completion()
    gates: list[AccessGate] = []
    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    async with worker(tmp_path, provider.url, lane=lane, broken=lambda _, gate: gates.append(gate)) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n" % (token.encode(), len(CHAT))
        )
        writer.write(CHAT[:5])
        await asyncio.sleep(0.3)
        if how == "revoked":
            gates[0]._verifier.revoke(people=frozenset({"ann@example.com"}))
        writer.write(CHAT[5:-1] + (b"?" if how == "no JSON" else CHAT[-1:]))
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()

    intent = next(row for row in rows(tmp_path) if isinstance(row, Intent))
    status, passed, code = {
        "revoked": (b"401", 0, "invalid_token"),
        "not revoked": (b"200", 1, None),
        "no JSON": (b"400", 0, "invalid_json"),
    }[how]
    assert head.startswith(b"HTTP/1.1 " + status)
    assert len(provider.raw) == passed
    assert intent.code == code
