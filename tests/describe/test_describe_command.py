"""The command describe from its options to the file."""

import inspect
import json
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest
from describing import OPENAI, call
from loopback import KEY
from refused import refused

from mmpretrain_lmmreg.cli.describe import main, parser
from mmpretrain_lmmreg.cli.run_tool import run_tool
from mmpretrain_lmmreg.describe import describers
from mmpretrain_lmmreg.descriptions import DescriptionStore, DescriptionWriter
from mmpretrain_lmmreg.descriptions.samples import ONE


def test_describes_the_train_split_into_the_configs_file_then_sums_up(
    config, default, server, capsys
):
    call(config, *OPENAI)
    assert '6 images asked about, 0 kept before' in (out := capsys.readouterr().out)
    assert 'described     6 (0 with more than asked)' in out
    assert 'descriptions  60' in out
    call(config, *OPENAI)
    assert '0 images asked about, 6 kept before' in capsys.readouterr().out
    call(config, *OPENAI, '--split', 'all')
    assert len(server.bodies) == len(DescriptionStore(default)) == 8
    assert server.bodies[0]['messages'][0]['content'][1]['text'] == (
        'Give 10 semantic descriptions for the image'
    )


def test_prompt_count_and_out(config, tmp_path, server):
    out = tmp_path / 'mine.jsonl'
    server.behave = lambda *_: '1. One.\n2. Two.'
    call(config, *OPENAI, '--count', '2', '--out', str(out))
    call(config, *OPENAI, '--count', '2', '--out', str(out), '--prompt', 'Say two things')
    server.behave = lambda *_: 'A dog runs.'
    call(config, *OPENAI, '--count', '1', '--out', str(out))
    store = DescriptionStore(out)
    asked = ['Give 2 semantic descriptions for the image', 'Say two things', ONE]
    assert store.prompts == asked
    assert {r['status'] for r in store} == {'ok'}


def test_preview_shows_descriptions_and_projects_the_whole(config, default, server, capsys):
    call(config, *OPENAI, '--preview', '2')
    out = capsys.readouterr().out
    assert len(server.bodies) == 2 and not default.exists()
    assert 'train/cat/a 0000.png: ok' in out
    assert '  10. A ' in out
    assert '6 images: about ' in out
    assert '600 tokens in, 300 out' in out
    assert 'the preview kept nothing' in out
    call(config, *OPENAI, '--preview', '2', '--out', str(default))
    assert len(DescriptionStore(default)) == 2
    call(config, *OPENAI)
    assert '4 images asked about, 2 kept before' in capsys.readouterr().out


def test_progress_on_a_terminal(config, server, monkeypatch, capfd):
    monkeypatch.setenv('FORCE_COLOR', '1')
    monkeypatch.setenv('COLUMNS', '120')
    call(config, *OPENAI)
    shown = re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', capfd.readouterr().err)
    assert '6/6' in shown
    assert re.search(r'\d images/s \d+ tokens/s 6 ok', shown)


def test_shards_and_merge(config, default, tmp_path, server, capsys):
    parts = [tmp_path / 'part 1', tmp_path / 'part 2']
    for number, part in enumerate(parts, 1):
        call(config, *OPENAI, '--shard', f'{number}/2', '--out', str(part))
    call(config, '--merge', *map(str, parts))
    assert f'6 records added to {default}' in capsys.readouterr().out
    assert len(server.bodies) == len(DescriptionStore(default)) == 6


def test_reparse_asks_nobody(config, default, capsys):
    config = config.rename(config.with_name('my config.py'))
    with DescriptionWriter(default) as writer:
        old = {'image': 'train/cat/a 0000.png', 'prompt': 'p', 'reply': '1. One.\n2. Two.'}
        writer.append({**old, 'descriptions': [], 'status': 'empty'})
    call(config, '--reparse')
    printed = capsys.readouterr().out
    assert '1 replies are parsed better now' in printed
    assert printed.splitlines()[-1].endswith(f"mmpretrain-lmmreg train '{config}'")
    assert DescriptionStore(default).get('train/cat/a 0000.png') == ['One.', 'Two.']


def test_a_run_that_only_met_errors_fails_and_says_why(config, default, server, capsys):
    server.behave = lambda *_: '500'
    for preview in ((), ('--preview', '2')):
        assert call(config, *OPENAI, '--retries', '0', *preview) == 3
        streams = capsys.readouterr()
        assert re.search('could not be described; the last error.*500', streams.err)
        assert 'described already' not in streams.out
    assert not len(DescriptionStore(default))


