"""Who is asked: a running instance, over HTTP."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from time import monotonic
from typing import Any
from urllib.parse import quote, urlencode

from status import __version__
from status.cli.arguments import CannotAsk, Options
from status.cli.client import Answer, checked_url, exchange
from status.cli.question import Names, Question, Reply, no_such, resolve
from status.formats import FORMATS
from status.formats.components import one_line
from status.report import Report, Result

#: Seconds for a whole exchange, redirects included.
TIMEOUT = 10.0
HEALTH = FORMATS["health+json"]
#: What may stand in a header's name, and what may not in its value (RFC 9110, section 5).
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
NOT_IN_VALUE = re.compile(r"[^\t\x20-\x7e\xa0-\xff]")


class Remote:
    """A running instance.

    url: where the app is mounted, without the last slash.
    headers: what every request carries.
    timeout: seconds for all that one question needs.
    """

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float = TIMEOUT, insecure: bool = False) -> None:
        self.url = url
        self.headers = {"User-Agent": f"django-status/{__version__}", **headers}
        self.timeout = timeout
        self.insecure = insecure
        self._deadline = 0.0

    @classmethod
    def of(cls, options: Options) -> Remote:
        """The instance that ``options`` name, with the rights they give. Raises ``CannotAsk``."""
        return cls(checked_url(options.url or ""), headers(options), options.timeout or TIMEOUT, options.insecure)

    def names(self) -> Names:
        self._begin()
        return self._listed(self._send("OPTIONS", ""))

    def addresses(self, name: str | None) -> Mapping[str, Mapping[str, str | None]]:
        names = self.names()
        resource, provider = resolve(name, names)
        if resource is not None and resource not in names:
            raise CannotAsk(no_such("resource", resource, names))
        return {
            home: {each: f"{self.url}/{home}/{each}" for each in providers if provider in (None, each)}
            for home, providers in names.items()
            if resource in (None, home)
        }

    def pending(self) -> list[str]:
        return [self.url]

    def ask(self, question: Question, patience: float | None = None) -> Reply:
        self._begin(patience)
        resource, provider = self._resolve(question.name)
        path = "".join(f"/{quote(part, safe='')}" for part in (resource, provider) if part is not None)
        known = FORMATS.get(question.format)
        if known is None or not known.http:
            return judged(self._get(path, question, HEALTH.name), resource, provider)
        answer = self._get(path, question, known.name)
        failing = answer.status >= 300 and not known.always_ok
        if question.judge and not failing:
            # The status alone does not tell: metrics are always 200, and so is a project with STATUS_ERROR_CODE = 200.
            health = answer if known is HEALTH else self._get(path, question, HEALTH.name)
            failing = judged(health, resource, provider).failing
        return Reply(failing, text=answer.body.decode("utf-8", "replace"))

    def _send(self, method: str, target: str) -> Answer:
        return exchange(method, f"{self.url}{target}", self.headers, self._deadline, self.insecure)

    def _begin(self, patience: float | None = None) -> None:
        self._deadline = monotonic() + min(self.timeout, self.timeout if patience is None else patience)

    def _resolve(self, name: str | None) -> tuple[str | None, str | None]:
        """What a bare name means there. One with a slash needs no asking, and is one request less."""
        if name is None or "/" in name:
            return resolve(name, {})
        answer = self._send("OPTIONS", "")
        if answer.status in (405, 501) and not _is_problem(answer):
            return name, None  # something in between lets no OPTIONS through; most names are resources
        return resolve(name, self._listed(answer))

    def _listed(self, answer: Answer) -> Names:
        self._refuse(answer)
        listing = answer.json()
        if answer.status != 200 or not isinstance(listing, dict) or not all(map(_is_object, listing.values())):
            raise self._not_ours(answer)
        return listing

    def _get(self, path: str, question: Question, format: str) -> Answer:
        """The answer in ``format``. Raises ``CannotAsk`` for anything else."""
        query = urlencode({"format": format, "check": question.check, "skip": question.skip}, doseq=True)
        answer = self._send("GET", f"{path}?{query}")
        if answer.media_type == FORMATS[format].media_type and (format != "json" or not _is_problem(answer)):
            return answer
        self._refuse(answer)
        raise self._not_ours(answer)

    def _refuse(self, answer: Answer) -> None:
        """Raises ``CannotAsk`` where the app itself says that this cannot be asked."""
        if answer.status in (401, 403):
            remedy = "it needs a token (--token-file, $STATUS_TOKEN) or other rights"
            raise CannotAsk(f"{self.url} answers {answer.status}: {remedy}")
        if _is_problem(answer):
            raise CannotAsk(f"{self.url}: {one_line(str(answer.json()['error']))}")

    def _not_ours(self, answer: Answer) -> CannotAsk:
        kind = one_line(answer.media_type) or "nothing"
        return CannotAsk(
            f"{self.url} answers {answer.status} with {kind}, which is not from django-status; "
            "--url is where the app is mounted",
            transient=answer.status in (404, 500, 502, 503, 504),
        )


def headers(options: Options) -> dict[str, str]:
    """The token, from where the user keeps it, and further headers. Raises ``CannotAsk``."""
    given = dict(_headers(options.header))
    token = options.token
    if token is None and options.token_file is not None:
        try:
            with open(options.token_file, encoding="utf-8") as file:
                token = file.read(10_000).strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise CannotAsk(f"--token-file {options.token_file}: {reason}") from error
    if token is None:
        token = os.environ.get("STATUS_TOKEN") or None
    if token is not None:
        if not token.isascii() or not token.isprintable() or not token or " " in token:
            raise CannotAsk("the token should be one word of ASCII characters")
        given["Authorization"] = f"Bearer {token}"
    return given


def _headers(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not HEADER_NAME.fullmatch(name) or NOT_IN_VALUE.search(value):
            raise CannotAsk("--header should be like 'Name: value'")
        yield name, value.strip()


def judged(answer: Answer, resource: str | None = None, provider: str | None = None) -> Reply:
    """The report behind a health+json document. Raises ``CannotAsk`` where it is none."""
    document = answer.json()
    checks = document.get("checks") if isinstance(document, dict) else None
    if not isinstance(checks, dict) or not all(isinstance(entries, list) for entries in checks.values()):
        raise CannotAsk("the instance answers something that is not a health report")
    found: dict[tuple[str, str], Result] = {}
    for key, entries in checks.items():
        for entry in filter(_is_object, entries):
            home, name = str(entry.get("resource", resource or "")), key.partition(":")[0]
            known = found.get((home, name)) or _empty(entry, home, name)
            found[home, name] = _with_entry(known, entry)
    results = tuple(found.values())
    resources = (resource,) if resource is not None else tuple(dict.fromkeys(result.resource for result in results))
    report = Report(results, resources, resource, provider)
    return Reply(answer.status >= 300 or document.get("status") == "fail" or report.failing, report)


def _empty(entry: Mapping[str, Any], resource: str, name: str) -> Result:
    """What all entries of one provider have in common."""
    duration, age = _number(entry.get("responseTime")) / 1000, _number(entry.get("age"))
    return Result(resource, name, {}, {}, sound=True, judged=False, critical=False, duration=duration, age=age)


def _with_entry(result: Result, entry: Mapping[str, Any]) -> Result:
    """``result`` with one more entry, which is one of its components, or all there is."""
    state, output, component = entry.get("status"), entry.get("output"), entry.get("componentId")
    result = result._replace(
        judged=result.judged or state is not None,
        sound=result.sound and state in (None, "pass"),
        critical=result.critical or state == "fail",
    )
    value = entry.get("observedValue")
    if component is not None:
        answer = {**(result.answer if isinstance(result.answer, dict) else {}), str(component): value}
        reasons = result.reasons if output is None else {**result.reasons, str(component): str(output)}
        return result._replace(answer=answer, public_answer=answer, reasons=reasons)
    if result.answer:
        return result  # it repeats in one word what the components say
    if "observedValue" in entry:
        return result._replace(answer=value, public_answer=value)
    return result._replace(error=one_line(str(output or "no reason is given")))


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_problem(answer: Answer) -> bool:
    """The app's own words for a question it does not answer."""
    body = answer.json() if answer.status in (400, 404, 405, 406) and answer.media_type == "application/json" else None
    return isinstance(body, dict) and isinstance(body.get("error"), str) and "ok" not in body
