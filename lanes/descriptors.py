"""Open files: as many as the callers that the settings allow need."""

import logging
import resource
from typing import Final

log = logging.getLogger(__name__)

_OURS: Final = 256
"""For listeners, the journal, keys and the log, beside connections."""

_WORTH_SAYING: Final = 0.9


def room_for(connections: int) -> int:
    """For how many callers there is room, up to so many: each may need a connection to a provider as well.

    Most systems start programs with a limit of 1024 open files, and let them raise it (setrlimit(2), RLIMIT_NOFILE): as
    it came, five hundred strangers who say nothing would keep everybody out, and the journal from its next file.
    """
    needed = 2 * connections + _OURS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        except (OSError, ValueError) as refused:  # macOS has a bound of its own beside the hard limit
            log.warning("The limit of open files cannot be raised to %d: %s.", soft, refused)
            soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return connections
    room = max((soft - _OURS) // 2, 8)
    if room < _WORTH_SAYING * connections:
        log.warning(
            "This system allows %d open files, enough for %d callers at once, and limits.connections is %d. "
            "Raise the hard limit (ulimit -Hn, LimitNOFILE= in systemd) to %d, or lower the setting.",
            soft,
            room,
            connections,
            needed,
        )
    return room
