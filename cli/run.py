"""`sekisho run -- COMMAND …`: one command, with its LLM traffic on record, and nothing else touched."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Final, Literal, NoReturn

import typer

from cli.options import Config

if TYPE_CHECKING:
    from cli.clients.variables import Mode

_PASSED_ON: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_FROM_THE_KEYS: Final = (signal.SIGINT, signal.SIGQUIT)
_NOT_FOUND, _NOT_RUN = 127, 126  # as shells say it (POSIX.1-2017, XCU 2.8.2)


def run(
    ctx: typer.Context,
    command: Annotated[list[str], typer.Argument(metavar="COMMAND...", help="What to run, after `--`.")],
    config: Config = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="Where the record goes, in place of the settings'.")
    ] = None,
    mode: Annotated[
        Literal["both", "reverse", "forward"],
        typer.Option(
            "--mode",
            metavar="both|reverse|forward",
            help="Set base addresses, the proxy, or both, for whichever of them the command heeds.",
        ),
    ] = "both",
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON object, on stderr.")] = False,
) -> None:
    """Run a command with its LLM traffic captured: sekisho run -- codex exec "say hi"

    A Sekisho of its own stands on free ports while it runs, and the variables of sekisho env are set for this command
    alone. Input, output, signals and the exit code are the command's. What it called is summed up on stderr at the end.
    """
    from cli.captured import captured_road, environment, laptop_settings, looked_at_with, must_be_free
    from cli.private_instance import PrivateInstance, free_port
    from cli.run_summary import last_seq, print_summary, summary_of
    from cli.terminal import err, visible

    modes: tuple[Mode, ...] = ("reverse", "forward") if mode == "both" else (mode,)
    ports = tuple(free_port() for _ in modes)
    listen = [{"address": f"127.0.0.1:{port}", "mode": one} for one, port in zip(modes, ports, strict=True)]
    tree, settings = laptop_settings(config, data_dir, listen)
    must_be_free(settings.data_dir)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)  # before and after the command these end us, and what we started with us
    before, began = last_seq(settings.data_dir), datetime.now(UTC)
    with (
        tempfile.TemporaryDirectory(prefix="sekisho-run-") as folder,
        PrivateInstance(Path(folder), tree, ports) as instance,
    ):
        given, said = environment(captured_road(settings, Path(folder), os.environ), modes, os.environ)
        instance.start()
        for sentence in said:
            err().print(visible(sentence), style="yellow")
        code = _run(command, given, ctx.obj)
    look = looked_at_with(config, tree, settings)
    print_summary(summary_of(settings.data_dir, before, began, code), settings.data_dir, look, as_json=as_json)
    raise typer.Exit(code)


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _run(command: Sequence[str], environment: Mapping[str, str], umask: int | None) -> int:
    """Returns the exit code; of a command that a signal ended, 128 and its number, as shells do. The command has this
    umask, not our own, and the descriptors that we were given (a shell's `<(…)`)."""
    from cli.terminal import err, visible

    child: subprocess.Popen[bytes] | None = None
    # The terminal sends what its keys mean to the command as well as to us.
    sent_by_terminal = any(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if child is not None and not (number in _FROM_THE_KEYS and sent_by_terminal):
            child.send_signal(number)

    # Handlers, and not SIG_IGN, which the command would inherit.
    before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
    try:
        child = subprocess.Popen(  # noqa: S603 - what the person asked for
            command, env=dict(environment), umask=-1 if umask is None else umask, close_fds=False
        )
        code = child.wait()
    except OSError as cannot:
        err().print(f"{visible(command[0])}: {cannot.strerror}.", style="red")
        return _NOT_FOUND if isinstance(cannot, FileNotFoundError) else _NOT_RUN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code
