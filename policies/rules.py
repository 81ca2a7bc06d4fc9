"""Which domain may call which models with which operations: a list of rules that a security officer can read."""

import fnmatch
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from exchange.call import Call
from exchange.decision import Allow, Decision, Deny
from exchange.principal import Principal
from exchange.scope import Scope
from policies.scope import beyond, beyond_call
from settings.schema import Policies, Profile, Rule

_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A rule made ready. None where it names nothing, and so does not look."""

    name: str
    denies: bool
    domains: frozenset[str] | None
    groups: frozenset[str] | None
    providers: frozenset[str] | None
    operations: frozenset[str] | None
    model: re.Pattern[str] | None

    def concerns(self, domain: str | None, groups: frozenset[str], provider: str) -> bool:
        return self._is_for(domain, provider) and (self.groups is None or not self.groups.isdisjoint(groups))

    def concerns_others(self, domain: str | None, provider: str) -> bool:
        """It would, for whoever is in its groups."""
        return self.groups is not None and self._is_for(domain, provider)

    def _is_for(self, domain: str | None, provider: str) -> bool:
        return (self.domains is None or domain in self.domains) and (
            self.providers is None or provider in self.providers
        )

    def covers_operation(self, operation: str) -> bool:
        """`other` is what nobody could read: to allow it a rule must name it; to be denied it need not be named."""
        if self.operations is None:
            return self.denies or operation != "other"
        return operation in self.operations

    def covers_model(self, model: str | None, operation: str) -> bool:
        if self.model is None:
            return True
        if model is not None:
            return self.model.fullmatch(model) is not None
        if operation == "other":  # most of it is answered by no model: only a rule that names it means all of it
            return self.operations is not None
        # A stored prompt, an assistant, a response that goes on: any model may answer, so a denied one as well.
        return self.denies


def _compiled(rule: Rule) -> _Compiled:
    # One alternation over all globs: case-sensitive, over the whole name (RECORD.md).
    globs = None if rule.models is None else re.compile("|".join(fnmatch.translate(g) for g in rule.models) or r"(?!)")
    return _Compiled(
        name=rule.name,
        denies=rule.action == "deny",
        domains=None if rule.domains is None else frozenset(d.lower() for d in rule.domains),
        groups=None if rule.groups is None else frozenset(rule.groups),
        providers=None if rule.providers is None else frozenset(rule.providers),
        operations=None if rule.operations is None else frozenset(rule.operations),
        model=globs,
    )


def decide(
    domain: str | None,
    groups: frozenset[str],
    provider: str,
    operation: str,
    model: str | None,
    rules: Sequence[_Compiled],
    *,
    open_by_default: bool,
) -> Decision:
    """The first rule that denies wins; then the first that allows; then what the profile says of the unsaid."""
    concerned = [rule for rule in rules if rule.concerns(domain, groups, provider)]
    fitting = [r for r in concerned if r.covers_operation(operation) and r.covers_model(model, operation)]
    for rule in fitting:
        if rule.denies:
            return Deny("rule_denied", rule=rule.name)
    for rule in fitting:
        return Allow(rule.name)
    if open_by_default:
        return Allow("profile/local")
    allowing = [rule for rule in concerned if not rule.denies]
    if not allowing and any(rule.concerns_others(domain, provider) for rule in rules if not rule.denies):
        return Deny(
            "group_not_allowed", reason="rules let groups of this domain call this provider, and none of theirs"
        )
    if not allowing:
        return Deny("domain_not_allowed", reason="no rule speaks of this domain and provider")
    if not any(rule.covers_operation(operation) for rule in allowing):
        if operation == "other":
            return Deny("path_not_allowed", reason="nobody knows this path, and no rule names the operation `other`")
        return Deny("operation_not_allowed", reason=f"no rule lets this domain use {operation}")
    return Deny("model_not_allowed", reason=f"no rule lets this domain use this model with {operation}")


class RuleBook:
    """The rules of one settings file, ready to be asked. The same question is worked out once."""

    def __init__(self, rules: Sequence[Rule], *, open_by_default: bool, digest: str) -> None:
        compiled = tuple(_compiled(rule) for rule in rules)
        self.digest = digest
        self._groups = frozenset(group for rule in rules for group in rule.groups or ())
        self._without_content = frozenset(rule.name for rule in rules if rule.record == "metadata")

        @lru_cache(maxsize=_REMEMBERED)
        def answer(
            domain: str | None, groups: frozenset[str], provider: str, operation: str, model: str | None
        ) -> Decision:
            return decide(domain, groups, provider, operation, model, compiled, open_by_default=open_by_default)

        @lru_cache(maxsize=_REMEMBERED)
        def some(domain: str | None, groups: frozenset[str], provider: str, operation: str) -> Decision:
            whatever = tuple(
                replace(rule, model=None) for rule in compiled if not (rule.denies and rule.model is not None)
            )
            return decide(domain, groups, provider, operation, None, whatever, open_by_default=open_by_default)

        self._answer: Callable[[str | None, frozenset[str], str, str, str | None], Decision] = answer
        self._some: Callable[[str | None, frozenset[str], str, str], Decision] = some

    def keeps_content(self, rule: str | None) -> bool:
        """Is what was said kept of an exchange that this rule decided on?"""
        return rule not in self._without_content

    def decide(self, who: Principal, call: Call, provider: str, scope: Scope | None = None) -> Decision:
        """May this caller make this call of this provider? With fallbacks: only if it may with each of them. `scope` is
        what their token is for."""
        if scope is not None and (denied := beyond_call(scope, call)) is not None:
            return denied
        groups = self._named(who)
        decision = self._answer(who.domain, groups, provider, call.operation, call.request_model)
        for model in call.other_models:
            if isinstance(decision, Deny):
                break
            other = self._answer(who.domain, groups, provider, call.operation, model)
            decision = other if isinstance(other, Deny) else decision
        return decision

    def admits(self, who: Principal, operation: str, provider: str, scope: Scope | None = None) -> Decision:
        """May this caller come in for such calls at all? For a connection whose messages name their models, each of
        which is decided on when it comes."""
        if scope is not None and (denied := beyond(scope, operation, ())) is not None:
            return denied
        return self._some(who.domain, self._named(who), provider, operation)

    def _named(self, who: Principal) -> frozenset[str]:
        """Their groups, as far as a rule names them: all others make no difference, and would be questions of their
        own."""
        return self._groups.intersection(who.groups) if self._groups else self._groups


def rulebook_from(policies: Policies, profile: Profile) -> RuleBook:
    """The rule book of these settings. `digest` names its exact wording (`sha256:…`) for the record."""
    written = policies.model_dump_json().encode()
    return RuleBook(
        policies.rules,
        open_by_default=profile == "local",
        digest="sha256:" + hashlib.sha256(profile.encode() + b"\0" + written).hexdigest(),
    )
