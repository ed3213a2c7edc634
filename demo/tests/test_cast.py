"""The borrowers of the demo are plausible, distinct, and the same every day."""

from __future__ import annotations

from datetime import date

from demo.cast import PARTS, assemble, client_name, phone_number
from loans.phones import normalise_msisdn

TODAY = date(2026, 11, 23)


def test_every_loan_has_its_own_number_and_every_client_a_kenyan_phone():
    roles = assemble(today=TODAY).roles.values()

    assert len(roles) == len(PARTS) == len({role.loan_id for role in roles})
    assert all(normalise_msisdn(role.phone) == role.msisdn for role in roles)


def test_new_loans_never_meet_a_phone_of_the_story():
    told = {role.phone for role in assemble(today=TODAY).roles.values()}

    assert told.isdisjoint(phone_number(number) for number in range(500, 2_000))


def test_two_clients_never_have_one_name_and_one_phone():
    people = {(client_name(number), phone_number(number)) for number in range(1_000)}

    assert len(people) == 1_000


def test_the_day_of_the_story_is_a_working_day_whatever_the_date():
    for day in range(23, 30):
        today = date(2026, 11, day)
        tumaini = next(each for each in assemble(today=today).lenders if each.slug == "tumaini")
        open_days = tumaini.tenant["working_days"].split(",")

        assert ("MO", "TU", "WE", "TH", "FR", "SA", "SU")[today.weekday()] in open_days
        assert len(open_days) == 6
