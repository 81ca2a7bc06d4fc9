"""May they? The answer, and every code it can carry."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allow:
    """It may pass; `rule` names what said so."""

    rule: str


@dataclass(frozen=True, slots=True)
class Deny:
    """It may not. Callers are told the code's sentence (see CODES); `reason` is for the record alone."""

    code: str
    rule: str | None = None
    reason: str | None = None


type Decision = Allow | Deny


@dataclass(frozen=True, slots=True)
class Code:
    """What a caller is told: HTTP status, the error `type` of the OpenAI shape, one plain sentence, and whether
    trying again can help (`x-should-retry`, which the official SDKs obey), and after how many seconds."""

    status: int
    type: str
    message: str
    retry: bool = False
    retry_after: int | None = None


_BAD = "invalid_request_error"
_WHO = "authentication_error"
_MAY = "permission_error"
_OURS = "server_error"

CODES: dict[str, Code] = {
    # who
    "missing_identity": Code(401, _WHO, "No signed identity came with this request."),
    "invalid_token": Code(401, _WHO, "The identity token is not valid."),
    "expired_token": Code(401, _WHO, "The identity token has expired."),
    "token_lifetime_too_long": Code(401, _WHO, "The identity token is valid for longer than is accepted here."),
    "email_not_verified": Code(403, _MAY, "The issuer has not verified this e-mail address."),
    "subject_not_allowed": Code(403, _MAY, "This identity is not admitted."),
    "domain_not_allowed": Code(403, _MAY, "This mail domain is not admitted."),
    "conflicting_identity": Code(400, _BAD, "More than one identity came with this request."),
    "identity_keys_unavailable": Code(503, _OURS, "The issuer's keys cannot be had at the moment.", retry=True),
    # may they
    "operation_not_allowed": Code(403, _MAY, "This operation is not allowed here."),
    "path_not_allowed": Code(403, _MAY, "This path is not allowed here."),
    "group_not_allowed": Code(403, _MAY, "None of your groups is allowed this here."),
    "model_not_allowed": Code(403, _MAY, "This model is not allowed here."),
    "rule_denied": Code(403, _MAY, "A rule of this checkpoint forbids this call."),
    "unknown_provider": Code(404, _BAD, "No provider answers under this path."),
    "destination_not_allowed": Code(403, _MAY, "This destination is not allowed here."),
    "cross_site": Code(403, _MAY, "This request comes from the page of another site."),
    "https_required": Code(421, _BAD, "This host answers over https alone."),
    # the shape of the request
    "bad_request": Code(400, _BAD, "The request is not well-formed HTTP/1.1."),
    "bad_header": Code(400, _BAD, "A header of this request is not acceptable."),
    "duplicate_header": Code(400, _BAD, "A header that may come once came twice."),
    "absolute_form": Code(400, _BAD, "Name the path only, not a whole address."),
    "bad_path": Code(400, _BAD, "The path is not acceptable."),
    "bad_http_version": Code(400, _BAD, "Speak HTTP/1.1."),
    "bad_transfer_encoding": Code(400, _BAD, "Only `chunked` is accepted as transfer encoding."),
    "trailers_not_supported": Code(400, _BAD, "Trailers are not accepted."),
    "connect_not_allowed": Code(400, _BAD, "This is no forward proxy."),
    "connect_body": Code(400, _BAD, "A CONNECT carries no body."),
    "host_mismatch": Code(400, _BAD, "The Host header names another host than the connection."),
    "sni_mismatch": Code(421, _BAD, "TLS names another host than the connection."),
    "plain_http": Code(400, _BAD, "Use https:// for this host."),
    "not_tls": Code(400, _BAD, "Speak TLS after CONNECT."),
    "method_not_allowed": Code(405, _BAD, "This method is not allowed here."),
    "upgrade_not_allowed": Code(
        400, _BAD, "No upgrade but to a WebSocket is allowed: speak HTTP/1.1 (Java's HttpClient: version(HTTP_1_1))."
    ),
    "websocket_not_supported": Code(426, _BAD, "This WebSocket is not accepted here; use HTTP."),
    "bad_websocket": Code(400, _BAD, "The WebSocket handshake is not acceptable (RFC 6455)."),
    "websocket_violation": Code(400, _BAD, "A frame breaks the WebSocket protocol (RFC 6455)."),
    "header_timeout": Code(408, _BAD, "The request took too long to arrive.", retry=True),
    "body_timeout": Code(408, _BAD, "The request's body took too long to arrive.", retry=True),
    "headers_too_large": Code(431, _BAD, "The request's headers are too large."),
    "body_too_large": Code(413, _BAD, "The request's body is too large."),
    "content_encoding_not_supported": Code(415, _BAD, "Send the body as it is, or one gzip or zstd member."),
    "media_type_not_supported": Code(415, _BAD, "This API takes application/json."),
    "bad_encoding": Code(400, _BAD, "The body does not decode as its Content-Encoding says."),
    "not_utf8": Code(400, _BAD, "The body is not UTF-8."),
    "bom": Code(400, _BAD, "The body begins with a byte order mark."),
    "invalid_json": Code(400, _BAD, "The body is not valid JSON."),
    "json_not_object": Code(400, _BAD, "The body must be a JSON object."),
    "duplicate_json_key": Code(400, _BAD, "A key stands twice in one JSON object."),
    "nonfinite_number": Code(400, _BAD, "A number in the body is not finite."),
    "number_too_long": Code(400, _BAD, "A number in the body has too many digits."),
    "bad_model": Code(400, _BAD, "The model's name is too long, or has characters that no name has."),
    "json_too_deep": Code(400, _BAD, "The body is nested too deeply."),
    "json_too_large": Code(413, _BAD, "The body holds more values than are read here."),
    "lone_surrogate": Code(400, _BAD, "A name in the body holds half a character."),
    "bad_multipart": Code(400, _BAD, "The multipart body is not acceptable."),
    # our own faults: they refuse
    "undecided": Code(500, _OURS, "The checkpoint could not decide on this request."),
    "checkpoint_error": Code(500, _OURS, "The checkpoint failed on this request."),
    "audit_unavailable": Code(503, _OURS, "The record cannot be written at the moment.", retry=True),
    "overloaded": Code(503, _OURS, "Too many connections, or too much in them, at the moment.", retry=True),
    "shutting_down": Code(503, _OURS, "The checkpoint is shutting down.", retry=True),
    # the other side
    "upstream_credential_unavailable": Code(
        503, _OURS, "The checkpoint's own key for the provider cannot be had at the moment.", retry=True, retry_after=5
    ),
    "upstream_unreachable": Code(502, _OURS, "The checkpoint could not reach the provider.", retry=True),
    "upstream_proxy_failed": Code(
        502, _OURS, "The proxy between the checkpoint and the provider did not let it through.", retry=True
    ),
    "upstream_timeout": Code(504, _OURS, "The provider did not answer in time.", retry=True),
}
"""Every code a caller can be told. Stable: programs rely on them (docs/codes.md is made from this table)."""
