"""The key of signed heads: where it is damaged that is a sentence with the remedy."""

from pathlib import Path

import pytest

from recording.recorder import Recorder
from storage.heads import public_key, read_heads
from storage.problem import StoreProblem


@pytest.mark.parametrize("key", [b"", b"short", b"x" * 5000])
def test_a_damaged_signing_key_stops_the_recorder_with_the_remedy_and_nothing_is_held(
    tmp_path: Path, key: bytes
) -> None:
    Recorder(tmp_path).close()
    path = tmp_path / "keys" / "heads.key"
    good = path.read_bytes()
    path.write_bytes(key)
    with pytest.raises(StoreProblem, match=r"heads.key is damaged.*Put its copy back"):
        Recorder(tmp_path)
    path.write_bytes(good)

    Recorder(tmp_path).close()


@pytest.mark.parametrize("key", [b"\xc6\xff", b"short", b""])
def test_a_damaged_verifying_key_is_named_and_not_the_heads(tmp_path: Path, key: bytes) -> None:
    Recorder(tmp_path).close()
    (tmp_path / "keys" / "heads.pub").write_bytes(key)

    with pytest.raises(ValueError, match="the key to verify it with"):
        list(read_heads("sekisho/1 n 1 h t s", public_key(tmp_path)))
