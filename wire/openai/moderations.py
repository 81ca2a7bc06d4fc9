"""Moderations. Source: OpenAI API reference, "Moderations"."""

from collections.abc import Mapping

from exchange.call import Json, Text
from exchange.reply import Reply
from wire.api import Api
from wire.fields import mapping, string
from wire.openai.turns import part_texts
from wire.openai.unstreamed import LastPayload


def whole(body: Json) -> Reply:
    """The answer as it is."""
    told = mapping(body)
    failed = told.get("error") is not None and not told.get("results")
    return Reply(
        response=body, ended="failed" if failed else "terminal", response_model=string(told.get("model")) or None
    )


def texts(body: Json) -> tuple[Text, ...]:
    """What is to be judged: a string, strings, or parts."""
    return tuple(part_texts(mapping(body).get("input"), "user"))


def streams(_: Mapping[str, Json]) -> bool:
    """Never."""
    return False


API = Api(operation="moderation", folder=lambda: LastPayload(whole), whole=whole, texts=texts, streams=streams)
