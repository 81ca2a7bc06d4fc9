"""`sekisho serve --ui mitmweb`: the local profile inside mitmproxy's browser tool, with our addons as its script."""

import os
import sys
from pathlib import Path
from typing import Final, NoReturn

from cli.failure import Failed, WrongUse
from settings.listening import Listener
from settings.schema import Settings

_LAUNCHER: Final = Path(__file__).resolve().parent.parent / "run_proxy.py"
_MODES: Final = ("reverse", "forward")


def serve_in_mitmweb(settings: Settings, config: Path, port: int, *, open_browser: bool) -> NoReturn:
    """Become mitmweb. It starts the recorder beside itself, as the script does in any of mitmproxy's tools.

    Raises:
        WrongUse: these settings are not for a laptop.
        Failed: mitmweb is not here.
    """
    if settings.profile != "local":
        raise WrongUse(
            "--ui mitmweb is for the local profile: whoever opens that page may change and send again what passes, and "
            "a script that fails to reload would leave a gateway open. Read the record with `sekisho console`."
        )
    for listener in settings.listen:
        if listener.mode not in _MODES or listener.tls:
            raise WrongUse(
                f"listen: mitmweb takes {' and '.join(_MODES)} listeners without TLS here, not {listener.address} "
                f"({listener.mode}{', tls' if listener.tls else ''}). Serve that one without --ui."
            )
    tool = Path(sys.executable).parent / "mitmweb"
    if not tool.exists():
        raise Failed(f"{tool} is not here. It comes with mitmproxy: `make env` puts it in place.")
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = [str(tool), *_arguments(settings, port, open_browser=open_browser)]
    os.execve(tool, command, {**os.environ, "SEKISHO_CONFIG": str(config.absolute())})  # noqa: S606 - a file of ours


def _arguments(settings: Settings, port: int, *, open_browser: bool) -> list[str]:
    modes = [argument for each in settings.listen for argument in ("--mode", _mode(settings, each))]
    options = {
        "confdir": settings.data_dir / "mitmproxy",  # the CA of the forward modes is the one that clients trust
        "store_streamed_bodies": "true",  # replies pass on at once; here they are kept to be looked at, too
        "web_open_browser": str(open_browser).lower(),
        "web_port": port,
    }
    return [
        *modes,
        *(word for name, value in options.items() for word in ("--set", f"{name}={value}")),
        "-s",
        str(_LAUNCHER),
    ]


def _mode(settings: Settings, listener: Listener) -> str:
    """As mitmproxy writes it. Where a request goes our own addon decides; the address here is the default's."""
    address = listener.address
    if listener.mode == "forward":
        return f"regular@{address}"
    return f"reverse:{settings.providers[settings.default_provider].upstream}@{address}"
