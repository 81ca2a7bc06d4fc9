"""`sekisho`: the commands, in groups; how every one of them ends when it cannot do what it was asked."""

import inspect
import os
import sys
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from cli import (
    access,
    ca,
    check,
    console,
    coverage,
    db,
    demo,
    doctor,
    env,
    erase,
    export,
    hold,
    identity,
    login,
    orders,
    replay,
    retain,
    run,
    seal,
    search,
    setup,
    show,
    status,
    tail,
    token,
    verify,
)
from cli.failure import told
from cli.options import Config, serving_settings_at

RUN, LOOK, ADMINISTER = "Run", "Look at the record", "Administer"


class Commands(TyperGroup):
    """All commands. A problem that a person can do something about is one sentence on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:  # typer.core's own Context is not public
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever read us has enough. What Python would still flush at its end goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except Exception as problem:
            if (answer := told(problem)) is None:
                raise
            from cli.terminal import err, visible

            said, code = answer
            err().print(visible(said), style="red", soft_wrap=True)
            raise typer.Exit(code) from None


app = typer.Typer(
    name="sekisho",
    cls=Commands,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 well, 1 failed, 2 wrong use or settings. Every command takes --config.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"sekisho {version('sekisho')}")
        raise typer.Exit


@app.callback()
def sekisho(
    ctx: typer.Context,
    config: Config = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version.")
    ] = False,
) -> None:
    """A checkpoint on the road to LLM APIs: asks who passes and whether they may, and writes everything down.

    Without a command it serves.
    """
    del version  # its callback has answered
    if ctx.invoked_subcommand is None:
        serve(config)


@app.command(rich_help_panel=RUN)
def serve(
    config: Config = None,
    ui: Annotated[
        Literal["mitmweb"] | None,
        typer.Option("--ui", help="On a laptop: inside mitmproxy's own browser tool, with our addons as its script."),
    ] = None,
    ui_port: Annotated[
        int, typer.Option("--ui-port", min=1, max=65535, metavar="N", help="With --ui: where its page stands.")
    ] = 8081,
    browse: Annotated[bool, typer.Option("--browse/--no-browse", help="With --ui: open its page in a browser.")] = True,
) -> None:
    """Run the checkpoint until Ctrl-C or SIGTERM. This is the default.

    Point a client at it with OPENAI_BASE_URL=http://127.0.0.1:8080/v1
    """
    settings = serving_settings_at(config)

    from cli.serve import serve as run
    from settings.reading import settings_path

    if ui is not None:
        from cli.stock_ui import serve_in_mitmweb

        serve_in_mitmweb(settings, settings_path(config), ui_port, open_browser=browse)
    raise typer.Exit(run(settings, settings_path(config)))


app.command(rich_help_panel=RUN)(demo.demo)
app.command(rich_help_panel=RUN, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})(
    run.run
)
app.command(rich_help_panel=RUN)(env.env)
app.command(rich_help_panel=RUN)(login.login)
app.command(rich_help_panel=RUN)(check.check)
app.command(rich_help_panel=RUN)(status.status)
app.command(rich_help_panel=LOOK)(tail.tail)
app.command(rich_help_panel=LOOK)(show.show)
app.command(rich_help_panel=LOOK, cls=search.SearchCommand)(search.search)
app.command(rich_help_panel=LOOK)(replay.replay)
app.command(rich_help_panel=LOOK)(export.export)
app.command(rich_help_panel=LOOK)(console.console)
app.command(rich_help_panel=LOOK)(coverage.coverage)
app.command(rich_help_panel=ADMINISTER)(verify.verify)
app.command(rich_help_panel=ADMINISTER)(erase.erase)
app.add_typer(hold.app, name="hold", rich_help_panel=ADMINISTER)
app.add_typer(orders.app, name="orders", rich_help_panel=ADMINISTER)
app.command(rich_help_panel=ADMINISTER)(retain.retain)
app.command(rich_help_panel=ADMINISTER)(access.access)
app.command(rich_help_panel=ADMINISTER)(doctor.doctor)
app.add_typer(ca.app, name="ca", rich_help_panel=ADMINISTER)
app.add_typer(setup.app, name="setup", rich_help_panel=ADMINISTER)
app.add_typer(db.app, name="db", rich_help_panel=ADMINISTER)
app.add_typer(seal.app, name="seal", rich_help_panel=ADMINISTER)
app.add_typer(token.app, name="token", rich_help_panel=ADMINISTER)
app.add_typer(identity.app, name="identity", rich_help_panel=ADMINISTER)


def _unwrap(group: typer.Typer) -> None:
    """Typer joins the lines of a help text's first paragraph only; the others would end where the code's lines do,
    whatever the terminal's width."""
    for command in group.registered_commands:
        if command.help is None and command.callback is not None and command.callback.__doc__ is not None:
            paragraphs = inspect.cleandoc(command.callback.__doc__).split("\n\n")
            command.help = "\n\n".join(each.replace("\n", " ") for each in paragraphs)
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            _unwrap(inner.typer_instance)


_unwrap(app)


def main(umask: int) -> None:
    """The command line. Characters that a terminal's encoding lacks are escaped, never an error.

    `umask` is the caller's, for commands of theirs that we start.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="sekisho", obj=umask)
