"""retain: what the settings no longer keep goes now, and the auditor sees what went."""

import json

from tests.cli.conftest import Desk
from tests.cli.records import chat


def settings(desk: Desk, more: str) -> None:
    desk.config.write_text(f"{desk.config.read_text(encoding='utf-8')}{more}\n", encoding="utf-8")


def test_what_is_too_old_goes_and_verify_names_it(desk: Desk) -> None:
    desk.store(chat("古い canary4711", "答え", started_at=1_700_000_000_000_000), chat("新しい", "答え"))
    settings(desk, "storage: {keep: {days: 365}}")
    done = desk.sekisho("retain", "--reason", "spring cleaning")
    kept = b"".join(path.read_bytes() for path in desk.data_dir.rglob("*") if path.is_file())

    assert done.exit_code == 0, done.stderr
    assert "Let go of 1 exchanges" in done.stdout
    assert b"canary4711" not in kept
    assert "Nothing was found" in desk.sekisho("search", "古い").stderr
    assert "let go of records 1;" in desk.sekisho("verify").stdout
    assert json.loads(desk.sekisho("verify", "--json").stdout)["pruned"] == ["1"]


def test_what_is_held_stays(desk: Desk) -> None:
    desk.store(chat("古い", "答え", started_at=1_700_000_000_000_000))
    settings(desk, "storage: {keep: {days: 365, raw: null}}")
    desk.sekisho("hold", "add", "--person", "ann@example.com", "--reason", "a lawsuit")

    assert json.loads(desk.sekisho("retain", "--json").stdout) == {"exchanges": 0, "raw": 0, "held": 1}
    assert "1 exchanges are held" in desk.sekisho("retain").stdout


def test_where_all_is_kept_for_ever_it_says_so(desk: Desk) -> None:
    desk.store(chat("古い", "答え", started_at=1_700_000_000_000_000))
    settings(desk, "storage: {keep: {raw: null}}")
    done = desk.sekisho("retain")

    assert (done.exit_code, "for ever" in done.stderr) == (0, True)
    assert "Let go of 0 exchanges" in done.stdout


def test_a_limit_that_makes_no_sense_is_refused(desk: Desk) -> None:
    settings(desk, "storage: {keep: {days: -1, bytes: many}}")
    done = desk.sekisho("retain")

    assert done.exit_code == 2
    assert "storage.keep.days" in done.stderr
    assert "storage.keep.bytes" in done.stderr
