"""The check of the storages that Django keeps files in."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.utils.module_loading import import_string

from status.providers.base import Answer, Part, Unavailable
from status.providers.django.aliases import AliasCheck, class_of, is_made
from status.providers.kinds import NAMES, SWITCH

#: Of the code rather than the data: asked only where the entry names it.
STATICFILES = "staticfiles"
#: The folder in each storage that a check writes to.
FOLDER = "django-status"
#: Seconds after which a file is deleted that a killed process left behind, and between two looks for such files.
LEFTOVER_AFTER = 3600


class StorageCheck(AliasCheck):
    """Answer ``{alias: bool}``: whether each storage gives back what is written to it.

    Entry arguments: ``aliases``, by default those of ``STORAGES`` but ``staticfiles``; with ``read_only`` nothing is
    written, and a storage is asked whether it has a certain file.

    A run writes a small file of its own into the folder ``django-status``, reads, compares and deletes it. On disk the
    folder is removed once it is empty. What a killed process left there is deleted an hour later, by whoever asks then.
    A folder that ``MEDIA_ROOT`` names and that is still to be made is a warning, and is not made: a volume may be
    missing.
    """

    label = "storages"
    setting = "STORAGES"
    kinds = MappingProxyType({"aliases": NAMES, "read_only": SWITCH})

    def __init__(self) -> None:
        super().__init__()
        #: Alias -> when files were last looked for that others left behind.
        self._swept: dict[str, float] = {}

    def known(self) -> Collection[str]:
        return list(storages.backends)

    def configured(self) -> Collection[str]:
        return [alias for alias in storages.backends if alias != STATICFILES]

    def parts(self, aliases: Iterable[str] | str | None = None, read_only: bool = False) -> list[Part]:
        return [self.part(alias, read_only=read_only) for alias in self.aliases(aliases)]

    def import_backend(self, alias: str) -> None:
        import_string(storages.backends[alias]["BACKEND"])  # type: ignore[index]

    def ask_alias(self, alias: str, **options: Any) -> Any:
        read_only = options["read_only"]
        storage: Any = storages[alias]
        if isinstance(storage, FileSystemStorage):
            setting = "STATIC_ROOT" if alias == STATICFILES else "MEDIA_ROOT"
            if not storage.base_location:
                return Answer(True, warnings={alias: f"{setting} is not set: nothing was asked"})
            if not is_made(os.fspath(storage.location), os.R_OK | os.X_OK if read_only else os.W_OK | os.X_OK):
                return Answer(True, warnings={alias: "its folder is still to be made: nothing was asked"})
        if read_only:
            with _step("be asked for a file"):
                storage.exists(f"{FOLDER}/{uuid4().hex}")
            if hasattr(storage, "bucket_name"):
                # S3 tells no difference between a file and a bucket that are not there, when it is asked for a file.
                with _step("be listed"):
                    storage.listdir(FOLDER)
            return None
        try:
            _write_read_delete(storage)
            if time.monotonic() - self._swept.get(alias, -LEFTOVER_AFTER) >= LEFTOVER_AFTER:
                self._swept[alias] = time.monotonic()
                with suppress(Exception):  # a storage that lists nothing, or may not: nobody is told that it fails
                    _sweep(storage)
        finally:
            if isinstance(storage, FileSystemStorage):
                # Who asked first may be root, and nobody else could write there.
                with suppress(OSError):  # another process writes there, or something is left
                    os.rmdir(storage.path(FOLDER))
        return None


def _write_read_delete(storage: Any) -> None:
    token = uuid4().hex.encode()
    name = f"{FOLDER}/{int(time.time())}-{token.decode()}"
    try:
        with _step("be written to"):
            try:
                name = storage.save(name, ContentFile(token))
            except (FileNotFoundError, FileExistsError):  # another process removed the folder that had just been made
                name = storage.save(name, ContentFile(token))
        with _step("be read"), storage.open(name) as file:
            content = file.read(len(token) + 1)
    except BaseException:
        with suppress(Exception):  # what is wrong is told already
            storage.delete(name)
        raise
    with _step("delete what was written"):
        storage.delete(name)
    if content != token:
        raise Unavailable("answered something else than was written to it")


def _sweep(storage: Any) -> None:
    """Delete what processes left behind that were killed in the middle of a check."""
    for name in storage.listdir(FOLDER)[1]:
        made = name.partition("-")[0]
        if made.isdecimal() and int(made) < time.time() - LEFTOVER_AFTER:
            storage.delete(f"{FOLDER}/{name}")


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Say what could not be done, and why: by the kind of error, and by the code of the system or of S3."""
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else class_of(error)
        raise Unavailable(f"cannot {what}: {why}") from error
    except Exception as error:
        response = getattr(error, "response", None)  # botocore's
        code = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else ""
        name = class_of(error)
        told = f"{name} ({code})" if isinstance(code, str) and code.isalnum() and code != name else name
        raise Unavailable(f"cannot {what}: {told}") from error
