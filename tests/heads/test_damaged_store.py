"""Training from a damaged descriptions file is training from the records that are left."""

import pytest
import torch

from mmpretrain_lmmreg.descriptions import DescriptionStore, DescriptionWriter, lines

LOST = 9  # the damaged record's place


@pytest.fixture
def records(pictures):
    return list(DescriptionStore(pictures / 'descriptions.jsonl'))


@pytest.fixture
def weights(tiny_config, train, tmp_path, monkeypatch):
    """A function: content of a descriptions file -> what training makes of it, and its warnings."""

    def of(content, name):
        path = tmp_path / name / 'descriptions.jsonl'
        path.parent.mkdir()
        path.write_bytes(content)
        cfg = tiny_config.copy()
        for transform in cfg.train_dataloader.dataset.pipeline:
            if transform['type'] == 'AttachDescriptions':
                transform['cache'] = str(path)
        cfg.merge_from_dict({'work_dir': str(path.parent), 'experiment_name': name})
        said = []
        monkeypatch.setattr(lines, 'print_log', lambda text, **_: said.append(text))
        return train(cfg).model.state_dict(), said

    return of


def lines_of(records, tmp_path):
    with DescriptionWriter(tmp_path / 'whole.jsonl') as writer:
        writer.append(*records)
    return (tmp_path / 'whole.jsonl').read_bytes().splitlines(keepends=True)


def flipped(line):
    at = line.index(b'picture')
    return line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]


DAMAGES = {  # of the lines of a file
    'flipped': lambda kept: [*kept[:LOST], flipped(kept[LOST]), *kept[LOST + 1 :]],
    'cut': lambda kept: [*kept[:LOST], *kept[LOST + 1 :], kept[LOST][:40]],
    'zeros': lambda kept: [*kept[:LOST], bytes(400) + b'\n', *kept[LOST + 1 :]],
}


def without(kept):
    return [*kept[:LOST], *kept[LOST + 1 :]]


def test_results_are_those_of_the_records_that_are_left(records, weights, tmp_path):
    kept = lines_of(records, tmp_path)
    expected, said = weights(b''.join(without(kept)), 'without')
    assert not said
    for name in ('flipped', 'cut', 'zeros'):
        found, said = weights(b''.join(DAMAGES[name](kept)), name)
        number = len(kept) if name == 'cut' else LOST + 1
        assert all(f'line {number}' in text for text in said) and said, said
        assert all(torch.equal(found[key], expected[key]) for key in expected)
    whole, _ = weights(b''.join(kept), 'whole')
    assert not torch.equal(whole['head.class_means'], expected['head.class_means'])
    twice, said = weights(b''.join([*kept[:5], *kept]), 'twice')
    assert not said and all(torch.equal(twice[key], whole[key]) for key in whole)
