"""The instance as a whole: its processes, its port, its end."""

import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2

from tests.journeys.instance import GATEWAY, ROOT, Instance
from tests.journeys.provider import Provider, streamed
from tests.ports import free_port


def test_two_workers_share_one_port_and_one_record(tmp_path: Path, provider: Provider) -> None:
    with Instance(tmp_path, provider.url, more="workers: 2\n") as instance:
        assert len(instance.pids("worker")) == 2
        for _ in range(30):
            httpx2.get(f"{instance.url}/v1/models")  # a connection each: the kernel deals them out
        records = instance.recorded(30)

    assert [record["seq"] for record in records] == list(range(1, 31))


def test_a_worker_that_dies_is_replaced_and_others_streams_go_on(tmp_path: Path, provider: Provider) -> None:
    provider.answer = streamed([f"{i} " for i in range(60)], pause=0.05)
    got: list[bytes] = []

    def listen(connection: socket.socket) -> None:
        said = b""
        try:
            while more := connection.recv(65536):
                said += more
                if said.endswith(b"0\r\n\r\n"):
                    break
        except OSError:
            pass  # its worker died
        got.append(said)

    body = b'{"model":"gpt-4o","stream":true,"messages":[]}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    ask = head + b"content-length: %d\r\n\r\n%b"
    with Instance(tmp_path, provider.url, more="workers: 2\n") as instance:
        instance.wait_until(lambda: "stands at" in instance.log.read_text(encoding="utf-8"), 20)  # both listen
        threads = [
            threading.Thread(target=listen, args=(instance.connect(ask % (len(body), body)),)) for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.7)
        killed = instance.kill("worker")
        for thread in threads:
            thread.join(20)
        instance.wait_until(lambda: len([p for p in instance.pids("worker") if p != killed]) == 2, 15)
        records = instance.recorded(16)

    whole = sum(said.endswith(b"0\r\n\r\n") for said in got)
    states = [record["end_state"] for record in records]
    assert 0 < whole < 16
    assert states.count("complete") == whole
    assert states.count("proxy_died") == 16 - whole


def test_the_console_is_started_with_the_rest_started_again_and_ends_with_it(tmp_path: Path) -> None:
    port = free_port()
    more = f"console: {{enabled: true, listen: '127.0.0.1:{port}'}}\n"

    def answers() -> bool:
        try:
            return httpx2.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        except httpx2.TransportError:
            return False

    with Instance(tmp_path, "http://127.0.0.1:9", more=more) as instance:
        instance.wait_until(answers, 30)
        killed = instance.kill("pages")
        instance.wait_until(lambda: bool([pid for pid in instance.pids("pages") if pid != killed]), 30)
        instance.wait_until(answers, 30)
        assert "/enter?key=" in instance.log.read_text(encoding="utf-8")
    assert not answers()


def test_a_taken_port_is_said_with_the_remedy(tmp_path: Path, provider: Provider) -> None:
    instance = Instance(tmp_path, provider.url)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", instance.port))
        taken.listen()
        done = _serve_once(instance)

    assert done.returncode == 1
    assert "Cannot listen on 127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_instance_on_the_same_record_is_refused(tmp_path: Path, provider: Provider) -> None:
    with Instance(tmp_path, provider.url) as first:
        (tmp_path / "second").mkdir()
        second = Instance(tmp_path / "second", provider.url)
        text = second.config.read_text(encoding="utf-8")
        second.config.write_text(text.replace(str(second.data_dir), str(first.data_dir)), encoding="utf-8")
        done = _serve_once(second)

    assert done.returncode == 1
    assert "Another Sekisho records into" in done.stderr


