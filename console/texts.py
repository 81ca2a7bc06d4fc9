"""Every sentence of the console in English and Japanese. The English one is the key; a test sees that none is missing."""

from collections.abc import Callable
from typing import Final, Literal

from console import code_texts, desk_texts, entry_texts, problem_texts

Language = Literal["en", "ja"]
LANGUAGES: Final[dict[Language, str]] = {"en": "English", "ja": "日本語"}

_ENGLISH: Final = {
    "theme auto": "As the system", "theme light": "Light", "theme dark": "Dark",
    "role user": "User", "role assistant": "Assistant", "role system": "System", "role developer": "Developer",
    "role tool": "Tool", "role error": "Error",
    "kind text": "", "kind tool_call": "calls", "kind tool_result": "result of", "kind reasoning": "reasoning",
    "kind refusal": "refusal", "kind error": "error", "kind media": "media, not shown",
    "range 24h": "24 hours", "range 7d": "7 days", "range 30d": "30 days", "range 90d": "90 days",
    "look search": "searched", "look show": "read", "look replay": "replayed", "look export": "exported",
    "look tail": "watched live", "look chats": "listed their chats", "look backup": "copied the record",
    "asked query": "search", "asked before": "older than no.", "asked id": "id", "asked raw": "raw bytes of the",
    "asked new": "new in this turn", "asked to": "into", "asked follow": "on and on",
    "usage provider": "counted by the provider", "usage estimated": "estimated", "usage none": "none given",
    "raw kept": "kept", "raw expired": "let go of by retention", "raw masked": "masked", "raw off": "not kept",
    "user": "Person", "domain": "Domain", "model": "Model", "operation": "Operation", "decision": "Decision",
    "end": "Ended",
}  # fmt: skip
"""What stands for a key that is no sentence itself."""

