"""Keys of our own on disk."""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from identities.private_file import UnusableKey, kept_secret


def test_processes_that_start_together_read_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "one.key"
    with ProcessPoolExecutor(4) as pool:
        found = set(pool.map(kept_secret, [path] * 16))
    assert found == {path.read_bytes()}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["one.key"]


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_file_that_is_no_key_is_said_to_be_none_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "one.key"
    path.write_bytes(content)
    with pytest.raises(UnusableKey, match=r"one\.key is not a key of 32 bytes"):
        kept_secret(path)
    assert path.read_bytes() == content
