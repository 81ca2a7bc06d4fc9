import pytest

from exchange.call import Call
from exchange.decision import Allow, Decision, Deny
from exchange.principal import Principal
from policies.rules import rulebook_from
from settings.schema import Policies, Profile


def answer(
    rules: list[dict[str, object]], domain: str | None, operation: str, model: str | None, profile: Profile = "gateway"
) -> Decision:
    book = rulebook_from(Policies.model_validate({"rules": rules}), profile)
    call = Call(operation, model, stream=False, inspected=True)  # type: ignore[arg-type] # a table of plain words
    return book.decide(Principal("ann", None, domain, "own"), call, "openai")


EVERYONE: dict[str, object] = {
    "name": "everyone",
    "domains": ["example.com"],
    "models": ["gpt-4o*"],
    "operations": ["chat", "responses"],
}
NO_AUDIO: dict[str, object] = {"name": "no-audio", "action": "deny", "models": ["*audio*"]}


@pytest.mark.parametrize(
    ("rules", "domain", "operation", "model", "code"),
    [
        ([EVERYONE], "example.com", "chat", "gpt-4o-mini", None),
        ([EVERYONE], "example.com", "responses", "gpt-4o", None),
        ([EVERYONE], "example.com", "chat", "o3", "model_not_allowed"),
        ([EVERYONE], "example.com", "chat", "GPT-4o", "model_not_allowed"),
        ([EVERYONE], "example.com", "chat", "xgpt-4o", "model_not_allowed"),
        ([EVERYONE], "example.com", "chat", "o3\ngpt-4o", "model_not_allowed"),
        ([EVERYONE], "example.com", "chat", None, "model_not_allowed"),
        ([EVERYONE], "example.com", "embeddings", "gpt-4o", "operation_not_allowed"),
        ([EVERYONE], "example.com", "other", None, "path_not_allowed"),
        ([EVERYONE], "other.example", "chat", "gpt-4o", "domain_not_allowed"),
        ([EVERYONE], None, "chat", "gpt-4o", "domain_not_allowed"),
        ([EVERYONE, NO_AUDIO], "example.com", "chat", "gpt-4o-audio", "rule_denied"),
        ([NO_AUDIO], "example.com", "chat", "gpt-4o", "domain_not_allowed"),
        ([], "example.com", "chat", "gpt-4o", "domain_not_allowed"),
        ([{"name": "all"}], "example.com", "chat", "anything", None),
        ([{"name": "all"}], "example.com", "other", None, "path_not_allowed"),
        ([{"name": "all", "operations": ["other"]}], "example.com", "other", None, None),
        ([{"name": "none", "models": []}], "example.com", "chat", "gpt-4o", "model_not_allowed"),
        ([{"name": "elsewhere", "providers": ["groq"]}], "example.com", "chat", "gpt-4o", "domain_not_allowed"),
    ],
)
def test_what_no_rule_allows_is_denied_in_a_gateway(
    rules: list[dict[str, object]], domain: str | None, operation: str, model: str | None, code: str | None
) -> None:
    decision = answer(rules, domain, operation, model)

    assert (decision.code if isinstance(decision, Deny) else None) == code


EVIL_OUT: dict[str, object] = {"name": "out", "domains": ["evil.example"], "action": "deny"}
ALL: dict[str, object] = {"name": "all"}
OTHERS_TOO: dict[str, object] = {"name": "others", "operations": ["chat", "other"]}


@pytest.mark.parametrize(
    ("rules", "domain", "operation", "model", "code"),
    [
        ([OTHERS_TOO, EVIL_OUT], "evil.example", "other", None, "rule_denied"),
        ([OTHERS_TOO, EVIL_OUT], "evil.example", "other", "o3", "rule_denied"),
        ([OTHERS_TOO, EVIL_OUT], "example.com", "other", None, None),
        ([OTHERS_TOO, NO_AUDIO], "example.com", "other", "gpt-audio", "rule_denied"),
        ([OTHERS_TOO, NO_AUDIO], "example.com", "other", "gpt-4o", None),
        ([OTHERS_TOO, NO_AUDIO], "example.com", "other", None, None),  # files, lists of models: nothing answers
        # A stored prompt, an assistant or a response that goes on brings a model that is named nowhere.
        ([ALL, NO_AUDIO], "example.com", "responses", None, "rule_denied"),
        ([ALL, {**NO_AUDIO, "operations": ["chat"]}], "example.com", "responses", None, None),
        ([ALL, NO_AUDIO], "example.com", "chat", "gpt-4o", None),
    ],
)
def test_what_a_rule_denies_no_other_path_and_no_missing_name_leads_to(
    rules: list[dict[str, object]], domain: str, operation: str, model: str | None, code: str | None
) -> None:
    for profile in ("gateway", "local"):
        decision = answer(rules, domain, operation, model, profile)
        assert (decision.code if isinstance(decision, Deny) else None) == code


