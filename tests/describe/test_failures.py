"""Failures in a row: images at fault, an outage, a request that nobody takes."""

import json

import pytest
from describing import TEN, Scripted, describe, make_images
from test_run import SHORT, lines

from mmpretrain_lmmreg.describe.describers import REJECTED, TOO_LARGE, UNAVAILABLE, Answer
from mmpretrain_lmmreg.describe.named import NamedDescriber
from mmpretrain_lmmreg.describe.progress import Progress
from mmpretrain_lmmreg.describe.run import Task
from mmpretrain_lmmreg.describe.tally import Limit, Tally
from mmpretrain_lmmreg.descriptions import DescriptionStore
from mmpretrain_lmmreg.errors import InputError

DOWN = Answer(error='no server', fault=UNAVAILABLE)
GREY = (224, 224)  # what Scripted makes of the picture that is asked about to find out


@pytest.fixture
def out(tmp_path):
    return tmp_path / 'descriptions.jsonl'


@pytest.fixture
def many(tmp_path):
    return make_images(tmp_path / 'data', train=12)


def test_outage_is_waited_out_and_no_image_is_lost(many, out, capfd):
    describer = Scripted(TEN, TEN, *[DOWN] * 8, concurrency=1)
    tally = describe(out, many, describer, pause=0.01)
    assert (tally.statuses['ok'], tally.statuses['error'], tally.asked) == (12, 0, 12)
    assert {r['status'] for r in DescriptionStore(out)} == {'ok'}
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 3 and all('no answers (no server); next try in' in line for line in said)


def test_outage_that_does_not_end_stops_with_what_is_kept(many, out):
    describer = Scripted(TEN, TEN, *[DOWN] * 100, concurrency=1)
    with pytest.raises(InputError, match='no server; waited for .*same command goes on'):
        describe(out, many, describer, pause=0.001)
    assert [r['status'] for r in lines(out)].count('ok') == 2
    assert describe(out, many, Scripted()).statuses['ok'] == 10


def test_server_that_never_answers_is_not_waited_for(many, out):
    describer = Scripted(*[DOWN] * 100)
    with pytest.raises(InputError, match='nothing was answered at all'):
        describe(out, many, describer)
    assert len(describer.batches) < 10


def test_request_that_no_image_could_mend_stops_the_run(many, out):
    refused = Answer(error='bad field', fault=REJECTED)
    describer = Scripted(*[refused] * 100, concurrency=1)
    with pytest.raises(InputError, match='bad field; a plain picture fails alike'):
        describe(out, many, describer)
    assert len(describer.batches) == 6
    assert describer.batches[-1] == [GREY]


def test_images_that_are_at_fault_do_not_stop_the_run(many, out):
    class Picky(Scripted):
        async def ask(self, images):
            (answer,) = await super().ask(images)
            bad = images[0] != GREY and len(self.batches) < 12
            return [Answer(error='odd picture', fault=REJECTED) if bad else answer]

    tally = describe(out, many, Picky(concurrency=1))
    assert (tally.statuses['error'], tally.statuses['ok']) == (10, 2)
    assert tally.last_error.endswith('odd picture')


def test_images_too_large_for_the_server_name_the_option(many, out):
    with pytest.raises(InputError, match='--max-pixels'):
        describe(out, many, Scripted(*[Answer(error='413', fault=TOO_LARGE)] * 9))


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
    tally = describe(out, many, Scripted(concurrency=1), limits=[Limit('--max', 45)])
    assert (tally.asked, tally.spent, tally.tokens_in + tally.tokens_out) == (4, '--max', 40)
    tally = describe(out, many, Scripted(SHORT, concurrency=1), limits=[Limit('--max', 90)])
    assert (tally.asked, tally.spent) == (8, '')


def test_limits_of_cost_and_the_first_that_is_reached(many, out):
    limits = [Limit('--max', 1000), Limit('--max-cost', 45, (2.0, 4.0))]  # 26 an image
    tally = describe(out, many, Scripted(concurrency=1), limits=limits)
    assert (tally.asked, tally.spent) == (1, '--max-cost')
    earlier = Tally(tokens_in=20)
    tally = describe(out, many, Scripted(concurrency=1), limits=limits, earlier=earlier)
    assert (tally.asked, tally.spent) == (1, '--max-cost')  # what one takes is not known before
    earlier = Tally(tokens_in=23)
    assert not describe(out, many, Scripted(), limits=limits, earlier=earlier).asked


def test_budget_needs_an_endpoint_that_counts(many, out):
    with pytest.raises(InputError, match='does not say how many tokens'):
        describe(out, many, Scripted(*[Answer(TEN)] * 9), limits=[Limit('--max', 45)])


def test_a_prompt_that_names_the_class_is_looked_into_alike(many, out):
    inner = Scripted(*[Answer(error='bad field', fault=REJECTED)] * 99, concurrency=1)
    inner.prompt = 'Describe the {class}'
    named = NamedDescriber(inner, many, ['cat', 'red dog'])
    with pytest.raises(InputError, match='a plain picture fails alike'):
        describe(out, many, named, prompt=inner.prompt, load=named.load)
    assert inner.batches[-1] == [GREY]


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
    assert +Progress(lines(out)[0]['prompt'], 'new', 's', out).others == {'old': 6}
