"""The table of tests/attacks, put to both lanes and to stock mitmdump with a naive addon: what a checkpoint is for.

    python -m benchmarks.attacks [--write]

Not a measure of speed; it shows the difference, and after an upgrade of mitmproxy what changed. `--write` puts the
table into docs/attacks.md. Everything runs on loopback, one input after the other, each with a time limit.
"""

import argparse
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from tests.attacks.rows import Row
from tests.attacks.table import ROWS
from tests.attacks.target import MODELS, gateway, tokens_of
from tests.attacks.trial import Outcome, objections, put
from tests.journeys.instance import PROVIDER_KEY, Instance
from tests.journeys.provider import Provider
from tests.ports import free_port

PAGE = Path(__file__).resolve().parent.parent / "docs" / "attacks.md"
_BEGIN, _END = "<!-- attacked -->", "<!-- /attacked -->"
_ADDON = Path(__file__).with_name("naive_addon.py")
_COLUMNS = ("express", "mitm", "stock mitmdump")
_WORDS = {
    "stopped": "refused, nothing reached the provider",
    "clean": "may pass, and what reached the provider is exactly what was judged",
    "PASSED": "reached the provider",
    "LEAKED": "may pass; something that must not reach the provider, or an unjudged body, went with it",
    "CRASHED": "its log tells of a crash, or its addon's exception, and nothing reached the provider",
    "HUNG": "no answer in time, or none at all",
    "refused": "may pass, and did not",
    "other": "refused, otherwise than the table asks",
}

type Verdicts = dict[str, str]
"""By the label of a row."""


def verdict(row: Row, outcome: Outcome, tokens: Mapping[bytes, bytes], *, crashed: bool, strict: bool) -> str:
    """One of the words above. `strict`: a refusal must be as the table asks; stock mitmproxy refuses in its own words."""
    said = list(objections(row, outcome, tokens))
    statuses = outcome.answer.statuses
    went_through = 200 in row.statuses
    allowed = (200 in row.statuses) + row.after.count(200)
    if len(outcome.upstream) > allowed or (outcome.upstream and not (went_through or 200 in row.after)):
        return "PASSED"
    if crashed and not outcome.upstream:
        return "CRASHED"
    if not statuses and not (outcome.answer.ended and not went_through):
        return "HUNG"
    if outcome.upstream:
        return _of_what_passed(row, outcome, tokens)
    if went_through and row.statuses == (200,):
        return "refused"
    return "other" if strict and said else "stopped"


def _of_what_passed(row: Row, outcome: Outcome, tokens: Mapping[bytes, bytes]) -> str:
    head, _, body = outcome.upstream[0].partition(b"\r\n\r\n")
    raw = b"\n".join(outcome.upstream)
    leaked = any(token in raw for token in tokens.values())
    leaked |= any(unwanted.lower() in outcome.upstream[0].lower() for unwanted in row.absent)
    leaked |= row.body is not None and body != row.body
    return "LEAKED" if leaked or PROVIDER_KEY.encode() not in head else "clean"


def on_lane(lane: str, rows: Sequence[Row], done: "Done") -> Verdicts:
    """Against a gateway of ours."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Provider() as provider,
        gateway(Path(folder), provider, lane) as instance,
    ):
        tokens = tokens_of(instance)
        return dict(_tried(instance.port, provider, rows, tokens, done, instance.log, strict=True))


def on_stock(rows: Sequence[Row], done: "Done") -> Verdicts:
    """Against mitmdump with the naive addon. The tokens are a gateway's, so that they look like it."""
    with tempfile.TemporaryDirectory() as folder, Provider() as provider:
        tokens = tokens_of(Instance(Path(folder), provider.url, profile="gateway", more=_IDENTITY))
        with _mitmdump(Path(folder), provider, tokens) as port:
            return dict(_tried(port, provider, rows, tokens, done, Path(folder) / "log", strict=False))


_IDENTITY = (
    "identity: {domains: [example.com], issuers: [{name: own, kind: own_token}]}\npolicies: {rules: [{name: a}]}\n"
)


