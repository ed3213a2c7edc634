from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from encryption.fields import encrypt
from mpesa.models import CallbackKind, MpesaCallback, MpesaRequest, MpesaToken, Shortcode
from prepared.statements import Prepared, Rows, Slot, Tuples, Update, insert

pytestmark = pytest.mark.django_db


def shortcode(name: str = "600981", **columns: object) -> Shortcode:
    return Shortcode.objects.create(environment="sandbox", shortcode=name, **columns)


def request_of(name: str) -> MpesaRequest:
    return MpesaRequest(
        kind="payment",
        environment="sandbox",
        shortcode="600981",
        originator_conversation_id=name,
        token_digest=name,
        sent_at=timezone.now(),
    )


by_name = Rows(lambda: Shortcode.objects.filter(shortcode=Slot("name")))
longer_than = Rows(
    lambda: Shortcode.objects.filter(utility_balance__gte=Slot("least")).order_by("shortcode")
)


def test_rows_are_the_models_that_the_orm_reads():
    now = timezone.now()
    made = shortcode(utility_balance=Decimal("12.50"), utility_balance_at=now)
    shortcode("600982")

    read = by_name.get(name="600981")

    assert read == made
    assert (read.utility_balance, read.utility_balance_at) == (Decimal("12.50"), now)
    assert read._state.adding is False
    assert read.next_slot_at is None


def test_each_use_fills_in_its_own_values():
    for number, name in enumerate(("600981", "600982", "600983")):
        shortcode(name, utility_balance=Decimal(number))

    found = [longer_than.all(least=Decimal(least)) for least in (0, 1, 2, 3)]

    assert [[each.shortcode for each in rows] for rows in found] == [
        ["600981", "600982", "600983"],
        ["600982", "600983"],
        ["600983"],
        [],
    ]


def test_get_raises_what_the_orm_raises():
    every = Rows(lambda: Shortcode.objects.filter(environment=Slot("environment")))
    with pytest.raises(Shortcode.DoesNotExist):
        by_name.get(name="nobody")
    assert by_name.first(name="nobody") is None
    shortcode("600981")
    shortcode("600982")
    with pytest.raises(Shortcode.MultipleObjectsReturned):
        every.get(environment="sandbox")


def test_related_models_come_with_their_row():
    asked = request_of("a")
    insert([asked])
    MpesaCallback.objects.create(
        kind=CallbackKind.PAYMENT_RESULT, request=asked, body="{}", received_at=timezone.now()
    )
    with_request = Rows(
        lambda: MpesaCallback.objects.select_related("request").filter(request=Slot("request"))
    )

    [letter] = with_request.all(request=asked.pk)

    assert letter.body == "{}"
    assert "request" in letter._state.fields_cache
    assert letter.request == asked


def test_tuples_are_read_as_their_columns():
    shortcode(utility_balance=Decimal("3.00"))
    of = Tuples(
        lambda: Shortcode.objects.filter(shortcode=Slot("name")).values_list(
            "utility_balance", "next_slot_at"
        )
    )
    assert of.all(name="600981") == [[Decimal("3.00"), None]]


def test_a_condition_on_none_is_an_error_and_not_an_empty_answer():
    with pytest.raises(ValueError, match="name is None"):
        by_name.all(name=None)


@pytest.mark.django_db(transaction=True)
def test_rows_are_locked_in_a_transaction_only():
    locked = Rows(lambda: Shortcode.objects.select_for_update().filter(shortcode=Slot("name")))
    shortcode()
    for _ in range(2):  # compiled and not yet compiled
        with pytest.raises(TransactionManagementError):
            locked.get(name="600981")
    with transaction.atomic():
        assert locked.get(name="600981").shortcode == "600981"


def test_an_update_says_how_many_rows_it_found():
    shortcode()
    now = timezone.now()
    first = Update(
        lambda: Shortcode.objects.filter(shortcode=Slot("name"), next_slot_at=None),
        next_slot_at=Slot("at"),
    )
    assert [first(name="600981", at=now), first(name="600981", at=now)] == [1, 0]
    assert Shortcode.objects.get().next_slot_at == now


def test_an_update_may_count_on_what_is_there():
    shortcode(utility_balance=Decimal(10))
    add = Update(
        lambda: Shortcode.objects.filter(shortcode=Slot("name")),
        utility_balance=F("utility_balance") + 5,
    )
    add(name="600981")
    assert Shortcode.objects.get().utility_balance == Decimal(15)


def test_a_guarded_update_writes_nothing_but_its_columns_on_the_rows_it_names():
    made, other = shortcode(), shortcode("600982")
    later = timezone.now() + timedelta(days=1)

    columns = {"breaker_cause": "why", "breaker_opened_at": later, "utility_balance": None}
    of_sandbox = Prepared(Shortcode).filter(pk=made.pk, environment="sandbox")
    of_production = Prepared(Shortcode).filter(pk=made.pk, environment="production")
    assert [of_sandbox.update(**columns), of_production.update(**columns)] == [1, 0]

    made.refresh_from_db()
    other.refresh_from_db()
    assert (made.breaker_cause, made.breaker_opened_at) == ("why", later)
    assert (other.breaker_cause, other.breaker_opened_at) == ("", None)


def test_a_guarded_update_may_mix_values_and_expressions():
    made = shortcode(utility_balance=Decimal(10))
    for more in (5, 7):
        Prepared(Shortcode).filter(pk=made.pk).update(
            utility_balance=F("utility_balance") + more, breaker_cause=f"plus {more}"
        )
    made.refresh_from_db()
    assert (made.utility_balance, made.breaker_cause) == (Decimal(22), "plus 7")


def test_a_secret_is_encrypted_on_its_way_in():
    token = MpesaToken(app_digest="a", access_token="clear")
    insert([token])
    Prepared(MpesaToken).filter(pk=token.pk).update(access_token="other")

    with connection.cursor() as cursor:
        cursor.execute("SELECT access_token FROM mpesa_tokens")
        [(stored,)] = cursor.fetchall()
    assert "other" not in stored
    assert len(stored) == len(encrypt("other"))
    assert MpesaToken.objects.get().access_token == "other"


def test_inserted_rows_get_their_keys():
    rows = [request_of("a"), request_of("b")]
    insert(rows)
    keys = dict(MpesaRequest.objects.values_list("token_digest", "pk"))
    assert {row.token_digest: row.pk for row in rows} == keys
    assert not rows[0]._state.adding


@pytest.mark.django_db(transaction=True)
def test_a_refused_row_undoes_its_whole_transaction():
    insert([request_of("a")])
    with transaction.atomic():
        insert([request_of("b")])
        with pytest.raises(IntegrityError):
            insert([request_of("a")])
        with pytest.raises(TransactionManagementError):
            MpesaRequest.objects.count()
    assert MpesaRequest.objects.count() == 1


def test_a_database_that_returns_no_keys_gives_them_otherwise(monkeypatch):
    monkeypatch.setattr(connection.features, "can_return_columns_from_insert", False)
    rows = [request_of("a"), request_of("b")]
    insert(rows)
    assert all(row.pk for row in rows)
