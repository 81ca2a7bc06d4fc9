"""`sekisho login`: a token of one's own, from a terminal, approved in a browser (RFC 8628)."""

import json
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlencode, urlsplit

import typer

from cli.failure import Failed, WrongUse

_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_ANSWER_S: Final = 15.0
_LARGEST: Final = 64 << 10  # bytes of an answer
_WAITING: Final = frozenset({"authorization_pending", "slow_down"})
_SAID: Final = {
    "access_denied": "It was refused in the browser.",
    "expired_token": "Nobody approved it in time. Run the command again.",
    "unauthorized_client": "This checkpoint makes no tokens for people: identity.issuers needs one of kind own_token.",
}


def login(
    address: Annotated[str, typer.Argument(metavar="URL", help="The chat page, as in https://chat.example.com.")],
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="What the token is called on /me.")] = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Where the token is written.")] = None,
    ca_file: Annotated[Path | None, typer.Option("--ca-file", metavar="PEM", help="An authority of your own.")] = None,
) -> None:
    """Sign in with the company account and get a token, which goes where an API key goes.

    Shows a code and an address; open it in any browser, on any device, and say yes. The token is written to a file that
    only you can read, and printed nowhere. /me ends it.
    """
    from cli.terminal import err, visible
    from files.whole import write_whole

    desk = _Desk(_checked(address), ca_file)
    code = desk.begin(name or platform.node() or "terminal")
    console = err()
    console.print(f"Open {visible(code['verification_uri_complete'])}")
    console.print(f"and approve the code {visible(code['user_code'])}. Waiting; Ctrl-C breaks it off.")
    given = desk.wait(code)
    file = to or _usual()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(file, given["access_token"].encode() + b"\n")
    days = int(given.get("expires_in", 0)) // 86400
    console.print(f"You are {visible(str(given.get('email', '')))}. The token is in {file}, for {days} days. Use it:")
    console.print(f"  export OPENAI_API_KEY=$(cat '{file}')", soft_wrap=True)
    console.print(f"  export OPENAI_BASE_URL={visible(str(given.get('api_url', '')))}/v1", soft_wrap=True)


@dataclass(frozen=True)
class _Desk:
    """The endpoints of one front."""

    address: str
    ca_file: Path | None

    def begin(self, name: str) -> dict[str, Any]:
        status, said = self._ask("/_sekisho/device/code", {"client_id": "sekisho", "name": name})
        wanted = ("device_code", "user_code", "verification_uri_complete")
        if status != 200 or not all(isinstance(said.get(each), str) for each in wanted):
            why = _SAID.get(str(said.get("error")), f"It answered {status}. Is this the address of the chat page?")
            raise Failed(f"{self.address}: {why}")
        return said

    def wait(self, code: dict[str, Any]) -> dict[str, Any]:
        """What it gives once its person said yes.

        Raises:
            Failed: they said no, or nothing.
        """
        interval = float(code.get("interval") or 5)
        deadline = time.monotonic() + float(code.get("expires_in") or 600)
        form = {"grant_type": _GRANT, "device_code": code["device_code"]}
        while time.monotonic() < deadline:
            time.sleep(interval)
            status, said = self._ask("/_sekisho/device/token", form)
            if status == 200 and isinstance(said.get("access_token"), str):
                return said
            error = str(said.get("error"))
            if error not in _WAITING and status < 500:
                raise Failed(_SAID.get(error, f"{self.address} answered {status}."))
            interval += 5 if error == "slow_down" else 0  # RFC 8628 §3.5
        raise Failed(_SAID["expired_token"])

    def _ask(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        from outbound.asking import NoAnswer, ask

        try:
            answer = ask(
                "POST",
                self.address + path,
                deadline=time.monotonic() + _ANSWER_S,
                largest=_LARGEST,
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                body=urlencode(form).encode(),
                ca_file=self.ca_file,
            )
        except NoAnswer as why:
            raise Failed(f"{self.address} cannot be asked: {why}.") from None
        try:
            said = json.loads(answer.body)
        except ValueError:
            said = None
        return answer.status, said if isinstance(said, dict) else {}


def _checked(address: str) -> str:
    from settings.web_address import base_address, is_loopback

    try:
        checked = base_address(address if "://" in address else f"https://{address}")
    except ValueError as wrong:
        raise WrongUse(f"{address!r} {wrong}.") from None
    parts = urlsplit(checked)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise WrongUse("A token must not travel in the clear. Write https:// in place of http://")
    return f"{parts.scheme}://{parts.netloc}"


def _usual() -> Path:
    """By the XDG Base Directory Specification."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "sekisho" / "token"
