"""Folds, calibration, weights and sets of classes: plain arithmetic."""

import pytest
import torch

from mmpretrain_lmmreg.deploy.standalone import coverage_sets, log_odds, too_few
from mmpretrain_lmmreg.fitting.candidates import CANDIDATES
from mmpretrain_lmmreg.fitting.choice import contradicted, judge, rank, weigh
from mmpretrain_lmmreg.fitting.folds import make_folds


def test_classes_and_groups_are_dealt_out_evenly():
    labels = [0] * 20 + [1] * 10
    units = [f'group {i // 2}' for i in range(30)]
    folds = make_folds(labels, units, 2)
    assert folds.count == 5 and folds.scored.all() and not folds.unscored
    for k in range(5):
        held = (folds.fold == k).nonzero()[:, 0].tolist()
        assert sorted(labels[i] for i in held) == [0] * 4 + [1] * 2
        train = {units[i] for i in range(30) if i not in held}
        assert not train & {units[i] for i in held}


def test_the_number_of_folds_is_that_of_the_smallest_class_with_two():
    folds = make_folds([0] * 9 + [1] * 3 + [2], list(map(str, range(13))), 3)
    assert folds.count == 3
    assert folds.unscored == [2] and folds.fold[12] == -1
    assert all(12 in train.tolist() for train, _ in folds.parts())


def test_every_class_trains_in_every_fold_where_groups_span_classes():
    generator = torch.Generator().manual_seed(0)
    for seed in range(30):
        labels = torch.randint(4, (40,), generator=generator).tolist()
        units = [f'{int(u)}' for u in torch.randint(9, (40,), generator=generator)]
        folds = make_folds(labels, units, 4, seed)
        for train, _ in folds.parts():
            assert {labels[i] for i in train.tolist()} == set(labels)


def test_a_seed_decides_the_folds():
    args = ([0, 1] * 20, list(map(str, range(40))), 2)
    assert torch.equal(make_folds(*args, 3).fold, make_folds(*args, 3).fold)
    assert not torch.equal(make_folds(*args, 3).fold, make_folds(*args, 4).fold)


def _scores(noise: float = 1.0, seed: int = 1):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(300) % 3
    right = 2 * torch.nn.functional.one_hot(labels, 3)
    return right + noise * torch.randn(300, 3, generator=generator), labels


def test_the_scale_of_scores_does_not_decide():
    scores, labels = _scores()
    one, large = (judge(CANDIDATES[0], s * scores, labels) for s in (1, 9))
    assert one.log_likelihood == pytest.approx(large.log_likelihood, abs=1e-3)
    assert large.temperature == pytest.approx(9 * one.temperature, rel=0.01)


def test_the_best_likelihood_is_first_and_of_equals_the_simpler():
    (good, labels), (poor, _) = _scores(), _scores(noise=3.0)
    pairs = ((-1, good), (0, poor), (2, good))
    judged = [judge(CANDIDATES[i], scores, labels) for i, scores in pairs]
    assert [j.candidate for j in rank(judged)] == [CANDIDATES[i] for i in (2, -1, 0)]


def test_contradicted_labels_are_named():
    scores, labels = _scores(noise=0.1)
    wrong = labels.clone()
    wrong[7] = (labels[7] + 1) % 3
    found = contradicted(judge(CANDIDATES[0], scores, wrong), wrong)
    assert [(i, predicted) for i, predicted, _ in found] == [(7, int(labels[7]))]


def test_candidates_that_add_something_get_weight():
    (one, labels), (other, _), (poor, _) = _scores(), _scores(seed=2), _scores(noise=30.0)
    families = {c.simple: c for c in CANDIDATES}
    judged = [
        judge(candidate, scores, labels)
        for candidate, scores in zip(families.values(), (one, other, poor), strict=False)
    ]
    weights = {each.candidate.simple: weight for each, weight in weigh(judged, labels)}
    assert weights[0] == pytest.approx(weights[1], abs=0.3) and weights.get(2, 0) < 0.2
    same = [judge(CANDIDATES[0], scores, labels) for scores in (one, poor)]
    assert [each for each, _ in weigh(same, labels)] == [same[0]]  # one of a family
    misled = [judge(j.candidate, -s, labels) for j, s in zip(judged, (one, other), strict=False)]
    ((_, weight),) = weigh(misled, labels)  # worse than chance, all weights would be 0
    assert weight == 1


def _cv_plus(count: int, generator, sharpness: float = 1.0) -> tuple[torch.Tensor, dict]:
    """Images, and the classifiers of folds of others: class means of drawn classes."""

    def draw(count):
        labels = torch.randint(3, (count,), generator=generator)
        means = 1.2 * torch.nn.functional.one_hot(labels, 4)
        return means + torch.randn(count, 4, generator=generator), labels

    x, labels = draw(count)
    fold, own = torch.arange(count) % 5, torch.zeros(count)
    tensors = {}
    for k in range(5):
        rest = fold != k
        weight = torch.stack([x[rest & (labels == c)].mean(0).nan_to_num() for c in range(3)])
        weight, bias = sharpness * weight, -sharpness * weight.square().sum(1) / 2
        tensors |= {f'fold{k}_weight': weight, f'fold{k}_bias': bias}
        odds = log_odds(x[~rest] @ weight.T + bias)
        own[~rest] = odds.gather(1, labels[~rest][:, None])[:, 0]
    return *draw(50), dict(own_fold=fold, own_log_odds=own, **tensors)


@pytest.mark.parametrize(('coverage', 'sharpness'), [(0.5, 1), (0.8, 1), (0.9, 1), (0.5, 100)])
def test_sets_cover_what_they_promise(coverage, sharpness):
    """Also where nearly all probabilities are rounded to 1."""
    generator, shares = torch.Generator().manual_seed(0), []
    for _ in range(200):
        x, labels, tensors = _cv_plus(40, generator, sharpness)
        sets = coverage_sets(x, tensors, coverage)
        shares.append(sets.gather(1, labels[:, None]).double().mean().item())
    assert coverage - 0.01 < sum(shares) / len(shares) < coverage + 0.06


def test_too_few_images_give_all_classes():
    x, _, tensors = _cv_plus(18, torch.Generator().manual_seed(0))
    assert coverage_sets(x, tensors, 0.95).all() and too_few(tensors, 0.95)
    assert not too_few(dict(own_fold=torch.zeros(19)), 0.95)
