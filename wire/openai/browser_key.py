"""The key of a browser's WebSocket, which can set no header: it rides among the subprotocols.

Source: OpenAI, "Realtime API with WebSocket": `openai-insecure-api-key.KEY`.
"""

from typing import Final

from wire.websocket.handshake import PROTOCOL, listed

type Fields = tuple[tuple[bytes, bytes], ...]

_PREFIX: Final = b"openai-insecure-api-key."


def with_bearer(fields: Fields) -> Fields:
    """The same fields with the key in `Authorization`, where every other caller has it, and no longer among the
    subprotocols. A second `Authorization` that this makes is refused as any other."""
    offered = listed(fields, PROTOCOL)
    keys = [each.removeprefix(_PREFIX) for each in offered if each.startswith(_PREFIX)]
    if not keys:
        return fields
    others = [each for each in offered if not each.startswith(_PREFIX)]
    kept = tuple(field for field in fields if field[0].lower() != PROTOCOL)
    chosen = ((b"Sec-WebSocket-Protocol", b", ".join(others)),) if others else ()
    return (*kept, *chosen, *((b"Authorization", b"Bearer " + key) for key in keys))
