"""Checks of what Django is configured with: most have one component for each alias."""

from __future__ import annotations

from status.providers.django.caches import CacheCheck
from status.providers.django.databases import DatabaseCheck
from status.providers.django.mail import MailCheck
from status.providers.django.migrations import MigrationCheck
from status.providers.django.replicas import ReplicaCheck
from status.providers.django.storages import StorageCheck
from status.providers.django.system_checks import SystemChecks
from status.providers.django.tasks import TaskCheck

databases = DatabaseCheck()
caches = CacheCheck()
mail = MailCheck()
migrations = MigrationCheck()
replicas = ReplicaCheck()
storages = StorageCheck()
system_checks = SystemChecks()
tasks = TaskCheck()
