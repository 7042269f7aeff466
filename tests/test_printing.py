"""Names and texts of others never command a terminal, nor a spreadsheet."""

import json
import logging
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.logging import MMLogger

from mmpretrain_lmmreg.cli.run_tool import run_tool
from mmpretrain_lmmreg.cli.runner import shorten_terminal
from mmpretrain_lmmreg.errors import InputError
from mmpretrain_lmmreg.evidence.tables import comma_separated
from mmpretrain_lmmreg.io.printing import no_formula, plain, plain_json

EVIL = 'a\x1b]0;title\x07\x1b[2J\r\x9bm\u202eb\udcff'
SAFE = re.compile('[^\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]*')
characters = st.characters(exclude_categories=())  # halves of surrogate pairs, too


@given(st.text(characters))
def test_nothing_unsafe_is_left_and_the_rest_stays(text):
    said = plain(text)
    assert SAFE.fullmatch(said) and plain(said) == said
    said.encode()
    assert (said == text) == bool(SAFE.fullmatch(text))


@given(st.dictionaries(st.text(characters), st.text(characters) | st.integers()))
def test_json_is_read_as_the_same(content):
    text = plain_json(content)
    assert SAFE.fullmatch(text)
    # the halves of a pair, one after the other, are read as the one character
    as_read = json.loads(json.dumps(content))
    assert json.loads(text) == as_read


def test_what_it_looks_like():
    assert plain(EVIL) == r'a\x1b]0;title\x07\x1b[2J\x0d\x9bm\u202eb\xff'
    assert plain('café 写真 😀\n\ttwo') == 'café 写真 😀\n\ttwo'


def test_errors_and_logs_of_commands(capsys):
    def mistaken():
        raise InputError(f'class {EVIL}')

    with pytest.raises(SystemExit):
        run_tool(mistaken)
    assert capsys.readouterr().err == f'error: class {plain(EVIL)}\n'
    logger, lines = MMLogger('plain'), []
    shorten_terminal(logger)
    logger.addHandler(handler := logging.Handler())
    handler.emit = lambda record: lines.append(record.getMessage())
    logger.info('%s', EVIL)
    assert lines == [plain(EVIL)]


def test_a_csv_holds_no_formula():
    rows = [dict(method=m, protocol='', p=-0.5, mcnemar_p={}) for m in ('=1+1', '@x', 'a=b')]
    lines = comma_separated(dict(rows=rows)).splitlines()
    assert lines[1:] == ["'=1+1,,-0.5,{}", "'@x,,-0.5,{}", 'a=b,,-0.5,{}']
    assert no_formula(-1.5) == -1.5 and no_formula('+1') == "'+1" and no_formula('') == ''


def test_a_reader_that_leaves_ends_a_command_quietly():
    code = (
        'from mmpretrain_lmmreg.io.printing import may_close\n'
        'with may_close():\n    for i in range(100_000): print(i)'
    )
    command = subprocess.Popen(
        [sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert command.stdout.readline() == '0\n'
    command.stdout.close()
    assert command.stderr.read() == '' and command.wait() == 1
    command.stderr.close()
