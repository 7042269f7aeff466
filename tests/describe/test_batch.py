"""Batch files: written, answered by hand, read."""

import json

import pytest
from describing import OPENAI, TEN, call
from refused import refused

from mmpretrain_lmmreg.describe import batch
from mmpretrain_lmmreg.descriptions import DescriptionStore


@pytest.fixture
def no_endpoint(monkeypatch):
    for name in ('OPENAI_API_KEY', 'OPENAI_BASE_URL'):
        monkeypatch.delenv(name, raising=False)


def requests(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def answers(path, asked, bodies, status=200):
    """A service's file; in another order than it was asked, as they may come."""
    rows = [
        {
            'id': 'x',
            'custom_id': request['custom_id'],
            'response': {'status_code': status, 'body': body},
            'error': None,
        }
        for request, body in zip(asked, bodies, strict=True)
    ]
    path.write_text('\n'.join(map(json.dumps, reversed(rows))) + '\n')
    return path


def completion(text, reason='stop'):
    choice = {'message': {'content': text}, 'finish_reason': reason}
    return {'choices': [choice], 'usage': {'prompt_tokens': 100, 'completion_tokens': 50}}


def test_requests_are_those_that_would_be_sent(config, default, tmp_path, server, capsys):
    file = tmp_path / 'requests.jsonl'
    call(config, *OPENAI, '--batch-write', str(file))
    assert f'6 requests in {file}' in capsys.readouterr().out
    asked = requests(file)
    assert {(r['method'], r['url']) for r in asked} == {('POST', '/v1/chat/completions')}
    assert len({r['custom_id'] for r in asked}) == 6
    call(config, *OPENAI, '--out', str(tmp_path / 'sent.jsonl'))
    sent = [{**body, 'stream': None} for body in server.bodies]
    written = [{**r['body'], 'stream': None} for r in asked]
    assert sorted(map(str, map(sorted, sent))) == sorted(map(str, map(sorted, written)))
    images = [str(body['messages']) for body in sent]
    assert sorted(images) == sorted(str(body['messages']) for body in written)


def test_answers_are_kept_and_the_next_batch_asks_for_the_rest(
    config, default, tmp_path, no_endpoint, capsys
):
    file = tmp_path / 'requests.jsonl'
    call(config, *OPENAI, '--batch-write', str(file))
    asked = requests(file)
    bodies = [completion(TEN)] * 3 + [completion(TEN, 'length'), completion('1. A', 'error')]
    read = answers(tmp_path / 'answers.jsonl', asked[:5], bodies)
    with open(read, 'a') as more:
        more.write(json.dumps({'custom_id': asked[5]['custom_id'], 'error': {'code': 'expired'}}))
    assert call(config, *OPENAI, '--batch-read', str(read)) == 3
    statuses = sorted(r['status'] for r in DescriptionStore(default))
    assert statuses == ['error', 'error', 'ok', 'ok', 'ok', 'truncated']
    out = capsys.readouterr().out
    assert '6 answers kept' in out and '400 tokens in, 200 out' in out
    call(config, *OPENAI, '--batch-read', str(read))
    assert '2 answers kept' in capsys.readouterr().out  # the errors, which are on record
    assert len(default.read_text().splitlines()) == 6
    call(config, *OPENAI, '--batch-write', str(file))
    assert {r['custom_id'] for r in requests(file)} == {r['custom_id'] for r in asked[4:]}


def test_answers_about_other_images_settings_or_contents(
    config, default, tmp_path, tasks, no_endpoint, capsys
):
    file = tmp_path / 'requests.jsonl'
    call(config, *OPENAI, '--batch-write', str(file))
    read = answers(tmp_path / 'answers.jsonl', requests(file), [completion(TEN)] * 6)
    with refused('describe.other_batch'):
        call(config, *OPENAI, 'temperature=0', '--batch-read', str(read))
    for task in tasks[:2]:
        with open(task.path, 'ab') as image:
            image.write(b'\0')
    call(config, *OPENAI, '--batch-read', str(read))
    assert '4 answers kept' in (out := capsys.readouterr().out) and '2 could not be used' in out
    assert len(DescriptionStore(default)) == 4


def test_large_batches_take_several_files(config, tmp_path, no_endpoint, monkeypatch):
    monkeypatch.setattr(batch, 'MOST_REQUESTS', 4)
    call(config, *OPENAI, '--batch-write', str(tmp_path / 'r.jsonl'))
    counts = [len(requests(tmp_path / name)) for name in ('r.jsonl', 'r-2.jsonl')]
    assert counts == [4, 2]


@pytest.mark.parametrize('line', ['no JSON', '{}', '[]', '{"custom_id": "mine"}'])
def test_file_that_holds_no_answers(config, tmp_path, no_endpoint, line):
    (tmp_path / 'a.jsonl').write_text(line + '\n')
    with refused('describe.no_batch'):
        call(config, *OPENAI, '--batch-read', str(tmp_path / 'a.jsonl'))


def test_batch_of_a_prompt_that_names_the_class(config, default, tmp_path, no_endpoint):
    file, prompt = tmp_path / 'requests.jsonl', ('--prompt', 'Ten lines on this {class}')
    call(config, *OPENAI, *prompt, '--batch-write', str(file))
    asked = requests(file)
    texts = {r['body']['messages'][0]['content'][1]['text'] for r in asked}
    assert texts == {'Ten lines on this cat', 'Ten lines on this red dog'}
    read = answers(tmp_path / 'a.jsonl', asked, [completion(TEN)] * 6)
    assert call(config, *OPENAI, *prompt, '--batch-read', str(read)) == 0
    assert {r['prompt'] for r in DescriptionStore(default)} == {prompt[1]}


def test_refusals_of_a_batch(config, default, tmp_path, no_endpoint):
    file = tmp_path / 'requests.jsonl'
    call(config, *OPENAI, '--batch-write', str(file))
    refused = {'error': {'code': 'content_filter', 'message': 'no'}}
    answers(tmp_path / 'a.jsonl', requests(file), [refused] * 6, status=400)
    call(config, *OPENAI, '--batch-read', str(tmp_path / 'a.jsonl'))
    assert {r['status'] for r in DescriptionStore(default)} == {'refused'}
