"""The page of a check: one HTML file that needs nothing beside it."""

import os
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..datasets.thumbnails import thumbnail
from ..io.files import save_atomic
from ..io.printing import plain
from .check import Check, shares_of


def render(found: Check) -> str:
    """The page as HTML, every value escaped; pictures of the outliers are part of it."""
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template('check.html').render(
        found=found,
        rows=[(each, shares_of(each)) for each in found.classes],
        outliers=[(each, thumbnail(*os.path.split(each.path), 240)) for each in found.outliers],
    )


def write_page(found: Check, path: Path) -> None:
    """Write the page, whole or not at all."""
    page = plain(render(found))
    with save_atomic(path) as file:
        file.write(page.encode())
