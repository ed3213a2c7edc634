"""Django's registration of the disbursements room."""

from django.apps import AppConfig


class DisbursementsConfig(AppConfig):
    name = "disbursements"
    verbose_name = "Disbursements"
