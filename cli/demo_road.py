"""The demo's road: starts a provider and a real Sekisho, calls through it, shows the records, stops everything."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from cli.demo_provider import DemoProvider
from cli.exchange_page import exchange_page
from cli.failure import Failed
from cli.terminal import out, visible
from storage.sqlite.driver import StoreProblem
from storage.sqlite.reading import AuditReader
from wire.conversation.record import read_record

if TYPE_CHECKING:
    from openai import OpenAI

_LAUNCHER = Path(__file__).resolve().parent.parent / "run_proxy.py"
_QUESTIONS = ("What does a checkpoint do?", "関所とは何ですか。")


class Road:
    """Everything the demo needs while the `with` lasts; nothing of it is left afterwards, however it ends."""

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep
        self._console = out()
        self._folder = Path(tempfile.mkdtemp(prefix="sekisho-demo-"))
        self._data = self._folder / "data"
        self._log = self._folder / "log"
        self._provider = DemoProvider()
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> "Road":
        try:
            self._provider.__enter__()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):  # too slow for us, or for the person at the keys
                self._process.kill()
                self._process.wait()
        self._provider.__exit__()
        if self._keep:
            self._console.print(f"The record is kept: sekisho tail --config {self._folder / 'config.yaml'}")
        else:
            shutil.rmtree(self._folder, ignore_errors=True)

    def walk(self) -> None:
        """One chat and one Responses request, streamed; then the record of each.

        Raises:
            Failed: the call or the record failed.
        """
        import openai

        said = self._console
        base = f"http://127.0.0.1:{self._port}/v1"
        say = Text("Sekisho stands at ", style="dim").append(base)
        said.print(say.append(", in front of a small provider of our own. The official SDK calls."))
        # Not through a proxy that the environment may name: this is loopback.
        with openai.DefaultHttpxClient(trust_env=False) as http:
            client = openai.OpenAI(base_url=base, api_key="demo-key", http_client=http, max_retries=0, timeout=20)
            try:
                self._print_live("client.chat.completions.create", _QUESTIONS[0], _chat(client))
                self._print_live("client.responses.create", _QUESTIONS[1], _responses(client))
            except openai.OpenAIError as broken:
                raise Failed(f"The call did not succeed: {broken}\n{self._last_words()}") from None
        said.print("\nAnd this is what is on record, as `sekisho show ID` prints it:", style="bold")
        for line in self._records(2):
            said.print()
            for paragraph in exchange_page(read_record(line)):
                said.print(paragraph)
        said.print("\nEverything is stopped again. Next: make run", style="bold")

    def _print_live(self, call: str, question: str, words: Iterable[str]) -> None:
        self._console.print()
        self._console.print(Text(f"{call}(…, stream=True)", style="dim"))
        self._console.print(Text("── user ──", style="bold cyan"))
        self._console.print(Text(question))
        self._console.print(Text("── assistant ──", style="bold green"))
        for word in words:
            self._console.print(Text(visible(word)), end="")
        self._console.print()

    def _start(self) -> None:
        """Settings, then the real program. Returns when it takes connections."""
        self._port = _free_port()
        config = self._folder / "config.yaml"
        config.write_text(
            f"profile: local\nlisten: 127.0.0.1:{self._port}\ndata_dir: {self._data}\ndrain_s: 2\n"
            f"providers:\n  openai: {{upstream: 'http://127.0.0.1:{self._provider.port}'}}\n",
            encoding="utf-8",
        )
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, str(_LAUNCHER), "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us; we stop it in good order
                env={**os.environ, "NO_COLOR": "1"},
            )
        end = time.monotonic() + 15
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self._port), 0.2).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise Failed(f"Sekisho did not start.\n{self._last_words()}")

    def _records(self, number: int) -> list[bytes]:
        """The records, oldest first, once they are there."""
        end = time.monotonic() + 5
        while time.monotonic() < end:
            try:
                reader = AuditReader(self._data)
            except StoreProblem:
                time.sleep(0.1)
                continue
            try:
                lines = [line for _, line in reader.export()]
            except StoreProblem:
                lines = []
            finally:
                reader.close()
            if len(lines) >= number:
                return lines
            time.sleep(0.1)
        raise Failed(f"The record of the calls did not come.\n{self._last_words()}")

    def _last_words(self) -> str:
        """The end of the log, for whoever has to find out why."""
        try:
            return "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-20:])
        except OSError:
            return ""


def _chat(client: "OpenAI") -> Iterator[str]:
    with client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": _QUESTIONS[0]}], stream=True
    ) as stream:
        for chunk in stream:
            if chunk.choices:
                yield chunk.choices[0].delta.content or ""


def _responses(client: "OpenAI") -> Iterator[str]:
    with client.responses.create(model="gpt-4o", input=_QUESTIONS[1], stream=True) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                yield event.delta


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
