"""Daraja's refusals at the gateway (contracts/mpesa.md 1, 2.1)."""

from __future__ import annotations

from sandbox.calls import Answer, answer

DUPLICATE = "Duplicate OriginatorConversationID."
# One rejected token, four spellings: contracts/mpesa.md 1.
TOKEN_SPELLINGS = {
    "token_404": (404, "404.001.03", "Invalid Access Token"),
    "token_401": (401, "401.002.01", "Error Occurred - Invalid Access Token - XXX"),
    "token_400": (400, "400.003.01", "Invalid Access Token"),
    "token_401_short": (401, "401.001", "Invalid Access Token"),
}


class DarajaError(Exception):
    """A refusal by the gateway, with the answer it becomes."""

    def __init__(self, reply: Answer) -> None:
        super().__init__(reply.status)
        self.reply = reply


def refusal(status: int, code: str, message: str, request_id: str) -> DarajaError:
    body = {"requestId": request_id, "errorCode": code, "errorMessage": message}
    return DarajaError(answer(body, status))


def bad_request(what: str, request_id: str) -> DarajaError:
    return refusal(400, "400.002.02", f"Bad Request - Invalid {what}", request_id)


def duplicate(request_id: str) -> DarajaError:
    return refusal(500, "500.002.1001", DUPLICATE, request_id)


def no_product(request_id: str) -> DarajaError:
    text = "Invalid API call as no apiproduct match found"
    return refusal(401, "401.003.01", text, request_id)


def not_authorized(request_id: str) -> DarajaError:
    text = "You are not authorized to initiate this transaction"
    return refusal(403, "403.002.1001", text, request_id)