def test_a_rule_says_whether_what_was_said_is_kept() -> None:
    book = rulebook_from(Policies.model_validate({"rules": [EVERYONE, {**NO_AUDIO, "record": "metadata"}]}), "gateway")

    assert [book.keeps_content(rule) for rule in ("everyone", "no-audio", None)] == [True, False, True]


def test_every_model_that_may_answer_must_be_allowed() -> None:
    book = rulebook_from(Policies.model_validate({"rules": [EVERYONE, NO_AUDIO]}), "gateway")

    def code(*others: str) -> str | None:
        call = Call("chat", "gpt-4o", stream=False, inspected=True, other_models=others)
        decision = book.decide(Principal("ann", None, "example.com", "own"), call, "openai")
        return decision.code if isinstance(decision, Deny) else None

    assert code("gpt-4o-mini") is None
    assert code("gpt-4o-mini", "o3") == "model_not_allowed"
    assert code("gpt-4o-audio") == "rule_denied"
    assert code("") == "model_not_allowed"


def test_a_laptop_denies_only_what_a_rule_denies() -> None:
    assert answer([], None, "chat", "gpt-4o", "local") == Allow("profile/local")
    assert answer([EVERYONE], None, "other", None, "local") == Allow("profile/local")
    assert answer([NO_AUDIO], None, "chat", "gpt-audio", "local") == Deny("rule_denied", rule="no-audio")


def test_the_first_rule_that_denies_wins_over_every_rule_that_allows() -> None:
    first, second = {**NO_AUDIO, "name": "first"}, {**NO_AUDIO, "name": "second"}

    assert answer([EVERYONE, first, second], "example.com", "chat", "gpt-4o-audio") == Deny("rule_denied", rule="first")


def test_the_digest_names_the_wording_of_the_rules() -> None:
    one, same, other = (
        rulebook_from(Policies.model_validate({"rules": r}), "gateway").digest for r in ([EVERYONE], [EVERYONE], [])
    )

    assert one == same != other
    assert one.startswith("sha256:")


def test_a_connection_is_admitted_where_some_model_may_be_called() -> None:
    ann = Principal("ann", None, "example.com", "own")
    closed = {"name": "closed", "action": "deny"}
    book = rulebook_from(Policies.model_validate({"rules": [EVERYONE, NO_AUDIO]}), "gateway")
    assert book.admits(ann, "responses", "openai") == Allow("everyone")
    assert isinstance(book.admits(ann, "moderation", "openai"), Deny)
    book = rulebook_from(Policies.model_validate({"rules": [EVERYONE, closed]}), "gateway")
    assert isinstance(book.admits(ann, "responses", "openai"), Deny)


RESEARCH: dict[str, object] = {"name": "research", "groups": ["research", "labs"], "models": ["o3"]}
NO_GUESTS: dict[str, object] = {"name": "no-guests", "groups": ["guests"], "action": "deny"}


@pytest.mark.parametrize(
    ("rules", "groups", "model", "code"),
    [
        ([RESEARCH], ("research",), "o3", None),
        ([RESEARCH], ("staff", "labs"), "o3", None),
        ([RESEARCH], ("staff",), "o3", "group_not_allowed"),
        ([RESEARCH], (), "o3", "group_not_allowed"),
        ([RESEARCH], ("Research",), "o3", "group_not_allowed"),  # as the issuer writes it
        ([RESEARCH], ("research",), "gpt-4o", "model_not_allowed"),
        ([RESEARCH, EVERYONE], (), "gpt-4o", None),
        ([RESEARCH, EVERYONE], (), "o3", "model_not_allowed"),
        ([EVERYONE, NO_GUESTS], ("guests",), "gpt-4o", "rule_denied"),
        ([EVERYONE, NO_GUESTS], ("staff",), "gpt-4o", None),
        ([{**RESEARCH, "groups": []}], ("research",), "o3", "group_not_allowed"),
        ([{**RESEARCH, "domains": ["other.example"]}], ("research",), "o3", "domain_not_allowed"),
    ],
)
def test_a_rule_for_groups_is_for_who_is_in_one_of_them(
    rules: list[dict[str, object]], groups: tuple[str, ...], model: str, code: str | None
) -> None:
    book = rulebook_from(Policies.model_validate({"rules": rules}), "gateway")
    who = Principal("ann", None, "example.com", "own", groups)
    answers = [
        book.decide(who, Call("chat", model, stream=False, inspected=True), "openai"),
        book.decide(who, Call("chat", "gpt-4o", stream=False, inspected=True, other_models=(model,)), "openai"),
    ]

    assert getattr(answers[0], "code", None) == code
    if isinstance(answers[0], Deny):  # nor as the fallback of a call that may be
        assert isinstance(answers[1], Deny)


def test_a_connection_is_admitted_by_groups_as_a_call_is() -> None:
    book = rulebook_from(Policies.model_validate({"rules": [RESEARCH]}), "gateway")
    admitted = [
        isinstance(book.admits(Principal("ann", None, "example.com", "own", groups), "responses", "openai"), Allow)
        for groups in (("labs",), ())
    ]

    assert admitted == [True, False]