def test_two_broken_files_among_good_ones_whatever_comes_last(
    config, tasks, server, capsys, monkeypatch
):
    for task in tasks[:2]:
        Path(task.path).write_bytes(b'no image')
    for asked in (6, 2):  # the second run meets nothing but errors
        assert call(config, *OPENAI) == 3
        streams = capsys.readouterr()
        assert f'{asked} images asked about' in streams.out
        assert '2 images could not be described' in streams.err
        assert 'cannot decode the image' in streams.err
    monkeypatch.setattr(sys, 'argv', ['describe.py', str(config), *OPENAI])
    with pytest.raises(SystemExit) as stop:
        main()
    assert (stop.value.code, len(server.bodies)) == (3, 4)


def test_another_models_replies_are_replaced_only_when_told(config, default, server, capsys):
    other = ('--describer', 'openai', '--model', 'new', '--options', 'backoff=0.001')
    call(config, *OPENAI)
    before = default.read_bytes()
    with refused('describe.other_model'):
        call(config, *other)
    assert (default.read_bytes(), len(server.bodies)) == (before, 6)
    capsys.readouterr()
    assert call(config, *other, '--replace') == 0
    assert 'replies       6 of new' in capsys.readouterr().out
    assert {r['model'] for r in DescriptionStore(default)} == {'new'}


def test_a_full_run_prints_what_it_took_and_what_it_cost(config, server, capsys):
    call(config, *OPENAI, '--price', '1000,2000')
    assert '600 tokens in, 300 out, cost 1.20' in capsys.readouterr().out


@pytest.mark.parametrize(
    'limit', [('--max-tokens-total', '350'), ('--max-cost', '0.5', '--price', '1000,2000')]
)
def test_limits_of_tokens_and_money(config, default, server, capsys, limit):
    # 100 tokens in and 50 out an image: 0.2 each at this price
    assert call(config, *OPENAI, '--concurrency', '1', *limit) == 0
    assert f'stopped at {limit[0]}; 4 images left' in capsys.readouterr().out
    assert len(DescriptionStore(default)) == 2


def test_a_hint_where_replies_were_cut(config, server, capsys):
    cut = {'choices': [{'message': {'content': '1. A.\n2. B'}, 'finish_reason': 'length'}]}
    server.behave = lambda *_: f'body {json.dumps(cut)}'
    call(config, *OPENAI)
    out = capsys.readouterr().out
    assert '6 replies were cut off' in out and 'max_new_tokens=' in out
    assert 'tokens unknown' in out


@pytest.mark.parametrize(
    'options',
    [
        ('--concurrency', '0'),
        ('--batch-size', '0'),
        ('--retries', '-1'),
        ('--preview', '0'),
        ('--per-class', '0'),
        ('--until', '0'),
        ('--requests-per-minute', 'fast'),
        ('--price', '3'),
        ('--options', 'temperature'),
        *(('--shard', wrong) for wrong in ('5/4', '1', '1/', 'a/b', '0/0', '-1/4')),
    ],
)
def test_numbers_out_of_range_are_refused_by_the_parser(config, options, capsys):
    with pytest.raises(SystemExit) as stop:
        call(config, *OPENAI, *options)
    assert stop.value.code == 2
    assert options[0] in capsys.readouterr().err


def test_shards_are_read():
    read = [parser().parse_args(['c', '--shard', f'{i}/4']).shard for i in (0, 1, 4)]
    assert read == [(0, 4), (1, 4), (0, 4)]


def test_help_lists_every_describers_own_options(capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(['--help'])
    shown = capsys.readouterr().out
    for name in describers.NAMES:
        kind = describers.KINDS[name]
        build = getattr(import_module(kind.module, describers.__name__), kind.cls)
        own = set(inspect.signature(build).parameters)
        own -= {*describers._COMMON, *describers._LIMITS}
        options = kind.options.split()
        assert own == {option.partition('.')[0] for option in options}
        assert all(re.search(rf'\b{option}\b', shown) for option in own)


def test_second_writer_is_refused_before_anything_is_asked(config, default, server):
    with DescriptionWriter(default), refused('io.in_use'):
        call(config, *OPENAI)
    assert not server.bodies


def test_the_command_prints_mistakes_plainly_and_hides_the_key(
    config, default, server, monkeypatch, capfd
):
    server.behave = lambda *_: 'echo key'
    monkeypatch.setattr(sys, 'argv', ['describe', str(config), *OPENAI])
    with pytest.raises(SystemExit) as stop:
        run_tool(main)
    out, err = capfd.readouterr()
    assert stop.value.code == 2 and 'Traceback' not in err
    assert 'check OPENAI_API_KEY, OPENAI_BASE_URL and --model' in err and 'Bearer ***' in err
    assert KEY not in out + err + default.read_text()
    assert not default.read_bytes()
