"""How an exchange ended: what the worker saw, and what the reply's own bytes say. RECORD.md's `end_state`."""

from exchange.record import EndState
from exchange.reply import Ended
from storage.journal.rows import Observed

_CUT: dict[Observed, EndState] = {
    "client_gone": "client_gone",
    "upstream_cut": "upstream_cut",
    "timed_out": "timed_out",
    "unreachable": "upstream_error",
    "proxy_died": "proxy_died",
    "refused": "refused",
    "response_ended": "upstream_cut",  # a clean end of the connection, but the reply was not over
}


def end_state(observed: Observed, status: int | None, ended: Ended) -> EndState:
    """`complete` needs the API's own terminal event; a clean end counts only where nothing is missing.

    A caller who hangs up, or a connection that breaks, after the terminal event has lost nothing.
    """
    if observed in ("refused", "unreachable"):
        return _CUT[observed]
    if ended == "failed":
        return "upstream_error"
    if status is not None and status >= 400 and observed == "response_ended":
        return "upstream_error"
    if ended == "terminal" or (ended == "settled" and observed == "response_ended"):
        return "complete" if status is None or status < 400 else "upstream_error"
    return _CUT[observed]
