"""Every format opens in the program that reads it, and holds no secret."""

import csv
import io
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import uuid_utils
from mitmproxy import http
from mitmproxy.io import FlowReader

from cli.formats import FORMS
from cli.formats.columns import COLUMNS
from cli.formats.csv_rows import cell
from storage.sqlite.driver import audit_path, open_for_reading
from tests.cli.conftest import Desk
from tests.cli.records import EVIL, chat, record, refused, streamed, with_tools

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def some(desk: Desk) -> None:
    desk.store(
        chat("東京の天気は？", "晴れです。"),
        streamed(["ゆっ", "くり"]),
        refused(),
        with_tools(),
        record(
            {"model": "gpt-4o", "messages": []}, None, end_state="upstream_error", observed="unreachable", status=502,
        ),
        record(
            {"model": "tts-1", "input": EVIL, "voice": "alloy"}, {"_media_type": "image/png"}, operation="speech",
            raw_response=PNG, response_type="image/png", path="/v1/audio/speech", query="a=1&key=%E2%80%A6",
        ),
    )  # fmt: skip


def exported(desk: Desk, form: str, *more: str) -> Path:
    target = desk.folder / f"out.{form}"
    said = desk.sekisho("export", "--format", form, "--output", str(target), *more)
    assert said.exit_code == 0, said.output
    return target


# -- openai-chat ------------------------------------------------------------------------------------------------------


def test_openai_chat_is_examples_for_fine_tuning_with_tools_and_answers(desk: Desk) -> None:
    some(desk)
    target = desk.folder / "out.jsonl"
    said = desk.sekisho("export", "--format", "openai-chat", "--output", str(target))
    assert "3 exchanges were left out" in said.stderr
    first, second, third = (json.loads(line) for line in target.read_text("utf-8").splitlines())
    assert first == {
        "messages": [
            {"role": "user", "content": "東京の天気は？"},
            {"role": "assistant", "content": "晴れです。"},
        ]
    }
    assert second["messages"][-1] == {"role": "assistant", "content": "ゆっくり"}
    assert [message["role"] for message in third["messages"]] == ["system", "user", "assistant", "tool", "assistant"]
    assert third["messages"][2]["tool_calls"][0]["function"]["name"] == "get_weather"
    assert third["messages"][3]["tool_call_id"] == "call_1"
    assert "reasoning_content" not in third["messages"][4]


# -- openai-batch -----------------------------------------------------------------------------------------------------


def test_openai_batch_is_requests_that_the_batch_api_takes(desk: Desk) -> None:
    [azure, *_] = desk.store(
        record(
            {"messages": [{"role": "user", "content": "質問"}], "stream": True, "stream_options": {"x": 1}}, {},
            path="/openai/deployments/x/chat/completions", provider="azure",
        ),
        record({"model": "claude"}, {}, operation="messages", path="/v1/messages"),
        record({"model": "e", "input": "x"}, {}, operation="embeddings", path="/openai/v1/embeddings"),
        record({"model": "llama", "messages": []}, {}, path="/api/chat"),
    )  # fmt: skip
    lines = [json.loads(line) for line in exported(desk, "openai-batch").read_text("utf-8").splitlines()]
    assert lines == [
        {
            "custom_id": f"{azure[:8]}-{azure[8:12]}-{azure[12:16]}-{azure[16:20]}-{azure[20:]}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"messages": [{"role": "user", "content": "質問"}]},
        },
        {
            "custom_id": lines[1]["custom_id"],
            "method": "POST",
            "url": "/v1/embeddings",
            "body": {"model": "e", "input": "x"},
        },
    ]


# -- tables -----------------------------------------------------------------------------------------------------------


def test_the_columns_of_tables_are_those_of_the_view(desk: Desk) -> None:
    desk.store()
    db = open_for_reading(audit_path(desk.data_dir))
    view = {row[1] for row in db.execute("pragma table_info(exchange_readable)")}
    db.close()
    assert {column.name for column in COLUMNS} == view - {"hash", "prev_hash"} | {"question", "answer"}


