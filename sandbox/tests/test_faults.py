"""Every row of the fault menu does to the effect and to the caller what it says."""

from __future__ import annotations

import time

import pytest
import requests

from sandbox.faults import C_ROWS, H_ROWS
from sandbox.tests.conftest import parameters

BROKEN = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError, requests.ReadTimeout)


def outcome(daraja, ocid="x", **wire):
    """Return what the caller sees: a status with the body's first bytes, or the kind of break."""
    try:
        answer = daraja.pay(ocid, wire={"timeout": 0.4, "allow_redirects": False, **wire})
    except BROKEN as broken:
        return type(broken).__name__, ""
    return answer.status_code, answer.text


def paid(box):
    box.wait_for_callbacks()
    return len(box.debits())


@pytest.mark.parametrize(
    ("fault", "seen", "debits"),
    [
        ("reset_early", {"ConnectionError"}, 0),
        ("reset_before", {"ConnectionError"}, 0),
        ("reset_after", {"ConnectionError"}, 1),
        ("timeout_before", {"ReadTimeout"}, 0),
        ("timeout_after", {"ReadTimeout"}, 1),
        ("html_before", {200}, 0),
        ("html_after", {200}, 1),
        ("truncated", {"ConnectionError", "ChunkedEncodingError"}, 1),
        ("malformed", {200}, 1),
        ("nan", {200}, 1),
        ("duplicate_keys", {200}, 1),
        ("deep_nesting", {200}, 1),
        ("no_id", {200}, 1),
        ("other_id", {200}, 1),
        ("wrong_shape", {200}, 1),
        ("empty_body", {200}, 1),
        ("response_code", {200}, 0),
        ("success_of_another", {200}, 1),
        ("slow_headers", {"ReadTimeout", "ConnectionError"}, 1),
        ("redirect", {307}, 0),
        ("400", {400}, 0),
        ("401", {401}, 0),
        ("token_404", {404}, 0),
        ("403", {403}, 0),
        ("404", {404}, 0),
        ("405", {405}, 0),
        ("429", {429}, 0),
        ("spike_arrest", {500}, 0),
        ("quota", {500}, 0),
        ("500_before", {500}, 0),
        ("500_after", {500}, 1),
        ("502_before", {502}, 0),
        ("503_after", {503}, 1),
        ("504_after", {504}, 1),
        ("duplicate", {500}, 1),
        ("not_duplicate", {500}, 0),
        ("maintenance_after", {500}, 1),
    ],
)
def test_each_outcome_at_a_payment_has_its_effect(box, daraja, fault, seen, debits):
    box.add_fault("b2c", fault)
    assert outcome(daraja)[0] in seen
    assert paid(box) == debits
    assert [row["outcome"] for row in box.faults()["fired"]] == [fault]
    assert daraja.pay("y").status_code == 200  # once only


def test_every_row_of_the_http_table_can_be_set_and_fires(box, daraja):
    for row in H_ROWS:
        box.clear_faults()
        box.add_fault("b2c", row, params={"hold": 0.1, "bytes": 100_000})
        outcome(daraja, row)
    assert len(box.faults()["fired"]) == len(H_ROWS)
    assert daraja.pay("after").status_code == 200


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("reset", "ConnectionError"),
        ("timeout", "ReadTimeout"),
        ("truncated", "ChunkedEncodingError"),
        ("html", "<html>captive portal</html>"),
        ("400", 400),
        ("401", 401),
        ("403", 403),
        ("409", 409),
        ("425", 425),
        ("429", 429),
        ("500", 500),
        ("504", 504),
        ("no_id", None),
    ],
)
def test_the_menu_is_there_for_mifos_too(box, mifos, fault, seen):
    loan = box.add_loans("umoja", [{"client_id": 2}])[0]
    box.add_fault("loan", fault, match={"loan_id": loan}, times=None)
    try:
        answer = mifos.call("GET", f"loans/{loan}", timeout=0.4)
        found = answer.status_code
        if found == 200:
            found = answer.text if fault == "html" else answer.json().get("id")
    except BROKEN as broken:
        found = type(broken).__name__
    assert found == seen
    assert box.faults()["rules"][0]["fired"] == 1


@pytest.mark.parametrize(("word", "status"), [("before", 200), ("after", 300)])
def test_a_disburse_fails_before_or_after_its_effect(box, mifos, word, status):
    loan = box.add_loans("umoja", [{"client_id": 2}])[0]
    box.add_fault("disburse", f"500_{word}")
    assert mifos.disburse(loan).status_code == 500
    assert box.loan("umoja", loan)["status"] == status


