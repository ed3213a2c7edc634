"""Letters the sandbox sends: results, time-outs, hooks. Nothing is ever sent again by itself."""

from __future__ import annotations

import asyncio
import io
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import aiohttp

from sandbox.calls import Json
from sandbox.options import Options


@dataclass(slots=True)
class Letter:
    """One callback: pending (on its way), held (until released), sent, lost, failed or dropped."""

    id: int
    kind: str
    url: str
    body: bytes
    facts: Json
    headers: dict[str, str] = field(default_factory=dict)
    state: str = "pending"
    due_at: float = 0.0
    sent_at: float | None = None
    status: int | None = None
    error: str = ""
    deliveries: int = 0


class Deliveries:
    """Sends letters after a delay over HTTP; a failed delivery is lost (contracts/mpesa.md 5.4)."""

    def __init__(self, options: Options, random_source: random.Random) -> None:
        self.options = options
        self.letters: dict[int, Letter] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.closed = False
        self._session: aiohttp.ClientSession | None = None
        self._random = random_source

    def add(
        self, kind: str, url: str, body: bytes, facts: Json, headers: dict[str, str] | None = None
    ) -> Letter:
        number = len(self.letters) + 1
        letter = Letter(number, kind, url, body, facts, headers or {})
        self.letters[number] = letter
        return letter

    def lose(self, letter: Letter) -> None:
        letter.state = "lost"

    def hold(self, letter: Letter) -> None:
        letter.state = "held"

    def send_later(self, letter: Letter, delay: float) -> None:
        """Deliver after `delay` seconds, or hold it while all callbacks are held."""
        if self.options.hold_callbacks:
            self.hold(letter)
            return
        letter.due_at = time.time() + delay
        if delay <= 0:
            self._start(letter)
        else:
            asyncio.get_running_loop().call_later(delay, self._start_if_pending, letter)

    def _start_if_pending(self, letter: Letter) -> None:
        if letter.state == "pending":
            self._start(letter)

    def _start(self, letter: Letter) -> None:
        if self.closed:
            letter.state = "dropped"
            return
        task = asyncio.get_running_loop().create_task(self.deliver(letter))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def deliver(self, letter: Letter) -> None:
        """Post one letter now; whatever goes wrong, there is no second try."""
        letter.deliveries += 1
        timeout = aiohttp.ClientTimeout(total=self.options.callback_timeout)
        headers = {"Content-Type": "application/json", **letter.headers}
        try:
            async with self._open_session().post(
                letter.url,
                data=io.BytesIO(letter.body),
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                await response.read()
                letter.status = response.status
                letter.state = "sent"
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            letter.state, letter.error = "failed", f"{type(exc).__name__}: {exc}"
        letter.sent_at = time.time()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            # A kept connection that the other side closed would lose a letter by accident.
            connector = aiohttp.TCPConnector(limit=128, force_close=True)
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session

    def release(self, ids: Iterable[int] | None = None, order: str = "given") -> list[int]:
        """Send held (or named) letters now: as given, reversed or shuffled, one after another."""
        chosen = self._chosen(ids, lambda letter: letter.state in ("held", "pending"))
        if order == "reversed":
            chosen.reverse()
        elif order == "shuffled":
            self._random.shuffle(chosen)
        for letter in chosen:
            letter.state = "pending"

        async def one_after_another() -> None:
            for letter in chosen:
                await self.deliver(letter)

        task = asyncio.get_running_loop().create_task(one_after_another())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return [letter.id for letter in chosen]

    def drop(self, ids: Iterable[int] | None = None) -> list[int]:
        chosen = self._chosen(ids, lambda letter: letter.state in ("held", "pending"))
        for letter in chosen:
            letter.state = "dropped"
        return [letter.id for letter in chosen]

    def send_again(self, ids: Iterable[int], times: int = 1) -> list[int]:
        """Deliver letters once more, whatever became of them, all at once."""
        chosen = self._chosen(ids, lambda _: True)
        for letter in chosen:
            for _ in range(times):
                self._start(letter)
        return [letter.id for letter in chosen]

    def _chosen(self, ids: Iterable[int] | None, default: Callable[[Letter], bool]) -> list[Letter]:
        if ids is None:
            return [letter for letter in self.letters.values() if default(letter)]
        return [self.letters[number] for number in ids if number in self.letters]

    def counts(self) -> dict[str, int]:
        return dict(Counter(letter.state for letter in self.letters.values()))

    async def close(self) -> None:
        self.closed = True
        for task in list(self.tasks):
            task.cancel()
        if self._session is not None:
            await self._session.close()
            self._session = None
