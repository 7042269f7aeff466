"""The openai describer against a server that answers, fails and dawdles as told."""

import asyncio
import base64
import io
import json
import random
import time

import pytest
from describing import PROMPT, describe, make_images
from loopback import KEY, Loopback, reply_for
from PIL import Image
from refused import refused

from mmpretrain_lmmreg.describe.describers import REASONED, REJECTED, Generation, build_describer
from mmpretrain_lmmreg.describe.describers import endpoint as endpoint_module
from mmpretrain_lmmreg.descriptions import DescriptionStore
from mmpretrain_lmmreg.descriptions.parse import ParsedReply, parse_reply

USAGE = {'prompt_tokens': 100, 'completion_tokens': 50}


def build(retries=3, concurrency=4, **options):
    options = {'backoff': 0.001, **options}
    given = {k: options.pop(k) for k in ('max_pixels', 'requests_per_minute') if k in options}
    common = {'retries': retries, 'concurrency': concurrency, **given}
    return build_describer('openai', options, model='vlm', **common)


def ask(image=None, **options):
    """One answer about one image."""

    async def ask_and_close():
        (answer,) = await describer.ask([content], [PROMPT])
        await describer.close()
        return answer

    describer = build(**options)
    content = describer.prepare(image or Image.new('RGB', (8, 6)))
    return asyncio.run(ask_and_close())


@pytest.fixture
def served(server, monkeypatch):
    """Asks once a server that behaves as told; gives its answer and the bodies of the requests."""

    def asked(behaviour='ok', key=KEY, **options):
        server.behave = lambda *_: behaviour
        monkeypatch.setenv('OPENAI_API_KEY', key)
        return ask(**options), server.bodies

    return asked


def body(choice, stream=False, **more) -> str:
    """An answer's body, or a stream of one choice or several."""
    if not stream:
        return 'body ' + json.dumps({'choices': [choice], **more})
    choices = choice if isinstance(choice, list) else [choice]
    lines = (json.dumps({'choices': [each], **more}, ensure_ascii=False) for each in choices)
    return 'body ' + ''.join(f'data: {line}\n\n' for line in lines)


def sent_image(request) -> bytes:
    url = request['messages'][-1]['content'][0]['image_url']['url']
    assert url.startswith('data:image/jpeg;base64,')
    return base64.b64decode(url.partition(',')[2])


def test_request_holds_prompt_image_and_the_papers_settings(server):
    answer = ask(Image.new('RGB', (3000, 1000), (200, 30, 30)))
    (sent,) = server.bodies
    image = sent_image(sent)
    assert answer.reply == reply_for(image)
    assert (answer.tokens_in, answer.tokens_out, answer.error) == (100, 50, '')
    assert Image.open(io.BytesIO(image)).size == (768, 256)
    assert sent['messages'][-1]['content'][1] == {'type': 'text', 'text': PROMPT}
    assert (sent['max_tokens'], sent['temperature'], sent['top_p']) == (300, 1.0, 0.9)
    assert sent['model'] == 'vlm'
    assert not {'stream', 'repetition_penalty'} & {key for key in sent if sent[key]}
    assert server.headers[0]['authorization'] == f'Bearer {KEY}'


def test_options_reach_the_request(served):
    sampling = dict(max_new_tokens=9, temperature=0, repetition_penalty=1.2)
    answer, (sent,) = served('stream', stream=True, **sampling)
    assert sent['stream'] and sent['stream_options'] == {'include_usage': True}
    assert (sent['max_tokens'], sent['temperature'], sent['repetition_penalty']) == (9, 0, 1.2)
    assert (answer.reply, answer.tokens_out) == (reply_for(sent_image(sent)), 50)


def test_system_prompt_other_fields_and_limits_reach_the_request(served):
    options = {'system': 'Be brief, please.', 'max_completion_tokens': 77}
    options |= {'body.top_k': 20, 'body.chat.thinking': False, 'body.temperature': None}
    _, (sent,) = served(**options)
    assert sent['messages'][0] == {'role': 'system', 'content': 'Be brief, please.'}
    assert (sent['max_completion_tokens'], sent['top_k']) == (77, 20)
    assert sent['chat'] == {'thinking': False}
    assert not {'max_tokens', 'temperature'} & set(sent)


