"""What one captured command is given: settings of a Sekisho of its own, and an environment that leads there."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli.clients.road import LOOPBACK
from cli.failure import Failed, WrongUse

if TYPE_CHECKING:
    from cli.clients.road import Road
    from cli.clients.variables import Mode
    from settings.schema import Settings

_LAPTOP_HAS_NO: Final = ("listen", "identity", "policies", "workers", "drain_s")
_MORE_AUTHORITIES: Final = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE")


def laptop_settings(
    config: Path | None, data_dir: Path | None, listen: list[dict[str, str]]
) -> "tuple[dict[str, Any], Settings]":
    """The settings file with these listeners in place of its own, and without identity and policies, as a tree and as
    read. Without a file: the defaults.

    Raises:
        SettingsProblems: they cannot be used.
        WrongUse: they are a gateway's.
    """
    from io import StringIO

    from ruamel.yaml import YAML

    from settings.reading import parse_settings, read_settings, settings_path

    path = settings_path(config)
    tree: dict[str, Any] = {}
    if path.exists() or config is not None or "SEKISHO_CONFIG" in os.environ:
        if read_settings(path).profile == "gateway":
            raise WrongUse(
                f"{path} is a gateway's: with its keys, whoever runs a command would pass without an identity. Name "
                'other settings with --config, or go through the gateway: eval "$(sekisho env)"'
            )
        tree = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")) or {}
    tree = {name: value for name, value in tree.items() if name not in _LAPTOP_HAS_NO}
    place = str((data_dir or Path(tree.get("data_dir") or "data")).absolute())
    tree |= {"data_dir": place, "listen": listen, "drain_s": 2.0}
    text = StringIO()
    YAML(typ="safe", pure=True).dump(tree, text)
    return tree, parse_settings(text.getvalue(), source=str(path))


def looked_at_with(config: Path | None, tree: Mapping[str, Any], settings: "Settings") -> Path | None:
    """The settings file to name to the commands that look at this record; None where they find it by themselves. Where
    no file leads to the record, because its place was given on the command line or there is no file at all, one is
    written beside it."""
    from ruamel.yaml import YAML

    from settings.reading import read_settings, settings_path

    path = settings_path(config)
    if path.exists() and read_settings(path, secrets=False).data_dir.absolute() == settings.data_dir:
        return config
    beside = settings.data_dir / "config.yaml"
    if not beside.exists():
        with beside.open("w", encoding="utf-8") as file:
            YAML(typ="safe", pure=True).dump({name: tree[name] for name in tree if name not in _LAPTOP_HAS_NO}, file)
    return beside


def must_be_free(data_dir: Path) -> None:
    """Two recorders cannot write one record.

    Raises:
        Failed: a Sekisho runs on this data_dir.
    """
    from storage.journal.files import is_held
    from storage.sqlite.lock import lock_path

    if is_held(lock_path(data_dir)):
        raise Failed(
            f'A Sekisho runs on {data_dir} already. Use that one (eval "$(sekisho env)"), or name another place for '
            "this command's record: --data-dir DIR"
        )


def captured_road(settings: "Settings", folder: Path, before: Mapping[str, str]) -> "Road":
    """How the command reaches its Sekisho. The CA is made where there is none; the files are written into `folder`,
    with what the environment trusts so far in them.

    Raises:
        SettingsProblems: the CA cannot do what is asked of it.
    """
    from datetime import UTC, datetime

    from certificates.bundle import client_files
    from certificates.folder import AuthorityFolder
    from certificates.readiness import authority_problems, kept_authority, needs_authority
    from cli.clients.road import road_from
    from settings.reading import SettingsProblems

    if not needs_authority(settings):
        return road_from(settings, None)
    now = datetime.now(UTC)
    if problems := authority_problems(settings, now):
        raise SettingsProblems("The CA", problems)
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept_authority(settings, now)
    also = dict.fromkeys(Path(before[name]) for name in _MORE_AUTHORITIES if before.get(name))
    files = client_files(
        AuthorityFolder(settings.data_dir), into=folder, also=[each for each in also if each.is_file()]
    )
    return road_from(settings, files)


def environment(road: "Road", modes: "tuple[Mode, ...]", before: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The command's environment, and what a person should know of it.

    What was set to keep things off a proxy, or for Java, is kept and added to. A base address that was set is left: it
    may name a server that is no provider of the settings.
    """
    from cli.clients.variables import CLIENTS, variables

    found = dict(before)
    said = []
    for mode in modes:
        for each in variables(road, mode, CLIENTS):
            had = before.get(each.name)
            if mode == "reverse" and had and had != each.value:
                said.append(
                    f"{each.name} is set to {had} and was left so: what goes there is on record only if it is a "
                    "provider's host and the command heeds HTTPS_PROXY."
                )
            elif each.name.lower() == "no_proxy":
                found[each.name] = ",".join(
                    dict.fromkeys([*LOOPBACK.split(","), *filter(None, (had or "").split(","))])
                )
            elif each.name == "JAVA_TOOL_OPTIONS" and had:
                found[each.name] = f"{had} {each.value}"
            elif each.name == "NODE_EXTRA_CA_CERTS" and had and road.files is not None:
                found[each.name] = str(road.files.bundle)  # what was named there is in it
            else:
                found[each.name] = each.value
    return found, said
