"""Who is asked: this process, or a running instance over HTTP."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from status import __version__
from status.cli.arguments import HUMAN, CannotAsk, Options, typed_name
from status.cli.reading import read_report
from status.cli.settings import loading
from status.conf import conf
from status.engine import engine
from status.entries import Check
from status.formats import FORMATS, Format
from status.registry import PRESETS, UnknownName, registry
from status.report import Report, Result, State, overall
from status.serialization import JSON

if TYPE_CHECKING:
    from status.cli.client import ServerResponse

#: Seconds for a whole exchange with an instance, redirects included.
HTTP_TIMEOUT = 10.0
HEALTH = FORMATS["health+json"]
#: A header's name and value (RFC 9110, section 5).
HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\xa0-\xff]*)")

#: The resource and provider that were named; None where they were not.
Named = tuple["str | None", "str | None"]


class Local:
    """This process: its settings, its engine. ``pending`` is what is still waited for."""

    pending: Sequence[str] = ()

    def listing(self, name: str | None) -> Mapping[str, Mapping[str, str | None]]:
        """Return the addresses by resource and provider; None where they have none. Raises CannotAsk."""
        presets, path = registry.presets(), mounted_path()
        names = providers_of(*resolve(name, registry, presets), {**registry, **presets})
        return {
            home: {each: None if path is None else path + path_of(home, each) for each in providers}
            for home, providers in names.items()
        }

    def report(self, options: Options, patience: float | None = None) -> Report:
        """Run what the options choose. After ``patience`` seconds the rest is reported as running. Raises CannotAsk."""
        named = resolve(options.name, registry, registry.presets())
        try:
            selection = registry.select(*named, only=options.check, skip=options.skip)
        except UnknownName as error:
            raise no_such(error.kind, error.name, error.known) from error
        if not selection.checks:
            raise CannotAsk("nothing is left to ask")
        pending = self.pending = [f"{check.resource}/{check.name}" for check in selection.checks]

        def observe(check: Check, result: Result) -> None:
            with suppress(ValueError):  # somebody else may ask for other checks
                pending.remove(f"{check.resource}/{check.name}")

        engine.observers.append(observe)
        reading = None
        if options.format != HUMAN and FORMATS[options.format].counts and conf.in_django:
            # Late: a standalone answer is given without Django, whose import takes far longer.
            from status.counters import Reading

            reading = Reading.begin()
        try:
            report = engine.report(selection, options.timeout, patience)
        finally:
            engine.observers.remove(observe)
        return report if reading is None else report._replace(counts=reading.of(report.results))

    def beat(self, name: str, options: Options) -> None:
        """Have the store of this project keep a beat. Raises CannotAsk."""
        if not conf.in_django:
            raise CannotAsk("beat needs the settings of a Django project, or --url")
        # Late: a standalone answer is given without Django, whose import takes far longer.
        from status.heartbeats import UnknownHeartbeat, send
        from status.store import StoreFailed

        try:
            send(name, options.timeout)
        except UnknownHeartbeat as error:
            raise no_such("heartbeat", name, error.known) from error
        except StoreFailed as error:
            raise CannotAsk(f"the heartbeat is lost: {error}", down=conf.store is not None) from error

    def fleet(self) -> dict[str, JSON]:
        """Return what the processes of this project report. Raises CannotAsk where nobody can tell."""
        if not conf.in_django:
            raise CannotAsk("fleet needs the settings of a Django project, or --url")
        # Late: a standalone answer is given without Django, whose import takes far longer.
        from status.fleet import fleet

        found = fleet()
        if found.error is not None:
            raise CannotAsk(found.error, down=conf.store is not None)
        return found.document(True)


class Instance:
    """A running instance, which is asked over HTTP, with the methods of ``Local``.

    timeout: seconds for all that one question needs.
    remark: told what the user should know besides the answer.

    Raises CannotAsk for an unusable URL, token or header.
    """

    def __init__(self, options: Options, remark: Callable[[str], object]) -> None:
        self.url = api_url(options.url or "")
        self.remark = remark
        self.token_is_wrong = False
        self.pending = [self.url]
        self.timeout = options.timeout or HTTP_TIMEOUT
        self.insecure = options.insecure
        self._deadline = 0.0
        self.headers = {"User-Agent": f"django-status/{__version__}"}
        for line in options.header:
            header = HEADER.fullmatch(line)
            if header is None:
                raise CannotAsk("--header should be like 'Name: value'")
            self.headers[header[1]] = header[2].strip()
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
        self.token_is_sent = token is not None
        if token is not None:
            if not token.isascii() or not token.isprintable() or not token or " " in token:
                raise CannotAsk("the token should be one word of ASCII characters")
            # As docs/security.rst has it, where basic authentication in front takes the other header.
            is_taken = any(name.lower() == "authorization" for name in self.headers)
            self.headers.update({"X-Status-Token": token} if is_taken else {"Authorization": f"Bearer {token}"})

    def listing(self, name: str | None) -> Mapping[str, Mapping[str, str]]:
        self._deadline = monotonic() + self.timeout
        names = dict(self._names(self._send("OPTIONS", "")))
        resource, provider = resolve(name, names, PRESETS)
        for preset in PRESETS:
            if preset not in names and resource in (None, preset):
                response = self._send("OPTIONS", path_of(preset))
                providers = response.json() if response.status == 200 else None
                if providers is not None and all(isinstance(address, str) for address in providers.values()):
                    names[preset] = providers
                elif resource is not None:
                    raise self._refusal(response)
        return {
            home: {each: f"{self.url}{path_of(home, each)}" for each in providers}
            for home, providers in providers_of(resource, provider, names).items()
        }

    def report(self, options: Options, patience: float | None = None) -> Report:
        self._deadline = monotonic() + min(self.timeout, self.timeout if patience is None else patience)
        named = self._resolve(options.name)
        return read_report(self._get(named, options, HEALTH), *named)

    def document(self, options: Options, known: Format) -> tuple[str, State]:
        """Return what the instance answers in this format, and its state as far as the options ask for it.

        Raises CannotAsk.
        """
        self._deadline = monotonic() + self.timeout
        named = self._resolve(options.name)
        response = self._get(named, options, known)
        state: State = "fail" if response.status >= 300 and not known.always_ok else "pass"
        if not response.is_ours or ((options.error_on_fail or options.quiet) and state == "pass"):
            # The status alone does not tell: metrics are always 200, and so is a project with STATUS_ERROR_CODE = 200.
            # Nor does a JSON object say whose it is: that of a gateway is no answer.
            health = response if known is HEALTH else self._get(named, options, HEALTH)
            state = overall(read_report(health, *named))
        return response.body.decode("utf-8", "replace"), state

    def beat(self, name: str, options: Options) -> None:
        """Have the instance keep a beat. Raises CannotAsk."""
        self._deadline = monotonic() + self.timeout
        response = self._send("POST", path_of("beat", name))
        lost = (response.json() or {}).get("error") if response.status == 503 else None
        if isinstance(lost, str):
            raise CannotAsk(f"{self.url}: {lost}", down=True)
        if response.status != 204:
            raise self._refusal(response)

    def fleet(self) -> dict[str, JSON]:
        """Return what the instance answers about the fleet, as far as the caller may see it. Raises CannotAsk."""
        self._deadline = monotonic() + self.timeout
        response = self._send("GET", path_of("fleet"))
        document = response.json() if response.status == 200 else None
        if document is None or not isinstance(document.get("roles"), dict):
            raise self._refusal(response)
        return document

    def _send(self, method: str, target: str) -> ServerResponse:
        # Late: http.client and ssl take as long to import as all that a command without --url needs.
        from status.cli.client import send_request

        response = send_request(method, f"{self.url}{target}", self.headers, self._deadline, self.insecure)
        if response.is_for_strangers and not self.token_is_wrong:
            self.token_is_wrong = True
            remedy = "correct it (--token-file, $STATUS_TOKEN), or leave it out"
            self.remark(f"{self.url} does not know the token, and answers what strangers see; {remedy}")
        return response

    def _resolve(self, name: str | None) -> Named:
        """Return the resource and provider that are meant. A name with a slash saves the request that finds out."""
        if name is None or "/" in name:
            return resolve(name, {})
        response = self._send("OPTIONS", "")
        if response.status in (405, 501) and _problem(response) is None:
            return name, None  # a proxy bars OPTIONS; most names are resources
        if response.status in (401, 403) and name in PRESETS:
            return name, None  # live is open to everyone where all else is closed
        return resolve(name, self._names(response), PRESETS)

    def _names(self, response: ServerResponse) -> Mapping[str, Mapping[str, Any]]:
        listing = response.json() if response.status == 200 else None
        if listing is not None and all(isinstance(providers, dict) for providers in listing.values()):
            return listing
        raise self._refusal(response)

    def _get(self, named: Named, options: Options, known: Format) -> ServerResponse:
        """Return the response in this format. Raises CannotAsk for any other."""
        fields = {"format": known.name, "check": options.check, "skip": options.skip}
        query = urlencode(fields, doseq=True, errors="replace")
        response = self._send("GET", f"{path_of(*named)}?{query}")
        if response.media_type == known.media_type and _problem(response) is None:
            return response
        raise self._refusal(response)

    def _refusal(self, response: ServerResponse) -> CannotAsk:
        """Return why a response is no answer: no rights, the app's own words, or not from this app."""
        status, problem = response.status, _problem(response)
        if status in (401, 403):
            remedy = "it needs a token (--token-file, $STATUS_TOKEN) or other rights"
            if self.token_is_sent:
                remedy = "it does not know the token, which may be too short; correct it (--token-file, $STATUS_TOKEN)"
            return CannotAsk(f"{self.url} answers {status}: {remedy}")
        if problem is not None:
            return CannotAsk(f"{self.url}: {problem}")
        what = f"{response.media_type or 'nothing'}, which is not from django-status"
        hint = "--url is where the app is mounted"
        if status == 400:
            hint = "its ALLOWED_HOSTS may lack the host; name one with --header 'Host: ...', or see StatusMiddleware"
        elif status >= 500:
            hint = "the server, or a proxy before it, is not well"
        message = f"{self.url} answers {status} with {what}; {hint}"
        return CannotAsk(message, transient=status == 404, down=status >= 500)


