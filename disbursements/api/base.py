"""What every API view shares: JSON only, a small body, callers with a key, a pace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rest_framework.exceptions import NotFound, ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle, ScopedRateThrottle
from rest_framework.views import APIView

from disbursements.api.problems import BodyTooLarge

MAX_BODY_BYTES = 64 * 1024


class ShallowJsonParser(JSONParser):
    """JSON whose nesting cannot exhaust the stack."""

    def parse(self, stream: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().parse(stream, *args, **kwargs)
        except RecursionError as exc:
            raise ParseError("The JSON is nested too deeply.") from exc


class OnlyJson(BaseContentNegotiation):
    """Answers JSON whatever Accept says: a scheduler's odd header must not stop a payout."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        kind = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == kind), None)

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


class ApiView(APIView):
    """The base of all API views."""

    content_negotiation_class = OnlyJson
    parser_classes = (ShallowJsonParser,)
    throttle_classes: Sequence[type[BaseThrottle]] = (ScopedRateThrottle,)
    throttle_scope = "read"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # DRF reads the stream itself, so Django's own limit on bodies never fires here.
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            raise BodyTooLarge
        super().initial(request, *args, **kwargs)


class NoSuchAddress(ApiView):
    """Every address under /api/ that does not exist."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound("There is nothing at this address. See /api/docs/.")
