"""The guide's three endpoints: fetch, process, and both."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.http import QueryDict
from drf_spectacular.utils import OpenApiResponse
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from disbursements import passes
from disbursements.api import answers, documents
from disbursements.api.base import ApiView
from disbursements.api.callers import Caller, KeyOrCronAuthentication
from disbursements.api.openapi import describe
from disbursements.api.options import FetchOptions, PassOptions, ProcessOptions, SyncOptions
from disbursements.models import TriggeredBy

GET_NEEDS_CRON = "GET starts a pass only with CRON_SECRET. Send a POST."
NO_PARTNER_SERVED = "No partner could be served; the body has the same keys, and `error`"


class PassView(ApiView):
    """One pass, started over HTTP: it stops taking new work when the budget ends."""

    authentication_classes = (KeyOrCronAuthentication,)
    permission_classes = (IsAuthenticated,)
    throttle_scope = "sync"
    # No HEAD and no OPTIONS: Django would turn HEAD into a GET, and here a GET pays.
    http_method_names = ("get", "post")
    body: type[PassOptions] = PassOptions

    def read_options(self, request: Request) -> dict[str, Any]:
        """Return the arguments of the pass. Raises a 400 or a 403 when they cannot be had."""
        # Without a body DRF gives an empty form, in which a missing flag would count as given.
        given = {} if isinstance(request.data, QueryDict) else request.data
        fields = self.body(data=given, context={"caller": request.user})
        fields.is_valid(raise_exception=True)
        return {"triggered_by": trigger_of(request), **fields.arguments()}


class FetchPendingLoans(PassView):
    """Reads the approved loans of every partner from Mifos X. Pays nothing."""

    body = FetchOptions

    @describe(
        operation_id="fetchPendingLoans",
        summary="Poll Mifos X and keep what is approved",
        tags=["passes"],
        request=FetchOptions,
        responses={
            200: documents.FetchAnswer,
            502: OpenApiResponse(documents.FetchAnswer, NO_PARTNER_SERVED),
        },
    )
    def post(self, request: Request) -> Response:
        budget = settings.LOANPOLL_HTTP_PASS_BUDGET
        report = passes.run_fetch(budget_seconds=budget, **self.read_options(request))
        return respond(answers.fetch_answer(report))


class ProcessPendingLoans(PassView):
    """Takes no new work after 25 s (then `hasMore`). Harmless twice, and at the same time."""

    body = ProcessOptions

    @describe(
        operation_id="processPendingLoans",
        summary="Pay the loans that may be paid now",
        tags=["passes"],
        request=ProcessOptions,
        responses={
            200: documents.ProcessAnswer,
            502: OpenApiResponse(documents.ProcessAnswer, NO_PARTNER_SERVED),
        },
    )
    def post(self, request: Request) -> Response:
        budget = settings.LOANPOLL_HTTP_PASS_BUDGET
        report = passes.run_process(budget_seconds=budget, **self.read_options(request))
        return respond(answers.process_answer(report))


class ScheduledLoanSync(PassView):
    """What a scheduler calls. Takes no new work after 25 s (then `hasMore`). Harmless twice."""

    body = SyncOptions

    @describe(
        operation_id="scheduledLoanSync",
        summary="One whole pass: fetch, process, settle, record",
        tags=["passes"],
        request=SyncOptions,
        responses={
            200: documents.SyncAnswer,
            502: OpenApiResponse(documents.SyncAnswer, NO_PARTNER_SERVED),
        },
    )
    def post(self, request: Request) -> Response:
        return self.run(**self.read_options(request))

    @describe(
        operation_id="scheduledLoanSyncByGet",
        summary="The same, for hosted cron that can only GET; with CRON_SECRET only",
        tags=["passes"],
        responses={
            200: documents.SyncAnswer,
            502: OpenApiResponse(documents.SyncAnswer, NO_PARTNER_SERVED),
        },
    )
    def get(self, request: Request) -> Response:
        if not cast(Caller, request.user).is_cron:
            raise PermissionDenied(GET_NEEDS_CRON)
        return self.run(triggered_by=TriggeredBy.SCHEDULE)

    def run(self, **options: Any) -> Response:
        report = passes.run_sync(budget_seconds=settings.LOANPOLL_HTTP_PASS_BUDGET, **options)
        return respond(answers.sync_answer(report))


def trigger_of(request: Request) -> TriggeredBy:
    """Return what the attempts of this pass will name as their cause."""
    is_cron = cast(Caller, request.user).is_cron
    return TriggeredBy.SCHEDULE if is_cron else TriggeredBy.API


def respond(answer: answers.Answer) -> Response:
    """Return the answer, small enough for every scheduler."""
    return Response(answers.fit(answer), status=answers.http_status(answer))
