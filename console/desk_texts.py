"""Sentences of the pages where somebody decides or looks closer, in Japanese; the English one is the key."""

from typing import Final

ENGLISH: Final = {
    "state proposed": "waits for a second person", "state waiting": "waiting", "state running": "running",
    "state done": "done", "state failed": "failed",
    "order erase": "Erase", "order hold": "Hold", "order release": "End a hold", "order retain": "Retention",
}  # fmt: skip

JAPANESE: Final = {
    "state proposed": "二人目の承認待ち", "state waiting": "待機中", "state running": "実行中", "state done": "完了",
    "state failed": "失敗",
    "order erase": "消去", "order hold": "保全", "order release": "保全の解除", "order retain": "保存期間の適用",
    "Orders": "指示", "Order": "指示", "What about": "対象", "State": "状態", "Holds": "保全",
    "Nobody has asked for anything.": "指示はまだありません。", "Nothing is held.": "保全中のものはありません。",
    "What somebody asks here is carried out by the recorder, in order, and stands in the record with their name and reason.":
        "ここでの指示は記録係が順に実行し、指示した人の名前と理由が記録に残ります。",
    "An erasure and the end of a hold wait for a second person here.": "消去と保全の解除には、二人目の承認が必要です。",
    "No recorder runs: orders are carried out when Sekisho next starts.": "記録係が動いていません。指示は次に Sekisho が起動したときに実行されます。",
    "Asked by": "指示した人", "approved by": "承認", "Approve": "承認する", "Decline": "却下する", "Take back": "取り下げる",
    "exchanges": "件", "pieces of bodies": "本文の断片", "held back": "件は保全のため残存", "hold": "保全",
    "Erase this person…": "この利用者を消去…", "Hold this person…": "この利用者を保全…", "Hold this conversation…": "この会話を保全…",
    "End this hold…": "この保全を解除…", "Erase…": "消去…", "Hold…": "保全…",
    "What they said, and were answered, is taken out for good: bodies, search index, journals. Who, when and what was decided stays, and the chain still holds. It cannot be brought back.":
        "発言と返答を完全に取り除きます（本文・検索索引・ジャーナル）。だれが、いつ、どう判定されたかは残り、チェーンも保たれます。元に戻せません。",
    "What is on record of it, and what comes, stays as it is until the hold is ended: neither erasure nor retention touches it.":
        "これまでとこれからの記録は、解除するまでそのまま残ります。消去も保存期間も適用されません。",
    "What it kept is then subject to erasure and retention again.": "解除すると、再び消去と保存期間の対象になります。",
    "Found on record:": "記録にある身元:", "only this one": "これだけ", "no address": "アドレスなし",
    "A second person has to approve it.": "二人目の承認が必要です。",
    "Why; it stays on record with your name": "理由（あなたの名前とともに記録に残ります）",
    "I know that it cannot be brought back.": "元に戻せないことを理解しています。", "Cancel": "やめる", "Conversation ": "会話 ",
    "There is no such order.": "その指示はありません。", "There is no such hold.": "その保全はありません。",
    "Nobody of that name is on record, or their content was erased already.": "その名前の人は記録にないか、すでに消去されています。",
    "Say why: the reason stays on record.": "理由を入力してください。記録に残ります。",
    "Confirm that it cannot be brought back.": "元に戻せないことを確認してください。",
    "Whoever asked for it cannot approve it. A second person has to.": "指示した本人は承認できません。二人目の人が必要です。",
    "This order does not wait for approval any more.": "この指示はもう承認待ちではありません。",
    "New in this turn": "この回の新しい内容", "The whole exchange": "やりとり全体", "against the exchange before:": "直前のやりとりとの比較:",
    "{n} turns came again as they were": "同じ内容の再送 {n} 件", "Changed in the request": "リクエストの変更点", "Nothing new was said.": "新しい発言はありません。",
    "Nothing on record comes before this in its conversation.": "この会話で、これより前の記録はありません。",
    "Replay": "再生", "Stop": "停止", "Speed": "速度", "It ended here:": "ここで終わりました:",
    "Replay needs JavaScript. Without it:": "再生には JavaScript が必要です。代わりに:",
    "At the chat fronts, where what is still open of it ends:": "チャット画面側（有効なものは終了します）:",
    "sessions": "セッション", "tokens of their own": "本人のトークン",
    "under the signed head of": "署名済みの先頭:", "no signed head stands over it yet": "まだ署名済みの先頭に含まれていません",
    "Saved searches": "保存した検索", "Keep this search": "この検索を保存", "Name of this search": "検索の名前", "Remove": "削除",
    "Searches that you keep stay in this browser, for you alone.": "保存した検索は、このブラウザーのあなた専用の一覧に残ります。",
    "Link to this search, its times spelled out": "この検索へのリンク（日時は固定）",
    "There is nothing to be kept: write a search first.": "保存する検索がありません。先に検索してください。",
    "No more searches fit into this browser. Remove one first.": "これ以上このブラウザーに保存できません。先にどれかを削除してください。",
    "Orders cannot be used": "指示を扱えません",
    "Export as JSON lines": "JSON Lines で書き出す", "Not exported": "書き出せません",
    "Stands still: see the log": "停止中です。ログを確認してください", "It broke off. Play it again.": "途中で切れました。もう一度再生してください。",
    "{n} found": "{n} 件", "more than {n} found": "{n} 件以上", "Your look": "今回の閲覧", "written down first": "表示の前に記録しました",
    "What you looked for: in {n} of the turns here": "検索した語はこのページの {n} か所の発言にあります", "Ask for it": "申請する",
    "Who looked at this": "このやりとりを見た人", "Looks of": "閲覧した人:", "Looks at": "対象:", "exchange no.": "やりとり 番号",
    "among the newest {n}": "新しい {n} 件から", "There is no exchange of this number.": "この番号のやりとりはありません。",
    "erased people": "消去済みの利用者",
    "{n} exchanges are of people who were erased: they are counted, and name nobody.": "消去済みの利用者の {n} 件は、集計には含まれますが、名前は表示されません。",
    "Erased": "消去済み", "What was said was erased.": "内容は消去されました。",
}  # fmt: skip
