"""``status.providers.django.health.storages``: files on disk, in memory, and in S3 as moto plays it."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage
from django.core.files.storage.handler import StorageHandler
from django.test import override_settings, tag

from status.engine import engine
from status.engine.execution import SingleFlight
from status.providers.django.storages import FOLDER, LEFTOVER_AFTER, StorageCheck
from tests import services
from tests.components import AliasTestCase, eventually, run
from tests.processes import ROOT

FILES = "django.core.files.storage.FileSystemStorage"


class Forgetful(InMemoryStorage):
    """Answers something else than was written, and lists nothing."""

    def _save(self, name: str, content: Any) -> str:
        return super()._save(name, ContentFile(b"something else"))

    def listdir(self, path: str) -> Any:
        raise NotImplementedError


class Undeletable(InMemoryStorage):
    def delete(self, name: str) -> None:
        raise PermissionError(errno.EACCES, "nobody may know /secret/path")


class StoragesTestCase(AliasTestCase):
    kind = StorageCheck

    def use(self, backend: str = FILES, **options: Any) -> None:
        """Make this the storage ``default``. Not by the setting: Django 4.2 forgets options that a test overrides."""
        static = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
        self.storages = StorageHandler({"default": {"BACKEND": backend, "OPTIONS": options}, "staticfiles": static})
        self.enter(mock.patch("status.providers.django.storages.storages", self.storages))

    def use_folder(self, folder: pathlib.Path) -> None:
        self.use(location=str(folder), base_url="/media/")

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.directory)) for path in self.directory.rglob("*") if path.is_file())


class FileTests(StoragesTestCase):
    def test_what_is_written_is_read_and_deleted(self) -> None:
        self.use_folder(self.directory)
        with mock.patch.object(
            FileSystemStorage, "delete", autospec=True, side_effect=FileSystemStorage.delete
        ) as gone:
            result = run(self.check())
        self.assertEqual((result.answer, result.state, result.warnings), ({"default": True}, "pass", {}))
        gone.assert_called_once()
        self.assertEqual(self.files(), [])

    def test_no_folder_stays_that_would_belong_to_who_asked_first(self) -> None:
        """Which may be root, so that the process on the web could not write there."""
        self.use_folder(self.directory)
        self.assertEqual(run(self.check()).answer, {"default": True})
        self.assertEqual(os.listdir(self.directory), [])
        with mock.patch.object(FileSystemStorage, "open", side_effect=OSError(errno.EIO, "")):
            self.assertFails("cannot be read: Input/output error")
        self.assertEqual(os.listdir(self.directory), [])

    def test_a_folder_that_another_process_removes_at_the_wrong_moment_is_made_again(self) -> None:
        self.use_folder(self.directory)
        save = FileSystemStorage._save
        failures: list[OSError] = []

        def removed(storage: FileSystemStorage, name: str, content: Any) -> str:
            if failures:
                raise failures.pop()
            return str(save(storage, name, content))

        with mock.patch.object(FileSystemStorage, "_save", removed):
            for failure in (FileNotFoundError(errno.ENOENT, ""), FileExistsError(errno.EEXIST, "")):
                failures.append(failure)
                self.assertEqual(run(self.check()).answer, {"default": True})

    def test_what_a_killed_process_left_is_deleted_and_nothing_else(self) -> None:
        """No file of a check stays for longer than a day."""
        self.use_folder(self.directory)
        (self.directory / FOLDER).mkdir()
        now = int(time.time())
        for name in (f"{now - LEFTOVER_AFTER - 9}-dead", f"{now - 9}-alive", "notes.txt"):
            (self.directory / FOLDER / name).write_text("x")
        for _ in range(2):
            self.assertEqual(run(self.check()).answer, {"default": True})
        self.assertEqual(self.files(), [f"{FOLDER}/{now - 9}-alive", f"{FOLDER}/notes.txt"])

    def test_a_process_killed_between_writing_and_deleting_leaves_a_file_that_goes(self) -> None:
        code = (
            "import os, django\n"
            "from django.conf import settings\n"
            f"settings.configure(MEDIA_ROOT={str(self.directory)!r})\n"
            "from django.core.files.storage import FileSystemStorage\n"
            "FileSystemStorage.open = lambda *args: os._exit(0)\n"
            "from status.providers.django.health import storages\n"
            "storages()\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=services.environment({}))
        self.assertEqual(len(self.files()), 1)
        self.use_folder(self.directory)
        with mock.patch(
            "status.providers.django.storages.time.time", lambda: time.time_ns() / 1e9 + LEFTOVER_AFTER + 9
        ):
            self.assertEqual(run(self.check()).answer, {"default": True})
        self.assertEqual(self.files(), [])

    def test_a_full_disk_is_told_and_no_half_file_stays(self) -> None:
        with small_disk(self.directory) as folder:
            self.use_folder(folder)
            self.assertEqual(run(self.check()).answer, {"default": True})
            with filled(folder):
                self.assertFails("cannot be written to: No space left on device")
                self.assertEqual([path.name for path in folder.rglob("*") if path.is_file()], ["filling"])
            self.assertEqual(run(self.check()).answer, {"default": True})

    def test_a_disk_that_went_read_only_is_told_unless_it_is_only_read(self) -> None:
        with read_only_disk(self.directory) as folder:
            self.use_folder(folder)
            self.assertFails("its directory cannot be made, or not be written to")
            self.assertEqual(run(self.check(read_only=True)).answer, {"default": True})

    def test_a_folder_that_is_still_to_be_made_is_a_warning_and_is_not_made(self) -> None:
        """What was not asked is not healthy: the volume may be missing that the folder is on."""
        self.use_folder(self.directory / "media")
        result = run(self.check())
        self.assertEqual(result.warnings, {"default": "its folder is still to be made: nothing was asked"})
        self.assertEqual((result.answer, result.state), ({"default": True}, "warn"))
        self.assertFalse((self.directory / "media").exists())

    def test_a_file_in_the_place_of_the_folder_is_told(self) -> None:
        (self.directory / "media").write_text("")
        self.use_folder(self.directory / "media")
        self.assertFails("its directory cannot be made, or not be written to")
        self.assertFails("its directory cannot be made, or not be read", read_only=True)

    def test_without_media_root_nothing_is_written_into_the_working_directory(self) -> None:
        self.use()
        result = run(self.check())
        self.assertEqual(result.warnings, {"default": "MEDIA_ROOT is not set: nothing was asked"})
        self.assertEqual((result.answer, result.state), ({"default": True}, "warn"))


class ChoiceTests(StoragesTestCase):
    def test_static_files_are_part_of_the_code_and_asked_only_by_name(self) -> None:
        self.use_folder(self.directory)
        self.assertEqual(list(run(self.check()).answer), ["default"])
        (self.directory / "static").mkdir()
        with override_settings(STATIC_ROOT=str(self.directory / "static")):
            result = run(self.check(aliases="staticfiles", read_only=True))
        self.assertEqual((result.answer, result.state), ({"staticfiles": True}, "pass"))
        with override_settings(STATIC_ROOT=None):
            self.use_folder(self.directory)
            result = run(self.check(aliases="staticfiles", read_only=True))
        self.assertEqual(result.warnings, {"staticfiles": "STATIC_ROOT is not set: nothing was asked"})

    def test_two_entries_with_other_arguments_do_not_share_an_answer(self) -> None:
        self.use_folder(self.directory)
        write, read = self.check(), self.check(read_only=True)
        with mock.patch.object(FileSystemStorage, "_save", side_effect=OSError(errno.ENOSPC, "full")):
            results = engine.run([write, read])
        self.assertEqual([result.answer for result in results], [{"default": False}, {"default": True}])

    def test_where_there_is_no_storage_nothing_is_well(self) -> None:
        with mock.patch("status.providers.django.storages.storages", StorageHandler({})):
            self.assertEqual(run(self.check()).error, "There is none to ask in STORAGES.")

    def test_what_cannot_be_asked_is_told(self) -> None:
        self.use("no.such.Storage")
        self.assertFails("InvalidStorageError (ModuleNotFoundError)")
        self.assertEqual(run(self.check(aliases=["nope"])).reasons, {"nope": "not configured in STORAGES"})
        wrong = "The argument read_only of the entry should be True or False, not a str."
        self.assertEqual(run(self.check(read_only="yes")).error, wrong)


class OtherStorageTests(StoragesTestCase):
    def test_a_storage_that_answers_something_else(self) -> None:
        self.use("tests.test_storages.Forgetful")
        self.assertFails("answered something else than was written to it")

    def test_a_storage_without_a_list_of_files_passes(self) -> None:
        self.use("tests.test_storages.Forgetful")
        with mock.patch.object(Forgetful, "_save", InMemoryStorage._save):
            self.assertEqual(run(self.check()).answer, {"default": True})

    def test_what_may_not_be_deleted_is_told_by_the_words_of_the_system(self) -> None:
        self.use("tests.test_storages.Undeletable")
        self.assertFails("cannot delete what was written: Permission denied")

    def test_an_error_without_a_number_is_told_by_its_class(self) -> None:
        self.use("tests.test_storages.Forgetful")
        with mock.patch.object(Storage, "save", side_effect=ConnectionResetError("s3cret")):
            self.assertFails("cannot be written to: ConnectionResetError")
        with mock.patch.object(Storage, "save", side_effect=ValueError("s3cret")):
            self.assertFails("cannot be written to: ValueError")


class S3TestCase(StoragesTestCase):
    """A bucket of django-storages, at a server of its own process."""

    server: services.Server

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        for module in ("moto", "storages", "boto3"):
            services.require_module(module, "pip install moto[server] django-storages[s3]")
        cls.server = services.web(sys.executable, "-W", "ignore", "-m", "moto.server", "-p", "{port}")
        cls.server.start()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self) -> None:
        super().setUp()
        self.bucket()
        self.storages["default"].connection.create_bucket(Bucket="media")

    def bucket(self, name: str = "media") -> None:
        login = {"access_key": "someone", "secret_key": "s3cret-s3cret"}
        endpoint = f"http://127.0.0.1:{self.server.port}"
        self.use(
            "storages.backends.s3.S3Storage", bucket_name=name, endpoint_url=endpoint, region_name="us-east-1", **login
        )

    def keys(self) -> list[str]:
        return [found.key for found in self.storages["default"].connection.Bucket("media").objects.all()]


class S3Tests(S3TestCase):
    def test_a_bucket_gives_back_what_is_written_and_keeps_nothing(self) -> None:
        stale, fresh = f"{FOLDER}/{int(time.time()) - LEFTOVER_AFTER - 9}-dead", "invoice.pdf"
        for name in (stale, fresh):
            self.storages["default"].save(name, ContentFile(b"x"))
        self.assertEqual(run(self.check()).answer, {"default": True})
        self.assertEqual(run(self.check(read_only=True)).answer, {"default": True})
        self.assertEqual(self.keys(), [fresh])

    def test_a_bucket_that_is_not_there_is_told_by_the_code_of_s3(self) -> None:
        self.bucket("nope")
        self.assertFails("cannot be written to: NoSuchBucket")
        self.assertFails("cannot be listed: NoSuchBucket", read_only=True)


@tag("fault")
class S3FaultTests(S3TestCase):
    def test_a_frozen_server_is_timed_out_and_recovers(self) -> None:
        check = self.check(timeout=1.0)
        self.assertEqual(run(check).answer, {"default": True})
        with self.server.frozen(), mock.patch.object(SingleFlight, "replace_after", 0.5):
            for _ in range(3):
                before = time.monotonic()
                result = run(check)
                self.assertLess(time.monotonic() - before, 1.5)
                self.assertRegex(result.reasons["default"], "^timed out after 1 s")
        self.assertTrue(eventually(lambda: run(check).answer == {"default": True}, 10.0))
        self.assertTrue(eventually(lambda: not engine.busy, 20.0))
        self.assertEqual(self.keys(), [])


@contextlib.contextmanager
def small_disk(directory: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system of 64 kB; only root can mount one, and anybody else gets the directory itself."""
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory]).returncode:
        yield directory
        return
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)


@contextlib.contextmanager
def filled(folder: pathlib.Path) -> Iterator[None]:
    """Fill the disk, or have it say so where it is not a small one of its own."""
    if not os.path.ismount(folder):
        (folder / "filling").write_text("")
        with mock.patch.object(FileSystemStorage, "_save", side_effect=OSError(errno.ENOSPC, "full")):
            yield
    else:
        with contextlib.suppress(OSError), open(folder / "filling", "wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        yield
    (folder / "filling").unlink()


@contextlib.contextmanager
def read_only_disk(directory: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system that nobody may write to, or a directory that this user may not."""
    with small_disk(directory) as folder:
        if os.path.ismount(folder):
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        else:
            folder.chmod(0o500)
        try:
            yield folder
        finally:
            if not os.path.ismount(folder):
                folder.chmod(0o700)