@pytest.mark.parametrize(('stream', 'behaviour'), [(True, 'ok'), (False, 'stream')])
def test_servers_that_stream_or_not_whatever_they_are_asked(served, stream, behaviour):
    answer, (sent,) = served(behaviour, stream=stream)
    assert answer.reply == reply_for(sent_image(sent))


FAULTS = ['429', '500', '503', '408', 'cut', 'reset', 'half stream', 'hang', 'dribble']
FAULTS += [
    'body ' + text
    for text in (
        '{"choices": [{"message": {"content": ""}, "finish_reason": "error"}]}',
        '{"choices": [{"message": {"content": "1. Half"}, "finish_reason": "error",'
        ' "error": {"code": 502}}]}',
        '<html>{"choices": [',
        '{"choices": []}',
        '{"error": {"message": "overloaded"}}',
        '{"choices": [], "usage": null}',
        'data: {"choices": [{"delta": {"content": "1. A."}}]}\n\n'
        'data: {"choices": [{"delta": {}, "finish_reason": "error"}]}\n\ndata: [DONE]\n\n',
        'data: {"choices": [{"delta": {"content": "1. A."}, "finish_reason": "stop"}]}\n\n'
        'data: {"error": {"message": "GPU lost"}, "choices": []}\n\n',
        '[' * 100_000,
        '{"choices": 3}',
        '{"choices": [null]}',
        '<!doctype html><title>Sign in</title>',
        'data: {"choices": [{"odd": 1}]}\n\ndata: [DONE]\n\n',
    )
]
SLOW = ('hang', 'dribble')
TOLD = {
    **dict.fromkeys(SLOW, 'Timeout'),
    'half stream': 'broke off',
    'body <html>{"choices": [': 'not a chat completion',
    FAULTS[16]: 'GPU lost',
}


@pytest.mark.parametrize('fault', FAULTS)
def test_faults_are_repeated_a_bounded_number_of_times(server, fault):
    server.behave = lambda number, *_: fault if number < 3 else 'ok'
    timeout = 0.5 if fault in SLOW else 30
    failed, answered = (ask(retries=1, timeout=timeout) for _ in range(2))
    assert len(server.bodies) == 4
    assert failed.reply == '' and failed.error.endswith('(2 tries)')
    assert TOLD.get(fault, fault if fault.isdecimal() else '') in failed.error
    assert (answered.error, answered.reply) == ('', reply_for(sent_image(server.bodies[0])))


TEXT = {'type': 'text', 'text': '1. A.'}
THOUGHT = {'type': 'thinking', 'thinking': [{'type': 'text', 'text': 'Hm.'}]}


@pytest.mark.parametrize('stream', [False, True])
@pytest.mark.parametrize(
    ('message', 'reply', 'fault'),
    [
        ({'content': [THOUGHT, TEXT]}, '1. A.', ''),
        ({'content': [TEXT, TEXT]}, '1. A.\n1. A.', ''),
        ({'content': ['1. A.']}, '1. A.', ''),
        ({}, '', ''),
        ({'content': []}, '', ''),
        ({'content': '', 'reasoning': '1. A.'}, '', REASONED),
        ({'content': None, 'reasoning_content': '1. A.'}, '', REASONED),
        ({'content': [THOUGHT]}, '', REASONED),
        ({'content': '1. A.', 'reasoning': 'Hm.'}, '1. A.', ''),
        ({'content': TEXT}, '1. A.', ''),
        ({'content': [{'type': 'text', 'text': {'value': '1. A.'}}]}, '1. A.', ''),
        ({'content': '', 'reasoning_details': [{'text': 'Hm.'}]}, '', REASONED),
        ({'content': '<think>\n1. A'}, '', REASONED),
        ({'content': '<think>Hm.</think>1. A.'}, '<think>Hm.</think>1. A.', ''),
    ],
)
def test_forms_of_an_answer_are_paid_for_once(served, message, reply, fault, stream):
    choice = {'delta' if stream else 'message': message, 'finish_reason': 'length'}
    answer, requests = served(body(choice, stream, usage=USAGE))
    assert (answer.reply, answer.fault, len(requests)) == (reply, fault, 1)
    assert (answer.tokens_in, answer.tokens_out) == (100, 50)
    assert bool(answer.error) == bool(fault)
    assert answer.finish == ('' if fault else 'truncated')


