"""Replies as LMMs give them, troubled ones included."""

import json
import time
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reply_styles import STYLES, TEN

from mmpretrain_lmmreg.descriptions.parse import STATUSES, parse_reply


def numbered(items, form='{}. ', joint='\n'):
    return joint.join(form.format(i) + item for i, item in enumerate(items, 1))


@pytest.mark.parametrize('style', STYLES)
def test_styles_of_replies(style):
    reply, descriptions, status = STYLES[style]
    parsed = parse_reply(reply)
    assert (parsed.descriptions, parsed.status) == (descriptions, status)


@pytest.mark.parametrize('joint', ['\n', ' '])
def test_numbers_that_end_or_stand_inside_an_item_split_nothing(joint):
    items = [
        'People wear masks against COVID-19.',
        'The runner has number 13.',
        'A banner reads London 2012.',
        'It is about 5.5 metres high, at 12. avenue.',
        'Number 9. leads the race.',
    ]
    assert parse_reply(numbered(items, joint=joint), 5).descriptions == items


def test_number_of_the_next_item_ends_this_one():
    items = ['She wears bib 2.', 'Bib 3. He runs behind.', 'The last of 4.']
    parsed = parse_reply(numbered(items), 3)
    assert (parsed.descriptions, parsed.status) == (items, 'ok')
    one_line = parse_reply('1. She wears bib 2. 2. He runs. 3. Nobody wins.', 3)
    assert one_line.descriptions == ['She wears bib 2.', 'He runs.', 'Nobody wins.']


def test_wrapped_items_and_items_with_details_stay_whole():
    reply = (
        '1. A climber\n   on ice.\n2. **Colours**: blue\n   - and white.\n\n3. The\nend.\n\nBye!'
    )
    expected = ['A climber on ice.', 'Colours: blue - and white.', 'The end.']
    assert parse_reply(reply, 3).descriptions == expected


def test_fewer_are_short_and_more_are_long_and_all_are_kept():
    assert parse_reply(numbered(TEN[:7])).status == 'short'
    assert parse_reply(numbered(TEN[:7])).descriptions == TEN[:7]
    eleven = [*TEN, 'One more.']
    assert parse_reply(numbered(eleven)).status == 'long'
    assert parse_reply(numbered(eleven)).descriptions == eleven
    assert parse_reply(numbered(TEN[:7]), expected=7).status == 'ok'


@pytest.mark.parametrize('joint', ['\n', ' '])
@pytest.mark.parametrize('end', ['A climber with a bl', ''])
def test_unfinished_last_item_is_left_out(joint, end):
    parsed = parse_reply(numbered([*TEN[:6], end], joint=joint))
    assert (parsed.descriptions, parsed.status) == (TEN[:6], 'truncated')


def test_ten_whole_items_and_an_unfinished_eleventh_are_long():
    parsed = parse_reply(numbered([*TEN, 'A cli']))
    assert (parsed.descriptions, parsed.status) == (TEN, 'long')


def test_items_without_full_stops_are_not_unfinished():
    items = [item.rstrip('.') for item in TEN]
    assert parse_reply(numbered(items)).descriptions == items
    assert parse_reply(numbered(items)).status == 'ok'
    assert parse_reply(numbered(items[:9])).status == 'short'


def test_list_quoted_as_in_python_also_with_apostrophes():
    expected = ["It's a dog.", 'A ball.']
    assert parse_reply(str(expected), 2).descriptions == expected
    assert parse_reply("['It's a dog.', 'A ball.']", 2).descriptions == expected


DOG = 'A dog runs on a beach.'


@pytest.mark.parametrize(
    'form',
    ['{}', '"{}"', '**{}**', '1. {}', '- {}', 'Description: {}', '**Description:** {}', '["{}"]']
    + ['Here is a description of the image:\n\n{}', '**Caption**\n{}', '### Assistant: {}']
    + ['Sure! Here is a one-sentence description: {}', 'Here is the sentence: "{}"']
    + ['<think>Hm.</think>\n{}', '{} Let me know if you want more!', '{}\n\nI hope this helps!'],
)
def test_a_single_sentence(form):
    parsed = parse_reply(form.format(DOG), 1)
    assert (parsed.descriptions, parsed.status) == ([DOG], 'ok')


@pytest.mark.parametrize('text', ['Sure footing helps.', 'A sign reads: STOP', 'Two men. They go.'])
def test_a_single_sentence_that_looks_like_something_else(text):
    assert parse_reply(text, 1).descriptions == [text]


def test_words_of_a_description_are_no_refusal():
    items = ['A child is unable to see the stage.', 'The sign says "I can\'t see".', *TEN[:8]]
    assert parse_reply(numbered(items)).descriptions == items


