"""Who looked at what: access.db, newest first, and whether its chain holds."""

import sqlite3
from datetime import datetime

from starlette.requests import Request
from starlette.responses import HTMLResponse

from console.house import House
from storage.access import Access, Spans, last_access, read_access, verify_access

_SHOWN = 200
_SEARCHED = 20_000
"""Of the newest looks, when those of one person or at one exchange are asked for."""
_WALKED = 5_000
"""Looks whose hashes a page recomputes: it is not to take longer the longer the log is. `sekisho verify` walks all."""


class AccessPage:
    """The page of the looks."""

    def __init__(self, house: House) -> None:
        self._house = house

    def page(self, request: Request) -> HTMLResponse:
        """GET /access?who=NAME&place=SEQ: all looks, or those of one person, or those that showed one exchange."""
        data_dir = self._house.settings.data_dir
        who, place = request.query_params.get("who", ""), request.query_params.get("place", "")
        seq = int(place) if place.isascii() and place.isdigit() and len(place) < 19 else None
        try:
            found = read_access(data_dir, _SEARCHED if who or seq else _SHOWN)
            looks = [look for look in found if _is_asked_for(look, who, seq)][::-1][:_SHOWN]
            verdict = verify_access(data_dir, newest=_WALKED)
            last = last_access(data_dir)
        except (sqlite3.Error, OSError) as cannot:
            said = f"access.db: {cannot}."
            return self._house.page(
                request, "message.html", 503, title="The record cannot be read", said=said, remedy=None
            )
        return self._house.page(
            request,
            "access.html",
            looks=[(look, _local(look.at)) for look in looks],
            verdict=verdict,
            shown=_SHOWN,
            searched=_SEARCHED,
            who=who,
            place=seq,
            all_of_them=last is None or last[0] <= verdict.records,
        )


def _is_asked_for(look: Access, who: str, seq: int | None) -> bool:
    return (not who or look.actor == who) and (seq is None or seq in Spans(look.exchanges))


def _local(at: str) -> str:
    """In this machine's zone, as the other pages say it."""
    return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M:%S}"
