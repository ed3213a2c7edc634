"""docs/reference/commands.md names every command of ours with every option, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs/reference/commands.md").read_text()
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
OURS = {"disbursements", "partners", "demo"}
# Their options stand in one table, behind the last of the three.
PASSES = {"fetch_pending_loans", "process_pending_loans", "scheduled_loan_sync"}
EVERY_COMMANDS = {
    action.dest for action in BaseCommand().create_parser("manage.py", "any")._actions
}


def our_commands() -> set[str]:
    return {name for name, app in get_commands().items() if app in OURS}


def options_of(name: str) -> set[str]:
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    own = [action for action in parser._actions if action.dest not in EVERY_COMMANDS]
    return {option for action in own for option in action.option_strings}


def test_every_command_has_its_section_and_there_is_no_other():
    assert set(SECTIONS) == our_commands()


@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_every_option_is_named_in_its_section(name):
    text = SECTIONS["process_pending_loans" if name in PASSES else name]
    if name == "resume":
        text += SECTIONS["pause"]

    missing = {option for option in options_of(name) if not re.search(rf"{option}\b", text)}

    assert missing == set()
