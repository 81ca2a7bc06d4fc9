"""The design this project grew from, as a peer: one Django view, httpx to the provider, a row in SQLite afterwards.

Run by benchmarks.variants in a venv of its own; imports nothing of ours.
"""

import os
import time
from collections.abc import AsyncIterator
from typing import Any

import django  # type: ignore[import-not-found, unused-ignore] # lives in a venv of its own
import httpx  # type: ignore[import-not-found, unused-ignore]
from django.conf import settings  # type: ignore[import-not-found, unused-ignore]

settings.configure(
    SECRET_KEY="bench",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="django_peer",
    MIDDLEWARE=[],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["PEER_DATABASE"],
            "OPTIONS": {"init_command": "pragma journal_mode=wal; pragma synchronous=normal;", "timeout": 20},
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATA_UPLOAD_MAX_MEMORY_SIZE=64 << 20,
    LOGGING_CONFIG=None,
)
django.setup()

from django.core.asgi import get_asgi_application  # type: ignore[import-not-found, unused-ignore] # noqa: E402
from django.db import connection, models  # type: ignore[import-not-found, unused-ignore] # noqa: E402
from django.http import HttpResponse, StreamingHttpResponse  # type: ignore[import-not-found, unused-ignore] # noqa: E402
from django.urls import re_path  # type: ignore[import-not-found, unused-ignore] # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # type: ignore[import-not-found, unused-ignore] # noqa: E402


class Exchange(models.Model):  # type: ignore[misc, unused-ignore]
    at = models.FloatField()
    path = models.TextField()
    status = models.IntegerField()
    request = models.BinaryField()
    response = models.BinaryField()

    class Meta:
        app_label = "peer"


with connection.schema_editor() as editor:
    editor.create_model(Exchange)

_OWN = {"host", "content-length", "connection"}
_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "date"}
_client: Any = None


async def _keep(path: str, status: int, request: bytes, response: bytes) -> None:
    await Exchange.objects.acreate(at=time.time(), path=path, status=status, request=request, response=response)


@csrf_exempt  # type: ignore[untyped-decorator, unused-ignore]
async def forward(request: Any) -> Any:
    global _client
    if _client is None:
        limits = httpx.Limits(max_connections=2000, max_keepalive_connections=2000)
        _client = httpx.AsyncClient(base_url=os.environ["PEER_UPSTREAM"], timeout=120, limits=limits)
    headers = {k: v for k, v in request.headers.items() if k.lower() not in _OWN}
    body = request.body
    asked = _client.build_request(request.method, request.get_full_path(), headers=headers, content=body)
    reply = await _client.send(asked, stream=True)
    back = {k: v for k, v in reply.headers.items() if k.lower() not in _HOP}
    if "event-stream" not in reply.headers.get("content-type", ""):
        data = await reply.aread()
        await reply.aclose()
        await _keep(request.path, reply.status_code, body, data)
        return HttpResponse(data, status=reply.status_code, headers=back)

    async def passing() -> AsyncIterator[bytes]:
        kept = []
        try:
            async for chunk in reply.aiter_raw():
                kept.append(chunk)
                yield chunk
        finally:
            await reply.aclose()
            await _keep(request.path, reply.status_code, body, b"".join(kept))

    return StreamingHttpResponse(passing(), status=reply.status_code, headers=back)


urlpatterns = [re_path(r"^.*$", forward)]
application = get_asgi_application()
