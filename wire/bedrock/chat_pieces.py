"""Models on Bedrock that stream chat completion chunks (OpenAI's open weights, and others of that format)."""

import json
from dataclasses import replace

from exchange.reply import Reply
from wire.api import Event
from wire.bedrock.pieces import METRICS
from wire.extra import Extra
from wire.fields import Object, mapping
from wire.openai import chat


class ChatPieces:
    """Chunks in, one chat completion out. Terminal is the chunk with the invocation metrics, whatever the model."""

    def __init__(self, extra: Extra) -> None:
        self._folder = chat.API.folder()
        self._extra = extra
        self._measured = False

    def add_payload(self, payload: Object) -> None:
        """One chunk as JSON."""
        metrics = payload.pop(METRICS, None)
        if metrics is not None:
            self._measured = True
            self._extra.put(METRICS, metrics)
        if payload:
            self._folder.add(Event(json.dumps(payload)))

    def close(self) -> Reply:
        reply = self._folder.close()
        response = mapping(reply.response)
        known, own = mapping(response.get("_extra")), mapping(self._extra.on({}).get("_extra"))
        if known or own:
            response = {**response, "_extra": {**own, **known}}
        if reply.ended == "failed" or self._extra.errors:
            return replace(reply, response=response, ended="failed")
        return replace(reply, response=response, ended="terminal" if self._measured else reply.ended)
