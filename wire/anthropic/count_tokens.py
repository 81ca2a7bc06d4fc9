"""Anthropic token counting (`/v1/messages/count_tokens`): a request like a message's, answered by a number.

Nothing is generated, so the answer's `input_tokens` is no usage.
"""

from exchange.call import Json
from exchange.reply import Reply
from wire.anthropic.messages import MessageFolder, texts
from wire.api import Api


def whole(body: Json) -> Reply:
    """The answer as it is."""
    return Reply(response=body, ended="terminal")


API = Api(operation="other", folder=MessageFolder, whole=whole, texts=texts, streams=lambda _: False)
