"""`sekisho check`: can these settings be used?"""

from typing import Final

from cli.options import Config, serving_settings_at

_ON_FAILURE: Final = {
    "block": "no record, no traffic",
    "spill": "no record, no traffic; a second disk first",
    "allow": "traffic passes when it fails",
}


def check(config: Config = None) -> None:
    """Read the settings and say whether they can be used; nothing is started.

    Every problem is named by its path, with the remedy; the exit code is 2 then.
    """
    from cli.terminal import out, visible
    from settings.reading import settings_path

    path = settings_path(config)
    settings = serving_settings_at(config)
    identity = settings.identity
    lines = {
        "profile": settings.profile,
        "listen": ", ".join(f"{one.address} ({one.mode}{', TLS' if one.tls else ''})" for one in settings.listen),
        "data_dir": str(settings.data_dir.absolute()),
        "providers": ", ".join(f"{name} → {one.upstream}" for name, one in settings.providers.items()),
        "issuers": ", ".join(f"{one.name} ({one.kind})" for one in identity.issuers) or "none",
        "domains": ", ".join(identity.domains) or "none",
        "rules": ", ".join(rule.name for rule in settings.policies.rules) or "none",
        "content": f"sealed, index {seal.index}" if (seal := settings.storage.seal) else "not sealed",
        "record": _ON_FAILURE[settings.on_failure],
    }
    console = out()
    console.print(f"{visible(str(path))} can be used.")
    for name, said in lines.items():
        console.print(f"  {name:<10}{visible(said)}")
