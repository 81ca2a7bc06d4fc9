"""Sentences of other rooms that say why something cannot be done, in Japanese: queries, the store, orders, the chain.

They have values in them, so the key is a pattern: `{}` stands for a value, which is said in Japanese too where it is a
sentence itself. In the Japanese one `{0}`, `{1}` … are the values in the order of the English one.
"""

import re
from typing import Final

_QUERIES: Final = {
    "The query has {} characters, and {} is the most. Look for its rarest words.":
        "検索条件が {0} 文字あります。上限は {1} 文字です。最も珍しい語だけで検索してください。",
    "The character at {} is not valid Unicode. Type it anew.": "{0} 文字目が正しい Unicode ではありません。入力し直してください。",
    "The query has {} terms, and {} is the most. Leave some out.": "条件が {0} 個あります。上限は {1} 個です。減らしてください。",
    "{}: at {} has nothing after it. Write for example {}.": "{1} 文字目の {0}: の後に値がありません。例: {2}",
    "A quotation at {} is empty. Write something between the quotes, or leave them out.":
        "{0} 文字目の引用が空です。引用符の間に語を入れるか、引用符を外してください。",
    "{}: at {} is empty. Write something between the quotes, or leave them out.":
        "{1} 文字目の {0}: が空です。引用符の間に語を入れるか、引用符を外してください。",
    "The quote at {} is never closed. Add {} where it ends, or leave it out.":
        "{0} 文字目の引用符が閉じていません。終わりに {1} を付けるか、外してください。",
    "There is no {}: (at {}). There are {}. To look for these characters themselves, put them in quotes.":
        "{0}: という条件はありません（{1} 文字目）。使えるのは {2} です。文字そのものを探すには引用符で囲んでください。",
    "exact: at {} has no letter and no digit, and the index knows nothing else. Add the word beside it.":
        "{0} 文字目の exact: に文字も数字もありません。索引にあるのは文字と数字だけなので、隣の語も加えてください。",
    "{} at {} is no time. Write a date ({}:2026-11-01), a time ({}:2026-11-01T09:30 or {}:09:30, today), or how long ago ({}:7d, {}:12h).":
        "{1} 文字目の {0} は日時ではありません。日付（{2}:2026-11-01）、時刻（{2}:2026-11-01T09:30、今日なら {2}:09:30）、またはどれだけ前か（{2}:7d、{2}:12h）で書いてください。",
    "{}: at {} is empty. Write for example {}.": "{1} 文字目の {0}: が空です。例: {2}",
    "{} at {} is no thread's id. Copy one from `sekisho show ID`.": "{1} 文字目の {0} は会話の ID ではありません。会話のページのアドレスから写してください。",
    "{} at {} is no {}. There are {} or a refusal's code (docs/codes.md).": "{1} 文字目の {0} は {2}: の値ではありません。使えるのは {3}、または拒否コード（docs/codes.md）です。",
    "{} at {} is no {}. There are {}.": "{1} 文字目の {0} は {2}: の値ではありません。使えるのは {3} です。",
    "Your role shows no content, so no words can be looked for: use user:, model:, …":
        "あなたの役割では会話の内容を見られないため、語句では検索できません。user:、model: などを使ってください。",
}  # fmt: skip

_STORE: Final = {
    "There is no record at {} yet. It begins when Sekisho has run with this data_dir.":
        "{0} にはまだ記録がありません。この data_dir で Sekisho を動かすと始まります。",
    "{} cannot be read: {}.": "{0} を読めません: {1}。",
    "The record cannot be read: {}.": "記録を読めません: {0}。",
    "{} was written by an older Sekisho (schema {}, this one reads {}). Start this one once (sekisho serve): it copies the file and brings it up to date.":
        "{0} は古い Sekisho が書いたものです（スキーマ {1}、この版は {2}）。一度この版を起動してください（sekisho serve）。ファイルを複製してから更新します。",
    "{} was written by a newer Sekisho (schema {}, this one knows {}). Use that version, or another data_dir.":
        "{0} は新しい Sekisho が書いたものです（スキーマ {1}、この版は {2} まで）。その版を使うか、別の data_dir を使ってください。",
    "{} is no id. Copy one from `sekisho tail`; the first characters will do.": "{0} は ID ではありません。一覧から写してください。先頭だけでも構いません。",
    "{} fits several exchanges. Give more of the id.": "{0} に当てはまるやりとりが複数あります。ID をもっと長く入力してください。",
    "{} fits several threads. Give more of the id.": "{0} に当てはまる会話が複数あります。ID をもっと長く入力してください。",
    "This took too long. Ask for less: a shorter time, or a rarer word.": "時間がかかりすぎました。期間を短くするか、もっと珍しい語で検索してください。",
    "Record {} cannot be read: {}. Somebody altered it, or the disk is failing: `sekisho verify` and `sekisho db check` say more. What comes after it: `sekisho export --after {}`.":
        "記録 {0} を読めません: {1}。改変されたか、ディスクの故障です。詳しくは `sekisho verify` と `sekisho db check` で分かります。これより後は `sekisho export --after {2}` で書き出せます。",
    "tool:{} cannot be looked for: the index is keyed. Write the whole name.": "tool:{0} では検索できません。索引が鍵付きなので、名前全体を書いてください。",
    "Search for words is off here (storage.seal.index: off). Conditions such as user:, model: and after: work.":
        "ここでは語句の検索を使わない設定です（storage.seal.index: off）。user:、model:、after: などの条件は使えます。",
    "Search for tools is off here (storage.seal.index: off).": "ここではツールの検索を使わない設定です（storage.seal.index: off）。",
    "database is locked": "データベースがロックされています", "disk I/O error": "ディスクの入出力エラー",
    "database disk image is malformed": "データベースが壊れています", "file is not a database": "データベースではありません",
    "database or disk is full": "ディスクがいっぱいです", "unable to open database file": "データベースを開けません",
    "attempt to write a readonly database": "書き込みが許可されていません",
}  # fmt: skip