def test_an_unknown_form_is_an_error_that_was_paid_for(served):
    answer, requests = served(body({'message': {'content': {'a': 1}}}, usage=USAGE))
    assert (answer.fault, answer.tokens_out, len(requests)) == (REJECTED, 50, 1)


@pytest.mark.parametrize('choice', [{'text': '1. A.'}, {'message': '1. A.'}])
def test_a_text_outside_a_message_is_taken(served, choice):
    assert served(body(choice))[0].reply == '1. A.'


@pytest.mark.parametrize('count', ['-1', '0', 'true', '1.5', '"9"', 'null', '1e400', '1' * 99])
def test_counts_of_tokens_that_cannot_be(served, count):
    text = body({'message': {'content': '1. A.'}}, usage=USAGE)
    answer, _ = served(text.replace('100', count).replace('50', count))
    assert (answer.reply, answer.tokens_in, answer.tokens_out) == ('1. A.', None, None)


@pytest.mark.parametrize('stream', [False, True])
@pytest.mark.parametrize(
    ('text', 'reason', 'refusal', 'finish'),
    [
        ('1. A.\n2. B.\n3. Half a', 'length', None, 'truncated'),
        ('1. A.', 'content_filter', None, 'refused'),
        (None, 'stop', 'I cannot help with that.', 'refused'),
        ('1. A.', 'stop', None, ''),
        ('1. A.\n2. B', 'MAX_TOKENS', None, 'truncated'),
        ('1. A.', 'SAFETY', None, 'refused'),
    ],
)
def test_how_the_server_says_that_a_reply_ended(served, text, reason, refusal, finish, stream):
    message = {'content': text, 'refusal': refusal}
    choice = {'message': message, 'finish_reason': reason}
    events = [{'delta': message}, {'delta': {}, 'finish_reason': reason}]
    answer, _ = served(body(events if stream else choice, stream))
    assert (answer.finish, answer.reply) == (finish, text or refusal)
    assert answer.tokens_in is None  # nobody counted


@pytest.mark.parametrize(
    ('head', 'event', 'end'),
    [
        (': OPENROUTER PROCESSING\n\n', {'delta': {'content': '1. A.'}}, '[DONE]'),
        ('event: message\n', {'text': '1. A.'}, '[DONE]'),
        ('\n\n', {'message': {'content': '1. A.'}, 'finish_reason': 'stop'}, '[DONE]'),
        ('', {'delta': {'content': '1. A\u2028.'}}, '{"choices": [{"finish_reason": "stop"}]}'),
        ('', {'delta': {'content': '1. A\x85.'}}, '{"choices": null}\r\ndata: [DONE]'),
    ],
)
def test_forms_of_a_stream(served, head, event, end):
    stream = body(event, stream=True).replace('body ', f'body {head}')
    answer, requests = served(f'{stream}data: {end}\n\n')
    assert ''.join(answer.reply.splitlines()) == '1. A.'
    assert len(requests) == 1


@pytest.mark.parametrize('behaviour', ['body ', 'error 500 x '])
def test_an_answer_without_end_is_cut_off_and_not_repeated(served, monkeypatch, behaviour):
    monkeypatch.setattr(endpoint_module, 'MOST_BYTES', 1 << 20)
    answer, requests = served(behaviour + ' ' * (3 << 20))
    assert (answer.error, len(requests)) == ('an answer of more than 1 MB', 1)


def test_an_address_without_its_path_is_told_at_once(server, monkeypatch):
    server.behave = lambda *_: 'body {"error": "Unexpected endpoint or method."}'
    monkeypatch.setenv('OPENAI_BASE_URL', server.url.removesuffix('/v1'))
    with refused('describe.address', match='Unexpected endpoint.*/v1'):
        ask()
    assert len(server.bodies) == 1


def test_refused_request_is_not_repeated(served):
    answer, requests = served('400')
    assert 'BadRequestError' in answer.error and len(requests) == 1


def test_server_that_is_not_there(endpoint, monkeypatch):
    monkeypatch.setenv('OPENAI_BASE_URL', 'http://127.0.0.1:9/v1')
    assert 'Connection' in ask(retries=1).error


