"""Counts over a descriptions file, and the projection of a preview."""

from mmpretrain_lmmreg.describe.state import Tally
from mmpretrain_lmmreg.describe.summary import projection, summarize, tokens
from mmpretrain_lmmreg.describe.tasks import Task
from mmpretrain_lmmreg.descriptions import DescriptionStore, DescriptionWriter


def test_summary_counts_by_hand(tmp_path):
    rows = [
        ('a', 0, 'ok', ['Pole vaulting at night.', 'A crowd.', 'a CROWD.']),
        ('b', 1, 'short', ['Someone should apply eye makeup.', 'word ' * 90]),
        ('c', 1, 'refused', []),
        ('d', 1, 'error', []),
        ('e', None, 'truncated', ['No label here.']),
        ('f', 0, 'long', ['Pole-vaulters wait.', 'pole  x vaulting']),
    ]
    with DescriptionWriter(tmp_path / 'd.jsonl') as writer:
        for image, _, status, items in rows:
            line = {'image': image, 'prompt': 'p', 'reply': 'r', 'status': status}
            writer.append({**line, 'descriptions': items})
    tasks = [Task(image, '', label) for image, label, *_ in [*rows, ('never', 0)]]
    store = DescriptionStore(tmp_path / 'd.jsonl')
    summary = summarize(tasks, store, 'p', ['pole_vaulting', 'ApplyEyeMakeup'])
    assert summary.split('\n') == [
        'images        7',
        'described     2 (1 with more than asked)',
        'short         2 (1 broken off)',
        'failed        1 refused, 0 empty, 1 error, 1 missing',
        'descriptions  8',
        'duplicates    1',
        'class named   28.6 %',
        'cut at 77     1',
    ]


def test_words_decide_about_the_context_not_letters(tmp_path):
    with DescriptionWriter(tmp_path / 'd.jsonl') as writer:
        line = {'image': 'a', 'prompt': 'p', 'reply': 'r', 'status': 'ok'}
        writer.append({**line, 'descriptions': ['dog ' * 75, 'dog ' * 76]})
    store = DescriptionStore(tmp_path / 'd.jsonl')
    assert summarize([Task('a', '')], store, 'p').endswith('cut at 77     1')


def test_real_replies(shared):
    store = DescriptionStore(shared / 'data/bar/replies.jsonl')
    classes = ['climbing', 'diving', 'fishing', 'pole vaulting', 'racing', 'throwing']
    tasks = [
        Task(
            r['image'], '', classes.index(r['image'].split('/')[1].split('_')[0].replace('-', ' '))
        )
        for r in store
    ]
    summary = summarize(tasks, store, store.prompts[0], classes)
    lines = dict(line.rsplit('  ', 1) for line in summary.split('\n'))
    lines = {name.strip(): value.strip() for name, value in lines.items()}
    assert (lines['described'], lines['descriptions']) == ('480 (0 with more than asked)', '4800')
    assert (lines['cut at 77'], lines['class named'][-2:]) == ('0', ' %')


def preview_tally():
    tally = Tally(tokens_in=500, tokens_out=1000, answers=5, busy=10)
    tally.statuses['ok'] = 5
    return tally


def test_projection_counts_the_requests_at_a_time():
    tally = preview_tally()
    counts = '953,700 tokens in, 1,907,400 out'
    assert projection(tally, 9537, 1) == (
        f'9537 images: about 5.3 h (2.0 s an image, 1 at a time), {counts}'
    )
    assert projection(tally, 9537, 32).startswith('9537 images: about 10 min ')
    assert projection(tally, 9537, 32, per_minute=10).startswith('9537 images: about 15.9 h ')
    assert projection(tally, 10, 32).startswith('10 images: about 2 s')
    assert projection(Tally(kept=5), 9537, 8).startswith('nothing was asked')


def test_cost_and_tokens_that_nobody_counted():
    tally = preview_tally()
    assert tokens(tally, price=(2, 10)) == '500 tokens in, 1,000 out, cost 0.01'
    tally.answers, tally.uncounted = 10, 5  # half of the answers say nothing: as many again
    assert tokens(tally) == '1,000 tokens in, 2,000 out'
    tally.uncounted = 10
    assert tokens(tally, price=(2, 10)) == 'tokens unknown'


def test_whose_replies_count(tmp_path):
    with DescriptionWriter(tmp_path / 'd.jsonl') as writer:
        for image, model in (('a', 'llava'), ('a', 'gpt'), ('b', 'llava'), ('c', 'llava')):
            line = {'image': image, 'prompt': 'p', 'reply': 'r', 'model': model}
            status = 'error' if image == 'c' else 'ok'
            writer.append({**line, 'status': status, 'descriptions': []})
    store = DescriptionStore(tmp_path / 'd.jsonl')
    text = summarize([Task(name, '') for name in 'abc'], store, 'p')
    assert text.endswith('\nreplies       1 of gpt, 1 of llava')
