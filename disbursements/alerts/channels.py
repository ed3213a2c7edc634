"""The ways to staff: e-mail and a signed webhook. Whatever goes wrong is raised as Undelivered."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Protocol

from django.conf import settings
from django.core.mail import EmailMessage

from disbursements.alerts.message import Message
from disbursements.models import AlertChannel
from wire import Answer, Wire, WireConfig, WireError
from wire.answer import encode_json

# A pass waits for them (errands.PATIENCE_SECONDS), so they are shorter than a partner's.
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 4.0


class Undelivered(Exception):
    """It did not arrive, as far as we know. The text names no address and no secret."""


class Channel(Protocol):
    name: AlertChannel

    def send(self, message: Message) -> None: ...


class Mail:
    """Django's own mail backend, to everybody in ALERT_EMAILS at once."""

    name = AlertChannel.MAIL

    def send(self, message: Message) -> None:
        mail = EmailMessage(
            subject=message.subject,
            body=message.text,
            to=list(settings.ALERT_EMAILS),
            headers={"Auto-Submitted": "auto-generated"},
        )
        try:
            taken = mail.send()
        except Exception as exc:  # a backend may raise anything: SMTP, sockets, TLS, headers
            raise Undelivered(f"{type(exc).__name__}: {exc}"[:300]) from exc
        if not taken:
            raise Undelivered("the mail server took nothing")


class Webhook:
    """One POST of JSON. The signature is over the time and the body, so an old one can be told."""

    name = AlertChannel.WEBHOOK

    def send(self, message: Message) -> None:
        document = message.document
        headers = _signature(encode_json(document), at=int(time.time()))
        answer = call("POST", settings.ALERT_WEBHOOK_URL, body=document, headers=headers)
        if not 200 <= answer.status < 300:
            raise Undelivered(f"the webhook answered {answer.status}")


def configured_channels() -> list[Channel]:
    """Return the channels that the settings name; none means that nobody is told anything."""
    channels: list[Channel] = []
    if settings.ALERT_EMAILS:
        channels.append(Mail())
    if settings.ALERT_WEBHOOK_URL:
        channels.append(Webhook())
    return channels


def call(
    method: str, url: str, *, body: object = None, headers: dict[str, str] | None = None
) -> Answer:
    """Send one request past the guard. Raises Undelivered when no answer comes in time."""
    config = WireConfig(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=ANSWER_SECONDS,
        allow_private_hosts=settings.LOANPOLL_ALLOW_PRIVATE_HOSTS,
        pool_size=1,
    )
    wire = Wire(config)
    try:
        return wire.send(method, url, body=body, headers=headers)
    except WireError as exc:
        raise Undelivered(str(exc)) from exc
    finally:
        wire.close()


def _signature(body: str, *, at: int) -> dict[str, str]:
    if not settings.ALERT_WEBHOOK_SECRET:
        return {}
    signed = hmac.new(
        settings.ALERT_WEBHOOK_SECRET.encode(), f"{at}.{body}".encode(), hashlib.sha256
    )
    return {
        "X-Loanpoll-Timestamp": str(at),
        "X-Loanpoll-Signature": f"sha256={signed.hexdigest()}",
    }
