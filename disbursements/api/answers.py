"""The guide's answers: what a pass did, in the keys that its callers already read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from disbursements.reports import (
    FetchReport,
    LoanOutcome,
    LoanReport,
    PartnerProcess,
    ProcessReport,
    SyncReport,
)
from loans.fetch import PartnerFetch

Answer = dict[str, Any]

MAX_NESTED = 50
# cron-job.org aborts beyond 64 KB (experience.md 4.3); the rest of the body needs some room.
MAX_BODY_BYTES = 60_000

# The guide knows success, failed and error. An accepted payout is none of these.
GUIDE_STATUS = {
    LoanOutcome.PAID: "success",
    LoanOutcome.PROCESSING: "processing",
    LoanOutcome.FAILED: "failed",
    LoanOutcome.HELD: "held",
    LoanOutcome.UNKNOWN: "error",
    LoanOutcome.WOULD_PAY: "would_pay",
}


def fetch_answer(report: FetchReport) -> Answer:
    """Return the guide's answer of a fetch, with every partner."""
    if not report.results:
        return {
            "success": True,
            "message": "No active partners found",
            "processedLoans": 0,
            "totalProcessedLoans": 0,
            "results": [],
        }
    return {
        "success": report.success,
        "message": f"Successfully processed {report.new_loans} pending loans",
        "totalProcessedLoans": report.new_loans,
        "results": [_fetched(result) for result in report.results],
        "hasMore": report.has_more,
        **_trouble(report.results),
    }


def process_answer(report: ProcessReport) -> Answer:
    """Return the guide's answer of a process, with every loan. `processedLoans` were confirmed."""
    counts = Counter(loan.outcome for loan in report.loans)
    return {
        "success": report.success,
        "processedLoans": report.paid,
        "totalLoans": len(report.loans),
        "message": _process_message(report, counts),
        "results": [loan_answer(loan) for loan in report.loans],
        "summary": _summary(report, counts),
        "hasMore": report.has_more,
        **_waiting(report.results),
        **_trouble(report.results),
    }


def sync_answer(report: SyncReport) -> Answer:
    """Return the guide's answer of a whole pass."""
    at = timestamp(report.started_at)
    fetched, processed = fetch_answer(report.fetch), process_answer(report.process)
    if report.process.results and not report.fetch.results:
        fetched["message"] = "Nothing was fetched: a dry run does not poll"
    message = (
        f"Sync completed: {report.fetch.new_loans} loans fetched, "
        f"{report.process.paid} loans processed"
    )
    return {
        "success": report.success,
        "summary": {
            "success": report.success,
            "timestamp": at,
            "fetchSuccess": report.fetch.success,
            "processSuccess": report.process.success,
            "totalFetched": report.fetch.new_loans,
            "totalProcessed": report.process.paid,
            "message": message,
        },
        "details": {"fetchResults": fetched, "processResults": processed, "timestamp": at},
        "runId": str(report.run_id) if report.run_id else None,
        "hasMore": report.has_more,
        **_trouble([*report.fetch.results, *report.process.results]),
    }


def loan_answer(loan: LoanReport) -> Answer:
    """Return one loan of a pass; keys that have nothing to say are left out."""
    status = GUIDE_STATUS[loan.outcome]
    known = {
        "loanId": loan.loan_id,
        "status": status,
        "disbursementId": loan.disbursement_id,
        "mpesaReceipt": loan.receipt,
        "error": loan.reason if status in {"failed", "error"} else "",
        "reason": loan.reason,
        "resultCode": loan.result_code,
        "conversationId": loan.conversation_id,
        "partner": loan.partner,
        "trackingId": loan.tracking_id,
        "amount": str(loan.amount) if loan.amount is not None else None,
    }
    return {key: value for key, value in known.items() if value not in (None, "")}


def http_status(answer: Answer) -> int:
    """Return 502 when no partner could be served, so that schedulers do raise the alarm."""
    return 200 if answer["success"] or answer.get("partial") else 502


def fit(answer: Answer) -> Answer:
    """Return the answer with its lists cut so far that the body stays under 64 KB."""
    most = MAX_NESTED
    cut: Answer = _cut(answer, most)
    while most > 1 and len(json.dumps(cut)) > MAX_BODY_BYTES:
        most //= 2
        cut = _cut(answer, most)
    return cut


def timestamp(at: datetime) -> str:
    """Return a time as the guide writes it: UTC, milliseconds, Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def total(loans: Iterable[LoanReport], outcome: LoanOutcome) -> Decimal:
    """Return the KES of the loans that had this outcome."""
    amounts = (loan.amount or Decimal(0) for loan in loans if loan.outcome == outcome)
    return sum(amounts, Decimal(0))


def _fetched(result: PartnerFetch) -> Answer:
    # The guide's item has either the two counters or `error`.
    named = {"partner": result.partner, "partnerSlug": result.slug}
    if result.error:
        return {**named, "error": result.error}
    return {
        **named,
        "pendingLoans": result.approved,
        "processedLoans": result.new_loans,
        "cancelledLoans": result.cancelled,
        "durationMs": round(result.seconds * 1000),
    }


def _process_message(report: ProcessReport, counts: Counter[LoanOutcome]) -> str:
    if not report.loans and not report.paid:
        return "No pending loans to process"
    waits = {
        "wait for M-Pesa": counts[LoanOutcome.PROCESSING],
        "have an unknown outcome": counts[LoanOutcome.UNKNOWN],
        "failed": counts[LoanOutcome.FAILED],
        "are held": counts[LoanOutcome.HELD],
        "would be paid": counts[LoanOutcome.WOULD_PAY],
    }
    rest = ", ".join(f"{number} {words}" for words, number in waits.items() if number)
    done = f"Processed {report.paid} of {len(report.loans)} loans"
    return f"{done}; {rest}" if rest else done


def _summary(report: ProcessReport, counts: Counter[LoanOutcome]) -> Answer:
    return {
        "paid": report.paid,
        "processing": counts[LoanOutcome.PROCESSING],
        "unknown": counts[LoanOutcome.UNKNOWN],
        "failed": counts[LoanOutcome.FAILED],
        "held": counts[LoanOutcome.HELD],
        "wouldPay": counts[LoanOutcome.WOULD_PAY],
        "recorded": sum(result.recorded for result in report.results),
        "amount": f"{total(report.loans, LoanOutcome.PAID):.2f}",
        "currency": "KES",
    }


def _waiting(results: list[PartnerProcess]) -> Answer:
    waiting = [
        {"partner": result.partner, "partnerSlug": result.slug, "reason": result.waiting_because}
        for result in results
        if result.waiting_because
    ]
    return {"waitingPartners": waiting} if waiting else {}


def _trouble(results: Iterable[PartnerFetch | PartnerProcess]) -> Answer:
    """Return which partners could not be served, and whether at least one was."""
    served = {result.slug for result in results}
    errors = {result.slug: result for result in results if result.error}
    if not errors:
        return {}
    said = "; ".join(f"{result.partner}: {result.error}" for result in errors.values())
    return {
        "partial": bool(served - errors.keys()),
        "error": f"{len(errors)} of {len(served)} partners could not be served. {said}"[:2000],
        "failedPartners": [
            {"partner": result.partner, "partnerSlug": slug, "error": result.error}
            for slug, result in errors.items()
        ],
    }


def _cut(value: Any, most: int) -> Any:
    match value:
        case dict():
            cut = {key: _cut(item, most) for key, item in value.items()}
            is_long = any(isinstance(item, list) and len(item) > most for item in value.values())
            return {**cut, "resultsTruncated": True} if is_long else cut
        case list():
            return [_cut(item, most) for item in value[:most]]
        case _:
            return value
