"""Failures in a row: images at fault, an outage, a request that nobody takes."""

import json

import pytest
from describing import TEN, Scripted, describe
from refused import refused
from test_run import SHORT, lines

from mmpretrain_lmmreg.describe.describers import REASONED, REJECTED, UNAVAILABLE, Answer
from mmpretrain_lmmreg.describe.state import Answered, Tally
from mmpretrain_lmmreg.describe.tasks import Task
from mmpretrain_lmmreg.descriptions import DescriptionStore

DOWN = Answer(error='no server', fault=UNAVAILABLE)
GREY = (224, 224)  # what Scripted makes of the picture that is asked about to find out


@pytest.fixture
def many(many):
    return many[:12]


def test_outage_is_waited_out_and_no_image_is_lost(many, out, capfd):
    describer = Scripted(TEN, TEN, *[DOWN] * 4, concurrency=1)
    tally = describe(out, many, describer, pause=0.01)
    assert (tally.statuses['ok'], tally.statuses['error'], tally.asked) == (12, 0, 12)
    assert {r['status'] for r in DescriptionStore(out)} == {'ok'}
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 3 and all('no answers (no server); next try in' in line for line in said)


def test_outage_that_does_not_end_stops_with_what_is_kept(many, out):
    describer = Scripted(TEN, TEN, *[DOWN] * 100, concurrency=1)
    with refused('describe.no_answers', match='no server; waited for'):
        describe(out, many, describer, pause=1e-4)
    assert [r['status'] for r in lines(out)].count('ok') == 2
    assert describe(out, many, Scripted()).statuses['ok'] == 10


def test_server_that_never_answers_is_not_waited_for(many, out):
    describer = Scripted(*[DOWN] * 100)
    with refused('describe.no_answers', match='nothing was answered at all'):
        describe(out, many, describer)
    assert len(describer.batches) < 10


def test_request_that_no_image_could_mend_stops_the_run(many, out):
    describer = Scripted(*[Answer(error='bad field', fault=REJECTED)] * 99, concurrency=1)
    named = dict(prompt='Describe the {class}', classes=['cat', 'red dog'])
    with refused('describe.rejected', match='bad field; a plain image fails alike'):
        describe(out, many, describer, **named)
    assert describer.batches[-1] == [GREY] and len(describer.batches) == 6
    assert set(describer.prompts) == {'Describe the cat', 'Describe the red dog'}


def test_images_that_are_at_fault_do_not_stop_the_run(many, out):
    class Picky(Scripted):
        async def ask(self, images, prompts):
            (answer,) = await super().ask(images, prompts)
            bad = images[0] != GREY and len(self.batches) < 12
            return [Answer(error='odd picture', fault=REJECTED) if bad else answer]

    tally = describe(out, many, Picky(concurrency=1))
    assert (tally.statuses['error'], tally.statuses['ok']) == (10, 2)
    assert tally.last_error.endswith('odd picture')


def test_answers_that_are_reasoning_alone_stop_the_run_and_are_counted(many, out):
    thoughts = [Answer('', 'thoughts', 7, 3, fault=REASONED)] * 99
    with refused('describe.only_reasoning'):
        describe(out, many, describer := Scripted(*thoughts, concurrency=1))
    assert len(describer.batches) == 5
    tally = describe(out, many, Scripted(*thoughts, concurrency=1), max_tokens_total=25)
    assert tally.spent == '--max-tokens-total'


def test_errors_of_images_alone_never_stop_a_run(many, out):
    describer = Scripted(*[Answer(error='one of a kind')] * 11, concurrency=1)
    assert describe(out, many, describer).statuses['error'] == 11
    assert len(describer.batches) == 12


@pytest.mark.parametrize(('finish', 'found'), [('truncated', 9), ('refused', 0)])
def test_cut_and_refused_replies_are_kept_as_such_and_not_asked_again(tasks, out, finish, found):
    describer = Scripted(Answer(TEN, finish=finish), concurrency=1)
    tally = describe(out, tasks[:1], describer)
    (record,) = lines(out)
    assert (record['status'], record['finish']) == (finish, finish)
    assert (len(record['descriptions']), len(describer.batches)) == (found, 1)
    assert record['reply'] == TEN
    assert (tally.cut, tally.statuses[finish]) == (finish == 'truncated', 1)
    assert describe(out, tasks[:1], Scripted()).kept == 1
    changed = Scripted(settings={'max_tokens': 500})
    assert describe(out, tasks[:1], changed).statuses['ok'] == 1


def test_reply_that_is_cut_beyond_its_tenth_item_is_whole(tasks, out):
    describer = Scripted(Answer(TEN + '\n11. Thing', finish='truncated'))
    assert describe(out, tasks[:1], describer).statuses['long'] == 1
    assert len(lines(out)[0]['descriptions']) == 10


def test_budget_of_tokens_stops_before_it_is_exceeded(many, out):
    tally = describe(out, many, Scripted(concurrency=1), max_tokens_total=45)
    assert (tally.asked, tally.spent) == (4, '--max-tokens-total')
    assert tally.tokens_in + tally.tokens_out == 40
    tally = describe(out, many, Scripted(SHORT, concurrency=1), max_tokens_total=90)
    assert (tally.asked, tally.spent) == (8, '')


def test_limits_of_cost_and_the_first_that_is_reached(many, out):
    limits = dict(max_tokens_total=1000, max_cost=45e-6, price=(2.0, 4.0))  # 26 an image
    tally = describe(out, many, Scripted(concurrency=1), **limits)
    assert (tally.asked, tally.spent) == (1, '--max-cost')
    more = Tally(tokens_in=7, tokens_out=3, answers=1)  # of an earlier round of the same command
    assert not describe(out, many, Scripted(), tally=more, **limits).asked


@pytest.mark.parametrize('share', [1, 2, 3])
def test_answers_that_nobody_counted_are_taken_for_as_many_tokens(many, out, share):
    answers = [Answer(TEN, '', 7, 3) if i % share == 0 else Answer(TEN) for i in range(12)]
    tally = describe(out, many, Scripted(*answers, concurrency=1), max_tokens_total=65)
    assert (tally.asked, tally.spent) == (6, '--max-tokens-total')


def test_budget_needs_an_endpoint_that_counts(many, out):
    with refused('describe.uncounted'):
        describe(out, many, Scripted(*[Answer(TEN)] * 9), max_tokens_total=45)


def test_last_image_described_and_all_others_broken(tasks, out, tmp_path):
    broken = [Task(f'{i}.png', str(tmp_path / f'no {i}.png')) for i in range(2)]
    for _ in range(2):
        tally = describe(out, [*broken, *tasks], Scripted())
        assert tally.last_error.endswith('No such file or directory')
        assert tally.statuses['error'] == 2


def test_other_models_replies_are_told_apart(tasks, out):
    describe(out, tasks, Scripted(model='old'))
    with open(out, 'a') as file:
        prompt = lines(out)[0]['prompt']
        no = {'image': 'x', 'prompt': prompt, 'reply': '', 'model': 'older', 'status': 'error'}
        file.write(json.dumps(no) + '\n')
    assert +Answered(lines(out)[0]['prompt'], 'new', 's', out).others == {'old': 6}
