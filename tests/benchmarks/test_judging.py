"""What a run says of itself: which samples count, what was reached, what the page shows."""

from pathlib import Path

import pytest

from benchmarks import page
from benchmarks.goals import GOALS, judged
from benchmarks.samples import Sample, summary
from benchmarks.tables import tables


def sample(variant: str, rps: float, *, foreign: float = 0.0, measure: str = "32 connections") -> Sample:
    return Sample(measure, variant, 0, {"rps": rps, "cpu_ms": 1000 / rps}, foreign)


def test_a_figure_is_the_median_of_its_undisturbed_samples() -> None:
    taken = [sample("Sekisho", rps) for rps in (900, 1000, 1200)] + [sample("Sekisho", 10, foreign=0.8)]

    found = summary(taken)["32 connections"]["Sekisho"]

    assert found["rps"] == 1000
    assert (found["samples"], found["quiet"], found["disturbed"]) == (4, 3, False)


def test_where_all_were_disturbed_the_least_disturbed_count_and_the_figure_says_so() -> None:
    taken = [sample("Sekisho", 400, foreign=0.5), sample("Sekisho", 600, foreign=0.6), sample("Sekisho", 1, foreign=1)]

    found = summary(taken)["32 connections"]["Sekisho"]

    assert (found["rps"], found["disturbed"]) == (500, True)


@pytest.mark.parametrize(("ours", "reached"), [(1200, True), (1190, False)])
def test_a_goal_is_judged_by_the_same_run(ours: float, reached: bool) -> None:
    goal, value = judged(summary([sample("Sekisho", ours), sample("bare mitmdump", 100)]))[0]

    assert value == ours / 100
    assert goal.reached(value) is reached


def test_a_goal_whose_peer_was_not_there_is_not_called_reached() -> None:
    found = judged(summary([sample("Sekisho", 1000)]))

    assert len(found) == len(GOALS)
    assert [value for _, value in found] == [None] * len(GOALS)


def test_the_page_gets_each_table_between_its_markers_and_keeps_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "PAGE", tmp_path / "performance.md")
    monkeypatch.setattr(page, "PLOTS", tmp_path / "performance")
    page.PAGE.write_text(
        "Words.\n<!-- measured: requests -->\nold\n<!-- /measured -->\n"
        "More.\n<!-- measured: tls -->\nold\n<!-- /measured -->\n"
    )
    run = {
        "summary": summary([sample("Sekisho", 1200), sample("bare mitmdump", 100)]),
        "when": "now", "commit": "c", "machine": "m", "python": "p", "missing": {}, "recorded": {},
    }  # fmt: skip

    page.write_page(run)

    written = page.PAGE.read_text()
    assert written.startswith("Words.\n<!-- measured: requests -->\n|")
    assert "| Sekisho | 12 | 1,200 |" in written
    assert written.endswith("More.\n<!-- measured: tls -->\n*not measured in this run*\n<!-- /measured -->\n")
    assert (tmp_path / "performance" / "requests.svg").read_text().startswith("<svg")
    assert all(len(row) == len(table.columns) for table in tables(run) for row in table.rows)