@pytest.mark.parametrize(
    'reply', ['', ' \n\t', '...', '|\n|', '### Human: hello', '<think>1. Hm', '</s>']
)
def test_nothing_is_empty(reply):
    parsed = parse_reply(reply)
    assert (parsed.descriptions, parsed.status) == ([], 'empty')


def test_the_real_replies_parse_to_their_exact_words():
    lines = (files('mmpretrain_lmmreg') / 'data/bar_replies.jsonl').read_text().splitlines()
    replies = [json.loads(line)['reply'] for line in lines]
    count = 0
    for reply in replies:
        expected = [line.split('. ', 1)[1] for line in reply.split('\n')]
        for joint in ('\n', ' '):
            parsed = parse_reply(reply.replace('\n', joint))
            assert (parsed.descriptions, parsed.status) == (expected, 'ok')
        count += len(parsed.descriptions)
    assert (len(replies), count) == (480, 4800)


SPOKEN = "A dog's the café 2012 COVID-19 red, two 犬 of 3 (big) 5.5 U.S. x-ray"
WORDS = st.lists(st.sampled_from(SPOKEN.split()), min_size=1, max_size=12)
ITEMS = st.lists(WORDS.map(lambda w: 'It ' + ' '.join(w) + '.'), min_size=2, max_size=14)
FORMS = st.sampled_from(['{}. ', '{}) ', '({}) ', '**{}.** ', '- ', '* ', '• '])
FRAMES = st.sampled_from(
    ['{}', 'Here are some:\n{}', '{}\n\nEnjoy!', '{}\n### Human: 1. x', '\n {} </s>']
)


MADE = (ITEMS, FORMS, st.sampled_from(['\n', '\n\n', '\r\n']), FRAMES)


@settings(max_examples=100, deadline=None)
@given(*MADE)
def test_made_lists_come_back(items, form, joint, frame):
    items = list({item.casefold(): item for item in items}.values())
    parsed = parse_reply(frame.format(numbered(items, form, joint)), len(items))
    assert (parsed.descriptions, parsed.status) == (items, 'ok')


MARKS = '1. 2) 10. • [ { " \' ] } , : ### Human: ```json ** \\ <think> | ９. ²)'
MORE = ['\n', ' ', '- ', '²) ', 'I cannot see', '\x00', '\ud800', 'a b.']
PIECES = st.sampled_from([*MARKS.split(), *MORE])


ANY = (st.one_of(st.text(), st.lists(PIECES, max_size=40).map(''.join)), st.integers(0, 12))


@settings(max_examples=300, deadline=None)
@given(*ANY)
def test_never_raises(reply, expected):
    parsed = parse_reply(reply, expected)
    assert parsed.status in STATUSES[:-1]
    assert all(item and item == ' '.join(item.split()) for item in parsed.descriptions)
    if parsed.status in ('ok', 'refused', 'empty'):
        assert len(parsed.descriptions) == (expected if parsed.status == 'ok' else 0)


NONSENSE = '[ [" {"a": {"a":1} ### [\' **1 "a" <a> <think> </think> <answer> USER: 😀'
BLANKS = ['1. ', ' ', '\n', '| ', '|-\n', 'a) ', 'user\n', 'I cannot ', 'A. ', '\n#', '{"a":1} ']


@pytest.mark.parametrize('piece', [*NONSENSE.split(), *BLANKS])
def test_long_nonsense_takes_no_time(piece):
    assert parse_reply(piece * 20_000).status in STATUSES


@pytest.mark.parametrize(
    ('begin', 'piece'),
    [('["', " 'a"), ('["', '\\"'), ('A.\n', '\n'), ('1. "', ' \n'), ('1. A.', '\r')],
)
def test_time_is_linear(begin, piece):
    began = time.process_time()
    parse_reply(begin + piece * (100_000 // len(piece)) + 'x')
    assert time.process_time() - began < 5  # minutes where it grows with the square


def test_quotes_of_both_kinds_in_a_broken_list():
    reply = """["It's 'a' dog.", 'In the '90s.', "He says 'no", 'A "b".', 'c \\'d\\'.', "e"""
    expected = ["It's 'a' dog.", "In the '90s.", "He says 'no", 'A "b".', "c \\'d\\'."]
    assert parse_reply(reply).descriptions == expected


def test_a_tag_inside_a_list_takes_none_of_its_items():
    items = ['A dog <img src="x"> runs.', 'It <end> barks.', 'A cat.']
    assert parse_reply(numbered(items), 3).descriptions == items


@pytest.mark.slow
@pytest.mark.parametrize(
    ('test', 'strategies'), [(test_made_lists_come_back, MADE), (test_never_raises, ANY)]
)
def test_ten_thousand_made_replies(test, strategies):
    check = given(*strategies)(test.hypothesis.inner_test)
    settings(max_examples=10_000, deadline=None)(check)()
