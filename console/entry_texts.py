"""The sentences of signing in, of roles, and of the page about oneself, in Japanese; the English one is the key
(console.texts)."""

from typing import Final

JAPANESE: Final = {
    "Nothing to see for you here": "表示できるものがありません",
    "You signed in as {who}, and this address has no role here.": "{who} としてサインインしましたが、このアドレスには役割がありません。",
    "Whom to ask:": "お問い合わせ先:", "none": "なし",
    "Ask whoever looks after Sekisho at your company; tell them the address and the groups below.":
        "社内の Sekisho の担当者に、このアドレスと次のグループを伝えてください。",
    "Sign in": "サインイン", "Sign in again": "もう一度サインイン", "Sign in with another account": "別のアカウントでサインイン",
    "Not signed in": "サインインできませんでした", "Open this console at its https address.": "https のアドレスで開いてください。",
    "Not for your role": "役割の対象外です", "Your role does not show this.": "あなたの役割では表示できません。",
    "Your role shows who, when and how much, not what was said.": "あなたの役割で見られるのは、だれが・いつ・どれだけ使ったかです。会話の内容は表示されません。",
    "Now at your company's sign-in service as well.": "続いて、会社の認証サービスからもサインアウトします。",
    "What is recorded about me": "自分についての記録", "About me": "自分の記録",
    "This page is for people who sign in with an address of their own.": "このページは、自分のアドレスでサインインした人のためのものです。",
    "The last 90 days": "直近の 90 日", "By model": "モデル別", "My latest exchanges": "自分の最近のやりとり", "All of mine": "自分のやりとりをすべて見る",
    "What I looked at": "自分が見たもの",
    "Who looked at my exchanges": "自分のやりとりを見た人", "Of my exchanges": "自分の件数",
    "Nobody but yourself has looked at them.": "自分以外に見た人はいません。",
    "Among the newest {n} looks at anybody's content.": "全員の内容の閲覧のうち、新しい {n} 件が対象です。",
}  # fmt: skip
