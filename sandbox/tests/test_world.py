"""The sample worlds, and the ways to start a sandbox."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from sandbox.running import sandbox_process
from sandbox.tests.conftest import Mifos
from sandbox.world import KINDS, generate, partner_file, small_world


def test_a_world_is_the_same_for_the_same_seed():
    assert generate(seed=3).document == generate(seed=3).document
    assert generate(seed=3).document != generate(seed=4).document


def test_a_generated_world_holds_every_kind_and_unique_phones():
    made = generate(tenants=2, loans=200, seed=1)
    kinds = Counter(loan.kind for loan in made.loans)
    assert set(kinds) == {"payable", *KINDS}
    phones = [loan.msisdn for loan in made.payable]
    assert len(set(phones)) == len(phones) == 160
    assert all(phone and phone.startswith(("2547", "2541")) for phone in phones)


def test_the_server_shows_what_the_sample_says(box):
    made = generate(tenants=1, loans=60, seed=2)
    box.load(made.document)
    tenant = made.document["tenants"][0]
    mifos = Mifos(box, tenant["name"], (tenant["username"], tenant["password"]))
    rows = {row["id"]: row for row in mifos.get("loans", status=200).json()["pageItems"]}
    for loan in made.payable:
        assert rows[loan.loan_id]["netDisbursalAmount"] == loan.net
    waiting = {loan.loan_id for loan in made.loans if loan.why != "not_approved"}
    assert set(rows) == waiting


def test_a_payable_loan_can_really_be_recorded(box):
    made = small_world()
    box.load(made.document)
    mifos = Mifos(box, "umoja", ("svc-umoja", "pw-umoja"))
    assert all(mifos.disburse(loan.loan_id).status_code == 200 for loan in made.payable)


def test_a_partner_file_names_columns_and_products(box, tmp_path):
    made = generate(tenants=2, loans=4)
    rows = json.loads(partner_file(made, box, tmp_path / "p.json", daily_limit="5000").read_text())
    assert [row["slug"] for row in rows] == ["lender1", "lender2"]
    assert rows[0]["mifos_host_url"] == box.mifos_url
    assert rows[0]["daily_limit"] == "5000"
    assert {product["product_id"] for product in rows[0]["products"]} == {5, 6}


def test_a_sandbox_runs_as_its_own_process_and_is_empty_after_a_reset(tmp_path):
    out = tmp_path / "partners.json"
    arguments = ("--generate", "10", "--tenants", "2", "--partners-out", str(out))
    with sandbox_process(arguments=arguments) as control:
        assert len(control.book()["loans"]) >= 10
        assert len(json.loads(out.read_text())) == 2
        control.reset()
        assert control.book()["loans"] == []


def test_an_unknown_attribute_is_refused_and_named(box):
    with pytest.raises(Exception, match="no colour"):
        box.add_loans("umoja", [{"client_id": 2, "colour": "red"}])
