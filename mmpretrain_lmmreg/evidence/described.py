"""What the descriptions are worth that runs used, as ``describe.py --check`` has found."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..describe.summary import check_path
from ..errors import InputError
from ..io.files import read_sealed
from .runs import Method


def checks_of(methods: Sequence[Method]) -> list[dict[str, Any]]:
    """Each descriptions file of the runs, with what is known of it.

    Returns:
        ``file``, ``methods`` (names), ``found`` (see :func:`.check_summary.summarize`) or None
        where nobody has looked, and whether it was ``changed`` since.

    Raises:
        InputError: The figures are damaged.
    """
    files: dict[tuple[str, str | None], list[str]] = {}
    for method in methods:
        for run in method.runs:
            if file := run.record.get('descriptions'):
                used = run.record.get('fingerprints', {}).get('descriptions_fingerprint')
                names = files.setdefault((file, used), [])
                names += [method.name] if method.name not in names else []
    checks = []
    for (file, used), names in files.items():
        found = _read(check_path(Path(file)))
        changed = found is not None and found.get('fingerprint') != used
        checks.append(dict(file=file, methods=names, found=found, changed=changed))
    return checks


def _read(path: Path) -> dict | None:
    if not path.is_file():
        return None
    try:
        return read_sealed(path)
    except InputError as error:
        raise InputError(f'{error}; `tools/describe.py CONFIG --check` writes it again') from None
