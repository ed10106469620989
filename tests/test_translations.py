"""Every message of the pages, in every language that they speak."""

from __future__ import annotations

import ast
import gettext
import pathlib
import re
from typing import NamedTuple

from django.test import SimpleTestCase, override_settings
from django.utils.translation import templatize

import status
from tests.processes import ROOT
from tests.test_pages import providers

PACKAGE = pathlib.Path(status.__file__).parent
CATALOGUES = {path.parent.parent.name: path for path in sorted((PACKAGE / "locale").glob("*/LC_MESSAGES/django.po"))}
#: A text in quotes, as Python writes it.
TEXT = r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""


class Message(NamedTuple):
    text: str
    plural: str = ""
    context: str = ""


def messages() -> set[Message]:
    """What the code and the templates translate. ``xgettext`` does not look into f-strings."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            texts = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            if name in ("gettext", "gettext_lazy"):
                found.add(Message(texts[0]))
            elif name in ("ngettext", "ngettext_lazy"):
                found.add(Message(texts[0], plural=texts[1]))
            elif name in ("pgettext", "pgettext_lazy"):
                found.add(Message(texts[1], context=texts[0]))
            elif name in ("npgettext", "npgettext_lazy"):
                found.add(Message(texts[1], plural=texts[2], context=texts[0]))
    for path in (PACKAGE / "templates").rglob("*.html"):
        for call in re.finditer(rf" n?gettext\(u?{TEXT}(?:, u?{TEXT})?", templatize(path.read_text())):
            found.add(Message(ast.literal_eval(call[1]), ast.literal_eval(call[2]) if call[2] else ""))
    return found


def entries(path: pathlib.Path) -> dict[Message, list[str]]:
    """The translations in a ``.po`` file, one for each plural form."""
    found = {}
    for block in path.read_text().split("\n\n"):
        parts = {
            keyword: ast.literal_eval(" ".join(text.splitlines()))
            for keyword, text in re.findall(r'^(msg\w+(?:\[\d\])?) ((?:".*"\n?)+)', block, flags=re.MULTILINE)
        }
        message = Message(parts["msgid"], parts.get("msgid_plural", ""), parts.get("msgctxt", ""))
        found[message] = [text for keyword, text in parts.items() if keyword.startswith("msgstr")]
    return {message: texts for message, texts in found.items() if message.text}


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"%(?:\(\w+\))?s|</?\w+>", text))


class TranslationTests(SimpleTestCase):
    maxDiff = None

    def test_the_languages_are_those_that_the_documents_name(self):
        self.assertEqual(list(CATALOGUES), ["de", "es", "fr", "pt_BR"])
        words = "English, French, German, Portuguese (Brazil) and Spanish"
        self.assertIn(words, " ".join((ROOT / "docs" / "pages.rst").read_text().split()))

    def test_every_message_is_translated_and_no_other(self):
        wanted = messages()
        self.assertGreater(len(wanted), 70)
        for language, path in CATALOGUES.items():
            have = {message for message, texts in entries(path).items() if all(texts)}
            with self.subTest(language=language):
                self.assertEqual(sorted(wanted - have), [], f"{path.relative_to(PACKAGE)} should translate these too")
                self.assertEqual(sorted(have - wanted), [], f"{path.relative_to(PACKAGE)} should leave these out")

    def test_nothing_is_fuzzy_or_obsolete(self):
        for path in CATALOGUES.values():
            self.assertNotRegex(path.read_text(), r"(?m)^#(~|.*fuzzy)", path)

    def test_translations_keep_placeholders_and_markup(self):
        for language, path in CATALOGUES.items():
            for message, texts in entries(path).items():
                for number, text in enumerate(texts):
                    with self.subTest(language=language, message=message.text, form=number):
                        original = message.plural if message.plural and number else message.text
                        self.assertEqual(placeholders(text), placeholders(original))

    def test_catalogues_are_compiled_from_what_stands_beside_them(self):
        for language, path in CATALOGUES.items():
            with path.with_suffix(".mo").open("rb") as file:
                compiled = gettext.GNUTranslations(file)
            for message, texts in entries(path).items():
                with self.subTest(language=language, message=message.text):
                    if message.context and message.plural:
                        told = [
                            compiled.npgettext(message.context, message.text, message.plural, count) for count in (1, 2)
                        ]
                    elif message.plural:
                        told = [compiled.ngettext(message.text, message.plural, count) for count in (1, 2)]
                    elif message.context:
                        told = [compiled.pgettext(message.context, message.text)]
                    else:
                        told = [compiled.gettext(message.text)]
                    self.assertEqual(told, texts, "msgfmt makes django.mo of django.po")

    @override_settings(STATUS_PROVIDERS=providers())
    def test_pages_answer_in_each_language(self):
        for asked, language, words in (
            ("de-AT,de;q=0.9", "de", "Alle 2 Prüfungen bestehen"),
            ("es", "es", "Las 2 comprobaciones son correctas"),
            ("fr-CA,fr;q=0.9", "fr", "Les 2 contrôles réussissent"),
            ("pt-BR", "pt-br", "Todas as 2 verificações foram aprovadas"),
        ):
            with self.subTest(asked=asked):
                response = self.client.get("/status/", HTTP_ACCEPT_LANGUAGE=asked)
                self.assertContains(response, f'<html lang="{language}" dir="ltr">')
                self.assertContains(response, words)
