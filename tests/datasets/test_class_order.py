"""The order of classes is the same in each process, and compared with a checkpoint's."""

import json
import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from refused import refused

import mmpretrain_lmmreg
from mmpretrain_lmmreg.datasets.names import check_same_classes
from mmpretrain_lmmreg.datasets.pictures import natural_key

PACKAGE = Path(mmpretrain_lmmreg.__file__).parent
NAMES = ['1', '01', '001', 'cat2', 'cat02', '10', '٣', '3', 'a', 'A']

# What a config calls while it is read, without torch
SCRIPT = """
import json, sys, types
from pathlib import Path
sys.modules['mmpretrain_lmmreg'] = types.ModuleType('mmpretrain_lmmreg')
sys.modules['mmpretrain_lmmreg'].__path__ = [sys.argv[1]]
from mmpretrain_lmmreg.datasets.labels import labels_of
from mmpretrain_lmmreg.datasets.layouts import read_folders
from mmpretrain_lmmreg.datasets.splits import few_shot, hold_out
rows = read_folders(Path(sys.argv[2])).rows
labels = labels_of(rows)
samples = [dict(rel_path=r.rel_path, gt_label=labels.index(r.label)) for r in rows]
parts = hold_out(samples, 0.5, 0)
assert 'torch' not in sys.modules
print(json.dumps([labels, parts, few_shot(samples, 1, 0)]))
"""


def test_hash_seeds_do_not_change_classes_and_splits(tmp_path):
    for name in NAMES:
        for i in range(3):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / f'{i}.jpg').touch()
    processes = [
        subprocess.Popen(
            [sys.executable, '-c', SCRIPT, str(PACKAGE), str(tmp_path)],
            env=os.environ | {'PYTHONHASHSEED': str(seed)},
            stdout=subprocess.PIPE,
        )
        for seed in (1, 2)
    ]
    said = {process.communicate()[0] for process in processes}
    assert len(said) == 1
    labels = json.loads(said.pop())[0]
    assert labels == ['001', '01', '1', '3', '٣', '10', 'A', 'a', 'cat02', 'cat2']


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(alphabet='0123a٣ _'), unique=True), st.randoms())
def test_natural_order_is_one_order_of_distinct_names(names, random):
    expected = sorted(names, key=natural_key)
    random.shuffle(names)
    assert sorted(names, key=natural_key) == expected


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_natural_order_is_that_of_numbers(one, other):
    assert (natural_key(f'a{one}.jpg') < natural_key(f'a{other}.jpg')) == (one < other)


def test_numbers_of_any_length():
    assert natural_key('9' * 5000) < natural_key('1' + '0' * 5000)


def test_checkpoint_and_data_with_other_places_are_refused():
    with refused('data.moved_classes', match="x.pth: class '1' is number 0 .*, but 1 in the data"):
        check_same_classes(['1', '01'], ['01', '1'], 'x.pth')
    with refused('data.moved_classes', match='1 such classes'):
        check_same_classes(['a', 'c'], ['a', 'b', 'c'], 'x.pth')


def test_renamed_classes_are_told():
    assert check_same_classes(['a', 'b'], ['a', 'b'], 'x.pth') == ''
    assert check_same_classes([], ['a'], 'x.pth') == ''
    assert "'bee' for 'b'" in check_same_classes(['a', 'b'], ['a', 'bee'], 'x.pth')