def test_waits_as_long_as_the_server_asks_or_doubling_with_jitter(server, monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    server.behave, server.wait = (lambda *_: '429'), '7'
    monkeypatch.setattr(endpoint_module, 'pause', sleep)
    ask(retries=2)
    assert len(slept) == 2 and all(7 <= wait <= 8.75 for wait in slept)
    server.wait = ''
    slept.clear()
    ask(retries=4, backoff=0.5)
    assert len(set(slept)) == 4
    for wait, least in zip(slept, (0.5, 1, 2, 4), strict=True):
        assert least <= wait <= 1.25 * least


def test_retry_after_as_seconds_or_date():
    assert endpoint_module.seconds_asked('3') == 3
    for nothing in ('soon', '', '-3', 'nan', 'Mon, 99 Foo 99999'):
        assert endpoint_module.seconds_asked(nothing) == 0
    later = time.strftime('%a, %d %b %Y %H:%M:%S GMT', time.gmtime(time.time() + 60))
    assert 55 < endpoint_module.seconds_asked(later) <= 60
    far = type('E', (Exception,), {'response': type('R', (), {'headers': {'retry-after': '1e9'}})})
    assert endpoint_module._wait(far(), 0, 1) <= 600 * 1.25


def test_wrong_key_stops_at_once_and_appears_nowhere(server, tasks, out, capfd):
    server.behave = lambda number, *_: 'ok' if number < 2 else 'echo key'
    with refused('describe.refused_model') as error:
        describe(out, tasks, build(concurrency=1))
    assert len(server.bodies) == 3
    assert 'check OPENAI_API_KEY, OPENAI_BASE_URL and --model' in str(error.value)
    assert 'Bearer ***' in str(error.value)
    assert error.value.__cause__ is None
    assert len(DescriptionStore(out)) == 2
    streams = capfd.readouterr()
    for text in (str(error.value), out.read_text(), streams.out, streams.err):
        assert KEY not in text


@pytest.mark.parametrize('key', ['none', 'EMPTY', '1', 'sk-secret-7731-of-20'])
def test_replies_are_not_touched_whatever_the_key(served, key):
    reply = f'1. None of the riders has {key}.'
    assert served(reply, key)[0].reply == reply


@pytest.mark.parametrize('key', ['1', 'sk-secret-7731-of-20'])
def test_key_is_hidden_in_errors(served, key):
    error = served(f'error 400 x 10 riders, key {key}', key)[0].error
    assert ('10 riders, key ***' in error) == (len(key) > 1)
    assert (key in error) == (len(key) == 1)


LONG = 'sk-' + ''.join(chr(97 + i % 26) for i in range(47))


@pytest.mark.parametrize(
    'form', ['error 400 x {}', 'body {{"error": "{}"}}', 'body {}', 'body data: {}']
)
@pytest.mark.parametrize('before', [0, 80, 195, 440, 495, 600])
def test_no_piece_of_the_key_is_left_by_a_cut(served, form, before):
    text = form.format('x ' * (before // 2) + f'key {LONG} of {LONG}')
    error = served(text, LONG, retries=0)[0].error
    assert error and not any(LONG[i : i + 6] in error for i in range(len(LONG) - 5))


def test_a_key_that_no_header_can_hold(server, monkeypatch):
    monkeypatch.setenv('OPENAI_API_KEY', 'sk-1\nsk-2')
    with refused('describe.no_key') as error:
        build()
    assert 'sk-' not in str(error.value)


def test_schema_of_ten_strings(served):
    reply = json.dumps({str(i): f'Thing {i}.' for i in range(1, 11)})
    answer, requests = served(body({'message': reply}), response_format='json_schema')
    assert len(requests) == 2  # one to find out whether it takes schemas
    sent = requests[1]['response_format']['json_schema']
    assert sent['schema']['required'] == [str(i) for i in range(1, 11)]
    assert parse_reply(answer.reply) == ParsedReply([f'Thing {i}.' for i in range(1, 11)], 'ok')


def test_plain_text_where_the_server_takes_no_schema(server, tasks, out, capfd):
    server.behave = lambda *_: 'no schema'
    describer = build(response_format='json_schema', concurrency=1)
    assert describer.settings == build().settings
    tally = describe(out, tasks, describer)
    assert describe(out, tasks, build()).kept == 6  # they are replies to the same question
    assert tally.statuses['ok'] == 6
    assert ['response_format' in sent for sent in server.bodies] == [True] + [False] * 7
    assert 'takes no json_schema: asking for plain text' in capfd.readouterr().err


@pytest.mark.parametrize('fault', ['400', '500', 'dribble', 'reset'])
def test_what_is_wrong_without_a_schema_too_is_not_put_down_to_it(server, fault):
    server.behave = lambda *_: fault
    asked = build(response_format='json_schema', timeout=1 if fault in SLOW else 30)
    assert 'response_format' in asked.settings
    assert len(server.bodies) == (2 if fault == '400' else 1)


def test_images_are_reduced_to_max_pixels_and_the_settings_say_so(server):
    ask(Image.new('RGB', (3000, 1000)), max_pixels=30000)
    ask(Image.new('RGB', (2000, 2)), max_pixels=100)
    sizes = [Image.open(io.BytesIO(sent_image(sent))).size for sent in server.bodies]
    assert sizes == [(300, 100), (316, 1)]
    assert build(max_pixels=30000).settings['max_pixels'] == 30000


def test_requests_keep_their_pace(server):
    describer = build(requests_per_minute=1200, concurrency=8)
    start = time.monotonic()
    asyncio.run(describer.ask([describer.prepare(Image.new('RGB', (4, 4)))] * 7, ['p'] * 7))
    assert time.monotonic() - start >= 0.3


@pytest.mark.parametrize(
    ('options', 'told'),
    [
        ({'temperature': 'hot'}, 'temperature=hot: give a number'),
        ({'temperature': -1}, 'temperature=-1 at least 0'),
        ({'stream': 3}, 'stream=3: give true or false'),
        ({'max_new_tokens': 7.5}, 'max_new_tokens=7.5: give a whole number'),
        ({'response_format': 'xml'}, 'response_format=xml: choose one of'),
        ({'body': 3}, 'body=3: give body.FIELD=VALUE'),
        ({'heat': 1}, "heat: unknown to the describer 'openai'.*temperature.*system"),
        ({'body.a': 1, 'body.a.b': 2}, 'body.a.b=2: give body.FIELD=VALUE, each field once'),
    ],
)
def test_options_of_the_wrong_kind(monkeypatch, options, told):
    monkeypatch.setenv('OPENAI_API_KEY', 'k')
    with refused('describe.option', match=told):
        build(**options)


def test_no_endpoint_and_no_model(monkeypatch, endpoint):
    with refused('describe.no_key'):
        build()
    monkeypatch.setenv('OPENAI_BASE_URL', 'http://127.0.0.1:9/v1')
    with refused('describe.model'):
        build_describer('openai', {}, model='')


def test_settings_change_with_what_shapes_a_reply_only(monkeypatch):
    monkeypatch.setenv('OPENAI_API_KEY', 'k')
    usual = build().settings
    assert build(concurrency=9, retries=9, timeout=9, stream=True).settings == usual
    for other in ({'max_pixels': 99}, {'temperature': 0}, {'body.top_k': 2}):
        assert build(**other).settings != usual
    assert not build().deterministic and build(temperature=0).deterministic
    assert Generation().for_transformers()['repetition_penalty'] == 1.05


def test_faulty_server_every_image_ends_with_a_reply_or_an_error(server, tasks, out):
    rng = random.Random(3)
    plan = [rng.choice(FAULTS) if rng.random() < 0.2 else 'ok' for _ in range(1000)]
    server.behave = lambda number, *_: plan[number]
    tally = describe(out, tasks, build(retries=1, timeout=0.5, concurrency=8))
    store = DescriptionStore(out)
    assert tally.asked == len(store) == len(tasks)
    assert {r['status'] for r in store} <= {'ok', 'error'}


def test_keeps_a_server_of_fixed_latency_busy(endpoint, tmp_path):
    """In about the time that its latency allows; one request at a time would take four times it."""
    latency, slots, count = 0.4, 4, 40
    many = make_images(tmp_path / 'data', train=count)
    with Loopback(latency=latency, slots=slots) as server:
        endpoint(server)
        start = time.monotonic()
        tally = describe(tmp_path / 'd.jsonl', many, build(concurrency=slots))
        seconds = time.monotonic() - start
    assert tally.statuses['ok'] == count and server.most_at_once == slots
    assert seconds * slots / (count * latency) < 2