_JAPANESE: Final = {
    "Skip to the content": "本文へ移動", "Pages": "ページ", "Exchanges": "やりとり", "Help": "ヘルプ",
    "Settings and sign out": "設定とサインアウト", "Language": "言語", "Colours": "配色", "Why you look": "閲覧の理由",
    "Sign out": "サインアウト", "Sign out everywhere": "すべての端末でサインアウト", "Keys": "キー操作", "Close": "閉じる",
    "theme auto": "システムに合わせる", "theme light": "ライト", "theme dark": "ダーク",
    "role user": "ユーザー", "role assistant": "アシスタント", "role system": "システム", "role developer": "開発者",
    "role tool": "ツール", "role error": "エラー",
    "kind text": "", "kind tool_call": "呼び出し", "kind tool_result": "結果", "kind reasoning": "推論",
    "kind refusal": "拒否", "kind error": "エラー", "kind media": "メディア（表示しません）",
    "look search": "検索", "look show": "閲覧", "look replay": "再生", "look export": "書き出し", "look tail": "ライブで閲覧", "look chats": "チャットの一覧",
    "look backup": "記録の複製", "asked query": "検索", "asked before": "より前の番号", "asked id": "ID", "asked raw": "生データ", "asked new": "新しい内容",
    "asked to": "書き出し先", "asked follow": "継続",
    "usage provider": "プロバイダーの計数", "usage estimated": "推定", "usage none": "なし",
    "raw kept": "保存済み", "raw expired": "保存期間を過ぎて削除", "raw masked": "マスク済み", "raw off": "保存しない設定",
    "user": "利用者", "domain": "ドメイン", "model": "モデル", "operation": "操作", "decision": "判定", "end": "終わり方",
    "Go to the search box": "検索欄へ", "Next, previous": "次へ、前へ", "Open": "開く",
    "Choose, to copy the links of several": "選ぶ（まとめてリンクをコピー）", "Back to the list": "一覧へ戻る",
    "This list": "この一覧", "To the exchanges": "やりとりの一覧へ",
    "Every look at content is written down with your name and this reason, before it is shown. It counts until you sign out or change it.":
        "内容を見るたびに、表示の前に、あなたの名前とこの理由が記録されます。サインアウトするか変更するまで有効です。",
    "Reason": "理由", "Go on": "続ける", "Not shown here": "ここでは表示しません", "Older": "さらに前", "Search": "検索",
    "Words, or user: model: end: after: …": "語句、または user: model: end: after: …", "Completions": "入力候補",
    "Left out, for the index knows letters and digits only:": "索引にあるのは文字と数字だけなので、次を除いて検索しました:",
    "What was said is shown once you say why you look.": "閲覧の理由を入力すると、会話の内容が表示されます。",
    "Give a reason": "理由を入力", "Narrow down": "絞り込み", "and {n} more": "ほか {n} 件",
    "Of the newest {n} that were found.": "見つかった中の新しい {n} 件から。",
    "Live": "ライブ", "Not connected; trying again": "接続が切れました。再接続しています", "Pause": "一時停止", "{n} new": "新着 {n} 件",
    "To the newest": "最新へ", "Time": "時刻", "Question": "質問", "Person": "利用者", "Model": "モデル", "Ended": "終わり方",
    "Tokens": "トークン", "Cost": "費用", "Took": "時間", "Nothing was found.": "見つかりませんでした。",
    "Nothing is on record yet.": "まだ記録はありません。", "Show everything": "すべて表示", "How to search": "検索のしかた",
    "Point a client here, and its exchanges appear as they end:": "クライアントの接続先を変えると、終わったやりとりから順に表示されます:",
    "{n} chosen": "{n} 件を選択", "Copy links": "リンクをコピー", "Copied": "コピーしました", "Clear": "解除",
    "{n} characters": "{n} 文字", "{n} more characters are in the raw bytes.": "残り {n} 文字は生データにあります。",
    "streamed": "ストリーム", "First byte": "最初の応答", "Tokens in": "入力トークン", "Tokens out": "出力トークン",
    "cached": "キャッシュ", "reasoning": "推論", "Conversation": "会話",
    "This exchange is too large for a page. Its raw bytes can be downloaded.": "このやりとりは大きすぎて表示できません。生データをダウンロードできます。",
    "{n} earlier turns": "前の {n} 件", "{n} turns from before": "これまでの {n} 件", "Later turns": "続き",
    "Refused here": "ここで拒否", "The caller was told": "呼び出し元への応答",
    "The reply is shown as far as it came.": "届いたところまでの返答を表示しています。",
    "Nothing that was said is kept of this exchange.": "このやりとりの内容は保存されていません。",
    "Details": "詳細", "Timing": "時間の内訳", "No times are known.": "時間の記録はありません。", "Decision": "判定", "Outcome": "結果",
    "Rule": "ルール", "Why": "理由", "Policy": "ポリシー", "Who": "だれが", "Issuer": "発行者", "Subject": "サブジェクト",
    "Groups": "グループ", "nobody known": "不明", "Claims to speak for": "代理を名乗る相手", "From": "接続元", "Client": "クライアント",
    "Request": "リクエスト", "Sent to": "送信先", "Status": "ステータス", "the copy is not whole": "記録は途中まで", "Usage": "使用量",
    "Bytes": "バイト数", "Changed": "変更点", "Provider's id": "プロバイダーの ID", "The whole conversation": "会話の全体", "Record": "記録",
    "Id": "ID", "Place": "番号", "Chain": "チェーン", "as it was recorded": "記録時のまま", "Raw bytes": "生データ",
    "Raw request": "生リクエスト", "Raw response": "生レスポンス", "As curl, without secrets": "curl（秘密情報なし）", "Copy": "コピー",
    "Goes on from an earlier point of the conversation.": "会話の途中の時点から続いています。", "{n} more turns": "ほか {n} 件",
    "In Sekisho: identity, policy, journal": "Sekisho 内（本人確認・ポリシー・記録）", "Waiting for the first byte": "最初の応答を待つ",
    "Until the end": "終わりまで", "The stream": "ストリーム", "The reply": "返答",
    "complete": "完了", "client_gone": "呼び出し元が切断", "upstream_cut": "相手が切断", "upstream_error": "接続先エラー",
    "timed_out": "時間切れ", "refused": "拒否", "proxy_died": "中断", "allow": "許可", "deny": "拒否",
    "Signed out": "サインアウトしました", "You are signed out.": "サインアウトしました。", "No entry": "入れません",
    "You are not signed in.": "サインインしていません。",
    "This way in was used already, or is too old.": "この入口は使用済みか、期限が切れています。",
    "Open the address that stands in the terminal where the console runs. A new one was just printed.":
        "コンソールを動かしている端末に表示されたアドレスを開いてください。新しいアドレスを表示しました。",
    "This console is not known by that name.": "このコンソールはその名前では開けません。", "That form is too long.": "フォームが長すぎます。",
    "That form is not one of this page. Load the page anew and try again.": "このページのフォームではありません。ページを読み込み直してください。",
    "Not here": "見つかりません", "There is no such page.": "そのページはありません。", "That cannot be done here.": "その操作はここではできません。",
    "There is no such conversation.": "その会話はありません。", "There is no exchange of this id.": "この ID のやりとりはありません。",
    "That is no id of an exchange.": "やりとりの ID ではありません。",
    "The exact bytes of this exchange are not kept any more.": "このやりとりの生データはもう保存されていません。",
    "Nothing is shown": "何も表示しません", "The record is sealed": "記録は封印されています", "The record cannot be read": "記録を読めません",
    "A fault": "障害", "The console failed on this page. That is a fault of ours; its log says more.":
        "このページでコンソールが失敗しました。詳しくはログにあります。",
    "an address, or a subject": "メールアドレス、またはサブジェクト", "a mail domain": "メールのドメイン",
    "asked for or answered; * is anything": "要求または応答のモデル。* は任意", "the provider's host": "プロバイダーのホスト",
    "chat, responses, messages, …": "chat、responses、messages など", "allow, deny, or a refusal's code": "allow、deny、または拒否コード",
    "how it ended": "終わり方", "the model called this tool": "モデルがこのツールを呼んだ", "one conversation, by its id": "会話の ID",
    "2026-11-01, 09:30, or 7d ago": "2026-11-01、09:30、7d（7日前）", "these very characters": "文字どおり",
    "Every term must hold; of several values for one field, any does. A minus before a term turns it round.":
        "すべての条件を満たすものを探します。同じ項目に値が複数あれば、どれかに合えば構いません。先頭のマイナスは否定です。",
    "both words, in questions, answers and tool results; any language, from one character on": "両方の語。質問・回答・ツールの結果から、一字から、どの言語でも",
    "these words one after the other": "この順に並ぶ語",
    "these very characters, capitals and punctuation too; they begin where a word begins": "大文字・小文字や記号も文字どおり（語の先頭から）",
    "who: the address, or the subject": "利用者のアドレスまたはサブジェクト", "the domain of the address": "アドレスのドメイン",
    "asked for or answered; * is anything (also in user:, domain:, host: and tool:)": "要求または応答のモデル。* は任意（user:、domain:、host:、tool: でも）",
    "chat, responses, messages, embeddings, …": "chat、responses、messages、embeddings など",
    "allow, deny, or a refusal's code: decision:model_not_allowed": "allow、deny、または拒否コード（例: decision:model_not_allowed）",
    "complete, client_gone, upstream_error, timed_out, refused, …": "complete、client_gone、upstream_error、timed_out、refused など",
    "of this thread; the first characters of its id will do": "この会話。ID の先頭だけでも",
    "so long ago (s, m, h, d, w); or after:2026-11-01, after:2026-11-01T09:30, after:09:30":
        "どれだけ前か（s、m、h、d、w）。または after:2026-11-01、after:2026-11-01T09:30、after:09:30",
    "not this": "これ以外",
    "range 24h": "24時間", "range 7d": "7日間", "range 30d": "30日間", "range 90d": "90日間",
    "Domain": "ドメイン", "Overview": "概要", "Refusals": "拒否", "People": "利用者", "Access": "閲覧履歴", "Of which exchanges? user: domain: model: …": "対象: user: domain: model: …",
    "Well": "正常", "Refused": "拒否", "Cut off": "途中で切断", "Errors": "エラー", "{n} without a known price": "価格不明 {n} 件",
    "Half are faster than": "半数がこれ以内", "95 % are faster than": "95% がこれ以内", "Until the first byte": "最初の応答まで", "As a table": "表で見る",
    "Used, and not read": "使われたが読んでいない", "Service": "サービス", "Connections": "接続数", "Nothing that came this way went by unread.": "ここを通ったもので読まなかったものはありません。",
    "Nobody was refused.": "拒否はありません。", "Told": "伝えた内容", "Would pass": "通すには", "All of them": "すべて見る", "The latest": "最新",
    "On record since": "初回", "First": "初回", "Last": "最終", "new": "新規", "held": "保全中",
    "Who looked at what": "だれが何を見たか", "The chain holds over {n} looks.": "{n} 件の閲覧のチェーンは正常です。", "The chain holds over the newest {n} looks; `sekisho verify` walks all of it.": "新しい {n} 件の閲覧のチェーンは正常です。全体は `sekisho verify` で確かめられます。",
    "Nobody has looked yet.": "まだだれも見ていません。",
    "The newest {n}:": "新しい {n} 件:", "What": "操作", "Asked": "条件", "sealed": "封印",
    "The caller sends a signed token where the API key went, or its listener takes another issuer.": "API キーの代わりに署名付きトークンを送るか、待ち受けに別の発行者を設定します。",
    "A token of an issuer under identity.issuers, with the audience that is set there. `sekisho token explain` says what is wrong with one.": "identity.issuers の発行者が、設定した audience で発行したトークン。何が問題かは `sekisho token explain` で分かります。",
    "A fresh token: the client has to fetch one before the old one ends.": "新しいトークン。期限が切れる前に取得し直す必要があります。",
    "A token that is valid for a shorter time; the issuer's setting says how long.": "有効期間の短いトークン。長さは発行者の設定によります。",
    "A rule under policies.rules that names one of this person's groups as their issuer does.": "policies.rules に、その人のグループ（発行者が示すとおりの名前）を指定したルールを加えます。",
    "The mail domain under identity.domains, if it may be admitted.": "許可してよければ、identity.domains にそのメールドメインを加えます。",
    "The issuer verifies the address, or the issuer's setting does not ask for it.": "発行者がアドレスを確認するか、設定で確認を求めないようにします。",
    "Whoever was revoked stays out; else the issuer's setting names who is admitted.": "失効した人は通れません。それ以外は発行者の設定で許可します。",
    "A rule under policies.rules that allows this model to this domain.": "policies.rules に、このドメインにこのモデルを許可するルール。",
    "A rule under policies.rules that names this operation.": "policies.rules に、この操作を含むルール。",
    "Nothing: this path is not one that is read here.": "通せません。ここで読めるパスではありません。",
    "The rule that forbids it would have to go, or to name less.": "禁止するルールを外すか、対象を狭めます。",
    "The path of a provider under providers; the client's base URL is wrong.": "providers にあるパス。クライアントのベース URL が違います。",
    "The provider's key: `sekisho status` says which cannot be read.": "プロバイダーの鍵。読めない鍵は `sekisho status` で分かります。",
    "Room on the disk, or the recorder back at work: `sekisho doctor` says which.": "ディスクの空き、または記録係の復旧。`sekisho doctor` で分かります。",
    "A signed identity that can be verified.": "検証できる署名付きの身元。", "A setting that admits it.": "許可する設定。",
    "That was a fault of ours; the log says more.": "こちらの障害です。詳しくはログにあります。", "The state of this machine; `sekisho doctor` says more.": "この機械の状態によります。`sekisho doctor` で分かります。",
    "Another request: this one is not as the API wants it.": "API の求める形のリクエスト。",
}  # fmt: skip


_ALL: Final[dict[Language, dict[str, str]]] = {
    "en": _ENGLISH | desk_texts.ENGLISH,
    "ja": _JAPANESE | desk_texts.JAPANESE | entry_texts.JAPANESE | code_texts.JAPANESE | problem_texts.JAPANESE,
}


def translated(language: Language) -> Callable[[str], str]:
    """How a sentence is said in this language. What is no sentence of ours (a code, a name) stays as it is."""
    texts = _ALL[language]
    if language == "en":
        return lambda key: texts.get(key, key)

    def say(key: str) -> str:
        if key in texts:
            return texts[key]
        return (problem_texts.said(key) if " " in key else None) or key

    return say


def keys() -> frozenset[str]:
    """All that can be said in Japanese."""
    return frozenset(_ALL["ja"])