_SEALED: Final = {
    "{} is sealed, and storage.seal is not set. Name its master key under storage.seal.key; without it nothing is read.":
        "{0} は封印されていますが、storage.seal が設定されていません。storage.seal.key に主鍵を指定してください。なければ何も読めません。",
    "The record": "記録", "The journal {}": "ジャーナル {0}",
    "storage.seal.key is not the key that this is sealed with: {} is needed, {} is given. Set the right one; after a rotation, name the one before under storage.seal.old_keys and run `sekisho seal rotate`.":
        "storage.seal.key は封印に使った鍵ではありません（必要: {0}、設定: {1}）。正しい鍵を設定してください。鍵を替えた後なら、前の鍵を storage.seal.old_keys に書いて `sekisho seal rotate` を実行してください。",
    "A wrapped key does not open ({}): it was altered. Restore seal.db from a backup; what that key sealed cannot be read without it.":
        "包まれた鍵を開けません（{0}）。改変されています。seal.db をバックアップから戻してください。その鍵で封印したものは、ほかでは読めません。",
    "{} is no master key: {} random bytes in base64 or hex are wanted. `sekisho seal new-key` prints one.":
        "{0} は主鍵ではありません。base64 または 16 進の {1} バイトの乱数が必要です。`sekisho seal new-key` で作れます。",
    "{} names the file {}, which cannot be read any more.": "{0} が指すファイル {1} を読めません。",
    "{} is older than the record: key {} is not in it. Restore the newest copy of it; what was sealed since cannot be read without.":
        "{0} は記録より古く、鍵 {1} がありません。最新の複製を戻してください。それ以降に封印したものは読めません。",
    "The key of the search index is gone. Restore seal.db from a backup.": "検索索引の鍵がありません。seal.db をバックアップから戻してください。",
    "The key of this content (number {}) was destroyed: the content was erased.": "この内容の鍵（{0} 番）は破棄されています。内容は消去されました。",
    "The record was altered: {} belongs to a sealed exchange, and is not sealed itself.": "記録が改変されています。{0} は封印されたやりとりのものですが、封印されていません。",
    "The record holds something that was altered, or stands where it does not belong: its seal does not hold ({}). `sekisho verify` says which exchange it is.":
        "改変されたもの、または別の場所のものが記録にあります。封印が合いません（{0}）。どのやりとりかは `sekisho verify` で分かります。",
}  # fmt: skip

_LOOKS: Final = {
    "Every look at content is written to {} first, and that failed: {}. So nothing is shown. {}":
        "内容の閲覧は先に {0} に記録されますが、記録できませんでした: {1}。そのため何も表示しません。{2}",
    "It is damaged: move it to a safe place, it is evidence, and a new one is begun.": "壊れています。証拠なので安全な場所へ移してください。新しいものが始まります。",
    "See that the disk has room and that you may write there.": "ディスクの空きと書き込みの権限を確かめてください。",
    "{} is no key of {} bytes; put its copy back, or remove it to have a new one made": "{0} は {1} バイトの鍵ではありません。複製を戻すか、取り除けば新しく作られます",
    "access.db: {}.": "access.db: {0}。",
    "it cannot be read: {}": "読めません: {0}",
    "look {} is not the one that a signed head names": "閲覧 {0} は署名済みの先頭が示すものではありません",
    "looks {} to {} are cut off: a signed head names the last": "閲覧 {0} から {1} が切り取られています。署名済みの先頭に最後のものが示されています",
    "looks {} to {} are missing": "閲覧 {0} から {1} がありません",
    "look {} does not follow the one before it": "閲覧 {0} が前のものに続いていません", "look {} was altered": "閲覧 {0} が改変されています",
}  # fmt: skip

