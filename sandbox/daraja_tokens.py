"""OAuth tokens: a new one kills the one before it (contracts/mpesa.md 1)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field

from sandbox.calls import Answer, Call, answer
from sandbox.daraja_errors import TOKEN_SPELLINGS, DarajaError, refusal
from sandbox.ledger import Ledger
from sandbox.numbers import Numbers
from sandbox.options import Options


@dataclass(slots=True)
class Tokens:
    """The one live token of each app, and how many were handed out."""

    live: dict[str, tuple[str, float]] = field(default_factory=dict)  # token -> consumer key, end
    current: dict[str, str] = field(default_factory=dict)  # consumer key -> token
    issued: int = 0
    rejected: int = 0

    def issue(self, key: str, ends_at: float, seed: int) -> str:
        self.issued += 1
        made = hashlib.sha256(f"{seed}:{key}:{self.issued}".encode()).hexdigest()[:28]
        self.live.pop(self.current.get(key, ""), None)
        self.current[key] = made
        self.live[made] = (key, ends_at)
        return made

    def kill(self, key: str | None = None) -> None:
        """End a token at once, or all of them."""
        if key is None:
            self.live.clear()
        else:
            self.live.pop(self.current.get(key, ""), None)

    def owner(self, header: str, now: float) -> str | None:
        kind, _, token = header.partition(" ")
        found = self.live.get(token) if kind.lower() == "bearer" else None
        return found[0] if found is not None and now < found[1] else None


def oauth(tokens: Tokens, ledger: Ledger, numbers: Numbers, options: Options, call: Call) -> Answer:
    """Answer GET /oauth/v1/generate."""
    if call.query.get("grant_type") != "client_credentials":
        raise refusal(400, "400.008.02", "Invalid grant type passed", numbers.request_id())
    kind, _, encoded = call.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        raise refusal(400, "400.008.01", "Invalid Authentication passed", numbers.request_id())
    key, secret = _basic(encoded)
    apps = [row for row in ledger.shortcodes.values() if row.consumer_key == key]
    if not apps or apps[0].consumer_secret != secret:
        raise _wrong_key(numbers, options)
    token = tokens.issue(key, call.at + options.token_life, options.seed)
    life = int(options.token_life)
    return answer(
        {"access_token": token, "expires_in": life if options.expires_in_number else str(life)}
    )


def _basic(encoded: str) -> tuple[str, str]:
    try:
        key, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return key, secret


def _wrong_key(numbers: Numbers, options: Options) -> DarajaError:
    if options.empty_oauth_errors:  # seen live: contracts/mpesa.md 1, uncertain
        return DarajaError(Answer(status=400))
    return refusal(400, "400.008.01", "Invalid Authentication passed", numbers.request_id())


def app_of(tokens: Tokens, numbers: Numbers, call: Call) -> str:
    """Return the consumer key behind the token. Raises DarajaError, in four spellings in turn."""
    # What lands late was let in at its own time; the token may have died since.
    key = call.facts.get("app") or tokens.owner(call.headers.get("Authorization", ""), call.at)
    if key:
        return str(key)
    spellings = list(TOKEN_SPELLINGS.values())
    status, code, message = spellings[tokens.rejected % len(spellings)]
    tokens.rejected += 1
    raise refusal(status, code, message, numbers.request_id())
