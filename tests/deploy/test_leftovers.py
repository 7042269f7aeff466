"""An export that was killed leaves a hidden folder, which the next one removes."""

import os
import signal
import time

import pytest

from mmpretrain_lmmreg.deploy.folder import new_folder
from mmpretrain_lmmreg.errors import InputError


def begin(out) -> int:
    """A child process in the middle of an export; gives its id."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with new_folder(out) as made:
            (made / 'weights').write_bytes(bytes(1000))
            os.write(writer, b'x')
            time.sleep(60)
        os._exit(0)
    os.read(reader, 1)
    return child


def test_killed_exports_are_removed_by_the_next_and_a_living_one_is_not(tmp_path):
    out, other = tmp_path / 'out', tmp_path / '.out.kept'
    other.mkdir()
    child = begin(out)
    try:
        with pytest.raises(InputError, match=f'in use: process {child} '), new_folder(out):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert len(list(tmp_path.glob('.out.*.building'))) == 1
    with new_folder(out) as made:
        (made / 'weights').write_bytes(b'whole')
    assert {path.name for path in tmp_path.iterdir()} == {'out', '.out.kept'}
    assert (out / 'weights').read_bytes() == b'whole'
