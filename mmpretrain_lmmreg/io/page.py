"""HTML pages from a room's templates; needs the extra ``evidence``."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def render_page(package: str, template: str, **content: object) -> str:
    """The page of a template in ``package``'s folder ``templates``; every value is escaped."""
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(content)
