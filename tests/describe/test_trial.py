"""Servers and accounts that fail every image, on a loopback server: how the command ends."""

import pytest
from describing import call, describe, make_images
from refused import refused

from mmpretrain_lmmreg.cli.describe import parser
from mmpretrain_lmmreg.describe.describers import build_describer
from mmpretrain_lmmreg.descriptions import DescriptionStore

OPENAI = ('--describer', 'openai', '--model', 'vlm', '--concurrency', '1', '--retries', '0')
MANY = 30


@pytest.fixture
def many(config, tmp_path):
    return make_images(tmp_path / 'data', train=MANY)


def first_then(behaviour, first=3):
    return lambda number, *_: 'ok' if number < first else behaviour


@pytest.mark.parametrize(
    ('behaviour', 'code', 'most'),
    [
        ('400', 'describe.rejected', 20),
        ('413', 'describe.too_large', 20),
        ('402', 'describe.no_credit', 6),
        ('error 429 insufficient_quota pay first', 'describe.no_credit', 6),
        ('401', 'describe.refused_model', 6),
        ('404', 'describe.refused_model', 6),
    ],
)
def test_what_fails_every_image_stops_the_run_and_keeps_what_came(
    config, many, tmp_path, server, behaviour, code, most
):
    server.behave = first_then(behaviour)
    with refused(code):
        call(config, *OPENAI)
    store = DescriptionStore(tmp_path / 'data' / 'descriptions.jsonl')
    assert sum(record['status'] == 'ok' for record in store) == 3
    assert len(server.bodies) <= most
    server.behave = lambda *_: 'ok'
    assert call(config, *OPENAI) == 0
    assert len(DescriptionStore(store.path)) == MANY


@pytest.mark.parametrize('fault', ['503', '429', 'reset'])
def test_an_outage_is_waited_out(many, tmp_path, server, capfd, fault):
    out = tmp_path / 'd.jsonl'
    server.behave = lambda number, *_: fault if 10 <= number < 15 else 'ok'
    options = {'backoff': 0.001, 'timeout': 5}
    common = dict(model='vlm', retries=0, concurrency=2)
    describer = build_describer('openai', options, **common)
    tally = describe(out, many, describer, pause=0.01)
    assert (tally.statuses['ok'], tally.statuses['error']) == (MANY, 0)
    assert 'next try in' in capfd.readouterr().err


@pytest.mark.parametrize(
    ('body', 'told'),
    [
        (
            '{"choices": [{"message": {"content": ""}, "finish_reason": "error"}]}',
            'could not be described',
        ),
        ('{"choices": [{"message": {"content": "", "reasoning": "1. A."}}]}', 'thinking mode'),
    ],
)
def test_answers_that_are_none_end_in_three_and_are_asked_for_again(
    config, many, server, capsys, body, told
):
    server.behave = lambda *_: f'body {body}'
    assert call(config, *OPENAI) == 3
    assert told in capsys.readouterr().err
    assert len(server.bodies) <= 8
    server.behave = lambda *_: 'ok'
    assert call(config, *OPENAI) == 0
    assert f'{MANY} images asked about, 0 kept before' in capsys.readouterr().out


def test_nobody_to_ask_is_said_by_the_parser(config, monkeypatch, capsys):
    for name in ('OPENAI_API_KEY', 'OPENAI_BASE_URL'):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit) as stop:
        parser().parse_args([str(config), *OPENAI])
    assert stop.value.code == 2 and 'set OPENAI_API_KEY' in capsys.readouterr().err
    assert parser().parse_args([str(config), *OPENAI, '--batch-write', 'x'])


def test_what_a_filter_refuses_costs_one_request_an_image(config, many, server, capsys):
    server.behave = lambda *_: 'error 400 content_filter not this'
    assert call(config, *OPENAI) == 0
    assert call(config, *OPENAI) == 0
    assert len(server.bodies) == MANY
    assert f'{MANY} refused' in capsys.readouterr().out