def test_parquet_opens_with_types_and_bodies(desk: Desk) -> None:
    some(desk)
    table = pyarrow.parquet.read_table(exported(desk, "parquet"))
    rows = table.to_pylist()
    assert [row["seq"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert json.loads(rows[0]["request"])["messages"][0]["content"] == "東京の天気は？"
    assert rows[0]["answer"] == "晴れです。"
    assert rows[0]["started_at"].isoformat() == "2026-11-18T11:06:40+00:00"
    assert rows[2]["response"] is None
    assert rows[0]["cost_usd"] == pytest.approx(0.00343)
    assert rows[1]["stream"] is True


def test_parquet_of_nothing_is_a_table_without_rows(desk: Desk) -> None:
    some(desk)
    table = pyarrow.parquet.read_table(exported(desk, "parquet", "--after", "6"))
    assert (table.num_rows, table.num_columns) == (0, len(COLUMNS) + 2)


def test_without_pyarrow_the_remedy_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    some(desk)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    said = desk.sekisho("export", "--format", "parquet", "--output", str(desk.folder / "x"))
    assert said.exit_code == 1
    assert "pip install 'sekisho[parquet]'" in said.stderr
    assert not list(desk.folder.glob("x*"))


def test_csv_opens_with_every_character_in_its_place(desk: Desk) -> None:
    some(desk)
    with exported(desk, "csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["seq"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert (rows[0]["question"], rows[0]["answer"]) == ("東京の天気は？", "晴れです。")
    assert rows[0]["started_at"] == "2026-11-18T11:06:40Z"
    assert rows[2]["code"] == "model_not_allowed"


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("  =1", "'  =1"),
        ("＝1", "'＝1"),
        ('";=cmd', '";=cmd'),
        ("a=b", "a=b"),
        ("", ""),
        (-1.5, "-1.5"),
        (None, ""),
        (True, "1"),
        ("a\0b", "a␀b"),
    ],
)
def test_no_cell_is_a_formula(said: Any, written: str) -> None:
    assert cell(said) == written


def test_every_cell_of_csv_quotes(desk: Desk) -> None:
    desk.store(chat('=HYPERLINK("http://x";"y")', "-2+3"))
    content = exported(desk, "csv").read_text("utf-8")
    assert '"\'=HYPERLINK(""http://x"";""y"")","\'-2+3"' in content
    assert all(line.startswith('"') and line.endswith('"') for line in content.split("\r\n")[:-1])


# -- har --------------------------------------------------------------------------------------------------------------

HAR: dict[str, dict[str, type | tuple[type, ...]]] = {
    "log": {"version": str, "creator": dict, "entries": list},
    "creator": {"name": str, "version": str},
    "entry": {
        "startedDateTime": str, "time": (int, float), "request": dict, "response": dict, "cache": dict, "timings": dict,
    },
    "request": {
        "method": str, "url": str, "httpVersion": str, "cookies": list, "headers": list, "queryString": list,
        "headersSize": int, "bodySize": int,
    },
    "postData": {"mimeType": str, "params": list, "text": str},
    "response": {
        "status": int, "statusText": str, "httpVersion": str, "cookies": list, "headers": list, "content": dict,
        "redirectURL": str, "headersSize": int, "bodySize": int,
    },
    "content": {"size": int, "mimeType": str},
    "timings": {"send": (int, float), "wait": (int, float), "receive": (int, float)},
    "pair": {"name": str, "value": str},
}  # fmt: skip
"""The required fields of HAR 1.2, and their types (w3c.github.io/web-performance/specs/HAR/Overview.html)."""


def holds(kind: str, value: dict[str, Any]) -> None:
    for name, wanted in HAR[kind].items():
        assert isinstance(value.get(name), wanted), (kind, name, value.get(name))


def test_har_has_every_field_that_har_1_2_requires(desk: Desk) -> None:
    some(desk)
    log = json.loads(exported(desk, "har").read_bytes())["log"]
    holds("log", log)
    holds("creator", log["creator"])
    assert (log["version"], len(log["entries"])) == ("1.2", 6)
    for entry in log["entries"]:
        for kind, value in (
            ("entry", entry), ("request", entry["request"]), ("response", entry["response"]),
            ("content", entry["response"]["content"]), ("timings", entry["timings"]),
        ):  # fmt: skip
            holds(kind, value)
        if "postData" in entry["request"]:
            holds("postData", entry["request"]["postData"])
        for side in ("request", "response"):
            for pair in entry[side]["headers"] + entry["request"]["queryString"]:
                holds("pair", pair)
        assert entry["time"] == pytest.approx(sum(entry["timings"].values()))
    stream, image = log["entries"][1]["response"]["content"], log["entries"][5]["response"]["content"]
    assert stream["text"].startswith("data: {")
    assert (stream["mimeType"], "encoding" in stream) == ("text/event-stream", False)
    assert (image["encoding"], image["size"]) == ("base64", len(PNG))
    assert log["entries"][4]["response"]["headers"] == []
    assert log["entries"][5]["request"]["url"] == "https://api.openai.com/v1/audio/speech?a=1&key=%E2%80%A6"


def test_har_of_nothing_is_an_archive_without_entries(desk: Desk) -> None:
    some(desk)
    assert json.loads(exported(desk, "har", "--after", "6").read_bytes())["log"]["entries"] == []


# -- flow -------------------------------------------------------------------------------------------------------------


def test_flows_open_in_mitmproxy_with_exact_bytes(desk: Desk) -> None:
    some(desk)
    with exported(desk, "flow").open("rb") as file:
        flows = [flow for flow in FlowReader(file).stream() if isinstance(flow, http.HTTPFlow)]
    assert len(flows) == 6
    first, stream, denied, _, unreachable, image = flows
    assert json.loads(first.request.content or b"")["messages"][0]["content"] == "東京の天気は？"
    assert first.request.pretty_url == "https://api.openai.com/v1/chat/completions"
    assert stream.response is not None
    assert stream.response.text is not None
    assert stream.response.text.endswith("data: [DONE]\n\n")
    assert "ann@example.com" in first.comment
    assert (denied.response, denied.error and denied.error.msg) == (None, "refused")
    assert (unreachable.response, unreachable.error and unreachable.error.msg) == (None, "upstream_error")
    assert image.response is not None
    assert image.response.content == PNG


def test_mitmdump_reads_the_flow_file(desk: Desk) -> None:
    some(desk)
    target = exported(desk, "flow")
    mitmdump = shutil.which("mitmdump", path=str(Path(sys.executable).parent))
    assert mitmdump is not None
    said = subprocess.run(
        [mitmdump, "-nr", str(target), "--set", f"confdir={desk.folder / 'mitm'}"], capture_output=True, timeout=60
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.count(b"https://api.openai.com/v1/") == 6


def test_no_header_is_exported_that_could_hold_a_secret(desk: Desk) -> None:
    some(desk)
    entries = json.loads(exported(desk, "har").read_bytes())["log"]["entries"]
    names = {pair["name"] for entry in entries for side in ("request", "response") for pair in entry[side]["headers"]}
    with exported(desk, "flow").open("rb") as file:
        for flow in FlowReader(file).stream():
            assert isinstance(flow, http.HTTPFlow)
            names |= {*flow.request.headers.keys(), *(flow.response.headers.keys() if flow.response else ())}
    assert names == {"host", "user-agent", "content-type"}


# -- what holds for all -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", sorted(set(FORMS) - {"openai-chat", "openai-batch"}))
def test_bodies_that_are_not_kept_any_more_are_no_obstacle(desk: Desk, form: str) -> None:
    desk.store(chat("質問", "答え"))
    connection = sqlite3.connect(audit_path(desk.data_dir))
    connection.execute("update body set raw = 'expired'")
    connection.execute("delete from raw_reply")
    connection.commit()
    connection.close()
    assert exported(desk, form).stat().st_size > 0


@pytest.mark.parametrize("form", FORMS)
def test_half_characters_and_controls_are_no_obstacle(desk: Desk, form: str) -> None:
    one = chat(f"\ufffd {EVIL}", "y")  # as the recorder writes half a character; the bytes have it as it came
    came = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": f"\ud83d {EVIL}"}]}).encode()
    desk.store(replace(one, raw=replace(one.raw, request=came)))
    assert exported(desk, form).stat().st_size > 0


@pytest.mark.parametrize("form", ["parquet", "har", "csv"])
def test_what_was_stopped_leaves_nothing_where_nothing_can_be_put_behind_it(desk: Desk, form: str) -> None:
    assert stopped(desk, form)[1] == []


@pytest.mark.parametrize("form", ["jsonl", "openai-chat", "flow"])
def test_what_was_stopped_says_where_to_go_on_and_never_looks_whole(desk: Desk, form: str) -> None:
    said, left = stopped(desk, form)
    assert left == ["out.part"]
    seq = int(said.split("after seq ")[1].split(";")[0])
    content = (desk.folder / "out.part").read_bytes()
    if form == "flow":
        read = len(list(FlowReader(io.BytesIO(content)).stream()))
    else:
        read = len([json.loads(line) for line in content.splitlines()])
    assert 0 < read == seq < 3000
    assert f"--after {seq}" in said


def stopped(desk: Desk, form: str) -> tuple[str, list[str]]:
    """Ctrl-C in the middle: what was said, and the files that are there after it."""
    one = chat("word " * 2000, "answer " * 1000)
    desk.store(*(replace(one, seen=replace(one.seen, id=uuid_utils.uuid7().hex)) for _ in range(3000)))
    process = desk.start("export", "--format", form, "--output", "out", "--no-progress")
    part = desk.folder / "out.part"
    deadline = time.monotonic() + 30
    while not (part.exists() and (part.stat().st_size > 0 or form == "parquet")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode in (1, 130)
    assert b"Traceback" not in said
    return " ".join(said.decode().split()), sorted(path.name for path in desk.folder.glob("out*"))
