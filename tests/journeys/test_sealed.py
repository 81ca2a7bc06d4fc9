"""With `storage.seal` no file under data_dir has a word of what was said: running, after kill -9, after the end."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

from openai import OpenAI

from storage.journal.files import journal_dir, journal_files
from storage.journal.reading import boots
from storage.journal.rows import PIECE
from storage.sealing.keyring import new_key
from storage.sealing.master import written
from tests.journeys.instance import GATEWAY, ROOT, Instance
from tests.journeys.provider import STREAM, Answer, Provider, chat_chunks, sse
from tests.storage.sealing.conftest import found_in_files

QUESTION = "極秘の契約書を大阪支社の顧客名簿と照合してください。Kumquat persimmon tangerine."
WORDS = ["顧客名簿は", "金庫に", "あります。", "Xylophone ", "quartz"]
ARGUMENTS = json.dumps({"宛先": "淡路島", "note": "Bumblebee marzipan"}, ensure_ascii=False)
NOTE = "Zanzibar"
SAID = (QUESTION, "".join(WORDS), "淡路島", "Bumblebee marzipan", NOTE, "ship_parcel_secretly")
BODY = json.dumps({"model": "gpt-4o", "stream": True, "messages": [
    {"role": "user", "content": QUESTION},
    {"role": "assistant", "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "ship_parcel_secretly", "arguments": ARGUMENTS}}
    ]},
    {"role": "tool", "tool_call_id": "call_1", "content": "OK"},
]}, ensure_ascii=False).encode()  # fmt: skip
REQUEST = (
    b"POST /v1/chat/completions?note=%b HTTP/1.1\r\nhost: x\r\nuser-agent: %b/1.0\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
) % (NOTE.encode(), NOTE.encode(), len(BODY), BODY)


def sealed(folder: Path, name: str = "master.key") -> str:
    (folder / name).write_text(written(new_key()), encoding="ascii")
    return f"storage: {{seal: {{key: {{file: '{folder / name}'}}}}, flush_after: 0.2 s}}\n"


def stands_nowhere(instance: Instance) -> None:
    assert found_in_files(instance.data_dir, SAID) == set()


def flushed(instance: Instance) -> int:
    """Bytes of replies in the journal, sealed."""
    total = 0
    for boot in boots(journal_dir(instance.data_dir)):
        for path in journal_files(boot):
            connection = sqlite3.connect(path)
            try:
                query = "select coalesce(sum(length(body)), 0) from row where kind = ?"
                total += connection.execute(query, (PIECE,)).fetchone()[0]
            finally:
                connection.close()
    return total


def test_no_file_holds_a_word_running_killed_or_stopped(tmp_path: Path, provider: Provider, lane: str) -> None:
    hanging = Answer(chunks=sse(*chat_chunks(WORDS))[:6], fields=STREAM, ending="hang")
    provider.answer = hanging
    with Instance(tmp_path, provider.url, lane=lane, more=sealed(tmp_path)) as instance:
        got = b""
        connection = instance.connect(REQUEST)
        while b"quartz" not in got:
            got += connection.recv(65536)
        instance.wait_until(lambda: flushed(instance) > sum(map(len, hanging.chunks)))
        stands_nowhere(instance)

        instance.kill("worker")
        stands_nowhere(instance)
        (died,) = instance.recorded(1)
        stands_nowhere(instance)

        provider.answer = Answer(chunks=sse(*chat_chunks(WORDS)), fields=STREAM)
        instance.wait_until(instance._listens, 30)
        instance.kill("recorder")
        rest = instance.connect(REQUEST)
        got = b""
        while b"[DONE]" not in got:
            got += rest.recv(65536)
        stands_nowhere(instance)
        instance.recorded(2, within=60)
    stands_nowhere(instance)

    whole = instance.records()[1]
    assert died["end_state"] == "proxy_died"
    for record in (died, whole):
        assert record["request"]["messages"][0]["content"] == QUESTION
        assert record["response"]["choices"][0]["message"]["content"] == "".join(WORDS)
        assert (record["query"], record["client"]["user_agent"]) == (f"note={NOTE}", f"{NOTE}/1.0")
    assert BODY in provider.raw[0], "the provider got what was asked"
    assert "Kumquat" in instance.sekisho("search", "顧客名簿").stdout
    assert instance.sekisho("verify").returncode == 0


def test_another_key_starts_nothing(tmp_path: Path, provider: Provider) -> None:
    with Instance(tmp_path, provider.url, profile="gateway", more=GATEWAY + sealed(tmp_path)) as instance:
        client = OpenAI(base_url=f"{instance.url}/v1", api_key=instance.mint("ann@example.com"), max_retries=0)
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": QUESTION}])
        instance.recorded(1)
    sealed(tmp_path, "master.key")  # the file has another key now
    command = [sys.executable, "run_proxy.py", "--config", str(instance.config)]
    done = subprocess.run(command, cwd=ROOT, env=instance.environment, capture_output=True, text=True, timeout=60)

    assert done.returncode == 2
    assert "storage.seal.key is not the key that this is sealed with" in " ".join(done.stderr.split())
    assert len(provider.raw) == 1


def test_a_worker_that_finds_another_key_writes_nothing_until_the_right_one_is_back(
    tmp_path: Path, provider: Provider
) -> None:
    more = sealed(tmp_path)
    key = tmp_path / "master.key"
    right = key.read_text(encoding="ascii")
    with Instance(tmp_path, provider.url, more=more) as instance:
        instance.wait_until(lambda: "Sekisho stands at" in instance.log.read_text(encoding="utf-8"), 30)
        key.write_text(written(new_key()), encoding="ascii")
        instance.kill("worker")
        instance.wait_until(lambda: "storage.seal.key is not the key" in instance.log.read_text(encoding="utf-8"), 30)
        assert not instance._listens()
        key.write_text(right, encoding="ascii")
        instance.wait_until(instance._listens, 30)
        connection = instance.connect(REQUEST)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        (record,) = instance.recorded(1)

    assert record["request"]["messages"][0]["content"] == QUESTION


def test_an_erased_person_takes_their_keys_along_while_others_go_on(tmp_path: Path, provider: Provider) -> None:
    with Instance(tmp_path, provider.url, profile="gateway", more=GATEWAY + sealed(tmp_path)) as instance:
        for name, words in (("ann", QUESTION), ("bob", "電車は何時ですか")):
            client = OpenAI(base_url=f"{instance.url}/v1", api_key=instance.mint(f"{name}@example.com"), max_retries=0)
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": words}])
        instance.recorded(2)
        before = json.loads(instance.sekisho("seal", "status", "--json").stdout)
        done = instance.sekisho("erase", "--person", "ann@example.com", "--reason", "ticket 12", "--yes", "--json")
        assert done.returncode == 0, done.stderr
        after = json.loads(instance.sekisho("seal", "status", "--json").stdout)

        assert json.loads(done.stdout)["exchanges"] == 1
        assert (before["people"], after["people"]) == (2, 1)
        assert "Nothing was found" in instance.sekisho("search", "契約書").stderr
        assert "電車" in instance.sekisho("search", "電車").stdout
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "まだ動きますか"}])
        assert len(instance.recorded(3)) == 3
        assert instance.sekisho("verify").returncode == 0
