"""What a checkpoint needs of mitmproxy's HTTP layers and stock 12.2 does not do: all of it, in this one room.

Subclasses of its layers, put in place by `CheckpointHttp`, and two names replaced by `install`. Each says what
mitmproxy would have to offer for it to go; tests/attacks/test_canaries.py fails when one of the internals moves.

CallerConnection   Heads without bounds in size, number of lines and time; request trailers crash (#2474); a body is
                   read before anybody may say no, and `100 Continue` is sent to a request that will be refused; a
                   connection closed while the peer still sends is neither read nor ended. Heads and bodies are read,
                   and answers written, by the express lane's own code instead: both lanes judge the same bytes.
                   It could go with: limits and deadlines as options, a hook that refuses before the body, a closing
                   that lingers (RFC 9112 §9.6), trailers.
CheckpointStream   `requestheaders` cannot answer; errors are told in HTML with the resolver's words; a refused key
                   cannot be replaced. It could go with: an answer set in `requestheaders` that is final, a hook for
                   what errors look like, one that sends a request again.
ProviderConnection Heads are read leniently and without bounds, interim replies (RFC 9110 §15.2) are taken for the
                   reply, trailers crash, an unasked `101` opens a tunnel. Replies, too, are read by the express lane's
                   code.
                   It could go with: a strict reader, and those fixed.
CallStream         A call of gRPC: a body that goes on as it comes is not seen by `request` before. It could go with: a
                   hook between the head and a streamed body, and one that may wait for each part.
ProviderStreams    HTTP/2 towards providers, for gRPC: see its file.
CheckpointHandler  Nothing stops a caller who sends ahead while a hook waits; no deadline on connecting; half-closing
                   TLS raises; a reset looks like an end; upstreams are dialled at one address, and straight. It could
                   go with: back-pressure from layers, a connect timeout, an event that says how a connection ended, a
                   dialler that one may bring.
CheckpointTop      `NextLayer` guesses the protocol from the first bytes, with raw TCP among the guesses. It could go
                   with: a reverse mode that is HTTP and nothing else.
"""

from mitmproxy.proxy.layers import http as http_layers

from lanes import pinned
from lanes.mitm.hardening.call_stream import CallStream
from lanes.mitm.hardening.caller import CallerConnection
from lanes.mitm.hardening.handler import NOT_ASKED_FOR, CheckpointHandler
from lanes.mitm.hardening.provider import ProviderConnection
from lanes.mitm.hardening.provider_streams import ProviderStreams
from lanes.mitm.hardening.stream import CheckpointStream
from lanes.mitm.hardening.top import CheckpointHttp, CheckpointTop

__all__ = [
    "NOT_ASKED_FOR",
    "CallStream",
    "CallerConnection",
    "CheckpointHandler",
    "CheckpointHttp",
    "CheckpointStream",
    "CheckpointTop",
    "ProviderConnection",
    "ProviderStreams",
    "install",
]


def install() -> None:
    """Replace mitmproxy's HTTP/1 and HTTP/2 clients by ours, in this process. Calling it again changes nothing.

    Raises:
        UnknownVersion: this is not the line of mitmproxy whose internals were read.
    """
    pinned.check_version()
    # The names that HttpClient looks up.
    http_layers.Http1Client = ProviderConnection  # type: ignore[assignment,attr-defined]
    http_layers.Http2Client = ProviderStreams  # type: ignore[assignment,attr-defined]
