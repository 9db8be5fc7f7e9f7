"""The style sheet, written into the elements of a page when its template is read: many mail programs drop style sheets.

Only an element whose class is decided in the template gets its style while a mail is rendered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

SHEET = "letter.css"
FILTER = "styled"
ELEMENT = re.compile(r"<([a-z][a-z0-9]*)((?:\s[^<>]*)?)>")  # values are escaped: no other "<" stands in a page
CLASSES = re.compile(r'\sclass="((?:\{\{.*?\}\}|\{%.*?%\}|[^"{])*)"')  # what a template decides may hold quotes
DECIDED = re.compile(r"\{[{%]")


class StyledLoader(FileSystemLoader):
    """Reads templates; those of pages get the style sheet of the folder `sheet` lies in."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._sheet = read_sheet(folder / SHEET)

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source, name, up_to_date = super().get_source(environment, template)
        return (self._styled(source) if template.endswith(".html") else source), name, up_to_date

    def install(self, environment: Environment) -> None:
        """Give the environment the filter by which a class that a template decides gets its style."""

        @cache
        def styled(classes: str, tag: str) -> Markup:
            return Markup(_attribute(self._sheet, tag, classes))  # noqa: S704 (the style sheet's own words)

        environment.filters[FILTER] = styled

    def _styled(self, source: str) -> str:
        return ELEMENT.sub(self._with_style, source)

    def _with_style(self, element: re.Match[str]) -> str:
        tag, attributes = element.groups()
        found = CLASSES.search(attributes)
        classes = found[1] if found else ""
        if not DECIDED.search(classes):
            return f"<{tag}{attributes}{_attribute(self._sheet, tag, classes)}>"
        return f'<{tag}{attributes}{{% filter {FILTER}("{tag}") %}}{classes}{{% endfilter %}}>'


def read_sheet(path: Path) -> Mapping[str, str]:
    """Return the style sheet's declarations by selector ("p", ".case"), ready for an attribute."""
    sheet = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    rules = re.findall(r"([\w.-]+)\s*\{([^}]*)\}", sheet)
    return {selector: " ".join(declarations.replace('"', "'").split()) for selector, declarations in rules}


def _attribute(sheet: Mapping[str, str], tag: str, classes: str) -> str:
    """Return the element's style as an attribute, "" for none; what comes later in its class list wins."""
    selectors = [tag, *(f".{name}" for name in classes.split())]
    style = " ".join(found for selector in selectors if (found := sheet.get(selector)))
    return f' style="{style}"' if style else ""
