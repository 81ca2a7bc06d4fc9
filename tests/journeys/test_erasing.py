"""A person is erased while the checkpoint runs: no file under data_dir has a word of theirs, and all goes on."""

import json
from pathlib import Path

from openai import OpenAI

from tests.journeys.instance import GATEWAY, Instance
from tests.journeys.provider import Provider

WORDS = ("秘密鑰匙", "canary-4711")


def forms(word: str) -> list[bytes]:
    escaped = json.dumps(word)[1:-1].encode()
    return [word.encode(), word.encode("utf-16-le"), word.encode("utf-16-be"), escaped]


METADATA = GATEWAY.replace("operations: [chat, responses]}", "operations: [chat, responses], record: metadata}")


def test_a_rule_that_keeps_no_content_is_obeyed(tmp_path: Path, provider: Provider) -> None:
    with Instance(tmp_path, provider.url, profile="gateway", more=METADATA) as instance:
        client = OpenAI(base_url=f"{instance.url}/v1", api_key=instance.mint("ann@example.com"), max_retries=0)
        words = "秘密鑰匙は canary-4711"
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": words}])
        (record,) = instance.recorded(1)
        assert b"canary-4711" in provider.raw[0]
        assert "Nothing was found" in instance.sekisho("search", "秘密").stderr
    kept = instance.on_disk()

    assert (record["raw"], record["request"], record["response"]) == ("off", None, None)
    assert (record["request_model"], record["decision"]["rule"]) == ("gpt-4o", "everyone")
    assert [word for word in WORDS for form in forms(word) if form in kept] == []
    assert instance.sekisho("verify").returncode == 0


def test_an_erased_person_is_in_no_file_while_others_go_on(tmp_path: Path, provider: Provider) -> None:
    with Instance(tmp_path, provider.url, profile="gateway", more=GATEWAY) as instance:
        for name, words in (("ann", "秘密鑰匙は canary-4711"), ("bob", "電車は何時ですか")):
            client = OpenAI(base_url=f"{instance.url}/v1", api_key=instance.mint(f"{name}@example.com"), max_retries=0)
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": words}])
        instance.recorded(2)
        assert any(form in instance.on_disk() for form in forms("canary-4711")), "the test would see it"
        assert "秘密" in instance.sekisho("search", "秘密").stdout
        done = instance.sekisho("erase", "--person", "ann@example.com", "--reason", "ticket 12", "--yes", "--json")
        assert done.returncode == 0, done.stderr
        kept = instance.on_disk()

        assert json.loads(done.stdout)["exchanges"] == 1
        assert [word for word in WORDS for form in forms(word) if form in kept] == []
        assert "Nothing was found" in instance.sekisho("search", "秘密").stderr
        assert "電車" in instance.sekisho("search", "電車").stdout
        assert instance.sekisho("verify").returncode == 0
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "まだ動きますか"}])
        instance.recorded(3)
    verified = instance.sekisho("verify")
    assert verified.returncode == 0, verified.stdout
    assert "signed heads match" in verified.stdout
