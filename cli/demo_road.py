"""The demo's road: starts a provider and a real Sekisho, calls through it, shows the records, stops everything."""

import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from cli.demo_provider import DemoProvider
from cli.exchange_page import exchange_page
from cli.failure import Failed
from cli.private_instance import PrivateInstance, free_port
from cli.terminal import out, visible
from storage.sqlite.driver import StoreProblem
from storage.sqlite.reading import AuditReader
from wire.conversation.record import read_record

if TYPE_CHECKING:
    from openai import OpenAI

_QUESTIONS = ("What does a checkpoint do?", "関所とは何ですか。")


class Road:
    """Everything the demo needs while the `with` lasts; nothing of it is left afterwards, however it ends."""

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep
        self._console = out()
        self._folder = Path(tempfile.mkdtemp(prefix="sekisho-demo-"))
        self._data = self._folder / "data"
        self._provider = DemoProvider()
        self._instance: PrivateInstance | None = None
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
        if self._instance is not None:
            self._instance.__exit__(None, None, None)
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
                raise Failed(
                    f"The call did not succeed: {broken}\n{self._instance.last_words() if self._instance else ''}"
                ) from None
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
        """The real program. Returns when it takes connections."""
        self._port = free_port()
        tree = {
            "profile": "local",
            "listen": f"127.0.0.1:{self._port}",
            "data_dir": str(self._data),
            "drain_s": 2,
            "providers": {"openai": {"upstream": f"http://127.0.0.1:{self._provider.port}"}},
        }
        self._instance = PrivateInstance(self._folder, tree, (self._port,))
        self._instance.start()

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
        raise Failed(f"The record of the calls did not come.\n{self._instance.last_words() if self._instance else ''}")


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
