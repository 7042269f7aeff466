"""describe.py --per-class, --until and prompts that name the class, against a loopback server."""

import json

import pytest
from describing import OPENAI, call
from mmengine.config import Config
from refused import refused

from mmpretrain_lmmreg.clip import TextTower
from mmpretrain_lmmreg.describe.convergence import Convergence, choose
from mmpretrain_lmmreg.describe.tasks import ConfigImages
from mmpretrain_lmmreg.describe.zero_shot_eval import text_tower
from mmpretrain_lmmreg.descriptions import (
    AttachDescriptions,
    DescriptionStore,
    DescriptionWriter,
)

NAMED = 'Say ten things about this {class}'


def described(path) -> set[str]:
    return {record['image'] for record in DescriptionStore(path)}


def test_more_of_each_class_are_added_and_nothing_is_asked_twice(
    config, many, default, server, capsys
):
    call(config, *OPENAI, '--per-class', '2')
    first = described(default)
    assert '4 images asked about, 0 kept before' in capsys.readouterr().out
    call(config, *OPENAI, '--per-class', '4')
    assert '4 images asked about, 4 kept before' in capsys.readouterr().out
    call(config, *OPENAI, '--per-class', '3')
    assert '0 images asked about, 6 kept before' in capsys.readouterr().out
    assert len(server.bodies) == 8
    assert first < described(default)
    assert sum('/cat/' in name for name in first) == 2


def test_another_seed_takes_others_and_shards_share_the_choice(config, many, tmp_path, server):
    whole, other, parts = tmp_path / 'w', tmp_path / 'o', [tmp_path / 'p1', tmp_path / 'p2']
    call(config, *OPENAI, '--per-class', '6', '--out', str(whole))
    call(config, *OPENAI, '--per-class', '6', '--out', str(other), '--seed', '1')
    for i, part in enumerate(parts, 1):
        shard = ('--shard', f'{i}/2', '--out', str(part))
        call(config, *OPENAI, '--per-class', '6', *shard)
    assert described(whole) != described(other)
    shares = [described(part) for part in parts]
    assert all(shares) and set.union(*shares) == described(whole)


def test_until_goes_on_in_rounds_with_a_cap(config, many, default, server, tiny_clip, capsys):
    until = ('--until', '1e-6', '--clip', f'local-dir:{tiny_clip},')
    call(config, *OPENAI, *until, '--max-tokens-total', '1')
    assert capsys.readouterr().out.count('not finished') == 2
    call(config, *OPENAI, *until, '--per-class', '6')
    printed = capsys.readouterr().out
    assert 'round 1: 8 images, 0 of 2 classes are at 1e-06 or below; above: ' in printed
    assert 'round 2: 4 images' in printed and 'round 3' not in printed
    assert printed.count('stopped by --per-class') == 2
    assert '12 of 24 images (50.0 %)' in printed
    call(config, *OPENAI, *until)
    printed = capsys.readouterr().out
    assert printed.count('all images asked about') == 2
    assert '24 of 24 images (100.0 %)' in printed
    assert len(server.bodies) == 24


def test_until_asks_no_more_about_classes_that_have_converged(many, default, tiny_clip):
    """Cats are all alike; of dogs each is described in words of its own."""
    asked = []

    def ask(tasks):
        asked.append([task.label for task in tasks])
        with DescriptionWriter(default) as writer:
            for task in tasks:
                number = len(task.image) + int(task.image[-6:-4])
                words = ['A cat.', 'A cat asleep.', f'{"dog " * (number % 7)}{number} runs.']
                reply = f'1. {words[2 if task.label else number % 2]}'
                writer.append({'image': task.image, 'prompt': 'p', 'reply': reply})

    tower = TextTower(f'local-dir:{tiny_clip}')
    rounds = Convergence(many, ('cat', 'dog'), 0.15, None, 0, tower)
    while new := rounds.next():
        ask(new)
        rounds.measured(default, 'p', len(new))
    printed = rounds.table()
    table = {line.split()[0]: line for line in printed.splitlines() if line[:3] in ('cat', 'dog')}
    assert len(asked) > 1 and sorted(asked[0]) == [0] * 4 + [1] * 4
    assert sum(map(len, asked)) == sum(int(line.split()[1]) for line in table.values())
    assert int(table['cat'].split()[1]) < int(table['dog'].split()[1])
    assert table['cat'].endswith('converged')


