"""A browser in front of the console as an ASGI application: keeps cookies, follows nothing, comes from anywhere."""

from dataclasses import dataclass, field
from typing import Any

import httpx2
from starlette.applications import Starlette


@dataclass
class Visitor:
    """`peer` is the address that connects, `host` what it sends as Host."""

    app: Starlette
    host: str = "127.0.0.1:8090"
    peer: str = "127.0.0.1"
    language: str = "en"
    cookies: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **more: Any) -> httpx2.Response:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, form: dict[str, str], **more: Any) -> httpx2.Response:
        return await self.ask("POST", path, data=form, **more)

    async def ask(
        self, method: str, path: str, *, host: str | None = None, peer: str | None = None, **more: Any
    ) -> httpx2.Response:
        said = {
            "host": host or self.host,
            "accept": "text/html",
            "accept-language": self.language,
            "cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            **more.pop("headers", {}),
        }
        transport = httpx2.ASGITransport(app=self.app, client=(peer or self.peer, 50_000))
        async with httpx2.AsyncClient(transport=transport, base_url="http://console") as client:
            answer = await client.request(method, path, headers=said, **more)
        for line in answer.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            value, _, attributes = rest.partition(";")
            if "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer
