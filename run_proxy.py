"""The launcher: `python run_proxy.py --config X`, `sekisho`, and `mitmdump -s run_proxy.py`. Everything starts here."""

import os
import sys


def main() -> None:
    """The console script `sekisho`."""
    umask = os.umask(0o077)  # whatever is written holds what people said: it is for the owner alone
    if sys.argv[1:2] in (["worker"], ["recorder"], ["fronts"], ["pages"]):
        sys.exit(_role(sys.argv[1], sys.argv[2:]))
    from cli.app import main as command_line

    command_line(umask)


def _role(name: str, given: list[str]) -> int:
    """A process of the instance, started by the supervisor."""
    import argparse
    from pathlib import Path

    from cli import roles

    parser = argparse.ArgumentParser(prog=f"sekisho {name}")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--ready", type=int, help="descriptor to tell when ready")
    parser.add_argument("--number", type=int, default=1)
    args = parser.parse_args(given)
    if name == "recorder":
        return roles.recorder(args.config, args.ready)
    if name == "fronts":
        return roles.fronts(args.config, args.ready)
    if name == "pages":
        return roles.console(args.config, args.ready)
    return roles.worker(args.config, args.number, args.ready)


if __name__ == "__main__":
    main()
elif __name__.startswith("__mitmproxy_script__"):
    from addons.stock import stock_addons

    addons = stock_addons()