def test_images_of_one_source_come_last(drawn):
    """The demo's training pictures are two of each group."""
    loader = dict(dataset=dict(type='DemoActions', data_root=str(drawn)))
    images = ConfigImages(Config(dict(train_dataloader=loader)), 'train')
    chosen = choose(images, 30, seed=3)
    assert len(chosen) == 6 * 30 == len({task.group for task in chosen})
    assert {task.image for task in choose(images, 15, seed=3)} < {task.image for task in chosen}


def test_the_tower_is_the_one_that_training_uses(tiny_config, tiny_clip, batch_norm_clip):
    own = text_tower(tiny_config, None)
    assert own.fingerprint == TextTower(f'local-dir:{tiny_clip}').fingerprint
    tiny_config.default_hooks.class_means.model_name = f'local-dir:{batch_norm_clip}'
    other = text_tower(tiny_config, None)
    assert other.fingerprint == TextTower(f'local-dir:{batch_norm_clip}').fingerprint
    assert text_tower(tiny_config, f'local-dir:{tiny_clip},').fingerprint == own.fingerprint


@pytest.mark.parametrize(
    ('code', 'options'),
    [
        ('describe.combination', (*OPENAI, '--until', '0.1', '--preview', '2')),
        ('describe.combination', (*OPENAI, '--until', '0.1', '--shard', '1/2')),
        ('describe.combination', (*OPENAI, '--until', '0.1', '--batch-write', 'x')),
        ('describe.combination', (*OPENAI, '--preview', '2', '--batch-write', 'x')),
        ('describe.combination', (*OPENAI, '--merge', 'x', '--batch-read', 'x')),
        ('describe.no_clip', (*OPENAI, '--until', '0.1')),
        ('describe.price', (*OPENAI, '--max-cost', '1')),
        ('describe.no_describer', ('--until', '0.1')),
        ('describe.no_describer', ()),
        ('describe.class_in_prompt', (*OPENAI, '--prompt', NAMED, '--split', 'test')),
        ('describe.class_in_prompt', (*OPENAI, '--prompt', NAMED, '--split', 'all')),
    ],
)
def test_options_that_mean_nothing(config, server, code, options):
    with refused(code):
        call(config, *options)
    assert not server.bodies


def test_each_image_is_asked_about_with_its_own_class(config, tasks, default, server, capsys):
    call(config, *OPENAI, '--prompt', NAMED)
    call(config, *OPENAI, '--prompt', NAMED)
    assert '0 images asked about, 6 kept before' in capsys.readouterr().out
    asked = [body['messages'][0]['content'][1]['text'] for body in server.bodies]
    assert sorted(asked) == (
        ['Say ten things about this cat'] * 3 + ['Say ten things about this red dog'] * 3
    )
    store = DescriptionStore(default)
    assert store.prompts == [NAMED]
    for task in tasks:  # each reply is that image's own
        assert len(store.get(task.image, NAMED)) == 10
    replies = {record['image']: record['reply'] for record in store}
    assert len(set(replies.values())) == 6


def test_other_class_names_are_asked_about_again(config, tasks, server, capsys):
    call(config, *OPENAI, '--prompt', NAMED)
    text = config.read_text().replace(
        "type='CustomDataset',", "type='CustomDataset', metainfo=dict(classes=('lion', 'fox')),"
    )
    config.write_text(text)
    call(config, *OPENAI, '--prompt', NAMED)
    assert '6 images asked about, 0 kept before' in capsys.readouterr().out
    last = server.bodies[-1]['messages'][0]['content'][1]['text']
    assert last.endswith(('lion', 'fox'))


def test_replies_that_were_told_the_class_are_never_mixed_with_others(tmp_path):
    lines = [
        dict(image='a.png', prompt='plain', reply='1. Plain.'),
        dict(image='a.png', prompt='brief', reply='Brief.'),
        dict(image='a.png', prompt=NAMED, reply='1. Told.'),
        dict(image='b.png', prompt=NAMED, reply='1. Told, too.'),
    ]
    path = tmp_path / 'descriptions.jsonl'
    path.write_text('\n'.join(map(json.dumps, lines)))
    a, b = (dict(rel_path=name, data_root=str(tmp_path)) for name in ('a.png', 'b.png'))
    assert AttachDescriptions().lookup(a) == ['Plain.', 'Brief.']
    for prompts in ('brief', ['brief']):
        assert AttachDescriptions(prompts=prompts).lookup(a) == ['Brief.']
    assert AttachDescriptions(named=True).lookup(a) == ['Told.']
    assert AttachDescriptions(named=True).lookup(b) == ['Told, too.']
    with refused('descriptions.missing_images'):
        AttachDescriptions().lookup(b)
