"""Names of caches: two are the same if and only if all that changes their content is the same."""

import copy
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmpretrain.registry import DATASETS, MODELS

from mmpretrain_lmmreg.features.keys import feature_cache_key, file_key
from mmpretrain_lmmreg.io.files import digest

COUNT = st.fixed_dictionaries(
    {
        'ResizeEdge.scale': st.sampled_from([32, 33]),
        'ResizeEdge.interpolation': st.sampled_from(['bicubic', 'bilinear']),
        'CenterCrop.crop_size': st.sampled_from([32, 31]),
        'LoadPicture.backend_args': st.sampled_from([None, dict(backend='local')]),
        'model.data_preprocessor.mean': st.sampled_from([[0, 0, 0], [0, 0, 1]]),
        'model.data_preprocessor.std': st.sampled_from([[1, 1, 1], [1, 1, 2]]),
        'model.data_preprocessor.to_rgb': st.booleans(),
        'model.backbone.precision': st.sampled_from(['float32', 'bfloat16']),
        'weight': st.sampled_from([0.0, 0.25]),  # added to one number of the trunk
    }
)
DO_NOT_COUNT = st.fixed_dictionaries(
    {
        'train_dataloader.batch_size': st.integers(1, 9),
        'train_dataloader.num_workers': st.integers(0, 3),
        'train_cfg.max_epochs': st.integers(1, 3),
        'randomness.seed': st.integers(0, 3),
        'model.head.alpha': st.sampled_from([0.0, 0.01]),
        'model.backbone.trainable': st.sampled_from(['proj', 'none']),
        'optim_wrapper.optimizer.lr': st.sampled_from([1e-3, 1e-4]),
        'root': st.sampled_from(['{}', '{}/', '{}/./', '{}/train/..']),
        'reverse': st.booleans(),  # the order of all keys
    }
)


MODELS_BUILT: dict = {}  # by what they are built from, which takes most of the time


def reversed_keys(value):
    if isinstance(value, dict):
        return type(value)((key, reversed_keys(value[key])) for key in reversed(list(value)))
    return [reversed_keys(each) for each in value] if isinstance(value, list) else value


def name_of(cfg, changes):
    """Name of the feature table of a config with some changes."""
    cfg, changes = copy.deepcopy(cfg), dict(changes)
    added, root, reverse = (changes.pop(key) for key in ('weight', 'root', 'reverse'))
    dataset = cfg.train_dataloader.dataset
    dataset.data_root = root.format(dataset.data_root)
    for transform in dataset.pipeline:
        for key, value in changes.items():
            if key.startswith(f'{transform["type"]}.'):
                transform[key.partition('.')[2]] = value
    cfg.merge_from_dict({k: v for k, v in changes.items() if not k[0].isupper()})
    model, dataset = cfg.model.to_dict(), dataset.to_dict()
    built = json.dumps([model, added], sort_keys=True)
    if built not in MODELS_BUILT:
        MODELS_BUILT[built] = MODELS.build(reversed_keys(model) if reverse else model)
        MODELS_BUILT[built].backbone.init_weights()
        MODELS_BUILT[built].backbone.visual.conv1.weight.data[0, 0, 0, 0] += added
    dataset = DATASETS.build(reversed_keys(dataset) if reverse else dataset)
    return digest(feature_cache_key(MODELS_BUILT[built], dataset))


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(COUNT, DO_NOT_COUNT, DO_NOT_COUNT, st.data())
def test_a_feature_table_is_named_by_what_changes_a_feature(tiny_config, count, a, b, data):
    name = name_of(tiny_config, count | a)
    assert name_of(tiny_config, count | b) == name
    key = data.draw(st.sampled_from(sorted(count)))
    other = data.draw(COUNT.map(lambda drawn: drawn[key]).filter(lambda v: v != count[key]))
    assert name_of(tiny_config, count | {key: other} | b) != name


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_a_digest_is_a_contents_name(content, other):
    assert digest(reversed_keys(content)) == digest(content)
    same = json.dumps(content, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (digest(content) == digest(other)) == same
    assert digest([content]) != digest([content, None])


def test_a_path_counts_however_it_is_spelt(tmp_path, monkeypatch):
    (tmp_path / 'a.png').touch()
    monkeypatch.chdir(tmp_path)
    spelt = ('a.png', './a.png', f'{tmp_path}//a.png', f'{tmp_path}/../{tmp_path.name}/a.png')
    assert len({file_key(path, 4) for path in spelt}) == 1
    (tmp_path / 'b.png').touch()
    assert file_key('a.png', 4) != file_key('b.png', 4)
