"""Why somebody is not signed in: a stable code, and what they are told in English and Japanese."""

from dataclasses import dataclass
from typing import Final, Literal

Language = Literal["en", "ja"]


@dataclass(frozen=True, slots=True)
class _Told:
    status: int
    en: str
    ja: str


_TOLD: Final = {
    "login_state": _Told(
        400,
        "This sign-in was not begun in this browser, took longer than ten minutes, or was used already. Start again.",
        "このサインインは、このブラウザーで始めたものでないか、10分を過ぎたか、すでに使われています。もう一度やり直してください。",
    ),
    "login_denied": _Told(
        403,
        "The identity provider did not let you in, or you broke it off. Start again, or ask whoever looks after accounts.",
        "認証サービスがサインインを認めなかったか、途中で取りやめられました。もう一度やり直すか、アカウントの担当者にお尋ねください。",
    ),
    "login_failed": _Told(
        502,
        "The identity provider's answer cannot be used. Start again; if that does not help, the log here says why.",
        "認証サービスの応答を利用できませんでした。もう一度やり直してください。それでもだめなときは、管理者がログで理由を確認できます。",
    ),
    "issuer_mismatch": _Told(
        400,
        "The answer came from another identity provider than the one that was asked. Nothing was taken from it. "
        "Start again.",
        "問い合わせ先とは別の認証サービスから応答がありました。内容は使っていません。もう一度やり直してください。",
    ),
    "invalid_token": _Told(
        401,
        "The identity provider's signature or its details do not hold. Start again; the log here says which.",
        "認証サービスの署名または内容を確認できませんでした。もう一度やり直してください。理由はログにあります。",
    ),
    "email_not_verified": _Told(
        403,
        "Your identity provider has not verified your e-mail address. Verify it there, then sign in again.",
        "認証サービスでメールアドレスが確認されていません。確認を済ませてから、もう一度サインインしてください。",
    ),
    "domain_not_allowed": _Told(
        403,
        "Accounts of this mail domain may not sign in here. Use your company account.",
        "このメールドメインのアカウントではサインインできません。会社のアカウントをお使いください。",
    ),
    "subject_not_allowed": _Told(
        403,
        "This account may not sign in here. Ask whoever looks after Sekisho at your company.",
        "このアカウントではサインインできません。社内の Sekisho の担当者にお尋ねください。",
    ),
    "provider_unavailable": _Told(
        503,
        "The identity provider cannot be reached at the moment. Try again in a minute.",
        "認証サービスに接続できません。しばらくしてからもう一度お試しください。",
    ),
}

CODES: Final = frozenset(_TOLD)
"""Every code there is. Stable: the record and the log have them."""

_SAME: Final = {
    "expired_token": "invalid_token",
    "token_lifetime_too_long": "invalid_token",
    "identity_keys_unavailable": "provider_unavailable",
}


class SignInRefused(Exception):  # noqa: N818 - a refusal is an answer, not an error
    """Nobody was signed in. `code` is one of CODES; `reason` is for the log alone, and holds no token, code or secret.

    `email` is the address in a token whose signature held, where only our own rules said no.
    """

    def __init__(self, code: str, reason: str, email: str | None = None) -> None:
        super().__init__(code, reason)
        self.email = email
        self.code = _SAME.get(code, code) if _SAME.get(code, code) in _TOLD else "invalid_token"
        self.reason = reason

    @property
    def status(self) -> int:
        """Of HTTP, for the page that says it."""
        return _TOLD[self.code].status

    def said(self, language: Language) -> str:
        """One or two sentences with the remedy."""
        told = _TOLD[self.code]
        return told.ja if language == "ja" else told.en