def test_a_200_without_effect_looks_like_success(box, mifos):
    loan = box.add_loans("umoja", [{"client_id": 2}])[0]
    box.add_fault("disburse", "normal", truth="never_lands")
    body = mifos.disburse(loan).json()
    assert body["changes"]["status"]["id"] == 300
    assert box.loan("umoja", loan)["status"] == 200


def test_a_payment_lands_long_after_a_time_out_and_after_not_found(box, daraja):
    box.add_fault("b2c", "timeout_late")
    assert outcome(daraja)[0] == "ReadTimeout"
    assert daraja.status_of("x") == ("2033", None)
    daraja.log_in()  # the token that was used is dead by now
    assert box.release_effects() == [1]
    assert paid(box) == 1
    assert daraja.status_of("x") == ("0", "Completed")


def test_a_late_landing_is_refused_when_the_same_id_was_paid_meanwhile(box, daraja):
    box.add_fault("b2c", "timeout_late")
    outcome(daraja)
    assert daraja.pay("x").status_code == 200
    box.release_effects()
    assert paid(box) == 1


def test_an_accepted_payment_may_never_land_or_land_late(box, daraja):
    box.add_fault("b2c", "normal", truth="never_lands")
    box.add_fault("b2c", "normal", truth="lands_late", seconds=0.05, match={"ocid": "late"})
    assert outcome(daraja, "never")[0] == 200
    assert outcome(daraja, "late")[0] == 200
    assert outcome(daraja, "never")[0] == 500  # the id was seen
    assert paid(box) == 1
    assert daraja.status_of("never")[0] == "2033"


def test_a_refusal_can_be_forced_by_code(box, daraja, inbox):
    box.add_fault("b2c", "normal", truth="refuses", code="8006")
    daraja.pay("x")
    assert str(inbox.wait("/result")[0]["Result"]["ResultCode"]) == "8006"
    assert box.debits() == []


def test_rules_match_count_and_choose(box, daraja):
    box.add_fault("b2c", "503_before", match={"msisdn": "254700000002"}, times=None)
    box.add_fault("b2c", "502_before", nth=2, match={"msisdn": "254700000001"})
    seen = [daraja.pay(f"a{n}", phone="254700000001").status_code for n in range(3)]
    assert seen == [200, 502, 200]
    assert [daraja.pay(f"b{n}", phone="254700000002").status_code for n in range(2)] == [503, 503]
    box.clear_faults()
    assert daraja.pay("c", phone="254700000002").status_code == 200
    assert len(box.faults()["fired"]) == 3


def test_chance_is_the_same_for_the_same_seed(box, daraja):
    def run():
        box.reset(seed=7)
        box.add_shortcode(
            "600992",
            consumer_key="ck",
            consumer_secret="cs",
            initiator_name="testapi",
            initiator_password="pass#1",
        )
        daraja.log_in()
        box.add_fault("b2c", "503_before", probability=0.5, times=None)
        return [daraja.pay(f"p{n}").status_code for n in range(20)]

    first = run()
    assert first == run()
    assert set(first) == {200, 503}


def test_a_wrong_rule_is_refused(box):
    with pytest.raises(Exception, match="no outcome"):
        box.add_fault("b2c", "explode")
    with pytest.raises(Exception, match="callback cannot be"):
        box.add_fault("callback", "503")


def test_an_outage_refuses_connections_until_it_ends(box, daraja):
    box.outage("mpesa")
    with pytest.raises(requests.ConnectionError, match="refused"):
        daraja.pay("x")
    box.outage("mpesa", on=False)
    assert daraja.pay("x").status_code == 200


# callbacks


def test_every_row_of_the_callback_table_can_be_set(box):
    for row in C_ROWS:
        box.add_fault("callback", row)
    assert len(box.faults()["rules"]) == len(C_ROWS)


def test_a_lost_callback_is_paid_and_silent(box, daraja, inbox):
    box.add_fault("callback", "lost")
    daraja.pay("x")
    assert paid(box) == 1
    assert inbox.mail == []
    assert box.callbacks()["counts"] == {"lost": 1}


def test_a_late_callback_waits_until_released(box, daraja, inbox):
    box.add_fault("callback", "late")
    daraja.pay("x")
    assert paid(box) == 1
    assert inbox.mail == []
    box.release_callbacks(ocid="x")
    inbox.wait("/result")


def test_a_callback_can_overtake_the_answer(box, daraja, inbox):
    box.add_fault("callback", "before_answer")
    daraja.pay("x")
    assert len(inbox.mail) == 1


