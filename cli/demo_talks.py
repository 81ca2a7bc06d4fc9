"""What people of the demo's company ask, and what the models answer. Nobody and nothing in it is real."""

from typing import Final

type Talk = tuple[tuple[str, str], ...]
"""Questions and answers, in turn."""

ENGLISH: Final[tuple[Talk, ...]] = (
    (
        (
            "How do I roll back a Kubernetes deployment without downtime?",
            (
                "Use the rollout history, then undo to a revision you trust:\n\n```sh\nkubectl rollout history "
                "deployment/web\nkubectl rollout undo deployment/web --to-revision=3\nkubectl rollout status "
                "deployment/web\n```\n\nPods are replaced gradually, so **nothing goes down** as long as readiness probes "
                "are set."
            ),
        ),
        ("And if the migration already ran?", "Then the old code meets the new schema. Keep migrations *additive*."),
        (
            "Write that as a checklist for the on-call page.",
            "1. Freeze deploys\n2. Check the schema\n3. Undo\n4. Watch",
        ),
    ),
    (
        (
            (
                "Summarise this customer call in three bullets: they like the dashboard, want SSO before March, and the "
                "price is a problem."
            ),
            (
                "- The dashboard is what convinces them.\n- SSO is a condition, **before March**.\n- Price is open; they "
                "compare with two others."
            ),
        ),
        (
            "Make it a mail to the account team.",
            "Subject: Next steps\n\nHi all,\n\nthey want SSO before March. Shall we?",
        ),
    ),
    (
        (
            "Review: `SELECT * FROM orders WHERE created_at::date = '2026-11-01'`",
            (
                "The cast keeps the index from being used. Compare a range instead:\n\n```sql\nwhere created_at >= "
                "'2026-11-01' and created_at < '2026-11-02'\n```"
            ),
        ),
    ),
    (
        (
            "Translate into Japanese: The contract ends on 31 March and renews by itself.",
            "契約は3月31日に終了し、自動更新されます。",
        ),
        (
            "More formal, please.",
            "本契約は3月31日をもって満了し、別段の申し出がない限り自動的に更新されるものといたします。",
        ),
    ),
    (
        (
            "What is the difference between authentication and authorisation?",
            (
                "**Authentication** says who somebody is; **authorisation** says what they may do. A signed token answers "
                "the first question, a policy the second."
            ),
        ),
    ),
    (
        (
            "Explain this stack trace: KeyError: 'usage' in billing/report.py line 88",
            (
                "The reply had no `usage` field: a stream that was cut off has none. Use `.get` and count it as unknown, "
                "not as zero."
            ),
        ),
        (
            "Write the test first.",
            "```py\ndef test_a_cut_stream_has_unknown_usage():\n    assert report(CUT).usage is None\n```",
        ),
    ),
    (
        (
            "Draft a reply to Priya Nair of Northwind Foods (priya@northwind.example): her invoice 20417 was charged twice.",
            (
                "Dear Priya,\n\nThank you for telling us. Invoice **20417** was charged twice; the second charge goes back to "
                "you within five working days. I am sorry for the trouble."
            ),
        ),
    ),
    (
        (
            "Compare three ways to store audit logs for a mid-size company.",
            (
                "| way | cost | search | proof |\n|---|---|---|---|\n| files | low | grep | none |\n| database | middle | "
                "indexes | hash chain |\n| SIEM | high | good | vendor's |"
            ),
        ),
    ),
)

JAPANESE: Final[tuple[Talk, ...]] = (
    (
        (
            "四半期の売上報告書の要約を作ってください。顧客名は伏せてください。",
            "## 要約\n\n- 売上高は前年同期比 **12%増**\n- 新規契約は34件、解約は5件\n- 課題は納期の短縮\n\n顧客名はすべて伏せました。",
        ),
        ("役員向けにもう少し短くしてください。", "売上は12%増。新規34件、解約5件。次の四半期は納期短縮に注力します。"),
    ),
    (
        (
            "取引先への見積遅延のお詫びメールを書いてください。",
            (
                "件名: お見積書送付の遅れについて\n\n平素よりお世話になっております。お見積書のご送付が遅れており、誠に申し訳ございません。"
                "明日午前中にお送りいたします。"
            ),
        ),
        (
            "もう少し柔らかい表現にしてください。",
            "いつもありがとうございます。お見積書が遅くなり申し訳ありません。明日の午前中にはお届けします。",
        ),
    ),
    (
        (
            "この正規表現は何をしますか: ^\\d{3}-\\d{4}$",
            "日本の郵便番号（3桁、ハイフン、4桁）に一致します。たとえば `100-0001` です。",
        ),
    ),
    (
        (
            "新入社員向けに、パスワード管理の注意点を5つ挙げてください。",
            "1. 使い回さない\n2. 管理ソフトを使う\n3. 多要素認証を有効にする\n4. 人に教えない\n5. 漏えい時はすぐに変更する",
        ),
        (
            "英語版もお願いします。",
            "1. Never reuse\n2. Use a manager\n3. Turn on MFA\n4. Tell nobody\n5. Change at once after a leak",
        ),
    ),
    (
        (
            "議事録を整えてください。田中: 来週リリース。佐藤: テストが足りない。",
            "**決定事項**\n\n- リリースは来週（田中）\n\n**課題**\n\n- テストの追加（佐藤）",
        ),
    ),
    (
        (
            "みらい商事の高橋様（03-5555-0142）への値上げのご案内を、丁寧な文面で作ってください。来月から8%です。",
            (
                "高橋様\n\n平素より格別のお引き立てを賜り、厚く御礼申し上げます。誠に恐縮ながら、来月より価格を **8%** 改定させて"
                "いただきたく存じます。詳細は改めてご説明に伺います。"
            ),
        ),
        ("電話番号は本文に入れないでください。", "承知しました。本文に電話番号は入っていません。"),
    ),
    (
        (
            "東京から大阪への出張の旅程を作ってください。",
            "| 時刻 | 予定 |\n|---|---|\n| 08:00 | 東京発 |\n| 10:30 | 新大阪着 |\n| 13:00 | 打ち合わせ |\n| 18:00 | 帰路 |",
        ),
    ),
)

INSTRUCTIONS: Final = (
    "You are a careful assistant of Example Corporation. Answer briefly.",
    "あなたは株式会社サンプルの社内アシスタントです。簡潔に答えてください。",
)
