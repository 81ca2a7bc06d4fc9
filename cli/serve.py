"""`sekisho serve`: the whole instance in one command."""

import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from certificates.readiness import authority_warnings, kept_authority, needs_authority
from cli.clients.road import road_from
from cli.roles import set_up_log
from cli.supervisor import Supervisor
from settings.schema import Settings

log = logging.getLogger(__name__)


def serve(settings: Settings, config: Path) -> int:
    """Run until SIGTERM or Ctrl-C. Returns the exit code."""
    set_up_log()
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings.data_dir.chmod(0o700)
    if needs_authority(settings):
        kept_authority(settings, datetime.now(UTC))  # before the workers: they must all sign with the same one
        for warning in authority_warnings(settings, datetime.now(UTC)):
            log.warning("%s", warning)
    return Supervisor(settings, config.absolute(), lambda: announce(settings, config)).run()


def announce(settings: Settings, config: Path) -> None:
    """A few lines: what to do next."""
    road = road_from(settings, None)
    usual = config == Path("config.yaml")
    sekisho = _shown(Path(sys.executable).parent / "sekisho")
    with_config = "" if usual else f" --config {config}"
    use = f'eval "$({sekisho} env{with_config})"' if road.proxy else f"export OPENAI_BASE_URL={road.reverse}/v1"
    places = " and ".join(filter(None, [road.reverse, f"{road.proxy} (forward)" if road.proxy else None]))
    lines = [
        f"Sekisho stands at {places} ({settings.profile} profile, pid {os.getpid()}).",
        f"  use it:    {use}",
        f"  record:    {settings.data_dir / 'audit.db'}",
        f"  look:      {sekisho} tail{with_config}   (also: show ID, search WORDS, export)",
        *(f"  people:    {front.origin}" for front in settings.fronts),
        "  stop:      Ctrl-C",
    ]
    print("\n".join(lines), file=sys.stderr, flush=True)  # noqa: T201 - this is for the person who started us


def _shown(path: Path) -> str:
    """Relative where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
