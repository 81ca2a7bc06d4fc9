"""What an exchange cost, by the published prices that ship with genai-prices."""

import logging
from datetime import UTC, datetime

from genai_prices import Usage as PricedUsage
from genai_prices import calc_price

from exchange.reply import Usage

log = logging.getLogger(__name__)

_PROVIDERS = {
    "openai": "openai",
    "azure": "azure",
    "anthropic": "anthropic",
    "gemini": "google",
    "bedrock": "aws",
}


class Prices:
    """Prices by provider and model. A model nobody knows costs None, never zero, and is named once in the log."""

    def __init__(self) -> None:
        self._unknown: set[tuple[str, str]] = set()

    def cost(self, provider: str, dialect: str, model: str | None, usage: Usage, at: int) -> float | None:
        """US dollars, or None where model or usage is unknown. `at` is microseconds since 1970."""
        if model is None or (usage.input_tokens is None and usage.output_tokens is None):
            return None
        if (provider, model) in self._unknown:
            return None
        try:
            priced = PricedUsage(
                input_tokens=usage.input_tokens or 0,
                output_tokens=usage.output_tokens or 0,
                cache_read_tokens=usage.cached_input_tokens or None,
            )
        except ValueError as wrong:  # a provider counted less than nothing, or more cached than there was
            log.warning("The usage that %s gave for %s has no price: %s", provider, model, wrong)
            return None
        when = datetime.fromtimestamp(at / 1e6, tz=UTC)
        for known_as in dict.fromkeys((provider, _PROVIDERS.get(dialect))):
            try:
                return float(calc_price(priced, model, provider_id=known_as, genai_request_timestamp=when).total_price)
            except (LookupError, ValueError):
                continue
        self._unknown.add((provider, model))
        log.warning("No price is known for %s of %s: cost_usd is null.", model, provider)
        return None
