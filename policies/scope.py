"""Is a call what the token is for? A token may be for less than its owner may do, and never for more."""

import fnmatch
import re
from functools import lru_cache

from exchange.call import Call
from exchange.decision import Deny
from exchange.scope import Scope


def beyond(scope: Scope, operation: str, models: tuple[str | None, ...]) -> Deny | None:
    """Why a call of this operation is not what the token is for, if it is not. `models` are all that the call names;
    none are looked at where they are still to be named."""
    if scope.operations is not None and operation not in scope.operations:
        return Deny("operation_not_allowed", reason=f"the token is not for {operation}")
    if scope.models is not None:
        fits = _fits(scope.models)
        if any(model is None or fits.fullmatch(model) is None for model in models):
            return Deny("model_not_allowed", reason="the token is not for this model")
    return None


def beyond_call(scope: Scope, call: Call) -> Deny | None:
    """As `beyond`, for all that this call names."""
    return beyond(scope, call.operation, (call.request_model, *call.other_models))


@lru_cache(maxsize=1024)
def _fits(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(glob) for glob in globs) or r"(?!)")