def test_wrong_settings_end_with_exit_code_2_and_all_problems(tmp_path: Path, provider: Provider) -> None:
    instance = Instance(tmp_path, provider.url, more="listne: x\nlimits: {body: lots}\n")
    done = _serve_once(instance)

    assert done.returncode == 2
    assert "2 problems" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_whose_issuers_have_become_unusable_says_so_and_ends(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        f"profile: gateway\nlisten: [{{address: '127.0.0.1:{free_port()}', tls: {{cert: a.pem, key: a.pem}}}}]\n"
        f"data_dir: {tmp_path / 'data'}\nidentity:\n  domains: [example.com]\n"
        "  issuers: [{name: people, kind: mtls, ca_file: gone.pem}]\n",
        encoding="utf-8",
    )
    with subprocess.Popen(
        [sys.executable, "run_proxy.py", "worker", "--config", str(tmp_path / "config.yaml")],
        cwd=ROOT, stderr=subprocess.PIPE, text=True, stdin=subprocess.PIPE,
    ) as worker:  # fmt: skip
        assert worker.stderr is not None
        said = worker.stderr.read()  # standard input stays open: it is how a worker knows that its parent lives
        code = worker.wait(30)

    assert code == 3
    assert "identity.issuers[0].ca_file names gone.pem, which cannot be read" in said
    assert "Traceback" not in said


def test_when_the_supervisor_is_killed_its_processes_end(tmp_path: Path, provider: Provider) -> None:
    with Instance(tmp_path, provider.url) as instance:
        httpx2.get(f"{instance.url}/v1/models")
        assert instance._process is not None
        os.kill(instance._process.pid, signal.SIGKILL)
        instance._process.wait()
        instance.wait_until(lambda: not instance.pids("worker") and not instance.pids("recorder"))

        assert len(instance.records()) == 1


def test_an_idle_instance_stops_at_once(tmp_path: Path, provider: Provider, lane: str) -> None:
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        assert instance.stop() < 5


def test_every_process_names_the_settings_file(tmp_path: Path, provider: Provider) -> None:
    with Instance(tmp_path, provider.url) as instance:
        assert len(instance.pids("worker")) == 1
        assert len(instance.pids("recorder")) == 1


def test_nothing_of_the_record_is_readable_for_other_users(tmp_path: Path, provider: Provider) -> None:
    with Instance(tmp_path, provider.url) as instance:
        httpx2.get(f"{instance.url}/v1/models")
        instance.recorded(1)

        assert instance.data_dir.stat().st_mode & 0o077 == 0


def test_an_upstream_with_a_certificate_nobody_vouches_for_gets_nothing(tmp_path: Path, lane: str) -> None:
    import ssl

    folder = tmp_path / "tls"
    folder.mkdir()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    upstream = f"https://localhost:{server.server_address[1]}"
    try:
        with Instance(tmp_path, upstream, lane=lane) as instance:
            refused = httpx2.get(f"{instance.url}/v1/models").status_code
            (record,) = instance.recorded(1)
        trusting = tmp_path / "trusting"
        trusting.mkdir()
        more = f"providers:\n  openai: {{upstream: '{upstream}', ca_file: '{folder}/cert.pem'}}\n"
        with Instance(trusting, upstream, lane=lane, more=more) as instance:
            passed = httpx2.get(f"{instance.url}/v1/models").status_code
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

    assert (refused, record["end_state"]) == (502, "upstream_error")
    assert passed == 200
    assert asked == ["/v1/models"]


def test_callers_may_be_served_over_tls(tmp_path: Path, provider: Provider) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    instance = Instance(tmp_path, provider.url, profile="gateway", more=GATEWAY)
    address = f"127.0.0.1:{instance.port}"
    tls = f"{{cert: {tmp_path}/cert.pem, key: {tmp_path}/key.pem}}"
    text = instance.config.read_text(encoding="utf-8").replace(
        f"listen: {address}", f"listen: [{{address: '{address}', issuers: [own], tls: {tls}}}]"
    )
    instance.config.write_text(text, encoding="utf-8")
    with instance:
        import ssl

        context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        headers = {"authorization": f"Bearer {instance.mint('ann@example.com')}", "content-type": "application/json"}
        url = f"https://localhost:{instance.port}/v1/chat/completions"
        answer = httpx2.post(url, content=b'{"model":"gpt-4o","messages":[]}', headers=headers, verify=context)

    assert answer.status_code == 200
    assert len(provider.received) == 1


def _serve_once(instance: Instance) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "run_proxy.py", "--config", str(instance.config)],
        cwd=ROOT, env=instance.environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
