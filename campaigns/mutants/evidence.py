"""Wrong ways to read what M-Pesa says."""

from __future__ import annotations

from campaigns.mutants.patching import Edit, Mutant, prop, scenario

EVIDENCE = "disbursements/evidence.py"
ABSENCE = "disbursements/absence.py"
VERDICTS = "disbursements/verdicts.py"
SETTLE = "disbursements/settle.py"
RESULTS = "mpesa/results.py"
ADDRESSES = "mpesa/addresses.py"

EVIDENCE_MUTANTS = (
    Mutant(
        "failure-believed",
        "a failure callback closes the attempt without a status query",
        (
            Edit(
                EVIDENCE,
                "            return outcomes.reported_failed(attempt, loan, verdict, now=now)\n",
                "            return outcomes.dead(attempt, loan, verdict, now=now)\n",
            ),
        ),
        scenario("a_failure_alone_opens_nothing"),
        quick=True,
    ),
    Mutant(
        "not-found-means-failed",
        "2033 closes the attempt",
        (
            Edit(
                ABSENCE,
                "    if _may_confirm(attempt, loan) and "
                "_not_found_confirms_from(attempt) <= asked_at:\n",
                "    if True:\n",
            ),
        ),
        scenario("not_found_alone_never_proves_a_failure"),
        quick=True,
    ),
    Mutant(
        "late-failure-wins",
        "a failure that comes after the success opens the attempt again",
        (
            Edit(
                EVIDENCE,
                "        if attempt.status in CLOSED_STATES:\n",
                "        if attempt.status == AttemptStatus.FAILED:\n",
            ),
            Edit(  # the second rule that would stop it
                EVIDENCE,
                "Proof.REPORTED_FAILED if contradictions.spoke_of_success(attempt, loan):",
                "Proof.REPORTED_FAILED if not attempt.pk:",
            ),
        ),
        scenario("a_failure_after_a_success_changes_nothing_and_calls_a_person"),
    ),
    Mutant(
        "paid-may-fail",
        "the table of moves lets a paid attempt fail",
        (
            Edit(
                "disbursements/models.py",
                "AttemptStatus.PAID: frozenset({AttemptStatus.COMPLETED}),",
                "AttemptStatus.PAID: frozenset({AttemptStatus.COMPLETED, AttemptStatus.FAILED}),",
            ),
        ),
        prop("no_walk_leaves_a_final_status_or_comes_back_from_paid"),
    ),
    Mutant(
        "success-after-a-failure-believed",
        "a success and a reported failure do not both hold, and the success is taken",
        (
            Edit(
                EVIDENCE,
                "        case Proof.PAID if attempt.failure_reported_at is not None:\n",
                "        case Proof.PAID if False:\n",
            ),
        ),
        scenario("a_false_failure_of_a_payment_goes_to_a_person"),
    ),
    Mutant(
        "any-amount-is-our-payment",
        "a success of another amount marks the loan as paid",
        (Edit(VERDICTS, "    if amount != promise.amount:\n", "    if False:\n"),),
        prop("a_result_proves_a_payment_only_if_all_of_it_matches"),
    ),
    Mutant(
        "any-phone-is-our-payment",
        "a success to another phone marks the loan as paid",
        (
            Edit(
                VERDICTS,
                "    if not any(same_phone(promise.msisdn, party) for party in parties):\n",
                "    if False:\n",
            ),
        ),
        prop("a_result_proves_a_payment_only_if_all_of_it_matches"),
    ),
    Mutant(
        "answered-means-paid",
        "the status query's own code 0 is read as the payment's",
        (Edit(VERDICTS, "    if status != DONE:\n", "    if False:\n"),),
        prop("a_query_proves_a_payment_only_if_all_of_it_matches"),
    ),
    Mutant(
        "pending-means-dead",
        "a payment that M-Pesa still works on is closed",
        (
            Edit(
                VERDICTS,
                'PROVEN_DEAD = frozenset({"cancelled", "declined", "expired"})',
                'PROVEN_DEAD = frozenset({"cancelled", "declined", "expired", "pending"})',
            ),
        ),
        prop("only_three_words_of_an_answered_query_prove_a_failure"),
    ),
    Mutant(
        "failed-query-is-a-verdict",
        "a query that M-Pesa refused is read as an answer",
        (
            Edit(
                VERDICTS,
                "    if not is_success(result.code):\n        return Verdict(\n"
                '            proof=Proof.OPEN,\n            reason=f"The question',
                "    if False:\n        return Verdict(\n"
                '            proof=Proof.OPEN,\n            reason=f"The question',
            ),
        ),
        prop("a_query_that_failed_says_nothing_of_the_payment"),
    ),
    Mutant(
        "false-is-nought",
        "ResultCode false, 0.0 or 00 is read as success",
        (
            Edit(
                RESULTS,
                'return code == "0" if isinstance(code, str) else type(code) is int and code == 0',
                "return not code or str(code).strip('0') == ''",
            ),
        ),
        prop("only_nought_is_success"),
    ),
    Mutant(
        "kenyan-time-read-as-utc",
        "M-Pesa's local times are three hours off",
        (Edit(RESULTS, ".replace(tzinfo=NAIROBI)", ".replace(tzinfo=UTC)"),),
        prop("kenyan_time_without_a_zone_is_read_as_the_instant_it_was"),
    ),
    Mutant(
        "any-secret-opens-the-door",
        "a callback is taken whatever the secret in its address",
        (
            Edit(
                ADDRESSES,
                "MpesaRequest.objects.filter(token_digest=digest_of(token)).first()",
                'MpesaRequest.objects.order_by("-id").first()',
            ),
        ),
        scenario("a_letter_at_a_wrong_address_is_not_taken"),
        quick=True,
    ),
    Mutant(
        "any-kind-of-letter",
        "a payment's result is taken at the door for status answers",
        (
            Edit(
                ADDRESSES,
                "return request if request and request.kind == REQUEST_KINDS[kind] else None",
                "return request",
            ),
        ),
        scenario("a_letter_at_a_wrong_address_is_not_taken"),
    ),
    Mutant(
        "strangers-are-believed",
        "a letter from any address proves what it says",
        (
            Edit(
                SETTLE,
                "    if callback.is_quarantined:\n        return _apply_quarantined",
                "    if False:\n        return _apply_quarantined",
            ),
        ),
        scenario("a_letter_from_a_strange_address_is_kept_and_proves_nothing"),
    ),
    Mutant(
        "one-answer-counts-twice",
        "the same 'not found', brought twice, counts as two",
        (
            Edit(
                SETTLE,
                "    if verdict.proof == Proof.NOT_FOUND and not is_first:\n",
                "    if False:\n",
            ),
            Edit(SETTLE, "asked_at=request.sent_at, now=now)", "asked_at=now, now=now)"),
        ),
        scenario("one_answer_brought_twice_is_not_two_answers"),
    ),
    Mutant(
        "letters-read-after-paying",
        "a kept letter about a refused credential is read after the next loans were sent",
        (
            Edit(
                "disbursements/serve.py",
                "    apply_unread_callbacks(partner)\n    gate = decide_for(partner)\n",
                "    gate = decide_for(partner)\n",
            ),
        ),
        scenario("an_unread_credential_fault_stops_the_next_pass_before_it_pays"),
    ),
    Mutant(
        "answered-before-kept",
        "Safaricom hears 200 while the database is away, and the letter is lost",
        (
            Edit(
                "disbursements/doors.py",
                'status=503, headers={"Retry-After": "30"})',
                "status=200)",
            ),
        ),
        ("disbursements/tests/test_callbacks.py",),
    ),
    Mutant(
        "silence-fails",
        "a payment without a verdict is closed by time alone",
        (
            Edit(
                "disbursements/ask.py",
                '    for pk in list(old.values_list("pk", flat=True)):\n',
                "    from disbursements.sending import fail\n\n"
                '    for pk in list(old.values_list("pk", flat=True)):\n'
                "        with locked_attempt(pk) as (late, owner):\n"
                '            fail(late, owner, reason="old", evidence={"proof": "age"}, now=now)\n'
                '    for pk in list(old.values_list("pk", flat=True)):\n',
            ),
        ),
        scenario("silence_for_a_day_calls_a_person_and_fails_nothing"),
    ),
    Mutant(
        "breaker-ignored",
        "a refused credential stops nothing, and M-Pesa locks the operator",
        (
            Edit(
                "loans/gates.py",
                "    if shortcode.breaker_opened_at is not None:\n",
                "    if False:\n",
            ),
            Edit(
                "disbursements/sending.py",
                "    if is_stopped(attempt.mpesa_environment, attempt.mpesa_shortcode):\n",
                "    if False:\n",
            ),
        ),
        scenario("a_credential_fault_stops_the_shortcode_until_a_person_acts"),
        quick=True,
    ),
    Mutant(
        "second-refusal-speaks-of-both",
        "a refusal fails a send whose first try a gateway had turned away",
        (
            Edit(
                "mpesa/client.py",
                "        except MpesaRefused as exc:\n            # It speaks",
                "        except ZeroDivisionError as exc:\n            # It speaks",
            ),
        ),
        ("tests/audit/test_50_turned_away_then_refused_in_one_send.py",),
    ),
    Mutant(
        "statement-forgotten",
        "what the statement shows as paid may still fail by itself",
        (
            Edit(
                EVIDENCE,
                "        if attempt.status not in OPEN_STATES or told.exists():\n",
                "        if True:\n",
            ),
        ),
        ("tests/audit/test_51_the_statement_says_paid.py",),
    ),
)