@pytest.mark.parametrize("answer", ["normal", "timeout_late", "502_after"])
def test_the_callback_of_a_payment_that_lands_late_comes_with_the_landing(
    box, daraja, inbox, answer
):
    box.add_fault("b2c", answer, truth="lands_late", seconds=0.05)
    box.add_fault("callback", "before_answer")
    outcome(daraja)
    assert len(inbox.wait("/result")) == 1
    box.wait_for_callbacks()


def test_a_doubled_callback_comes_twice(box, daraja, inbox):
    box.add_fault("callback", "doubled", params={"copies": 3})
    daraja.pay("x")
    assert len({str(body) for body in inbox.wait("/result", 3)}) == 1


def test_a_time_out_notice_comes_before_the_result(box, daraja, inbox):
    box.add_fault("callback", "timeout_then_result", seconds=0.05)
    daraja.pay("x")
    inbox.wait("/result")
    assert [path for path, *_ in inbox.mail] == ["/late", "/result"]


@pytest.mark.parametrize("fault", ["success_then_failure", "failure_then_success"])
def test_results_can_contradict_each_other(box, daraja, inbox, fault):
    box.add_fault("callback", fault, seconds=0.05)
    daraja.pay("x")
    codes = [str(body["Result"]["ResultCode"]) for body in inbox.wait("/result", 2)]
    assert codes == (["0", "17"] if fault.startswith("success") else ["17", "0"])
    assert paid(box) == 1


def test_a_result_can_lie_both_ways(box, daraja, inbox):
    box.add_fault("callback", "says_failure", match={"ocid": "paid"})
    box.add_fault("callback", "says_success", match={"ocid": "unpaid"})
    daraja.pay("paid")
    daraja.pay("unpaid", "5")
    codes = {
        body["Result"]["OriginatorConversationID"]: str(body["Result"]["ResultCode"])
        for body in inbox.wait("/result", 2)
    }
    assert codes == {"paid": "17", "unpaid": "0"}
    assert [row["ocid"] for row in box.debits()] == ["paid"]


@pytest.mark.parametrize(
    ("fault", "key", "value"),
    [
        ("wrong_amount", "TransactionAmount", 1001),
        ("wrong_phone", "ReceiverPartyPublicName", "254700000001 - JOHN DOE"),
        ("no_receipt", "TransactionReceipt", None),
        ("no_parameters", "TransactionAmount", None),
    ],
)
def test_a_success_can_be_wrong_in_one_thing(box, daraja, inbox, fault, key, value):
    box.add_fault("callback", fault)
    daraja.pay("x")
    assert parameters(inbox.wait("/result")[0]["Result"]).get(key) == value
    assert paid(box) == 1


@pytest.mark.parametrize("fault", ["malformed", "truncated", "not_json", "wrong_type", "huge"])
def test_a_body_can_be_damaged(box, daraja, inbox, fault):
    box.add_fault("callback", fault)
    daraja.pay("x")
    box.wait_for_callbacks()
    body = inbox.mail[0][1]
    assert len(body) > 10_000_000 or not body.startswith(b'{"Result":{') or not body.endswith(b"}}")


def test_held_letters_go_out_in_any_order(box, daraja, inbox):
    box.options(hold_callbacks=True)
    for name in ("a", "b", "c"):
        daraja.pay(name)
    box.wait_until(lambda: box.callbacks()["counts"].get("held") == 3)
    box.options(hold_callbacks=False)
    box.release_callbacks(order="reversed")
    names = [body["Result"]["OriginatorConversationID"] for body in inbox.wait("/result", 3)]
    assert names == ["c", "b", "a"]
    box.duplicate_callbacks(ocid="a")
    assert len(inbox.wait("/result", 4)) == 4


def test_a_status_result_can_be_lost_or_sent_to_the_wrong_address(box, daraja, inbox):
    daraja.pay("x")
    inbox.wait("/result")
    box.add_fault("status_callback", "to_url")
    daraja.ask(OriginalConversationID="x")
    assert len(inbox.wait("/result", 2)) == 2
    box.add_fault("status_callback", "timeout_only")
    daraja.ask(OriginalConversationID="x")
    inbox.wait("/status-late")


def test_a_delivery_that_fails_is_not_tried_again(box, daraja):
    daraja.pay("x", ResultURL="http://127.0.0.1:9/nobody")
    box.wait_for_callbacks()
    time.sleep(0.05)
    letter = box.callbacks()["letters"][0]
    assert (letter["state"], letter["deliveries"]) == ("failed", 1)
