"""A disk that fills up under a running gateway. A small disk of its own takes root; else these are skipped."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.instance import GATEWAY, Instance
from tests.journeys.provider import Provider, streamed
from tests.journeys.test_endings import WORDS, _post

BODY = json.dumps({"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "天気は？"}]}).encode()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder whose `data` is a disk of 64 MiB."""
    mount, data = shutil.which("mount"), tmp_path / "data"
    data.mkdir()
    asked = [mount or "mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(data)]
    if mount is None or subprocess.run(asked, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk takes root")
    yield tmp_path
    subprocess.run(["umount", str(data)], check=True, timeout=20)


def fill(disk: Path, leave: float) -> Path:
    """Somebody else takes the room, but for this share."""
    found = os.statvfs(disk)
    other = disk / "others"
    with other.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, int((found.f_bavail - leave * found.f_blocks) * found.f_frsize))
    return other


def test_below_the_mark_a_gateway_refuses_and_serves_again_when_there_is_room(small: Path, provider: Provider) -> None:
    provider.answer = streamed(WORDS)
    more = GATEWAY + "storage: {ballast: 4 MiB}\n"
    with Instance(small, provider.url, profile="gateway", more=more) as instance:
        token = instance.mint("ann@example.com")
        assert _post(instance, token, BODY) == 200
        other = fill(instance.data_dir, 0.01)
        instance.wait_until(lambda: _post(instance, token, BODY) == 503)
        before = len(provider.received)
        assert _post(instance, token, BODY) == 503
        assert len(provider.received) == before
        other.unlink()
        instance.wait_until(lambda: _post(instance, token, BODY) == 200)
        found = instance.recorded(before + 1)
    # What was forwarded is recorded; refusals meanwhile are counted in the log, for they would fill the disk for good.
    assert [record["end_state"] for record in found] == ["complete"] * len(provider.received)


def test_with_a_second_disk_nobody_is_refused_and_all_is_recorded(small: Path, provider: Provider) -> None:
    provider.answer = streamed(WORDS)
    spill = small / "spill"
    more = GATEWAY + f"storage: {{on_failure: spill, spill_dir: '{spill}', ballast: 4 MiB}}\n"
    with Instance(small, provider.url, profile="gateway", more=more) as instance:
        token = instance.mint("ann@example.com")
        statuses = [_post(instance, token, BODY)]
        other = fill(instance.data_dir, 0.01)
        instance.wait_until(lambda: bool(list(spill.glob("*/*.sqlite"))))
        statuses += [_post(instance, token, BODY) for _ in range(20)]
        other.unlink()
        instance.wait_until(lambda: "back in" in instance.log.read_text(encoding="utf-8"))
        statuses += [_post(instance, token, BODY) for _ in range(5)]
        found = instance.recorded(26)
    assert statuses == [200] * 26
    assert [record["end_state"] for record in found] == ["complete"] * 26
    assert not list(spill.glob("*/*.sqlite"))
