"""Checks of the machine or container that this process runs in: disk, memory, processor, open files.

None of them asks for more than to read what the system shows to everybody.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, ClassVar

from status.providers.base import Answer, Composite, Kind, Part, Unavailable
from status.providers.figures import Figure, Measurement, failed, gauges, in_bytes, in_percent, judge
from status.providers.kinds import AMOUNT, PERCENT, SWITCH, is_path, listed, one_or_more

#: Thresholds of what is left, for checks of something that runs out.
LEFT = {"warn_percent": PERCENT, "fail_percent": PERCENT}
#: The files of a cgroup's memory in v2 and v1: limit, usage, and what memory.stat calls pages given back on demand.
MEMORY_FILES = (
    ("memory.max", "memory.current", ("active_file", "inactive_file")),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_active_file", "total_inactive_file")),
)


class DiskCheck(Measurement, Composite):
    """Answer ``{path: {"ok": bool, "free_bytes": ..., "free_percent": ..., "total_bytes": ...}}``.

    Free is what a user without special rights may still write; percent as ``df`` counts. Each path is looked at in a
    thread of its own: a network file system whose server is gone hangs.
    """

    label = subject = "disk"
    unanswered: ClassVar[Any] = {"ok": False}
    native = True
    metrics = gauges("free_bytes", "free_percent", "free_inodes", "free_inodes_percent")
    kinds = MappingProxyType(
        {
            "paths": Kind("an absolute path, or a list of them", one_or_more(is_path)),
            **LEFT,
            "warn_bytes": AMOUNT,
            "fail_bytes": AMOUNT,
            "inodes": SWITCH,
        }
    )

    def parts(
        self,
        paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = "/",
        *,
        warn_percent: float | None = 10,
        fail_percent: float | None = None,
        warn_bytes: float | None = None,
        fail_bytes: float | None = None,
        inodes: bool = False,
    ) -> list[Part]:
        limits: dict[str, Any] = {
            "warn_percent": warn_percent,
            "fail_percent": fail_percent,
            "warn_bytes": warn_bytes,
            "fail_bytes": fail_bytes,
            "inodes": inodes,
        }
        return [self.part(path, **limits) for path in dict.fromkeys(map(os.fspath, listed(paths)))]

    def ask(self, name: str, **options: Any) -> Answer:
        warn, fail = options["warn_percent"], options["fail_percent"]
        try:
            total, used, free = shutil.disk_usage(name)
            if not total:  # as of a file system in user space that does not count, or one that is still to be mounted
                return Answer({"ok": True}, warnings={name: "its file system tells no size: nothing was measured"})
            share = 100 * free / ((used + free) or 1)
            facts = {"free_bytes": free, "free_percent": round(share, 1), "total_bytes": total}
            figures = [
                Figure(share, "free", in_percent, warn, fail),
                Figure(free, "free", in_bytes, options["warn_bytes"], options["fail_bytes"]),
            ]
            if options["inodes"]:
                if not hasattr(os, "statvfs"):
                    raise Unavailable("inodes are not counted on this system")
                told = os.statvfs(name)
                if told.f_files:  # file systems that make them as they need them tell of none
                    left = 100 * told.f_favail / told.f_files
                    facts.update(free_inodes=told.f_favail, free_inodes_percent=round(left, 1))
                    figures.append(Figure(left, "of the inodes free", in_percent, warn, fail))
        except FileNotFoundError as error:
            raise Unavailable("there is no such path") from error
        except OSError as error:  # the words of the operating system name neither path nor secret
            raise Unavailable(f"cannot be looked at: {error.strerror}") from error
        answer = judge(name, facts, figures)
        return answer._replace(value=answer.value[name])


class OfSystem(Measurement):
    """A check that reads the files of the Linux kernel.

    root: the directory that holds ``proc`` and ``sys``.
    """

    root = Path("/")

    def read(self, path: str) -> str:
        """Return what the kernel tells in a file. Raises ``Unavailable`` where there is no such file."""
        try:
            return (self.root / path).read_text()
        except OSError as error:
            raise Unavailable(f"This system does not tell: /{path} cannot be read ({error.strerror}).") from error

    def groups(self, controller: str) -> Iterator[Path]:
        """Yield the directory of the cgroup that this process is in, and of those above it, in v2 or v1."""
        try:
            lines = (self.root / "proc/self/cgroup").read_text().splitlines()
        except OSError:  # a kernel without them
            return
        for line in lines:
            number, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                top = self.root / "sys/fs/cgroup" / controller
            elif number == "0" and not controllers:
                top = self.root / "sys/fs/cgroup"
            else:
                continue
            own = PurePosixPath(path.strip("/"))
            # In a container of v1 the path is the host's, and only the top is there.
            yield from (top / group for group in (own, *own.parents))


class MemoryCheck(OfSystem):
    """Answer ``{"container" or "host": {"ok": bool, "available_bytes": ..., "available_percent": ..., ...}}``.

    That of the container is told where a limit below the machine's memory applies, in cgroup v2 or v1. The pages of
    files that the kernel gives back on demand count as available.
    """

    subject = "memory"
    metrics = gauges("available_bytes", "available_percent")
    kinds = MappingProxyType({**LEFT, "warn_bytes": AMOUNT, "fail_bytes": AMOUNT})

    def check(
        self,
        *,
        warn_percent: float | None = 10,
        fail_percent: float | None = None,
        warn_bytes: float | None = None,
        fail_bytes: float | None = None,
    ) -> Answer:
        host = entries(self.read("proc/meminfo"))
        try:
            available, total, where = host["MemAvailable:"] * 1024, host["MemTotal:"] * 1024, "host"
        except KeyError as error:
            raise Unavailable("This system does not tell how much memory is available.") from error
        limited = [(left, limit) for left, limit in self.limits() if limit < total]
        if limited:
            (available, total), where = min(limited), "container"
        share = 100 * available / (total or 1)
        answer = {"available_bytes": available, "available_percent": round(share, 1), "total_bytes": total}
        figures = (
            Figure(share, "available", in_percent, warn_percent, fail_percent),
            Figure(available, "available", in_bytes, warn_bytes, fail_bytes),
        )
        return judge(where, answer, figures)

    def limits(self) -> Iterator[tuple[int, int]]:
        """Yield the bytes that each cgroup around this process has left, and its limit."""
        for group, (limit, usage, given_back) in product(self.groups("memory"), MEMORY_FILES):
            with suppress(OSError, ValueError):  # not there, or "max"
                most = int((group / limit).read_text())
                told = entries((group / "memory.stat").read_text())
                cached = sum(told.get(name, 0) for name in given_back)
                # The files are read one after the other, and pages come and go.
                yield min(most, max(0, most - int((group / usage).read_text()) + cached)), most


class LoadCheck(OfSystem):
    """Answer ``{"host": {"ok": bool, "load_1": ..., "load_5": ..., "load_15": ..., "cores": ..., ...}}``.

    Judged is the average of five minutes for each processor of the machine. Linux keeps no such average for a
    container: beside a quota of processor time, ``"container"`` tells the share of the last minute in which something
    in it had to wait for a processor, where cgroup v2 says so.
    """

    subject = "load"
    metrics = gauges("load_1", "load_5", "load_15", "load_per_core", "waiting_percent")
    kinds = MappingProxyType(
        {"warn_load": AMOUNT, "fail_load": AMOUNT, "warn_waiting": PERCENT, "fail_waiting": PERCENT}
    )

    def check(
        self,
        *,
        warn_load: float | None = 2,
        fail_load: float | None = None,
        warn_waiting: float | None = 90,
        fail_waiting: float | None = None,
    ) -> Answer:
        one, five, fifteen = map(float, self.read("proc/loadavg").split()[:3])
        cores = len(re.findall(r"^cpu\d", self.read("proc/stat"), re.MULTILINE)) or 1
        answer = {"load_1": one, "load_5": five, "load_15": fifteen, "cores": cores}
        load = Figure(five / cores, "of load for each core", "{:.2f}".format, warn_load, fail_load, upward=True)
        told = judge("host", {**answer, "load_per_core": round(load.value, 2)}, [load])
        quotas = [(quota, share) for quota, share in self.quotas() if quota < cores]
        if not quotas:
            return told
        quota, share = min(quotas)
        waiting = Figure(
            share, "of the time waiting for a processor", in_percent, warn_waiting, fail_waiting, upward=True
        )
        inner = judge("container", {"cores": quota, "waiting_percent": share}, [waiting])
        return Answer(
            {**told.value, **inner.value}, {**told.reasons, **inner.reasons}, {**told.warnings, **inner.warnings}
        )

    def quotas(self) -> Iterator[tuple[float, float]]:
        """Yield the processors that each cgroup around this process may use, and the percent of time it waits."""
        for group in self.groups("cpu"):
            with suppress(OSError, ValueError):  # not there, or "max"
                quota, period = (group / "cpu.max").read_text().split()
                pressure = re.search(r"^some .*avg60=([\d.]+)", (group / "cpu.pressure").read_text())
                if pressure:
                    yield int(quota) / int(period), float(pressure[1])


class FilesCheck(Measurement):
    """Answer ``{"process": {"ok": bool, "open": ..., "limit": ..., "left_percent": ...}}``: open file descriptors.

    Sockets and pipes are among them. The limit is the soft one, at which opening fails.
    """

    subject = "files"
    metrics = gauges("open", "left_percent")
    kinds = MappingProxyType(LEFT)

    def check(self, *, warn_percent: float | None = 20, fail_percent: float | None = None) -> Answer:
        try:
            # Late: the module is there on Unix only.
            import resource
        except ImportError as error:
            raise Unavailable("This system does not tell of file descriptors.") from error
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            used = len(os.listdir("/dev/fd")) - 1  # that which reads the directory
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                return failed("process", f"no file descriptor is left of {limit}")
            raise Unavailable(f"This system does not tell: /dev/fd cannot be read ({error.strerror}).") from error
        if limit == resource.RLIM_INFINITY:
            return judge("process", {"open": used}, [])
        share = 100 * max(0, limit - used) / (limit or 1)
        answer = {"open": used, "limit": limit, "left_percent": round(share, 1)}
        return judge(
            "process", answer, [Figure(share, "of the file descriptors left", in_percent, warn_percent, fail_percent)]
        )


def entries(text: str) -> dict[str, int]:
    """Return the entries of a file with a name and a number in each line."""
    found = re.findall(r"^(\S+)\s+(\d+)", text, re.MULTILINE)
    return {name: int(number) for name, number in found}


disk = DiskCheck()
memory = MemoryCheck()
load = LoadCheck()
files = FilesCheck()
