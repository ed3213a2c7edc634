"""The tests are tested: wrong variants of our own protocol are caught (reliability.md 4.9)."""

from __future__ import annotations

from collections import Counter

import pytest
from django.db import connection

from campaigns.mutants.catalogue import MUTANTS
from campaigns.mutants.command import main
from campaigns.mutants.patching import Edit, StaleMutant
from campaigns.mutants.running import PROJECT, Verdict, try_mutant
from campaigns.trees import copied_tree

QUICK = [mutant for mutant in MUTANTS if mutant.quick]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_still_fits_the_source(mutant):
    for path, wrong in mutant.sources(PROJECT).items():
        compile(wrong, str(path), "exec")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_tests_that_must_catch_a_mutant_exist(mutant):
    for test in mutant.caught_by:
        path, _, name = test.partition("::")
        assert f"def {name}(" in (PROJECT / path).read_text() if name else (PROJECT / path).exists()


def test_there_are_at_least_forty_and_eight_of_them_are_tried_at_every_change():
    assert len(MUTANTS) >= 40
    assert len(QUICK) >= 8
    assert max(Counter(mutant.name for mutant in MUTANTS).values()) == 1


def test_a_mutant_of_a_piece_that_is_gone_or_not_alone_is_stale():
    for source in ("", "old old"):
        with pytest.raises(StaleMutant):
            Edit("file.py", "old", "new").applied_to(source)


def test_the_list_names_every_mutant(capsys):
    assert main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(MUTANTS)
    assert main(["--only", "no such mutant"]) == 2


@pytest.fixture(scope="module")
def tree():
    with copied_tree() as copy:
        yield copy


@pytest.mark.campaign
@pytest.mark.skipif(connection.vendor != "sqlite", reason="tried once a run, on SQLite")
@pytest.mark.parametrize("mutant", QUICK, ids=lambda mutant: mutant.name)
def test_a_wrong_variant_of_the_protocol_is_caught(mutant, tree):
    outcome = try_mutant(mutant, tree)

    assert outcome.verdict == Verdict.CAUGHT, outcome.told
