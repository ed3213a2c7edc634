"""What `manage.py` itself says when it is stopped."""

from __future__ import annotations

import pytest
from django.core import management

import manage


def test_ctrl_c_ends_with_a_sentence_and_not_with_a_traceback(monkeypatch, capsys):
    def stopped(_: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(management, "execute_from_command_line", stopped)
    monkeypatch.setattr("sys.argv", ["manage.py", "scheduled_loan_sync"])

    with pytest.raises(SystemExit) as ended:
        manage.main()

    assert ended.value.code == 130
    assert "Stopped. What was begun is kept" in capsys.readouterr().err
