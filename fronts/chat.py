"""/chat: a small chat page of our own, for a company with no front end yet. What is said goes by the front's own API
path, like any page's; nothing is kept but the record, and one's history is read from it."""

import logging
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from exchange.call import Call
from exchange.decision import Allow
from exchange.principal import Principal
from fronts.house import House, front_of, visitor_of
from fronts.me import UNREADABLE
from fronts.mine import Mine, Record
from policies.rules import rulebook_from
from settings.fronts import Front

log = logging.getLogger(__name__)

_CHATS: Final = 30
_TITLE: Final = 60  # characters


class Chat:
    """The page, and one's earlier chats."""

    def __init__(self, house: House, mine: Mine) -> None:
        self._house = house
        self._mine = mine
        self._rules = rulebook_from(house.settings.policies, house.settings.profile)

    def page(self, request: Request) -> Response:
        """GET /chat"""
        models = self._models(front_of(request), visitor_of(request).principal)
        return self._house.page(request, "chat.html", models=models)

    def history(self, request: Request) -> Response:
        """GET /chat/history: [{id, title}], the newest first."""
        try:
            found = self._mine.chats(visitor_of(request).email, _CHATS)
        except UNREADABLE as cannot:
            return _unreadable(cannot)
        return JSONResponse([{"id": one["thread_id"] or one["id"], "title": _title(one)} for one in found])

    def earlier(self, request: Request) -> Response:
        """GET /chat/history/{id}: {model, messages}, of one's own chat."""
        try:
            found = self._mine.one(visitor_of(request).email, request.path_params["id"])
        except UNREADABLE as cannot:
            return _unreadable(cannot)
        if not found:
            raise HTTPException(404)
        last = found[-1]
        return JSONResponse({"model": last["request_model"], "messages": [*_asked(last), *_answered(last)]})

    def _models(self, front: Front, who: Principal) -> list[str]:
        """Those of the front that this person may use; where it names none, those that rules name outright."""
        settings = self._house.settings
        provider = front.provider or settings.default_provider
        if settings.providers[provider].dialect != "openai":
            return []  # the page speaks Chat Completions
        written = [model for rule in settings.policies.rules if rule.action == "allow" for model in rule.models or ()]
        named = front.models or [model for model in dict.fromkeys(written) if not set(model) & set("*?[")]
        asked = [(model, Call("chat", model, stream=True, inspected=True)) for model in named]
        return [model for model, call in asked if isinstance(self._rules.decide(who, call, provider), Allow)]


def _asked(one: Record) -> list[dict[str, str]]:
    request = one["request"]
    messages = request.get("messages") if isinstance(request, dict) else None
    return [said for each in messages if (said := _said(each))] if isinstance(messages, list) else []


def _answered(one: Record) -> list[dict[str, str]]:
    try:
        said = _said(one["response"]["choices"][0]["message"])
    except (KeyError, IndexError, TypeError):
        return []  # it was refused, or broke off before a word
    return [said] if said else []


def _said(message: Any) -> dict[str, str] | None:
    """Role and words of a message; None where there are none to show."""
    if not isinstance(message, dict) or message.get("role") not in ("user", "assistant"):
        return None
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return {"role": message["role"], "content": content} if isinstance(content, str) and content else None


def _title(one: Record) -> str:
    first = next((said["content"] for said in _asked(one) if said["role"] == "user"), "…")
    return " ".join(first.split())[:_TITLE]


def _unreadable(cannot: Exception) -> Response:
    log.warning("The record cannot be read for /chat: %s", cannot)
    return JSONResponse({"error": {"code": "record_unreadable"}}, 503)
