"""LaBo: the choice of concepts against exhaustive search, and the bottleneck by hand."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from mmpretrain.registry import MODELS
from refused import refused
from scipy.stats import entropy

from mmpretrain_lmmreg.clip import TextTower
from mmpretrain_lmmreg.heads.labo import (
    candidate_concepts,
    discriminability,
    select_concepts,
)
from mmpretrain_lmmreg.hooks.run_folder import load_run


def worth(chosen, scores, embeddings, coverage):
    """By loops: the authors' mixture counts the largest number of each column, the scores' too."""
    rows = [[float(scores[c]), *embeddings[c].tolist()] for c in chosen]
    covered = sum(max(0, *column) for column in zip(*rows, strict=True))
    return sum(row[0] for row in rows) + coverage * covered


@pytest.mark.parametrize('coverage', [0.0, 0.3, 10.0])
@pytest.mark.parametrize('seed', range(5))
def test_greedy_against_exhaustive_search(seed, coverage):
    torch.manual_seed(seed)
    scores, embeddings = torch.rand(9), torch.randn(9, 3)
    found = select_concepts(scores, embeddings, 3, coverage)
    sets = itertools.combinations(range(9), 3)
    best = max(worth(chosen, scores, embeddings, coverage) for chosen in sets)
    value = worth(found, scores, embeddings, coverage)
    assert len(set(found)) == 3
    assert value >= 0.9 * best  # the guarantee is 1 - 1/e; such small cases come nearer
    if coverage == 0:
        assert value == pytest.approx(best)
        assert found == scores.topk(3).indices.tolist()


def test_coverage_takes_what_is_large_in_other_columns():
    directions = torch.eye(3).repeat_interleave(3, dim=0)
    scores = torch.tensor([9.0, 8, 7, 1, 2, 1, 1, 1, 3])
    assert select_concepts(scores, directions, 3, 0.0) == [0, 1, 2]
    assert select_concepts(scores, directions, 3, 10.0) == [0, 8, 4]
    assert select_concepts(torch.ones(4), torch.tensor([[1.0], [3], [2], [5]]), 2, 1.0)[0] == 3


def test_fewer_candidates_than_wanted():
    assert select_concepts(torch.rand(2), torch.randn(2, 3), 5, 1.0) == [0, 1]


def test_discriminability_is_mutual_information_of_similarities_normalised_by_class():
    similarity = torch.rand(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    joint = (similarity / similarity.sum(0)).numpy() / 3
    parts = [
        sum(
            p * math.log(p / (row.sum() * column))
            for p, column in zip(row, joint.sum(0), strict=True)
        )
        for row in joint
    ]
    np.testing.assert_allclose(discriminability(similarity), 7 * np.array(parts))
    information = entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint, axis=None)
    assert sum(parts) == pytest.approx(information)


def test_class_names_are_cut_out():
    sentences = [
        ['A man in pole vaulting gear.', 'Pole Vaulting', 'A vault.', 'A vault.'],
        ['Racing: a crowd', 'A vault.', 'a horseracing track'],
    ]
    assert candidate_concepts(sentences, ['pole vaulting', 'racing']) == [
        ['A man in gear.', 'A vault.'],
        [': a crowd', 'a horseracing track'],
    ]
    assert candidate_concepts([['Code in C++ here.']], ['c++']) == [['Code in here.']]


def head_with(concepts, association=None, **kwargs):
    classes = 2
    head = MODELS.build(
        dict(
            type='LaBoHead',
            num_classes=classes,
            in_channels=concepts.shape[1],
            concepts_per_class=len(concepts) // classes,
            **kwargs,
        )
    )
    head.concepts.copy_(concepts)
    if association is not None:
        head.association.data.copy_(association)
    head.ready = True
    head.keep_class_weights()
    return head


def test_bottleneck_by_hand():
    concepts = torch.tensor([[1.0, 0], [0, 2], [0, 0], [0, 4]])  # the third is not there
    head = head_with(concepts, logit_scale=10.0)
    e = math.e
    # class 0: concepts 0 and 1 have weight 1, concept 3 weight 0; class 1: only concept 3 has 1
    own, other = e / (2 * e + 1), 1 / (2 * e + 1)
    assert head((torch.tensor([[3.0, 1.0]]),)).tolist() == [
        [
            pytest.approx(10 * (own * 3 + own * 2 + other * 4), rel=1e-5),
            pytest.approx(10 * ((3 + 2) / (2 + e) + 4 * e / (2 + e)), rel=1e-5),
        ]
    ]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'sentences.json'
    path.write_text(
        json.dumps(
            {
                'red': ['Blood.', 'Red brick.', 'A rose.'],
                'green': ['Grass.'],
                'blue': ['Sea.', 'A blue sky.', 'Red brick.'],
            }
        )
    )
    return str(path)


def test_concepts_of_each_class_and_their_association(file, config_of, train):
    options = {'model.head.sentences': file, 'model.head.concepts_per_class': 2}
    cfg = config_of('labo', **options, **{'optim_wrapper.optimizer.lr': 0.0})
    head, tower = train(cfg).model.head, TextTower(cfg.model.backbone.model_name)
    # the classes are blue, green, red; the brick is blue's, and without its colour
    ours = [['Sea.', 'A sky.', 'brick.'], ['Grass.'], ['Blood.', 'A rose.']]
    kept = head.concepts.view(3, 2, 24)
    for own, found in zip(ours, kept, strict=True):
        distances = torch.cdist(tower.encode(own), found[found.any(1)])
        assert (distances.amin(0) < 1e-5).all()
    assert kept.any(2).sum(1).tolist() == [2, 1, 2]
    assert head.association.tolist() == [[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1]]


def test_trains_the_association_only(config_of, train):
    runner = train(config_of('labo', **{'model.head.concepts_per_class': 4}))
    head, run = runner.model.head, load_run(runner.work_dir)
    assert run['trained_parameters'] == 3 * 12
    (trained,) = runner.optim_wrapper.optimizer.state
    assert trained is head.association
    start = torch.block_diag(*[torch.ones(1, 4)] * 3)
    assert (head.association - start).abs().max() > 1e-4


def test_a_class_without_images(file, config_of, train):
    cfg = config_of('labo', **{'model.head.sentences': file})
    cfg.train_dataloader.dataset.indices = 16  # blue and green
    with refused('heads.class_without_images'):
        train(cfg)