Target = Local | Instance


def resolve(name: str | None, names: Mapping[str, Collection[str]], presets: Collection[str] = ()) -> Named:
    """Return what was typed as resource and provider. Raises CannotAsk for a bare name unknown or ambiguous.

    names: the providers by resource, as they are configured.
    presets: further resources. A provider of the same name comes first: it was there before.
    """
    if name is None:
        return None, None
    homes = [resource for resource in names if name in names[resource]]
    resource, slash, provider = name.partition("/")
    if slash and not homes:
        return resource, provider.rstrip("/") or None
    if name in names:
        return name, None
    if not homes and name in presets:
        return name, None
    if not homes:
        providers = dict.fromkeys(provider for resource in names for provider in names[resource])
        raise no_such("resource or provider", name, [*map(typed_name, names), *presets, *providers])
    if len(homes) > 1:
        choices = " or ".join(f"{home}/{name}" for home in homes)
        raise CannotAsk(f'"{name}" is in several resources; write {choices}')
    return homes[0], name


def providers_of(
    resource: str | None, provider: str | None, names: Mapping[str, Collection[str]]
) -> Mapping[str, Collection[str]]:
    """Return what was asked for of ``names``, the providers by resource. Raises CannotAsk for an unknown name."""
    if resource is None:
        return names
    if resource not in names:
        raise no_such("resource", resource, names)
    if provider is not None and provider not in names[resource]:
        raise no_such("provider", provider, names[resource])
    return {resource: names[resource] if provider is None else [provider]}


