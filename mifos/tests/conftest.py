"""A client of an invented Mifos X, and the contract's example payloads."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
import responses

from mifos.client import DisburseOrder, MifosClient, MifosConfig

BASE = "https://mifos.example/fineract-provider/api/v1"
EXAMPLES = json.loads((Path(__file__).parent / "examples.json").read_text())


def example(name):
    return deepcopy(EXAMPLES[name]["payload"])


def order(**changes):
    facts = {
        "loan_id": 3198,
        "principal": Decimal("20000.000000"),
        "on": date(2025, 10, 23),
        "payment_type_id": 7,
        "receipt_number": "TJN7RT61SV",
        "account_number": "254712345678",
        "routing_code": "AG_20251023_2010759fd5662ef6d05",
        "external_id": "lp:default:3198:1",
        "idempotency_key": "lp:default:3198:1:mark:1",
        "note": "M-Pesa B2C TJN7RT61SV",
    }
    return DisburseOrder(**{**facts, **changes})


@pytest.fixture
def mifos():
    client = MifosClient(
        MifosConfig(base_url=BASE + "/", tenant="default", username="svc", password="hunter2")
    )
    yield client
    client.close()


@pytest.fixture
def http():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock
