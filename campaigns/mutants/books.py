"""Wrong ways to record, to follow Mifos X, to keep the trail, and to let people decide."""

from __future__ import annotations

from campaigns.mutants.patching import Edit, Mutant, prop, scenario

RECORD = "disbursements/record.py"
SHOWN = "disbursements/shown.py"
FETCH = "loans/fetch.py"
REFRESH = "loans/refresh.py"
GATES = "loans/gates.py"
CLAIMING = "disbursements/claiming.py"

NO_LOOK_AT_EARLIER_DISBURSALS = Edit(  # a second rule, behind the one that a mutant changes
    "disbursements/process.py",
    "    if fresh.loan.disbursals and not _note_earlier_disbursal(loan, fresh, now=now):\n",
    "    if False:\n",
)
RECORD_MUTANTS = (
    Mutant(
        "believed-the-200",
        "the loan is called recorded because Mifos X answered 200",
        (
            Edit(
                RECORD,
                '    return _verify(attempt, mifos, otherwise="Mifos X said disbursed',
                "    from disbursements.shown import complete\n"
                "    from mifos.client import Disbursal\n"
                "    said = Disbursal(\n"
                "        transaction_id=0,\n        amount=attempt.principal,\n"
                "        date=None,\n        is_reversed=False,\n"
                '        external_id=attempt.mifos_external_id,\n        receipt_number="",\n'
                '        account_number="",\n    )\n    return complete(attempt, said)\n'
                '    return _verify(attempt, mifos, otherwise="Mifos X said disbursed',
            ),
        ),
        scenario("a_200_without_effect_is_no_record"),
        quick=True,
    ),
    Mutant(
        "net-recorded-as-principal",
        "Mifos X is told the net amount, which lowers the loan",
        (Edit(RECORD, "principal=attempt.principal,", "principal=attempt.amount,"),),
        scenario("a_loan_is_paid_net_and_recorded_gross"),
    ),
    Mutant(
        "changed-principal-overwritten",
        "a principal that a person changed after the payment is lowered silently",
        (Edit(RECORD, "    if loan.principal != attempt.principal:\n", "    if False:\n"),),
        scenario("a_principal_changed_after_the_payment_is_not_overwritten"),
    ),
    Mutant(
        "posted-without-looking",
        "a record whose answer was lost is posted again",
        (
            Edit(
                RECORD,
                "    found = look(attempt, loan)\n"
                "    if found is not None:\n        return found\n"
                "    if is_struck",
                "    if is_struck",
            ),
        ),
        scenario("a_record_whose_answer_was_lost_is_found_and_not_repeated"),
    ),
    Mutant(
        "any-disbursal-is-ours",
        "cash paid by a clerk is taken for our payment",
        (
            Edit(
                SHOWN,
                "    return bool(receipt) and disbursal.receipt_number == receipt\n",
                "    return True\n",
            ),
        ),
        scenario("cash_paid_by_a_clerk_after_our_payment_is_a_possible_double_payment"),
    ),
    Mutant(
        "undone-and-posted-again",
        "a record that a person undid is posted again",
        (
            Edit(
                SHOWN,
                "        if ours:\n            alarm(",
                "        if False:\n            alarm(",
            ),
        ),
        scenario("a_record_undone_by_a_person_is_never_posted_again"),
    ),
    Mutant(
        "checker-asked-twice",
        "a record that waits for a checker is posted again",
        (
            Edit(
                RECORD,
                "    if attempt.mifos_command_id is not None:\n        return wait",
                "    if False:\n        return wait",
            ),
        ),
        scenario("a_waiting_checker_is_not_asked_twice"),
    ),
    Mutant(
        "old-key-after-a-refusal",
        "a refused record is repeated under its key, which replays the refusal for ever",
        (
            Edit(
                RECORD,
                "record_key_no=attempt.record_key_no + 1, record_date=None)",
                "record_key_no=attempt.record_key_no, record_date=None)",
            ),
        ),
        scenario("a_refused_record_gets_a_new_key_and_is_tried_again"),
    ),
    Mutant(
        "new-key-while-in-progress",
        "HTTP 425 is answered with a new key, and the loan may be recorded twice",
        (Edit(RECORD, "        case _ if exc.replayed:\n", "        case _:\n"),),
        scenario("a_key_that_is_still_in_progress_is_kept"),
    ),
    Mutant(
        "one-key-for-two-loans",
        "the second loan's record is answered with the first one's 200",
        (
            Edit(
                "disbursements/identity.py",
                'return f"lp:{tenant}:{loan_id}:{external_id}:{key_no}"',
                'return f"lp:{tenant}:{key_no}"',
            ),
        ),
        prop("no_two_loans_and_no_two_tries_share_an_idempotency_key"),
    ),
    Mutant(
        "dated-today",
        "a payment of yesterday is recorded with today's date",
        (
            Edit(
                RECORD,
                "    return max(min(paid_on, business_date), loan.approved_on or date.min)\n",
                "    return business_date\n",
            ),
        ),
        scenario("a_payment_before_midnight_is_dated_on_its_day"),
    ),
    Mutant(
        "two-recorders",
        "the lease of a record is not looked at",
        (
            Edit(
                RECORD,
                "        pk=pk, status=AttemptStatus.PAID, next_record_at__lte=now\n    ).update(",
                "        pk=pk, status=AttemptStatus.PAID\n    ).update(",
            ),
        ),
        scenario("a_second_recorder_leaves_the_attempt_alone"),
    ),
)
FOLLOWING_MUTANTS = (
    Mutant(
        "first-page-only",
        "loans on later pages of the list are never seen",
        (
            Edit(
                FETCH,
                "        if page is None:\n            break\n",
                "        if page is None or seen:\n            break\n",
            ),
        ),
        scenario("the_third_loan_of_a_list_in_pages_is_paid_too"),
    ),
    Mutant(
        "hook-believed",
        "a hook for a loan that does not wait makes a payout duty",
        (Edit(FETCH, "    if loan.waiting_for_disbursal:\n", "    if True:\n"),),
        scenario("a_hook_for_a_loan_that_does_not_wait_leaves_nothing"),
    ),
    Mutant(
        "poll-overwrites-status",
        "the poll sets a loan that is being paid back to pending",
        (
            Edit(
                FETCH,
                "    if row.status == LoanStatus.PENDING:\n        if terms_differ(row, loan):\n",
                "    if row.status != LoanStatus.DISBURSED:\n        if terms_differ(row, loan):\n",
            ),
            Edit(
                REFRESH,
                "        if loan.status != LoanStatus.PENDING or not changed:\n",
                "        if not changed:\n",
            ),
            Edit(
                REFRESH,
                '**{**changed, **extra, "decided_at": None},',
                '**{**changed, **extra, "decided_at": None, "status": "pending_disbursement"},',
            ),
        ),
        scenario("a_change_in_mifos_while_the_payment_is_open_touches_no_status"),
    ),
    Mutant(
        "changed-number-paid",
        "a number that changed after approval is paid without a person",
        (
            Edit(
                REFRESH,
                'return {"phone_changed_at": now, "approval_cause": cause}',
                "return {}",
            ),
        ),
        scenario("a_number_that_changes_after_approval_waits_for_a_person"),
    ),
    Mutant(
        "cash-forgotten",
        "a loan disbursed by hand and undone is paid by itself",
        (
            Edit(
                REFRESH,
                "if _may_be_paid(row, status_id)",
                "if False",
            ),
            NO_LOOK_AT_EARLIER_DISBURSALS,
        ),
        scenario("a_loan_disbursed_by_hand_and_undone_waits_for_a_person"),
    ),
    Mutant(
        "raw-phone",
        "the number goes out as a clerk typed it",
        (
            Edit(
                "loans/terms.py",
                "phone = normalise_msisdn(client.mobile_number) or client.mobile_number[:50]",
                "phone = client.mobile_number[:50]",
            ),
        ),
        scenario("two_clients_are_paid_to_two_phones"),
    ),
    Mutant(
        "second-number-ignored",
        "of two numbers in one field the first is paid",
        (
            Edit(
                "loans/phones.py",
                "    text = raw.strip()\n",
                '    text = re.split(r"[^0-9+ ().-]", raw.strip())[0].strip()\n',
            ),
        ),
        prop("two_numbers_are_no_number"),
    ),
    Mutant(
        "rounded-net",
        "a net amount finer than cents is rounded",
        (
            Edit(
                "loans/terms.py",
                "    if amount is None or amount != amount.quantize(CENT):\n",
                "    if amount is None:\n",
            ),
        ),
        prop("a_net_amount_finer_than_cents_is_unknown_and_never_rounded"),
    ),
    Mutant(
        "second-open-attempt",
        "the database no longer refuses two open attempts of one loan",
        (
            Edit(
                "disbursements/migrations/0001_initial.py",
                "condition=models.Q(('status', 'failed'), _negated=True), "
                "fields=('loan_tracking',), name='one_live_attempt_per_loan'",
                "condition=models.Q(('status', 'never')), "
                "fields=('loan_tracking',), name='one_live_attempt_per_loan'",
            ),
        ),
        scenario("the_database_refuses_a_second_open_attempt"),
    ),
    Mutant(
        "events-after-the-commit",
        "an event is written after the move it tells of, and a crash loses it",
        (
            Edit(
                "loans/audit.py",
                "        LoanEvent.objects.bulk_create(events)\n",
                "        transaction.on_commit(lambda: LoanEvent.objects.bulk_create(events))\n",
            ),
        ),
        ("loans/tests/test_audit.py",),
    ),
)
PEOPLE_MUTANTS = (
    Mutant(
        "retry-of-an-open-payment",
        "the retry button works while the outcome is unknown",
        (
            Edit(
                "disbursements/retry.py",
                "    if loan.status != LoanStatus.FAILED:\n        why",
                "    if loan.status not in {LoanStatus.FAILED, LoanStatus.PROCESSING}:\n"
                "        why",
            ),
            Edit("disbursements/retry.py", "    if live is not None:\n", "    if False:\n"),
        ),
        scenario("an_open_payment_cannot_be_tried_again_by_a_person"),
        quick=True,
    ),
    Mutant(
        "own-request-approved",
        "a person approves what they asked for",
        (
            Edit(
                "loans/approvals.py",
                "    if request.requested_by == by.get_username():\n",
                "    if False:\n",
            ),
        ),
        scenario("nobody_approves_what_they_asked_for"),
    ),
    Mutant(
        "approval-for-any-amount",
        "an approval of one amount is good for another",
        (
            Edit(
                "loans/rules.py",
                "        seen = (pk, amount, phone)\n",
                "        seen = (pk, loans[0].net_disbursal_amount, phone)\n",
            ),
            Edit(  # the second rule that would stop it
                REFRESH,
                "        if not APPROVED_TERMS.isdisjoint(changed):\n",
                '        if "phone_number" in changed:\n',
            ),
        ),
        scenario("an_approval_is_for_one_amount_only"),
    ),
    Mutant(
        "settled-by-one",
        "one person settles an unknown outcome alone",
        (
            Edit(
                "disbursements/resolve.py",
                "    if resolution.proposed_by_id == by.pk:\n",
                "    if False:\n",
            ),
        ),
        scenario("one_person_settles_nothing_alone"),
    ),
    Mutant(
        "pause-ignored",
        "a paused partner is paid",
        (Edit(GATES, "    if partner.is_paused:\n", "    if False:\n"),),
        scenario("what_is_switched_off_pays_nothing"),
    ),
    Mutant(
        "gate-looked-at-once",
        "a pause is seen at the beginning of a pass only",
        (
            Edit(
                CLAIMING,
                "    return gate_of(partner) or refusal_for(",
                "    return refusal_for(",
            ),
        ),
        scenario("a_pause_between_two_loans_of_one_pass_stops_the_second"),
    ),
    Mutant(
        "limit-counts-the-recorded-only",
        "open payments do not count against the daily limit",
        (
            Edit(
                CLAIMING,
                "still_open = mine.filter(status__in=OPEN_STATES)",
                "still_open = mine.none()",
            ),
        ),
        scenario("the_daily_limit_counts_what_is_open"),
        quick=True,
    ),
    Mutant(
        "review-is-no-brake",
        "a loan that a person must look at is sent meanwhile",
        (
            Edit(
                "disbursements/process.py",
                'free | look_again, partner=partner, status=LoanStatus.PENDING, review_reason=""',
                "free | look_again, partner=partner, status=LoanStatus.PENDING",
            ),
            Edit(
                CLAIMING,
                "            if loan.review_reason:\n",
                "            if False:\n",
            ),
        ),
        scenario("a_loan_in_review_is_not_sent"),
    ),
    Mutant(
        "new-cycle-pays-itself",
        "a loan undone after payment is paid again without a second person",
        (
            Edit(
                "loans/holding.py",
                "        approval_cause=HoldReason.REOPENED,\n"
                "        hold_reason=HoldReason.REOPENED,\n",
                "",
            ),
            NO_LOOK_AT_EARLIER_DISBURSALS,
        ),
        scenario("a_new_cycle_waits_for_a_second_person"),
    ),
    Mutant(
        "settled-as-paid-and-paid-again",
        "an attempt that two people say was paid binds its loan only while that stands failed",
        (
            Edit(
                "disbursements/resolve.py",
                "ResolutionOutcome.PAID and attempt.status == AttemptStatus.FAILED:",
                'ResolutionOutcome.PAID and loan.status == "failed":',
            ),
        ),
        ("tests/audit/test_60_settled_as_paid_and_paid_again.py",),
    ),
    Mutant(
        "rules-judged-before-the-lock-only",
        "a resend goes out by rules that changed after its look",
        (
            Edit(
                "disbursements/resend.py",
                "if standing_refusal(partner, loan, today=shop.preflight.today) is not None:",
                "if False:",
            ),
        ),
        ("disbursements/tests/test_resend.py",),
    ),
)
