"""People in the admin: users, their roles and partners, and who changed what."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from axes.utils import reset
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from loanpoll_site.second_factors import forget
from loans.admin import ReadOnlyAdmin
from partners.history import write_down
from partners.models import PartnerMembership

if TYPE_CHECKING:
    _MembershipInline = admin.TabularInline[PartnerMembership, User]
    _MembershipFormSet = BaseInlineFormSet[Any, Any, Any]
    _UserChangeForm = UserChangeForm[User]
    _UserAdmin = UserAdmin[User]
else:
    _MembershipInline = admin.TabularInline
    _MembershipFormSet = BaseInlineFormSet
    _UserChangeForm = UserChangeForm
    _UserAdmin = UserAdmin

# What only a superuser gives: a right that is not in a role, and rights over everything.
BEYOND_ROLES = ("is_superuser", "user_permissions")
OWN_RIGHTS = ("is_active", "is_staff", "groups")
SHOWN = "rights_shown"  # hidden on the page
CHANGED = (
    "The rights of this user were changed since this page was opened, and nothing was saved. "
    "Open it again, look at what is new, and enter your change anew."
)

for _secret in (TOTPDevice, StaticDevice):
    # Their pages show the secrets that a second factor is made of.
    with suppress(NotRegistered):
        admin.site.unregister(_secret)
for _plain in (User, Group):
    admin.site.unregister(_plain)


def rights_of(user: User) -> str:
    """Return a digest of what a user may do, and for which partners."""
    lists = (user.groups, user.user_permissions)
    facts: list[Any] = [user.is_active, user.is_staff, user.is_superuser]
    facts += [sorted(one.values_list("pk", flat=True)) for one in lists]
    facts += sorted(user.partner_memberships.values_list("partner_id", flat=True))
    return salted_hmac("loanpoll.rights", repr(facts)).hexdigest()[:16]


class DeskUserForm(_UserChangeForm):
    """An old page cannot give back a right: it says which ones it showed."""

    rights_shown = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial[SHOWN] = rights_of(self.instance)

    def clean(self) -> dict[str, Any]:
        super().clean()
        shown = self.cleaned_data.get(SHOWN)  # a program that posts shows nothing
        if shown and shown != self.initial[SHOWN]:
            self.add_error(None, CHANGED)
        return self.cleaned_data


class MembershipFormSet(_MembershipFormSet):
    """A superuser passes every check of rights, so he cannot be held to a partner."""

    def clean(self) -> None:
        super().clean()
        rows = [getattr(form, "cleaned_data", {}) for form in self.forms]
        kept = [row for row in rows if row and not row.get("DELETE")]
        if kept and self.instance.is_superuser:
            raise ValidationError("A superuser cannot be bound to a partner.")


class MembershipInline(_MembershipInline):
    model = PartnerMembership
    formset = MembershipFormSet
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not _is_self(request, obj) and super().has_add_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not _is_self(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not _is_self(request, obj) and super().has_delete_permission(request, obj)


@admin.register(User)
class DeskUserAdmin(_UserAdmin):
    """Nobody widens his own rights, and only a superuser touches a superuser."""

    form = DeskUserForm
    inlines: ClassVar = [MembershipInline]
    list_display = (
        "username",
        "full_name",
        "is_active",
        "is_staff",
        "is_superuser",
        "roles",
        "partners",
        "second_factor",
        "last_login",
    )
    list_filter = ("is_active", "is_staff", "is_superuser", "groups")
    actions = ("unlock_sign_in", "reset_second_factor")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Rights", {"fields": ("is_active", "is_staff", "groups", SHOWN)}),
        ("Beyond the roles", {"fields": BEYOND_ROLES, "classes": ("collapse",)}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        apps = TOTPDevice.objects.filter(user=OuterRef("pk"), confirmed=True)
        users: QuerySet[User] = super().get_queryset(request)
        users = users.prefetch_related("groups", "partner_memberships__partner")
        return users.annotate(has_app=Exists(apps))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        sections = super().get_fieldsets(request, obj)
        if self.has_change_permission(request, obj):
            return sections
        return [
            (title, options | {"fields": [one for one in options["fields"] if one != SHOWN]})
            for title, options in sections
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # Who asked for a payout, and who did what, is kept by user name.
        fixed = ("last_login", "date_joined", *(("username",) if obj else ()))
        if request.user.is_superuser:
            return fixed
        return (*fixed, *BEYOND_ROLES, *(OWN_RIGHTS if _is_self(request, obj) else ()))

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return self.inlines if obj else ()  # the first page asks for name and password only

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: with the user would go the history of what he did. Switch him off instead."""
        return False

    @admin.display(description="Name")
    def full_name(self, user: User) -> str:
        return user.get_full_name()

    @admin.display(description="Roles")
    def roles(self, user: User) -> str:
        return ", ".join(sorted(group.name for group in user.groups.all())) or "none"

    @admin.display(description="Partners")
    def partners(self, user: User) -> str:
        bound = user.partner_memberships.all()
        return ", ".join(sorted(one.partner.name for one in bound)) or "all"

    @admin.display(description="Second factor", boolean=True)
    def second_factor(self, user: User) -> bool:
        return bool(getattr(user, "has_app", False))

    @admin.action(description="Unlock sign-in", permissions=["change"])
    def unlock_sign_in(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in self._changeable(request, queryset):
            reset(username=user.get_username())
            write_down(user, by=request.user.get_username(), text="Sign-in unlocked.")
        self.message_user(request, "Done: they may try to sign in again.")

    @admin.action(description="Reset second factor", permissions=["change"])
    def reset_second_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in self._changeable(request, queryset):
            if forget(user):
                text = "Second factor reset."
                write_down(user, by=request.user.get_username(), text=text)
        self.message_user(request, "Done: they set up a new one when they sign in next.")

    def _changeable(self, request: HttpRequest, queryset: QuerySet[User]) -> list[User]:
        """Return the chosen users whom this person may change: his own account is not his."""
        chosen = list(queryset)
        allowed = [
            user
            for user in chosen
            if not _is_self(request, user) and self.has_change_permission(request, user)
        ]
        if len(allowed) < len(chosen):
            text = "Another person must do this for your own account and for superusers."
            self.message_user(request, text, messages.WARNING)
        return allowed


@admin.register(Group)
class DeskGroupAdmin(GroupAdmin):
    """The roles. Only a superuser may change what a role may do; nobody deletes one."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin):
    """Who changed which setting, when, from what to what. Nobody changes this."""

    list_display = ("action_time", "user", "content_type", "object_repr", "what", "message")
    list_display_links = ("action_time",)
    list_filter = ("action_flag", "user", "content_type")
    list_select_related = ("user", "content_type")
    date_hierarchy = "action_time"
    search_fields = ("object_repr", "=user__username", "=object_id")
    search_help_text = "What was changed, or who changed it"
    fields = ("action_time", "user", "content_type", "object_id", "object_repr", "what", "message")
    readonly_fields = fields
    ordering = ("-action_time", "-id")

    @admin.display(description="Action", ordering="action_flag")
    def what(self, entry: LogEntry) -> str:
        return str(entry.get_action_flag_display())

    @admin.display(description="What changed")
    def message(self, entry: LogEntry) -> str:
        return entry.get_change_message()


def _is_self(request: HttpRequest, obj: Any) -> bool:
    return obj is not None and obj.pk == request.user.pk
