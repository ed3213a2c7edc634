"""The report says what the kept lines say, and a replay does not take their place."""

from __future__ import annotations

import pytest

from campaigns import __main__ as command
from campaigns import origin
from campaigns.report import MARKS, Run, report, tables, write_into


def run_of(campaign, engine, *outcomes):
    about = {"campaign": campaign, "engine": engine, "command": "c", "commit": "abc"}
    about |= {"machine": "2 cores", "started": "today", "wall_seconds": 3.0}
    return Run(about, [outcome(campaign, **facts) for facts in outcomes])


def outcome(campaign, *, fired=None, kills=0, passes=1, violations=(), visited=()):
    fired = fired or {}
    known = {"campaign": campaign, "signature": " ".join(fired), "counts": bool(fired or kills)}
    return known | {
        "fired": fired,
        "kills": kills,
        "passes": passes,
        "violations": list(violations),
        "visited": list(visited),
    }


def test_a_row_tells_schedules_faults_kills_passes_violations_and_pace():
    run = run_of(
        "random",
        "sqlite",
        {"fired": {"b2c:reset_after": 2}, "kills": 1, "passes": 2},
        {"fired": {"loan:reset_after": 3}, "passes": 5, "violations": ["S1: paid twice"]},
        {"passes": 9},
    )

    told = tables([run])

    assert "| random (sqlite) | 3 | 2 | 2 | 5 | 1 | 3.5 / 5 | 1 | 1000 |" in told
    assert "| random (sqlite) | S1 | 1 |" in told
    assert "| reset_after | 5 |" in told


def test_all_campaigns_of_an_engine_are_summed():
    runs = [
        run_of("faults", "sqlite", {"fired": {"x": 1}, "passes": 1}),
        run_of("kills", "sqlite", {"fired": {"y": 1}, "kills": 1, "passes": 3}),
        run_of("faults", "postgres", {"fired": {"x": 1}}),
    ]

    assert "| **all** (sqlite) | 2 | 2 | 2 | 2 | 1 | 2 / 3 | 0 | 3000 |" in tables(runs)


def test_kills_are_counted_by_the_kind_of_their_boundary():
    run = run_of(
        "kills",
        "postgres",
        {"fired": {"never before commit loan_events": 1}, "kills": 1},
        {"fired": {"never before commit mpesa_callbacks": 1}, "kills": 1},
    )

    assert "| killed: before commit | 2 |" in tables([run])


def test_a_state_is_counted_by_engine_and_said_to_be_rare():
    often = [{"fired": {"x": 1}, "visited": ["resent"]}] * 20
    runs = [
        run_of("random", "sqlite", *often),
        run_of("random", "postgres", {"fired": {"x": 1}, "visited": ["resent", "another key"]}),
    ]

    told = tables(runs)

    assert "States passed through: 2, of them 1 in 20 schedules or more." in told
    assert "| resent | 20 | 1 |" in told
    assert "| another key | 0 | 1 |" in told


def test_a_mutant_that_was_not_caught_is_named():
    known = {"command": "c", "commit": "abc", "machine": "m", "started": "today", "seconds": 9}
    mutants = known | {"known": 41, "tried": 41, "caught": 40, "not_caught": {"odd": "SURVIVED"}}
    machines = known | {
        "machines": [{"name": "payout", "examples": 500, "steps": 12, "broken": 0}],
    }

    told = report([run_of("fuzz", "sqlite")], machines=machines, mutants=mutants)

    assert "Mutants caught: 40 of 41 (not: odd SURVIVED)" in told
    assert "| payout | 500 | 12 | 0 |" in told


def test_the_report_takes_the_place_of_the_one_before(tmp_path):
    document = tmp_path / "campaigns.md"
    document.write_text(f"before\n{MARKS[0]}{MARKS[1]}\nafter\n")

    write_into(document, "one\n")
    write_into(document, "two\n")

    assert document.read_text() == f"before\n{MARKS[0]}\ntwo\n\n{MARKS[1]}\nafter\n"
    document.write_text("no marks")
    with pytest.raises(ValueError, match="no place"):
        write_into(document, "three\n")


def test_what_is_kept_is_found_again_with_its_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(origin, "FOLDER", tmp_path)

    assert origin.kept("mutants") is None
    origin.keep("mutants", caught=3)

    found = origin.kept("mutants")
    assert (found["caught"], bool(found["commit"])) == (3, True)


@pytest.mark.parametrize("typed", [["--only", "seed-1"], ["--short"]])
def test_a_replay_or_a_short_set_leaves_the_long_run_in_the_report(typed):
    given = command._parser().parse_args(["random", *typed])
    long = command._parser().parse_args(["random"])

    assert command._path_for("random", "sqlite", given).suffix != ".jsonl"
    assert command._path_for("random", "sqlite", long).suffix == ".jsonl"
