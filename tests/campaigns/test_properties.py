"""What must hold for every input of the pure parts: money, phones, ids, codes, dates, verdicts."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings as site
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from disbursements.evidence import promise_of
from disbursements.identity import (
    attempt_digest,
    mifos_external_id,
    originator_conversation_id,
    record_idempotency_key,
)
from disbursements.models import ALLOWED_MOVES, AttemptStatus, DisbursementRequest
from disbursements.record import _disbursed_on
from disbursements.schedule import may_send_again, next_question_at
from disbursements.sending import backoff_seconds
from disbursements.verdicts import Promise, Proof, verdict_of_payment, verdict_of_status
from loans.eligibility import LoanFacts, PartnerRules, ProductRule, refusal_for, start_of_day
from loans.models import LoanTracking
from loans.phones import mask_msisdn, normalise_msisdn
from loans.terms import columns_of_loan
from mifos.client import Loan, _disburse_body, _idempotency_key
from mifos.tests.conftest import order as order_of
from mpesa.client import OWN_ID, whole_shillings
from mpesa.models import MoneyMoved, NewAttempt, ResultCode
from mpesa.result_codes import NEVER_PROOF_OF_FAILURE, Meaning, refusal_of
from mpesa.results import (
    PaymentResult,
    StatusResult,
    UnreadableCallback,
    is_success,
    read_payment_result,
    read_status_result,
    same_phone,
)
from mpesa.shortcodes import _next_slot
from partners.models import Partner
from wire.answer import Answer, encode_json

NAIROBI = ZoneInfo("Africa/Nairobi")
MSISDN = re.compile(r"254[17][0-9]{8}")
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
OCID = "600000-0123456789abcdef01234567"
every = settings(
    max_examples=int(os.environ.get("LOANPOLL_PROPERTY_EXAMPLES", "200")),
    deadline=None,
    database=None,
    print_blob=True,
)
shillings = st.integers(1, 10**9 - 1)
subscribers = st.integers(0, 999_999).map(lambda number: f"722{number:06d}")
moments = st.datetimes(datetime(2020, 1, 1), datetime(2036, 1, 1)).map(  # noqa: DTZ001 - bounds
    lambda at: at.replace(microsecond=0, tzinfo=UTC)
)
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20)
seconds = st.integers(-90_000, 90_000).map(lambda many: timedelta(seconds=many))


def json_answer(text: str) -> object:
    return Answer(status=200, headers={}, body=text.encode(), url="").json()


# Money


@every
@given(shillings)
def test_whole_shillings_are_sent_as_they_are(amount):
    assert whole_shillings(Decimal(amount)) == amount
    assert whole_shillings(Decimal(f"{amount}.00")) == amount


@every
@given(shillings, st.integers(1, 99))
def test_cents_are_never_rounded_away(amount, cents):
    with pytest.raises(ValueError, match="whole shillings"):
        whole_shillings(Decimal(amount) + Decimal(cents) / 100)


@every
@given(st.decimals().filter(lambda amount: not amount.is_finite() or amount <= 0))
def test_no_amount_that_is_not_above_zero_is_sent(amount):
    with pytest.raises(ValueError, match=r"\S"):
        whole_shillings(amount)


@every
@given(st.decimals(min_value=0, max_value=10**12, places=6))
def test_a_decimal_crosses_the_wire_exactly(amount):
    assert Decimal(str(json_answer(encode_json({"x": amount}))["x"])) == amount


@every
@given(st.decimals(min_value=1, max_value=10**7, places=6))
def test_a_net_amount_finer_than_cents_is_unknown_and_never_rounded(net):
    kept = columns_of_loan(_loan(net=net))["net_disbursal_amount"]
    assert kept == net if net == net.quantize(Decimal("0.01")) else kept is None


@every
@given(st.decimals(min_value=1, max_value=10**7, places=2))
def test_the_principal_is_written_as_a_plain_exact_number(principal):
    body = _disburse_body(order_of(principal=principal))
    written = json_answer(encode_json(body))["transactionAmount"]
    assert Decimal(str(written)) == principal


# Phones


@every
@given(subscribers, st.sampled_from(("0{}", "+254{}", "254{}", "254 {}", "+254-{}", " 0{} ")))
def test_every_spelling_of_a_number_is_the_same_number(subscriber, spelling):
    assert normalise_msisdn(spelling.format(subscriber)) == f"254{subscriber}"


@every
@given(st.one_of(st.text(max_size=30), st.text("0123456789+-() ", max_size=20)))
def test_a_text_is_one_kenyan_mobile_number_or_none(text):
    msisdn = normalise_msisdn(text)
    assert msisdn is None or (MSISDN.fullmatch(msisdn) and normalise_msisdn(msisdn) == msisdn)


@every
@given(subscribers, subscribers, st.sampled_from((" or ", "/", ",", ";", " na ")))
def test_two_numbers_are_no_number(one, other, between):
    assert normalise_msisdn(f"0{one}{between}0{other}") is None


@every
@given(subscribers, subscribers, st.sampled_from(("0{} - JANE", "254{} - JANE", "254{}", "0{}")))
def test_a_receiver_is_known_by_its_last_nine_digits(ours, theirs, shape):
    assert same_phone(f"254{ours}", shape.format(theirs)) == (ours == theirs)


@every
@given(subscribers)
def test_a_masked_number_hides_five_digits(subscriber):
    masked = mask_msisdn(f"254{subscriber}")
    assert sum(each.isdigit() for each in masked) == 7


# Ids


def _digest(shortcode: str, host: str, tenant: str, loan: int, cycle: int, number: int) -> str:
    partner = Partner(
        mpesa_shortcode=shortcode, mifos_host_url=f"https://{host}", mifos_tenant_id=tenant
    )
    row = LoanTracking(loan_id=loan, cycle=cycle)
    return attempt_digest(partner=partner, loan=row, attempt_no=number)


places = st.tuples(
    st.integers(100_000, 9_999_999).map(str),
    names.map(lambda name: f"{name.strip('-') or 'a'}.example"),
    names,
    st.integers(1, 10**9),
    st.integers(1, 9),
    st.integers(1, 9),
)


@every
@given(places, places)
def test_two_attempts_have_one_id_only_if_they_are_the_same_attempt(one, other):
    assert _digest(*one) == _digest(*one)
    assert (_digest(*one) == _digest(*other)) == (one == other)


@every
@given(places, st.integers(0, 5))
def test_every_part_of_an_attempts_name_makes_another_id(one, part):
    other = list(one)
    other[part] = other[part] + 1 if isinstance(other[part], int) else f"{other[part]}9"
    assert _digest(*one) != _digest(*other)


@every
@given(places)
def test_an_id_is_one_that_mpesa_and_mifos_take(place):
    digest = _digest(*place)
    partner = Partner(mpesa_shortcode=place[0])
    assert OWN_ID.fullmatch(originator_conversation_id(partner=partner, digest=digest))
    assert re.fullmatch(r"[a-z0-9-]{1,100}", mifos_external_id(digest))


@every
@given(names, st.integers(1, 10**9), st.integers(1, 10**9), st.integers(1, 50), st.integers(1, 50))
def test_no_two_loans_and_no_two_tries_share_an_idempotency_key(tenant, one, other, first, second):
    def key(loan: int, number: int) -> str:
        return _idempotency_key(
            record_idempotency_key(
                tenant=tenant, loan_id=loan, external_id=f"loanpoll-{loan:024x}", key_no=number
            )
        )

    assert len(key(one, first)) <= 50
    assert (key(one, first) == key(other, second)) == ((one, first) == (other, second))


# Result codes


@every
@given(st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=4), st.none()))
@example(False)
@example("00")
@example(0.0)
def test_only_nought_is_success(code):
    truly = (isinstance(code, str) and code == "0") or (
        type(code) is int and not isinstance(code, bool) and code == 0
    )
    assert is_success(code) == truly


@every
@given(
    st.one_of(st.sampled_from(sorted(NEVER_PROOF_OF_FAILURE)), st.text("0123456789", min_size=1)),
    st.sampled_from(MoneyMoved.values),
    st.sampled_from(NewAttempt.values),
)
def test_no_amendment_makes_a_code_more_permissive_than_it_may_be(code, moved, attempt):
    row = ResultCode(code=code, money_moved=moved, new_attempt=attempt)
    if not refusal_of(row):
        assert code not in NEVER_PROOF_OF_FAILURE or moved != MoneyMoved.NO
        assert moved != MoneyMoved.YES or code == "0"
        assert moved == MoneyMoved.NO or attempt in {NewAttempt.NEVER, NewAttempt.PERSON}


# Verdicts

PROMISE = Promise(originator_conversation_id=OCID, amount=Decimal(4800), msisdn="254722123646")
payment_results = st.builds(
    PaymentResult,
    code=st.sampled_from(("0", "0", "1", "2040", "17", "00", "9999")),
    description=st.just("said"),
    originator_conversation_id=st.sampled_from((OCID, OCID, "another", "")),
    conversation_id=st.just("AG_1"),
    transaction_id=st.sampled_from(("SKN0000001", "")),
    receipt=st.sampled_from(("SKN0000001", "SKN0000001", "")),
    amount=st.sampled_from((Decimal(4800), Decimal("4800.00"), Decimal(4799), None)),
    receiver=st.sampled_from(("0722123646 - JANE", "254722123646", "0733123646 - JANE", "")),
    completed_at=st.just(NOW),
    utility_balance=st.none(),
)
meanings = st.builds(
    Meaning,
    code=st.just("x"),
    meaning=st.just("x"),
    money_moved=st.sampled_from(MoneyMoved),
    new_attempt=st.sampled_from(NewAttempt),
    who_acts=st.just(""),
    stops_shortcode=st.booleans(),
)
status_results = st.builds(
    StatusResult,
    code=st.sampled_from(("0", "0", "0", "2033", "2001", "17", "1")),
    description=st.just("said"),
    conversation_id=st.just("AG_2"),
    transaction_status=st.sampled_from(
        [
            "Completed",
            "completed ",
            "Declined",
            "CANCELLED",
            "Expired",
            "Pending",
            "Authorized",
            "Initiated",
            "Reversed",
            "Failed",
            "Rejected",
            "Completed-ish",
            "Not Declined",
            "",
        ]
    ),
    receipt=st.sampled_from(("SKN0000001", "SKN0000001", "")),
    amount=st.sampled_from((Decimal(4800), Decimal(4800), Decimal(1), None)),
    parties=st.sampled_from((("600000 - L", "0722123646 - J"), ("254722123646",), ("x",), ())),
    originator_conversation_id=st.sampled_from((OCID, OCID, "", "another")),
    completed_at=st.just(NOW),
)


@every
@given(payment_results, meanings)
def test_a_result_proves_a_payment_only_if_all_of_it_matches(result, meaning):
    matches = (
        result.code == "0"
        and result.receipt
        and result.amount == PROMISE.amount
        and "722123646" in result.receiver
        and result.originator_conversation_id == OCID
    )
    verdict = verdict_of_payment(result, PROMISE, meaning)
    assert (verdict.proof == Proof.PAID) == bool(matches)


@every
@given(payment_results, meanings)
def test_a_result_alone_never_proves_a_failure(result, meaning):
    verdict = verdict_of_payment(result, PROMISE, meaning)
    assert verdict.proof not in {Proof.DEAD, Proof.NOT_FOUND}
    if verdict.proof == Proof.REPORTED_FAILED:
        assert result.code != "0"
        assert meaning.money_moved == MoneyMoved.NO


@every
@given(status_results)
def test_only_three_words_of_an_answered_query_prove_a_failure(result):
    dead = verdict_of_status(result, PROMISE).proof == Proof.DEAD
    word = result.transaction_status.strip().lower()
    assert not dead or (result.code == "0" and word in {"cancelled", "declined", "expired"})


@every
@given(status_results)
def test_a_query_proves_a_payment_only_if_all_of_it_matches(result):
    paid = verdict_of_status(result, PROMISE).proof == Proof.PAID
    assert not paid or (
        result.code == "0"
        and result.transaction_status.strip().lower() == "completed"
        and result.receipt
        and result.amount == PROMISE.amount
        and any("722123646" in party for party in result.parties)
        and result.originator_conversation_id in {"", OCID}
    )


@every
@given(status_results)
def test_a_query_that_failed_says_nothing_of_the_payment(result):
    verdict = verdict_of_status(result, PROMISE)
    if result.code == "2033":
        assert verdict.proof == Proof.NOT_FOUND
    elif result.code != "0":
        assert verdict.proof == Proof.OPEN


@every
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(("Result", "ResultCode", "ResultParameters", "ResultParameter"))
                | st.sampled_from(("Key", "Value", "TransactionAmount")),
                inner,
                max_size=4,
            ),
        ),
        max_leaves=12,
    )
)
def test_any_letter_is_read_or_called_unreadable(document):
    for read in (read_payment_result, read_status_result):
        try:
            read(json.dumps(document))
        except UnreadableCallback:
            continue


# Time


@every
@given(moments, st.sampled_from(("%d.%m.%Y %H:%M:%S", "%Y%m%d%H%M%S")))
def test_kenyan_time_without_a_zone_is_read_as_the_instant_it_was(at, shape):
    text = at.astimezone(NAIROBI).strftime(shape)
    row = {"Key": "TransactionCompletedDateTime", "Value": text}
    result = {"ResultCode": 0, "ResultParameters": {"ResultParameter": row}}
    assert read_payment_result(json.dumps({"Result": result})).completed_at == at


@every
@given(st.dates(date(2020, 1, 1), date(2036, 1, 1)))
def test_a_nairobi_day_begins_three_hours_before_utcs(day):
    begins = start_of_day(day).astimezone(UTC)
    assert begins == datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=3)


@every
@given(moments, st.dates(date(2020, 1, 1), date(2036, 1, 1)), st.integers(-3, 3))
def test_a_disbursement_is_dated_between_its_approval_and_mifos_today(paid_at, approved, lag):
    paid_on = paid_at.astimezone(NAIROBI).date()
    today = paid_on + timedelta(days=lag)
    assume(approved <= today)
    attempt = DisbursementRequest(transaction_completed_at=paid_at, paid_at=paid_at)
    on = _disbursed_on(attempt, _loan(approved_on=approved), business_date=today)
    assert approved <= on <= today
    assert on == paid_on or on in {approved, today}


@every
@given(st.integers(0, 200))
def test_pauses_grow_and_never_pass_an_hour(count):
    assert backoff_seconds(count) <= backoff_seconds(count + 1) <= 60 * site.LOANPOLL_BACKOFF_BASE


@every
@given(st.none() | seconds, st.integers(1, 60))
def test_a_slot_is_never_in_the_past_and_never_beyond_reason(free, gap):
    free_at = None if free is None else NOW + free
    slot = _next_slot(free_at, gap=timedelta(seconds=gap), now=NOW)
    assert NOW <= slot <= NOW + timedelta(hours=17)


# When to ask, and when to send again


def _unknown(sent: timedelta, first: timedelta, last: timedelta) -> DisbursementRequest:
    return DisbursementRequest(
        status=AttemptStatus.UNKNOWN,
        created_at=NOW,
        first_sent_at=NOW,
        last_sent_at=NOW + sent,
        first_not_found_at=NOW + first,
        last_not_found_at=NOW + last,
    )


@every
@given(seconds, seconds, seconds, seconds)
@example(timedelta(0), timedelta(seconds=1), timedelta(seconds=3600), timedelta(seconds=3600))
@example(timedelta(0), timedelta(seconds=3100), timedelta(seconds=3600), timedelta(seconds=3600))
@example(timedelta(0), timedelta(seconds=1), timedelta(seconds=3599), timedelta(seconds=3600))
@example(timedelta(0), timedelta(seconds=1), timedelta(seconds=3600), timedelta(seconds=86400))
def test_the_same_id_goes_again_only_under_rule_six(sent, first, last, now):
    allowed = (
        last - first >= timedelta(minutes=10)
        and first > sent
        and last - sent >= timedelta(hours=1)
        and now < timedelta(hours=24)
    )
    attempt = _unknown(sent, first, last)
    assert may_send_again(attempt, now=NOW + now) == allowed
    attempt.failure_reported_at = NOW
    assert not may_send_again(attempt, now=NOW + now)


@every
@given(seconds, st.sampled_from([each for each in AttemptStatus if each != "unknown"]))
def test_only_an_unknown_attempt_goes_again(now, status):
    attempt = _unknown(timedelta(0), timedelta(seconds=1), timedelta(hours=2))
    attempt.status = status
    assert not may_send_again(attempt, now=NOW + now)


@every
@given(seconds, seconds, seconds)
def test_the_next_question_is_never_before_now_and_within_a_day(sent, first, now):
    at = next_question_at(_unknown(sent, first, first), now=NOW + now)
    assert NOW + now <= at <= NOW + max(now, sent) + timedelta(days=1)


# Statuses


@every
@given(st.lists(st.sampled_from(AttemptStatus), max_size=12))
def test_no_walk_leaves_a_final_status_or_comes_back_from_paid(wishes):
    status, path = AttemptStatus.SUBMITTING, [AttemptStatus.SUBMITTING]
    for wish in wishes:
        if wish in ALLOWED_MOVES[status]:
            status = wish
            path.append(wish)
    assert not {AttemptStatus.PAID, AttemptStatus.COMPLETED} <= set(path) or path[-1] == "completed"
    assert not ({AttemptStatus.PAID, AttemptStatus.FAILED} <= set(path))
    assert AttemptStatus.COMPLETED not in path or AttemptStatus.PAID in path


@every
@given(shillings, subscribers)
def test_a_promise_is_what_the_attempt_says(amount, subscriber):
    attempt = DisbursementRequest(
        originator_conversation_id=OCID, amount=Decimal(amount), msisdn=f"254{subscriber}"
    )
    assert promise_of(attempt) == Promise(
        originator_conversation_id=OCID, amount=Decimal(amount), msisdn=f"254{subscriber}"
    )


# Policy

facts = st.builds(
    LoanFacts,
    product_id=st.sampled_from((1, 1, 2)),
    principal=st.sampled_from((Decimal(5000), Decimal(100), Decimal(300_000))),
    net=st.sampled_from((Decimal(4800), Decimal("4800.5"), Decimal(9), Decimal(6000), None)),
    currency=st.sampled_from(("KES", "KES", "USD")),
    phone=st.sampled_from(("254722123646", "254722123646", "0722123646", "")),
    is_phone_shared=st.sampled_from((False, False, True)),
    approved_on=st.sampled_from((None, date(2026, 11, 23), date(2026, 11, 24))),
    expected_on=st.sampled_from((None, date(2026, 11, 23), date(2026, 11, 24))),
    obstacle=st.sampled_from(("", "", "group_loan", "top_up")),
    approval_cause=st.sampled_from(("", "", "phone_changed")),
    approved_causes=st.frozensets(
        st.sampled_from(("needs_approval", "phone_changed", "phone_shared"))
    ),
    is_held_by_staff=st.sampled_from((False, False, True)),
)
rules = st.builds(
    PartnerRules,
    is_active=st.sampled_from((True, True, False)),
    is_configured=st.sampled_from((True, True, False)),
    is_auto=st.sampled_from((True, True, False)),
    products=st.builds(
        ProductRule,
        enabled=st.sampled_from((True, True, False)),
        minimum=st.just(Decimal(1000)),
        maximum=st.just(Decimal(250_000)),
        auto_approve=st.booleans(),
    ).map(lambda rule: {1: rule}),
    loan_limit=st.sampled_from((None, Decimal(4000), Decimal(5000))),
    approval_threshold=st.sampled_from((None, Decimal(4000), Decimal(5000))),
)


@every
@given(facts, rules)
def test_a_loan_is_paid_only_if_nothing_at_all_speaks_against_it(loan, partner):
    refusal = refusal_for(facts=loan, rules=partner, today=date(2026, 11, 23))
    if refusal is None:
        assert not list(_against(loan, partner))


def _against(loan: LoanFacts, partner: PartnerRules):
    """Say, apart from the product, what speaks against paying this loan on 23 November 2026."""
    rule = partner.products.get(loan.product_id)
    yield from [
        name for name in ("is_active", "is_configured", "is_auto") if not _has(partner, name)
    ]
    if rule is None or not rule.enabled or not rule.minimum <= loan.principal <= rule.maximum:
        yield "product"
        return
    if loan.net is None or not 10 <= loan.net <= loan.principal or loan.net != int(loan.net):
        yield "net"
    if loan.currency != "KES" or loan.obstacle or loan.is_held_by_staff:
        yield "nature"
    if loan.phone != "254722123646" or date(2026, 11, 24) in {loan.approved_on, loan.expected_on}:
        yield "phone or date"
    if partner.loan_limit is not None and loan.principal > partner.loan_limit:
        yield "limit"
    threshold = partner.approval_threshold
    needs = not rule.auto_approve or (threshold and loan.principal > threshold)
    graver = {loan.approval_cause, "phone_shared" if loan.is_phone_shared else ""} - {""}
    if (needs and not loan.approved_causes) or not graver <= loan.approved_causes:
        yield "approval"


def _has(thing: object, name: str) -> bool:
    return bool(getattr(thing, name))


def _loan(**columns: object) -> Loan:
    facts: dict[str, object] = {
        "loan_id": 1,
        "account_number": "1",
        "external_id": "",
        "status_id": 200,
        "client_id": 1,
        "client_name": "Jane",
        "office_id": 1,
        "product_id": 1,
        "product_name": "Biashara",
        "principal": Decimal(5000),
        "approved_principal": Decimal(5000),
        "net_disbursal_amount": columns.pop("net", Decimal(4800)),
        "currency": "KES",
        "submitted_on": None,
        "approved_on": None,
        "expected_disbursement_date": None,
        "actual_disbursement_date": None,
        "loan_type_id": 1,
        "is_top_up": False,
        "is_multi_disburse": False,
        "has_down_payment": False,
        "is_charged_off": False,
        "is_fraud": False,
    }
    return Loan(**{**facts, **columns})
