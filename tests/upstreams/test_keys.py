import asyncio
import datetime
import logging
import sys
import time
from pathlib import Path

import pytest

from settings.schema import Dialect
from tests.upstreams.eventually import eventually
from tests.upstreams.providers import LOOK_S, chosen, providers, running, shown
from upstreams.credential import CREDENTIAL_FIELDS, Credential, CredentialUnavailable
from upstreams.provider_credentials import Upstreams, upstreams_from
from upstreams.standing import CredentialState, read_standing

NOW = 1_800_000_000.0


def key(upstreams: Upstreams) -> str:
    return shown(chosen(upstreams))


def refuse(upstreams: Upstreams, credential: Credential) -> None:
    """The provider answers 401 where no second try is possible."""
    upstreams.answered("openai", credential, 401, time.time(), after=None)


async def test_a_provider_without_credentials_is_shown_nothing() -> None:
    async with running("openai: {}") as upstreams:
        assert upstreams.choose("openai", domain="a.example", rule="r", now=NOW) is None
        assert upstreams.choose("unheard-of", domain="a.example", rule="r", now=NOW) is None


@pytest.mark.parametrize(
    ("dialect", "field"),
    [
        ("openai", (b"authorization", b"Bearer sk-1")),
        ("azure", (b"api-key", b"sk-1")),
        ("anthropic", (b"x-api-key", b"sk-1")),
        ("gemini", (b"x-goog-api-key", b"sk-1")),
        ("bedrock", (b"authorization", b"Bearer sk-1")),
        ("ollama", (b"authorization", b"Bearer sk-1")),
        ("cohere", (b"authorization", b"Bearer sk-1")),
    ],
)
async def test_the_key_stands_where_the_api_expects_it(
    dialect: Dialect, field: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", " sk-1\n")
    async with running(f"openai: {{dialect: {dialect}, api_key: {{env: A_KEY}}}}") as upstreams:
        assert chosen(upstreams).fields == (field,)
        assert field[0] in CREDENTIAL_FIELDS


SCOPED = """
openai:
  keys:
    - {label: sales-research, secret: {env: K1}, domains: [sales.example], rules: [research]}
    - {label: research, secret: {env: K2}, rules: [research]}
    - {label: sales, secret: {env: K3}, domains: [sales.example, shop.example]}
    - {label: rest, secret: {env: K4}}
"""


@pytest.mark.parametrize(
    ("domain", "rule", "used"),
    [
        ("sales.example", "research", "key-1"),
        ("other.example", "research", "key-2"),
        ("sales.example", "everyone", "key-3"),
        ("shop.example", None, "key-3"),
        ("shop.example", "research", "key-2"),
        ("other.example", "everyone", "key-4"),
        (None, None, "key-4"),
    ],
)
async def test_the_narrowest_key_that_is_for_the_caller_is_used(
    domain: str | None, rule: str | None, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(1, 5):
        monkeypatch.setenv(f"K{i}", f"key-{i}")
    async with running(SCOPED) as upstreams:
        assert shown(chosen(upstreams, domain=domain, rule=rule)) == used


async def test_a_caller_without_a_key_is_never_given_another_departments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K1", "key-1")
    monkeypatch.setenv("K2", "key-2")
    keys = "{label: a, secret: {env: K1}, domains: [a.example]}, {label: r, secret: {env: K2}, rules: [r]}"
    text = f"openai: {{keys: [{keys}]}}"
    async with running(text) as upstreams:
        a = chosen(upstreams, domain="a.example")
        assert shown(a) == "key-1"
        assert upstreams.instead_of("openai", a, NOW) is None
        with pytest.raises(CredentialUnavailable) as raised:
            chosen(upstreams, domain="b.example")
        assert raised.value.code == "upstream_credential_unavailable"


def rotating(folder: Path, *, starts: float = 0.0) -> str:
    (folder / "old").write_text("key-old")
    (folder / "new").write_text("key-new")
    at = datetime.datetime.fromtimestamp(starts, datetime.UTC).isoformat()
    return (
        f"openai: {{keys: [{{label: old, secret: {{file: {folder}/old}}}},"
        f" {{label: new, secret: {{file: {folder}/new}}, from: '{at}'}}]}}"
    )


@pytest.mark.parametrize(("now", "used"), [(NOW - 1, "key-old"), (NOW, "key-new"), (NOW + 1, "key-new")])
async def test_a_key_counts_from_its_time_on(now: float, used: str, tmp_path: Path) -> None:
    async with running(rotating(tmp_path, starts=NOW)) as upstreams:
        assert shown(chosen(upstreams, now=now)) == used


async def test_when_the_next_key_does_better_new_calls_are_made_with_it_and_an_alert_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(rotating(tmp_path)) as upstreams:
        new = chosen(upstreams)
        old = upstreams.instead_of("openai", new, NOW)
        assert shown(old) == "key-old"
        assert key(upstreams) == "key-new"  # not before the other was seen to work
        assert old is not None

        for _ in range(3):  # as many calls as were under way
            upstreams.answered("openai", old, 200, NOW, after=new)

        assert key(upstreams) == "key-old"
        assert {s.label: s.state for s in upstreams.state()} == {"new": "refused", "old": "ready"}
        (alert,) = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
        assert "ALERT: the provider answers 401 to key new" in alert
        assert f"{tmp_path}/new" in alert
        assert "key-" not in caplog.text


async def test_when_no_key_helps_the_fault_is_the_calls_and_the_newest_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(rotating(tmp_path)) as upstreams:
        new = chosen(upstreams)
        for _ in range(3):
            old = upstreams.instead_of("openai", new, NOW)
            assert old is not None  # the next call may be another matter
            upstreams.answered("openai", old, 401, NOW, after=new)

        assert key(upstreams) == "key-new"
        assert caplog.text.count("no other key helps") == 1


async def test_where_a_call_cannot_be_sent_again_the_next_one_is_made_with_the_next_key(tmp_path: Path) -> None:
    async with running(rotating(tmp_path)) as upstreams:
        new = chosen(upstreams)
        refuse(upstreams, new)
        assert key(upstreams) == "key-old"

        refuse(upstreams, chosen(upstreams))  # there is no third
        assert key(upstreams) == "key-old"


async def test_a_refused_key_is_tried_again_after_ten_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upstreams.rotation.SET_ASIDE_S", 0.2)
    async with running(rotating(tmp_path)) as upstreams:
        refuse(upstreams, chosen(upstreams))
        assert key(upstreams) == "key-old"

        await asyncio.to_thread(eventually, lambda: key(upstreams) == "key-new")


async def test_a_new_key_in_the_file_ends_the_fall_back(tmp_path: Path) -> None:
    async with running(rotating(tmp_path)) as upstreams:
        refuse(upstreams, chosen(upstreams))
        assert key(upstreams) == "key-old"

        (tmp_path / "new").write_text("key-newer")

        await asyncio.to_thread(eventually, lambda: key(upstreams) == "key-newer")


async def test_late_answers_to_a_key_that_was_replaced_raise_no_alert(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(rotating(tmp_path)) as upstreams:
        new = chosen(upstreams)
        old = upstreams.instead_of("openai", new, NOW)
        assert old is not None
        refuse(upstreams, old)  # revoked at once; its last calls come back

        assert chosen(upstreams) is new
        assert upstreams.instead_of("openai", old, NOW) is new
        assert "ALERT" not in caplog.text


ONE_FILE = "openai: {api_key: {file: FILE}}"


async def test_a_new_key_in_a_file_is_used_without_a_restart_and_the_one_before_is_what_it_falls_back_to(
    tmp_path: Path,
) -> None:
    file = tmp_path / "key"
    file.write_text("key-1\n")
    async with running(ONE_FILE.replace("FILE", str(file))) as upstreams:
        beside = tmp_path / "beside"
        beside.write_text("key-2\n")
        beside.replace(file)  # as a mounted secret is swapped
        await asyncio.to_thread(eventually, lambda: key(upstreams) == "key-2")

        refuse(upstreams, chosen(upstreams))
        assert key(upstreams) == "key-1"

        file.write_text("key-3, but not one\n")
        await asyncio.sleep(LOOK_S * 5)
        assert key(upstreams) == "key-1"

        file.write_text("key-3\n")
        await asyncio.to_thread(eventually, lambda: key(upstreams) == "key-3")


async def test_a_file_that_goes_away_leaves_the_key_in_use(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "key"
    file.write_text("key-1")
    async with running(ONE_FILE.replace("FILE", str(file))) as upstreams:
        file.unlink()
        await asyncio.to_thread(eventually, lambda: "which is gone" in caplog.text)
        await asyncio.sleep(LOOK_S * 5)

        assert key(upstreams) == "key-1"
        assert caplog.text.count("which is gone") == 1
        (state,) = upstreams.state()
        assert state.state == "ready"
        assert "which is gone" in (state.problem or "")

        file.write_text("key-2")
        await asyncio.to_thread(eventually, lambda: key(upstreams) == "key-2")


@pytest.mark.parametrize("content", [None, b"", b"sk-1\nx-evil: 1", b"sk 1", "sk-é".encode(), b"\xff"])
async def test_what_was_never_a_key_is_shown_to_nobody(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    async with running(ONE_FILE.replace("FILE", str(file))) as upstreams:
        with pytest.raises(CredentialUnavailable, match=r"providers\.openai\.api_key"):
            key(upstreams)


async def test_a_key_that_cannot_be_read_leaves_the_line_to_the_one_before(tmp_path: Path) -> None:
    text = rotating(tmp_path)
    (tmp_path / "new").unlink()
    async with running(text) as upstreams:
        assert key(upstreams) == "key-old"


def vault(tmp_path: Path) -> str:
    return f"[{sys.executable}, -c, 'print(open(\"{tmp_path}/vault\").read())']"


async def test_a_program_is_asked_again_every_so_often(tmp_path: Path) -> None:
    (tmp_path / "vault").write_text("key-1")
    async with running(f"openai: {{api_key: {{command: {vault(tmp_path)}, every: 1 s}}}}") as upstreams:
        await asyncio.to_thread(eventually, lambda: upstreams.state()[0].state == "ready")
        assert key(upstreams) == "key-1"
        (tmp_path / "vault").write_text("key-2")

        await asyncio.to_thread(eventually, lambda: key(upstreams) == "key-2")


async def test_a_program_is_asked_at_once_when_its_key_was_refused(tmp_path: Path) -> None:
    (tmp_path / "vault").write_text("key-1")
    async with running(f"openai: {{api_key: {{command: {vault(tmp_path)}}}}}") as upstreams:
        await asyncio.to_thread(eventually, lambda: upstreams.state()[0].state == "ready")
        (tmp_path / "vault").write_text("key-2")

        refuse(upstreams, chosen(upstreams))

        await asyncio.to_thread(eventually, lambda: key(upstreams) == "key-2")


async def test_a_slow_program_holds_up_neither_the_start_nor_another_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upstreams.provider_credentials.START_S", 0.3)
    (tmp_path / "key").write_text("key-1")
    slow = f"{{label: slow, secret: {{command: [{sys.executable}, -c, 'import time; time.sleep(3)']}}, rules: [x]}}"
    began = time.monotonic()
    async with running(f"openai: {{keys: [{slow}, {{label: fast, secret: {{file: {tmp_path}/key}}}}]}}") as upstreams:
        assert time.monotonic() - began < 2
        assert key(upstreams) == "key-1"
        with pytest.raises(CredentialUnavailable, match="is not read yet"):
            chosen(upstreams, rule="x")


async def test_how_the_keys_stand_is_written_for_the_status_without_any_part_of_them(tmp_path: Path) -> None:
    file = tmp_path / "standing.json"
    async with running(rotating(tmp_path), file) as upstreams:
        refuse(upstreams, chosen(upstreams))

        def is_told() -> bool:
            return CredentialState("openai", "new", "name-7", "refused") in read_standing(file)

        await asyncio.to_thread(eventually, is_told)
    assert b"key-" not in file.read_bytes()
    assert read_standing(tmp_path / "none") == ()


def test_nothing_is_read_before_the_start() -> None:
    upstreams = upstreams_from(
        providers("openai: {api_key: {command: [/not/there]}}"), name=lambda _: "", state_file=None
    )

    assert [s.state for s in upstreams.state()] == ["missing"]


def test_no_key_is_in_a_repr() -> None:
    assert "sk-canary" not in repr(Credential("a", "b", ((b"authorization", b"Bearer sk-canary"),)))
