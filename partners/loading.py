"""Brings the partners in the database to what a file says: all of it, or nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db import transaction
from django.utils import timezone

from partners.columns import (
    CREDENTIAL_KEYS,
    EXAMPLES,
    PARTNER_COLUMNS,
    PRODUCT_COLUMNS,
    WrongValue,
    boolean_value,
    partner_value,
    product_value,
    text_value,
)
from partners.credentials import CREDENTIAL_COLUMNS, make_credential, paste_credential
from partners.models import LoanProductAutoDisbursalConfig, Partner
from partners.partner_file import UnreadableFile, read_partner_file
from partners.pausing import pause_partner, resume_partner
from partners.validation import MIFOS_COLUMNS, MPESA_COLUMNS, missing_columns, normal_host

ACTOR = "load_partners"
PAUSE_KEYS = ("is_paused", "pause_reason")
PARTNER_KEYS = ("slug", *PARTNER_COLUMNS, *CREDENTIAL_KEYS, *PAUSE_KEYS, "products")
WEBHOOK_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,64}")
CONFIGURED = {"is_mifos_configured": MIFOS_COLUMNS, "is_mpesa_configured": MPESA_COLUMNS}


class PlannedAction(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, kw_only=True, slots=True)
class PartnerPlan:
    """What happened to one partner. `changed` holds names only: some values are secret."""

    slug: str
    action: PlannedAction
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class FileProblem:
    """One thing that is wrong: whose, which key, and what to write instead."""

    partner: str
    key: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.partner, self.key, self.message) if part)


class WrongFile(Exception):
    """The file was refused and nothing was changed. `problems` are all there are."""

    def __init__(self, problems: list[FileProblem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


@dataclass(kw_only=True, slots=True)
class _Entry:
    """One partner of the file, and what was found wrong with it."""

    slug: str
    raw: Mapping[str, Any]
    folder: Path
    problems: list[FileProblem] = field(default_factory=list)

    def note(self, key: str, message: str, *, example: str | None = None) -> None:
        example = EXAMPLES.get(key.rpartition(".")[2], "") if example is None else example
        text = message.rstrip(".")
        # An example of one amount is no answer to "500 is above 100".
        if example and "Example" not in text and " is above " not in text:
            text = f"{text}. Example: {example}"
        self.problems.append(FileProblem(partner=self.slug, key=key, message=text))


def load_partners(
    path: Path, *, now: datetime, prune: bool = False, dry_run: bool = False
) -> list[PartnerPlan]:
    """Apply the file. `prune` disables products that a `products` list leaves out.

    Raises WrongFile.
    """
    entries = _entries(path)
    with transaction.atomic():
        plans = [_apply(entry, now=now, prune=prune) for entry in entries]
        problems = [problem for entry in entries for problem in entry.problems]
        if problems or dry_run:
            transaction.set_rollback(True)
    if problems:
        raise WrongFile(problems)
    return plans


def _entries(path: Path) -> list[_Entry]:
    try:
        items = read_partner_file(path)
    except UnreadableFile as exc:
        raise WrongFile([FileProblem(partner="", key="", message=str(exc))]) from exc
    if not items:
        raise WrongFile([FileProblem(partner="", key="", message=f"{path.name} names no partner")])
    entries: list[_Entry] = []
    for number, item in enumerate(items, start=1):
        entry = _entry(number, item, path.parent)
        if entry.slug in {other.slug for other in entries}:
            entry.note("slug", "stands twice in this file", example="")
        entries.append(entry)
    return entries


def _entry(number: int, item: Any, folder: Path) -> _Entry:
    place = f"partner no. {number}"
    if not isinstance(item, Mapping):
        entry = _Entry(slug=place, raw={}, folder=folder)
        entry.note("", "must be a block of keys and values, beginning with slug: umoja")
        return entry
    slug, why = _slug(item.get("slug"))
    entry = _Entry(slug=slug or place, raw=item, folder=folder)
    if why:
        entry.note("slug", why)
    _refuse_unknown_keys(entry, "", item, PARTNER_KEYS)
    return entry


def _slug(raw: Any) -> tuple[str, str]:
    if raw is None:
        return "", "is missing; it is the partner's short name"
    try:
        slug = text_value("slug", raw)
        validate_slug(slug)
    except (WrongValue, ValidationError):
        return "", "must be a short name of letters, digits, - and _"
    return slug, ""


def _refuse_unknown_keys(
    entry: _Entry, prefix: str, item: Mapping[Any, Any], known: tuple[str, ...]
) -> None:
    for key in item:
        if key in known:
            continue
        close = get_close_matches(str(key), known, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"Known keys: {', '.join(known)}"
        entry.note(f"{prefix}{key}", f"is not a known key. {hint}", example="")


def _apply(entry: _Entry, *, now: datetime, prune: bool) -> PartnerPlan:
    if not entry.raw:
        return PartnerPlan(slug=entry.slug, action=PlannedAction.UNCHANGED)
    stored = Partner.objects.select_for_update().filter(slug=entry.slug).first()
    partner = stored or Partner(slug=entry.slug)
    before = _columns_of(partner)
    was_complete = {flag: not missing_columns(partner, need) for flag, need in CONFIGURED.items()}
    _set_columns(entry, partner)
    _set_credential(entry, partner, now)
    _set_configured(entry, partner, {} if stored is None else was_complete)
    _validate(entry, "", lambda: partner.full_clean(exclude=_broken_columns(entry)))
    changed = [name for name in PARTNER_COLUMNS if before[name] != getattr(partner, name)]
    products = _products(entry, stored, prune=prune)
    pause = _pause_wish(entry, partner)
    if entry.problems:
        return PartnerPlan(slug=entry.slug, action=PlannedAction.UNCHANGED)
    names = [*changed, *(name for _, name in products), *(["is_paused"] if pause else [])]
    if stored is not None and not names:
        return PartnerPlan(slug=entry.slug, action=PlannedAction.UNCHANGED)
    _save(partner, changed, [product for product, _ in products], now)
    if pause:
        pause(now)
    if stored is None:
        return PartnerPlan(slug=entry.slug, action=PlannedAction.CREATED)
    return PartnerPlan(slug=entry.slug, action=PlannedAction.CHANGED, changed=tuple(names))


def _columns_of(partner: Partner) -> dict[str, Any]:
    return {name: getattr(partner, name) for name in PARTNER_COLUMNS}


def _broken_columns(entry: _Entry) -> set[str]:
    """A column whose value could not be read has been named already; its old value is no news."""
    return {problem.key for problem in entry.problems}


def _set_columns(entry: _Entry, partner: Partner) -> None:
    for column in PARTNER_COLUMNS:
        if column not in entry.raw:
            continue
        try:
            value = partner_value(column, entry.raw[column])
        except WrongValue as exc:
            entry.note(column, str(exc))
            continue
        # The credential has an age, and is set with it.
        if column != "mpesa_security_credential":
            setattr(partner, column, value)
    partner.mifos_host_url = normal_host(partner.mifos_host_url)
    if not WEBHOOK_TOKEN.fullmatch(partner.webhook_token):
        entry.note("webhook_token", "needs 32 to 64 letters, digits, - or _")


def _set_credential(entry: _Entry, partner: Partner, now: datetime) -> None:
    given = [key for key in CREDENTIAL_KEYS if key in entry.raw]
    if "mpesa_security_credential" in entry.raw:
        if given:
            entry.note(given[0], "cannot stand beside mpesa_security_credential", example="")
        elif "mpesa_security_credential" not in _broken_columns(entry):
            raw = entry.raw["mpesa_security_credential"]
            paste_credential(partner, partner_value("mpesa_security_credential", raw), now=now)
        return
    if len(given) == 1:
        other = next(key for key in CREDENTIAL_KEYS if key not in given)
        entry.note(other, f"is needed beside {given[0]}")
    elif given:
        _make_credential(entry, partner, now)


def _make_credential(entry: _Entry, partner: Partner, now: datetime) -> None:
    key = "mpesa_initiator_password"
    try:
        password = text_value(key, entry.raw[key])
        key = "mpesa_certificate"
        certificate = _certificate(entry, text_value(key, entry.raw[key]))
        make_credential(partner, password=password, certificate=certificate, now=now)
    except (WrongValue, ValueError) as exc:
        entry.note(key, f"cannot be used: {exc}")


def _certificate(entry: _Entry, text: str) -> bytes:
    if "-----BEGIN" in text:
        return text.encode()
    try:
        return (entry.folder / text).read_bytes()
    except OSError as exc:
        raise WrongValue(f"{exc.strerror or 'it cannot be read'} ({text[:100]})") from exc


def _set_configured(entry: _Entry, partner: Partner, was_complete: dict[str, bool]) -> None:
    """Unless the file says it, a partner is configured from when its columns are complete."""
    for flag, columns in CONFIGURED.items():
        is_complete = not missing_columns(partner, columns)
        # An unchanged completeness is left alone: somebody may have switched the flag off.
        if flag not in entry.raw and is_complete != was_complete.get(flag):
            setattr(partner, flag, is_complete)


def _products(
    entry: _Entry, stored: Partner | None, *, prune: bool
) -> list[tuple[LoanProductAutoDisbursalConfig, str]]:
    """Return the product configs to save, each with a name for what changed."""
    items = entry.raw.get("products")
    if items is None:
        return []
    if not isinstance(items, list):
        entry.note("products", "must be a list of product configs", example="- product_id: 7")
        return []
    known = {row.product_id: row for row in stored.products.all()} if stored else {}
    named: set[int] = set()
    found = [
        change
        for number, item in enumerate(items, start=1)
        for change in _product(entry, number, item, known, named)
    ]
    return [*found, *(_pruned(known, named) if prune else [])]


def _product(
    entry: _Entry,
    number: int,
    item: Any,
    known: dict[int, LoanProductAutoDisbursalConfig],
    named: set[int],
) -> Iterator[tuple[LoanProductAutoDisbursalConfig, str]]:
    prefix = f"products[{number}]."
    values = _product_values(entry, prefix, item)
    product_id = values.get("product_id")
    if product_id is None:
        return
    if product_id in named:
        entry.note(f"{prefix}product_id", f"{product_id} stands twice for this partner", example="")
    named.add(product_id)
    stored = known.get(product_id)
    product = stored or LoanProductAutoDisbursalConfig(product_id=product_id)
    changed = [name for name, value in values.items() if getattr(product, name) != value]
    for name, value in values.items():
        setattr(product, name, value)
    _validate(entry, prefix, lambda: _check_product(product))
    if stored is None:
        yield product, f"product {product_id}"
    elif changed:
        yield product, f"product {product_id} ({', '.join(changed)})"


def _product_values(entry: _Entry, prefix: str, item: Any) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        entry.note(prefix.rstrip("."), "must be a block of keys", example="- product_id: 7")
        return {}
    _refuse_unknown_keys(entry, prefix, item, PRODUCT_COLUMNS)
    values: dict[str, Any] = {}
    for column in PRODUCT_COLUMNS:
        if column not in item:
            continue
        try:
            values[column] = product_value(column, item[column])
        except WrongValue as exc:
            entry.note(f"{prefix}{column}", str(exc))
    if "product_id" not in item:
        entry.note(f"{prefix}product_id", "is missing")
    return values


def _check_product(product: LoanProductAutoDisbursalConfig) -> None:
    product.clean_fields(exclude={"partner"})
    product.clean()


def _pruned(
    known: dict[int, LoanProductAutoDisbursalConfig], named: set[int]
) -> Iterator[tuple[LoanProductAutoDisbursalConfig, str]]:
    for product_id, product in known.items():
        if product_id not in named and product.enabled:
            product.enabled = False
            yield product, f"product {product_id} (enabled)"


def _pause_wish(entry: _Entry, partner: Partner) -> Callable[[datetime], object] | None:
    """Return what to do about the pause. A pause that a person made is not lifted by a file."""
    if "is_paused" not in entry.raw:
        return None
    try:
        wanted = boolean_value(entry.raw["is_paused"])
        reason = text_value("pause_reason", entry.raw.get("pause_reason", "set in the file"))
    except WrongValue as exc:
        entry.note("is_paused", str(exc), example="false")
        return None
    if wanted == partner.is_paused:
        return None
    if not wanted and partner.paused_by != ACTOR:
        entry.note(
            "is_paused",
            f"cannot be lifted by a file: {partner.paused_by} paused it. To resume: manage.py "
            f"resume --partner {partner.slug} --reason … --actor …, or leave the key out",
            example="",
        )
        return None
    switch = pause_partner if wanted else resume_partner
    return lambda now: switch(partner, by=ACTOR, reason=reason, now=now)


def _validate(entry: _Entry, prefix: str, check: Callable[[], None]) -> None:
    try:
        check()
    except ValidationError as exc:
        for column, messages in exc.message_dict.items():
            key = "" if column == "__all__" else f"{prefix}{column}"
            for message in messages:
                entry.note(key, message)


def _save(
    partner: Partner,
    changed: list[str],
    products: list[LoanProductAutoDisbursalConfig],
    now: datetime,
) -> None:
    # Not when the file was opened: a pass may have decided by the old rules since.
    partner.rules_changed_at = max(now, timezone.now())
    if partner.pk is None:
        partner.save()
    else:
        # Only these: a pass may be writing how its poll went at the same time.
        also = ["rules_changed_at", "updated_at", *CREDENTIAL_COLUMNS]
        partner.save(update_fields={*changed, *also})
    for product in products:
        product.partner = partner
        product.save()