def no_such(kind: str, name: str, known: Iterable[str]) -> CannotAsk:
    """Return the error for an unknown name."""
    return CannotAsk(f'there is no {kind} "{name}"; there is: {", ".join(known) or "none"}')


def mounted_path() -> str | None:
    """Return the path of the API without its last slash; None where no Django project has mounted it."""
    urlconf = conf.read("ROOT_URLCONF", None) if conf.in_django else None
    if urlconf is None:
        return None
    # Late: a standalone answer is given without Django, whose import takes far longer.
    from status.mounts import paths_of

    with loading("ROOT_URLCONF", urlconf):
        path = next(paths_of("api_root"), None)
        return None if path is None else path.rstrip("/")


def path_of(*names: str | None) -> str:
    """Return the path below the API of a resource, or of a provider in it; empty where no name is given."""
    return "".join(f"/{quote(name, safe='@+', errors='replace')}" for name in names if name is not None)


def api_url(url: str) -> str:
    """Return the URL of the API, without the last slash, below the one given as ``--url``. Raises CannotAsk."""
    expected = "--url should be like http://localhost:8000/status/"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:  # its text quotes what may be a password
        raise CannotAsk(expected) from error
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[\s\x00-\x20\x7f]", url):
        raise CannotAsk(expected)
    if parts.username is not None or parts.password is not None:
        raise CannotAsk("--url should hold no user or password; use --header 'Authorization: Basic ...'")
    if parts.query or parts.fragment or port == 0:
        raise CannotAsk("--url should end with the path where the app is mounted; --check and --skip choose providers")
    path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~-._", errors="replace")
    return parts._replace(path=path if path.endswith("/api") else f"{path}/api").geturl()


def _problem(response: ServerResponse) -> str | None:
    """Return the app's own words for a question that it does not answer, None where it has answered."""
    if response.status not in (400, 401, 403, 404, 405, 406) or response.media_type != "application/json":
        return None
    body = response.json() or {}
    error = body.get("error")
    return error if isinstance(error, str) and "ok" not in body else None