_CHAIN: Final = {
    "does not follow the one before it: records were removed, inserted or put in another order": "前の記録に続いていません。削除、挿入、または並べ替えがありました",
    "was altered: what it says is not what its hash was made of": "改変されています。ハッシュの元になった内容と異なります",
    "lost its content, and no tombstone says why": "内容がなくなっていますが、その理由を示す消去の記録がありません",
    "has content, though it was erased or never kept": "消去されたか保存されなかったはずの内容があります",
    "has a salt that is not sealed, as it was recorded": "記録時には封印されていたソルトが封印されていません",
    "lost the key of its content, and no tombstone says why: seal.db was altered, or is another":
        "内容の鍵がなくなっていますが、その理由を示す消去の記録がありません。seal.db が改変されたか、別のものです",
    "cannot be opened: {}": "開けません: {0}", "has a body that cannot be read: {}": "読めない本文があります: {0}",
    "has another request than was recorded": "リクエストが記録時と異なります", "has another response than was recorded": "レスポンスが記録時と異なります",
}  # fmt: skip

_ORDERS: Final = {
    "{} cannot be used: {}. See that the disk has room and that it may be written; if it is damaged, move it away: only orders that wait are lost.":
        "{0} を使えません: {1}。ディスクの空きと書き込みの権限を確かめてください。壊れている場合は別の場所へ移してください。失われるのは待機中の指示だけです。",
    "access.two_people: a second person must approve it first, and nobody has. Ask for it again.":
        "access.two_people の設定により二人目の承認が必要ですが、まだありません。もう一度指示してください。",
    "commands.db was altered or is damaged: {}. Ask for it again.": "commands.db が改変されたか壊れています: {0}。もう一度指示してください。",
    "its {} cannot be read": "{0} を読めません",
    "Nobody knows the command {}. A newer Sekisho may have asked for it.": "{0} という指示はありません。新しい Sekisho からの指示かもしれません。",
    "Nobody called {} is on record, or their content was erased already.": "{0} という人は記録にないか、すでに消去されています。",
    "Nothing was erased: {} forbids it ({}). `sekisho hold remove {}`.": "消去していません。保全されています（{0}: {1}）。`sekisho hold remove {2}` で解除できます。",
    "{} phrases are still found after the erasure. Run `sekisho db check`.": "消去の後もまだ {0} 件の語句が見つかります。`sekisho db check` を実行してください。",
    "All is erased from the record, but not from {}. Then ask for it again.": "記録からは消去しましたが、次のものが残っています: {0}。取り除いてから、もう一度指示してください。",
    "Nothing was erased from {}. Then ask for it again.": "{0} からは何も消去していません。その後もう一度指示してください。",
    "{}, whose process does not answer: restart Sekisho": "{0}（プロセスが応答しません。Sekisho を再起動してください）",
    "{}, where something of theirs is still found": "{0}（まだその人のものが見つかります）",
    "{}, which cannot be used ({}): move it away if it is damaged": "{0}（使えません: {1}。壊れている場合は別の場所へ移してください）",
    "There is no thread {}. Copy its id from `sekisho show` of an exchange.": "会話 {0} はありません。会話のページのアドレスから写してください。",
    "There is no hold {}. `sekisho hold list` shows them.": "保全 {0} はありません。",
    "The record could not be changed: {}. Ask for it again once that is mended.": "記録を変更できませんでした: {0}。直してから、もう一度指示してください。",
    "It failed by a fault of Sekisho's own; the recorder's log says which.": "Sekisho の障害で失敗しました。詳しくは記録係のログにあります。",
    "Declined by {}.": "{0} が却下しました。",
    "begin": "開始", "done": "完了", "connections": "接続", "sessions and tokens": "セッションとトークン", "old index entries": "古い索引", "names in sums": "集計の名前", "search index": "検索索引",
    "free pages": "空きページ", "searched for": "検索による確認", "raw replies": "生レスポンス", "exchanges ({})": "件（{0}）", "counting ({})": "集計（{0}）",
}  # fmt: skip

_AMOUNTS: Final = {
    "{} vectors, {} numbers each": "ベクトル {0} 個（各 {1} 要素）", "{} vectors, encoded": "ベクトル {0} 個（符号化済み）",
    "{} bytes": "{0} バイト", "{} tokens": "{0} トークン",
}  # fmt: skip

JAPANESE: Final = _QUERIES | _STORE | _SEALED | _LOOKS | _CHAIN | _ORDERS | _AMOUNTS

_PATTERNS: Final = [
    (re.compile("(.+?)".join(re.escape(part) for part in english.split("{}")), re.DOTALL), japanese)
    for english, japanese in JAPANESE.items()
    if "{}" in english
]


def said(sentence: str) -> str | None:
    """The sentence in Japanese, with its values; None where it is none of these."""
    if (whole := JAPANESE.get(sentence)) is not None:
        return whole
    for pattern, japanese in _PATTERNS:
        if (found := pattern.fullmatch(sentence)) is not None:
            return japanese.format(*(said(value) or value for value in found.groups()))
    return None