@contextlib.contextmanager
def _mitmdump(folder: Path, provider: Provider, tokens: Mapping[bytes, bytes]) -> Iterator[int]:
    port = free_port()
    environment = {
        **os.environ,
        "NAIVE_TOKENS": b" ".join([tokens[b"TOKEN"], tokens[b"BOB"]]).decode(),
        "NAIVE_MODELS": " ".join(MODELS),
        "NAIVE_KEY": PROVIDER_KEY,
    }
    program = Path(sys.executable).with_name("mitmdump")
    command: list[str | Path] = [
        program, "-q", "-s", _ADDON, "--mode", f"reverse:{provider.url}", "--listen-host", "127.0.0.1",
        "--listen-port", str(port), "--set", f"confdir={folder}",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        Instance.wait_until(lambda: _listens(port), 60)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True


class Done:
    """Ticks the progress bar."""

    def __init__(self, progress: Progress, title: str, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=total)

    def tick(self) -> None:
        self._progress.advance(self._task)


def _tried(
    port: int,
    provider: Provider,
    rows: Sequence[Row],
    tokens: Mapping[bytes, bytes],
    done: Done,
    log: Path,
    *,
    strict: bool,
) -> Iterator[tuple[str, str]]:
    for number, row in enumerate(rows):
        before = _crashes(log)
        outcome = put(port, provider, row, tokens, f"row-{number}")
        yield row.label, verdict(row, outcome, tokens, crashed=_crashes(log) > before, strict=strict)
        done.tick()


def _crashes(log: Path) -> int:
    said = log.read_bytes()
    return said.count(b"has crashed") + said.count(b"Traceback")


def table(found: Mapping[str, Verdicts]) -> list[str]:
    """Markdown: counts, then every input."""
    counts = {name: Counter(verdicts.values()) for name, verdicts in found.items()}
    lines = [
        f"| | {' | '.join(found)} |",
        "| --- |" + " ---: |" * len(found),
    ]
    for word, meaning in _WORDS.items():
        if any(word in count for count in counts.values()):
            lines.append(f"| **{word}**: {meaning} | " + " | ".join(str(counts[name][word]) for name in found) + " |")
    lines += ["", f"| | input | {' | '.join(found)} |", "| --- | --- |" + " --- |" * len(found)]
    for number, group in itertools.groupby(ROWS, key=lambda row: row.number):
        for row in group:
            cells = " | ".join(_shown(found[name].get(row.label, "–")) for name in found)
            lines.append(f"| {number} | {_escaped(row.name)} | {cells} |")
    return lines


def _shown(word: str) -> str:
    return f"**{word}**" if word.isupper() else word


def _escaped(name: str) -> str:
    return "`" + name.replace("|", "\\|") + "`"


def write_page(lines: Sequence[str]) -> None:
    """Put them between the page's markers."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    text = "\n".join(lines)
    PAGE.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{rest.partition(_END)[2]}", encoding="utf-8")


def main() -> int:
    """0: on our lanes everything is as the table asks; 1: it is not."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks.attacks", description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--write", action="store_true", help="put the table into docs/attacks.md")
    asked.add_argument("--only", default="", metavar="NUMBER", help="rows whose number begins so, as in --only F")
    arguments = asked.parse_args()
    rows = [row for row in ROWS if row.number.startswith(arguments.only)]
    found: dict[str, Verdicts] = {}
    with Progress(console=Console(stderr=True)) as progress:
        for name in _COLUMNS:
            done = Done(progress, name, len(rows))
            found[name] = on_stock(rows, done) if name.startswith("stock") else on_lane(name, rows, done)
    lines = table(found)
    print("\n".join(line for line in lines if not line.endswith("| – |")))
    if arguments.write:
        write_page(lines)
    ours = [word for name in ("express", "mitm") for word in found[name].values()]
    return 0 if set(ours) <= {"stopped", "clean"} else 1


if __name__ == "__main__":
    sys.exit(main())
