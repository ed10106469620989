"""Ask a live django-status 2.x the questions of ``classic_answers.json``, and print what it answers.

Runs under Python 3.7 and Django 1.11, beside ``tests/classic_providers.py`` and nothing else of this project.
Reads the questions as JSON on standard input.
"""

import io
import json
import sys

from tests.classic_providers import CLASSIC, ENTRIES, WITHOUT_ADDRESS


def configure(providers):
    from django.conf import settings

    settings.configure(
        ALLOWED_HOSTS=["testserver"],
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=["status"],
        ROOT_URLCONF="tests.classic_urls",
        SECRET_KEY="classic",
        STATUS_PROVIDERS=providers,
    )
    import django

    django.setup()


def http(questions):
    from django.test import Client

    answers = {}
    for question in questions:
        method, address = question.split()
        answers[question] = json.loads(Client().generic(method, address).content.decode("utf-8"))
    return answers


def call(words, options):
    from django.core.management import call_command

    out, code = io.StringIO(), 0
    real, sys.stdout = sys.stdout, out
    try:
        call_command(*words, stdout=out, **options)
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.stdout = real
    return [words, options, code, out.getvalue()]


def python(code):
    found = {}
    try:
        exec(code, found)
    except Exception as error:
        return f"raises {type(error).__name__}"
    return json.loads(json.dumps(found.get("r")))


def mount(pattern, urlconf):
    """Have the app there, and nothing else. Its own modules keep what they found first, so one mount a process."""
    import types

    from django.conf.urls import include, url

    urls = types.ModuleType("tests.classic_urls")
    urls.urlpatterns = [url(pattern, include(urlconf))]
    sys.modules["tests.classic_urls"] = urls


def main():
    questions = json.load(sys.stdin)
    entries = {name: [one for one in each if one[0] not in WITHOUT_ADDRESS] for name, each in ENTRIES.items()}
    configure(entries if questions["odd"] else CLASSIC)
    mount(*questions["mount"].split())
    from django.urls import reverse

    answers = {
        "http": http(questions["http"]),
        "names": {name: reverse(name) for name in questions["names"]},
        "calls": [call(words, options) for words, options in questions["calls"]],
        "python": {code: python(code) for code in questions["python"]},
    }
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
