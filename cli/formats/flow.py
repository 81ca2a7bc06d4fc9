"""mitmproxy's own file: opens in mitmweb, mitmproxy and `mitmdump -nr`."""

from addons.flow_file import KeptExchange, KeptMessage, flow_bytes
from cli.formats.messages import Message, messages
from storage.sqlite.reading import AuditReader
from wire.conversation.record import read_record


class Flows:
    continues = True
    needs = "anything"

    def __init__(self, reader: AuditReader) -> None:
        self._reader = reader

    def begin(self) -> bytes:
        return b""

    def add(self, line: bytes) -> bytes:
        record = read_record(line)
        both = messages(record, self._reader)
        exact = "" if both.request.exact else "; not the exact bytes, which are not kept any more"
        began = both.began.timestamp()
        return flow_bytes(
            KeptExchange(
                id=record.id,
                method=record.method,
                url=both.url,
                client=record.client.address,
                comment=f"{record.person}: {record.operation} {record.model}, {record.outcome}{exact}",
                began=began,
                answered=began + both.waited.total_seconds() if both.waited is not None else None,
                ended=began + both.took.total_seconds(),
                request=_kept(both.request, ("host", record.host), ("user-agent", record.client.user_agent)),
                response=None if both.response is None else _kept(both.response),
                status=record.status,
                error=None if record.end_state == "complete" else record.end_state,
            )
        )

    def end(self) -> bytes:
        return b""


def _kept(message: Message, *first: tuple[str, str | None]) -> KeptMessage:
    return KeptMessage(message.headers(*first), message.content)
