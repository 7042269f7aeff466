"""Checks and repairs of the installed libraries, made before mmpretrain is imported.

Rooms that import mmpretrain, open_clip or timm import this module first. The package itself has
made sure by then that torchvision can be imported (:mod:`mmpretrain_lmmreg.torchvision_ops`).
"""

import contextlib
import io
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import Requirement
from packaging.version import Version

from .version import FAMILIES

# Either distribution provides the module mmcv; the plugin needs none of mmcv's operators.
_ALTERNATIVES = {'mmcv-lite': 'mmcv'}


def check_mm_packages() -> str:
    """Name of the installed family of mm* packages, ``'onedl'`` or ``'openmmlab'``.

    Raises ImportError, with the pip command that puts it right, where none or both are
    installed, one lacks a package, or a version is not supported.
    """
    found = {family: _installed(family) for family in FAMILIES}
    present = [family for family, versions in found.items() if any(versions.values())]
    if not present:
        raise ImportError(f'mmpretrain is not installed. Install it: {_install("onedl")}')
    if len(present) > 1:
        names = [name for versions in found.values() for name, v in versions.items() if v]
        raise ImportError(
            f'{", ".join(names)} are installed together, but the onedl-mm* and the mm* packages '
            f'overwrite each other. Remove all and install one family: '
            f'pip uninstall -y {" ".join(names)} && {_install("onedl")}'
        )
    family = present[0]
    wrong = _unsupported(family, found[family])
    if wrong:
        raise ImportError(f'{"; ".join(wrong)}. Install what is supported: {_install(family)}')
    # with pycocotools, the original mmpretrain imports multimodal models, for older transformers
    transformers = installed_version('transformers') if installed_version('pycocotools') else None
    if family == 'openmmlab' and transformers and Version(transformers) >= Version('4.53'):
        raise ImportError(
            f'mmpretrain beside pycocotools cannot be imported with transformers {transformers}: '
            'pip uninstall -y pycocotools, and describe images by minigpt4 with [onedl] in an '
            'environment of its own'
        )
    return family


def _installed(family: str) -> dict[str, str | None]:
    """Version by distribution of a family, None for those that are absent."""
    names = [Requirement(text).name for text in FAMILIES[family]]
    names += [_ALTERNATIVES[name] for name in names if name in _ALTERNATIVES]
    return {name: installed_version(name) for name in names}


def installed_version(distribution: str) -> str | None:
    """Version of a distribution, None where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _unsupported(family: str, versions: dict[str, str | None]) -> list[str]:
    wrong = []
    for requirement in map(Requirement, FAMILIES[family]):
        other = versions.get(_ALTERNATIVES.get(requirement.name, ''))
        installed = versions[requirement.name] or other
        if installed is None:
            wrong.append(f'{requirement.name} is not installed')
        elif not requirement.specifier.contains(installed, prereleases=True):
            wrong.append(
                f'{requirement.name} {installed} is not supported, only {requirement.specifier}'
            )
    return wrong


def _install(family: str) -> str:
    return 'pip install ' + ' '.join(f"'{text}'" for text in FAMILIES[family])


def import_quietly() -> None:
    """Import mmpretrain's data sets, less what is said of optional packages."""
    warnings.filterwarnings('ignore', 'Fail to import ``MultiScaleDeformableAttention``')
    ours = warnings.filters[0]
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            import mmcv.cnn.bricks.transformer  # noqa: F401
            import mmpretrain.datasets  # noqa: F401
    finally:
        warnings.filters.remove(ours)  # type: ignore[attr-defined]  # those of others stay
    rest = output.getvalue().replace('Could not import OneDL\n', '')
    if rest:
        sys.stdout.write(rest)


check_mm_packages()
import_quietly()
