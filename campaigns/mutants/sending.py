"""Wrong ways to claim, to send, and to send again."""

from __future__ import annotations

from campaigns.mutants.patching import Edit, Mutant, prop, scenario

CLAIMING = "disbursements/claiming.py"
SENDING = "disbursements/sending.py"
RESEND = "disbursements/resend.py"
PROCESS = "disbursements/process.py"
REREAD = "disbursements/reread.py"
IDENTITY = "disbursements/identity.py"
SCHEDULE = "disbursements/schedule.py"
CLIENT = "mpesa/client.py"

SENDING_MUTANTS = (
    Mutant(
        "new-id-after-a-timeout",
        "an unclear answer is taken for a refusal, so a new attempt with a new id may follow",
        (
            Edit(
                SENDING,
                "        case MpesaRefused() if attempt.sends_in_doubt == 0:\n"
                "            _refused(",
                "        case MpesaRefused() | MpesaUnknown():\n            _refused(",
            ),
            Edit(
                SENDING,
                '        evidence={"proof": "refused by the gateway", "code": answer.code},\n'
                "        now=now,\n        result_code=answer.code[:20],",
                '        evidence={"proof": "refused by the gateway", "code": answer.code},\n'
                '        now=now,\n        result_code="1",',
            ),
        ),
        scenario("an_unclear_answer_opens_no_second_attempt"),
        quick=True,
    ),
    Mutant(
        "new-id-on-a-resend",
        "the second send carries another OriginatorConversationID",
        (
            Edit(
                RESEND,
                '        "send_count": attempt.send_count + 1,\n',
                '        "send_count": attempt.send_count + 1,\n'
                '        "originator_conversation_id": attempt.originator_conversation_id[:-1],\n',
            ),
        ),
        scenario("two_times_not_found_allow_the_same_id_once_more"),
    ),
    Mutant(
        "random-id",
        "the id is drawn, not derived: a restored backup would pay twice",
        (
            Edit(
                IDENTITY,
                'return hashlib.sha256("\\n".join(parts).encode()).hexdigest()[:DIGEST_LENGTH]',
                "import secrets\n\n    return secrets.token_hex(DIGEST_LENGTH // 2)",
            ),
        ),
        prop("two_attempts_have_one_id_only_if_they_are_the_same_attempt"),
    ),
    Mutant(
        "id-without-the-attempt-number",
        "attempt 2 has the id of attempt 1",
        (Edit(IDENTITY, "        str(attempt_no),\n", ""),),
        prop("every_part_of_an_attempts_name_makes_another_id"),
    ),
    Mutant(
        "id-without-the-tenant",
        "two lenders on one shortcode share ids",
        (Edit(IDENTITY, "        partner.mifos_tenant_id.lower(),\n", ""),),
        prop("every_part_of_an_attempts_name_makes_another_id"),
    ),
    Mutant(
        "claim-not-committed",
        "the request leaves before its row is committed (T4 after the send)",
        (
            Edit(
                CLAIMING,
                "            return _write(partner, loan, triggered_by=triggered_by, now=now)\n",
                "            written = _write(partner, loan, triggered_by=triggered_by, now=now)\n"
                "            transaction.set_rollback(True)\n            return written\n",
            ),
        ),
        scenario("a_loan_is_paid_net_and_recorded_gross"),
        quick=True,
    ),
    Mutant(
        "send-inside-a-transaction",
        "the network is called while a transaction is open",
        (
            Edit(
                PROCESS,
                "    answer = send(claimed, fresh=fresh, mpesa=shop.mpesa)\n",
                "    with transaction.atomic():\n"
                "        answer = send(claimed, fresh=fresh, mpesa=shop.mpesa)\n",
            ),
        ),
        scenario("a_loan_is_paid_net_and_recorded_gross"),
    ),
    Mutant(
        "no-second-look",
        "a loan that left Mifos X's waiting list after the poll is paid",
        (
            Edit(
                PROCESS,
                "    if not fresh.loan.waiting_for_disbursal:\n        cancel(loan.pk",
                "    if False:\n        cancel(loan.pk",
            ),
        ),
        scenario("a_loan_that_left_the_list_after_the_poll_is_not_paid"),
        quick=True,
    ),
    Mutant(
        "an-old-look-will-do",
        "the last look may be an hour old when the money is asked for",
        (
            Edit(
                SENDING,
                "return max(settings.LOANPOLL_RECHECK_MAX_AGE, SHORTEST_RECHECK_AGE)",
                "return 3600.0",
            ),
        ),
        scenario("a_look_that_grew_too_old_is_taken_again"),
    ),
    Mutant(
        "the-first-clients-number",
        "every borrower is paid on the number of the first one",
        (
            Edit(
                REREAD,
                "    return FreshLoan(loan=loan, client=client, read_at=read_at)\n",
                '    client = mifos.__dict__.setdefault("first", client)\n'
                "    return FreshLoan(loan=loan, client=client, read_at=read_at)\n",
            ),
        ),
        scenario("two_clients_are_paid_to_two_phones"),
    ),
    Mutant(
        "principal-paid",
        "the borrower gets the principal, not the net amount",
        (Edit(CLAIMING, "amount=loan.net_disbursal_amount,", "amount=loan.loan_amount,"),),
        scenario("a_loan_is_paid_net_and_recorded_gross"),
        quick=True,
    ),
    Mutant(
        "cents-cut-off",
        "int() drops the cents of an amount",
        (
            Edit(
                CLIENT,
                "if not amount.is_finite() or amount != amount.to_integral_value():",
                "if not amount.is_finite():",
            ),
        ),
        prop("cents_are_never_rounded_away"),
    ),
    Mutant(
        "amounts-outside-any-sense",
        "nought and less are sent",
        (Edit(CLIENT, "if not 0 < amount < 1_000_000_000:", "if False:"),),
        prop("no_amount_that_is_not_above_zero_is_sent"),
    ),
    Mutant(
        "duplicate-means-failed",
        "M-Pesa's duplicate refusal is read as proof that nothing was paid",
        (
            Edit(
                CLIENT,
                "            return MpesaUnknown(said, code=fault.code, is_duplicate=is_duplicate)",
                "            kind = MpesaRefused if is_duplicate else MpesaUnknown\n"
                "            return kind(said, code=fault.code)",
            ),
            Edit(
                SENDING,
                "case MpesaRefused() if attempt.sends_in_doubt == 0:",
                "case MpesaRefused():",
            ),
        ),
        scenario("a_duplicate_refusal_is_a_question_and_no_failure"),
    ),
    Mutant(
        "every-500-002-1001-is-a-duplicate",
        "an internal error is taken for a duplicate",
        (
            Edit(
                CLIENT,
                'is_duplicate = "duplicate" in fault.message.lower()',
                "is_duplicate = True",
            ),
        ),
        ("mpesa/tests/test_client.py",),
    ),
    Mutant(
        "refusal-undoes-doubt",
        "a refused resend closes an attempt whose first send may still pay",
        (
            Edit(
                SENDING,
                "case MpesaRefused() if attempt.sends_in_doubt == 0:",
                "case MpesaRefused():",
            ),
        ),
        scenario("a_refusal_at_the_gate_of_a_resend_does_not_undo_the_first_doubt"),
        quick=True,
    ),
    Mutant(
        "throttled-means-not-sent",
        "a throttled send counts as one that never left",
        (
            Edit(
                SENDING,
                "if isinstance(answer, MpesaNotSent | MpesaRefused):",
                "if isinstance(answer, MpesaNotSent | MpesaThrottled | MpesaRefused):",
            ),
        ),
        ("tests/audit/test_43_turned_away_then_refused.py",),  # elsewhere a second rule holds
    ),
    Mutant(
        "throttled-waits-for-ever",
        "a throttled payment that may not be sent again is never asked about",
        (
            Edit(
                RESEND,
                "            ask_instead(attempt.pk, why=refusal.sentence, now=shop.now())\n",
                "            pass\n",
            ),
        ),
        scenario("a_throttled_send_may_have_passed"),
    ),
    Mutant(
        "no-fence-between-sends",
        "the late answer to an earlier send decides about a later one",
        (Edit(SENDING, "if current.send_count == attempt.send_count:", "if True:"),),
        scenario("an_answer_to_an_earlier_send_decides_nothing_about_a_later_one"),
    ),
    Mutant(
        "resend-without-a-look",
        "the same id goes again although the loan or the number changed",
        (Edit(RESEND, "    if not is_as_promised(attempt, fresh) or ", "    if "),),
        scenario("a_number_that_changes_before_a_resend_stops_it"),
    ),
    Mutant(
        "resend-after-one-not-found",
        "one 'not found' is enough to send again",
        (
            Edit(
                SCHEDULE,
                "        last - first >= _seconds(settings.LOANPOLL_NOT_FOUND_INTERVAL)\n"
                "        and ",
                "        ",
            ),
        ),
        prop("the_same_id_goes_again_only_under_rule_six"),
    ),
    Mutant(
        "resend-too-soon",
        "the same id goes again minutes after the last send",
        (
            Edit(
                SCHEDULE,
                "        and last - sent_at >= _seconds(settings.LOANPOLL_RESEND_AFTER)\n",
                "",
            ),
        ),
        prop("the_same_id_goes_again_only_under_rule_six"),
    ),
    Mutant(
        "resend-after-a-failure",
        "an attempt with a reported failure is sent again",
        (Edit(SCHEDULE, "    if attempt.failure_reported_at is not None:\n", "    if False:\n"),),
        prop("the_same_id_goes_again_only_under_rule_six"),
    ),
    Mutant(
        "duplicate-sent-again-and-again",
        "an id that is a duplicate and not found is sent until the day is over",
        (
            Edit(
                "disbursements/absence.py",
                "    if attempt.result_code == DUPLICATE_OR_INTERNAL:\n",
                "    if False:\n",
            ),
        ),
        scenario("an_id_that_is_a_duplicate_and_not_found_is_for_a_person"),
    ),
    Mutant(
        "v1-endpoint",
        "the old address takes no id of ours, so a repeat is a second payment",
        (Edit(CLIENT, '"/mpesa/b2c/v3/paymentrequest"', '"/mpesa/b2c/v1/paymentrequest"'),),
        ("mpesa/tests/test_client.py",),
    ),
    Mutant(
        "redirects-followed",
        "a payment is repeated to wherever an answer points",
        (Edit("wire/sending.py", "self._adapter.send(", "requests.Session().send("),),
        ("wire/tests/test_sending.py",),
    ),
    Mutant(
        "money-through-a-float",
        "an amount is written through binary floating point",
        (
            Edit(
                "wire/answer.py",
                'return format(value, "f")',
                "return repr(float(value))",
            ),
        ),
        prop("a_decimal_crosses_the_wire_exactly"),
    ),
    Mutant(
        "one-token-for-all",
        "the token of one lender's app is used for another's",
        (
            Edit(
                "mpesa/tokens.py",
                "app = f\"{base_url.rstrip('/')}\\0{consumer_key}\"",
                "app = base_url",
            ),
        ),
        scenario("two_lenders_pay_with_their_own_tokens"),
    ),
)
