"""A line now and then in a log; tests/cli/test_start.py looks at the bar of a terminal."""

import pytest

from mmpretrain_lmmreg import progress as module
from mmpretrain_lmmreg.progress import Progress, duration, track


@pytest.fixture
def clock(monkeypatch):
    """Time that the test moves on."""
    now = [0.0]
    monkeypatch.setattr(module.time, 'monotonic', lambda: now[0])
    return now


def test_a_line_now_and_then_in_a_log(clock):
    lines = []
    with Progress('images through the trunk', 9537, lines.append) as progress:
        for _ in range(9):
            clock[0] += 15
            progress.advance(1024)
    # the first pieces took what all need, too, so they tell nothing of the others
    assert lines[0] == 'images through the trunk: 1,024 of 9,537'
    assert lines[1] == 'images through the trunk: 3,072 of 9,537, about 2 min left'
    # the pause grows from 10 to 20, 40, 60 seconds; here a batch takes 15
    assert [line.split()[4] for line in lines] == ['1,024', '3,072', '6,144']


def test_a_note_stands_behind_the_line(clock):
    lines = []
    with Progress('images', 100, lines.append) as progress:
        progress.advance(10)
        clock[0] += 15
        progress.advance(40, '3.3 images/s 50 ok')
    assert lines == ['images: 50 of 100, about 19 s left (3.3 images/s 50 ok)']


def test_nothing_is_said_of_quick_work(clock, capsys):
    assert list(track('abc', 'letters', 3)) == ['a', 'b', 'c']
    assert capsys.readouterr() == ('', '')


def test_durations():
    assert [duration(s) for s in (40, 89, 720, 12600)] == ['40 s', '89 s', '12 min', '3.5 h']
