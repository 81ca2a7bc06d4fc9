"""A refusal in the called API's own shape, so that its official SDK raises its own typed error.

Every shape carries `error.message`, `error.type`, `error.code` and `error.param`; what a provider adds stands beside.
Sources: OpenAI "Error codes", Anthropic "Errors", Google AIP-193, Amazon Bedrock "Common errors", Cohere "Errors".
"""

from typing import Final

import msgspec

from exchange.call import Json
from exchange.decision import CODES, Code
from wire.api import Dialect

_ANTHROPIC_TYPES: Final = {404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error"}
_GOOGLE_STATUS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_AMAZON_TYPES: Final = {
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


def refusal_body(
    dialect: Dialect, code: str, request_id: str, *, message: str | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a refusal. `code` is one of exchange.decision.CODES; any other is a fault of ours
    and is answered as `checkpoint_error`, for a refusal has to go out whatever happens. `message` stands in place of
    the code's own sentence."""
    if code not in CODES:
        code = "checkpoint_error"
    meaning = CODES[code]
    message = message or meaning.message
    headers = {
        "content-type": "application/json",
        "cache-control": "no-store",
        "x-request-id": request_id,
        "x-should-retry": "true" if meaning.retry else "false",
    }
    if meaning.retry_after is not None:
        headers["retry-after"] = str(meaning.retry_after)
    if meaning.status == 401:
        headers["www-authenticate"] = "Bearer"
    error: dict[str, Json] = {"message": message, "type": meaning.type, "param": None, "code": code}
    body: dict[str, Json] = {"error": error}
    if dialect == "anthropic":
        error["type"] = _anthropic_type(meaning)
        body = {"type": "error", "error": error, "request_id": request_id}
        headers["request-id"] = request_id
    elif dialect == "gemini":
        error["status"] = _GOOGLE_STATUS.get(meaning.status, "FAILED_PRECONDITION")
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code.upper()}]
    elif dialect == "bedrock":
        body["message"] = message
        headers["x-amzn-errortype"] = _AMAZON_TYPES.get(meaning.status, "ValidationException")
        headers["x-amzn-requestid"] = request_id
    elif dialect == "cohere":
        body["message"] = message
    return meaning.status, headers, msgspec.json.encode(body)


def _anthropic_type(code: Code) -> str:
    if code.status in _ANTHROPIC_TYPES:
        return _ANTHROPIC_TYPES[code.status]
    if code.status == 503:
        return "overloaded_error"
    return "api_error" if code.status >= 500 else code.type
