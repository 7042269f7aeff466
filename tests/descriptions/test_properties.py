"""For any records: order, shards, merging change nothing; another text changes the fingerprint."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mmpretrain_lmmreg.describe.merge import merge
from mmpretrain_lmmreg.descriptions import DescriptionStore, DescriptionWriter
from mmpretrain_lmmreg.descriptions.parse import STATUSES

TEXTS = st.text(st.characters(), max_size=20)  # control characters and halves of pairs, too
RECORDS = st.lists(
    st.fixed_dictionaries(
        dict(
            image=TEXTS,
            prompt=st.sampled_from(['p', 'ask']),
            reply=TEXTS,
            descriptions=st.lists(TEXTS, max_size=3),
            status=st.sampled_from(STATUSES),
        )
    ),
    max_size=8,
    unique_by=lambda record: (record['image'], record['prompt']),
)


def store_of(folder, records, name='d.jsonl'):
    with DescriptionWriter(Path(folder) / name) as writer:
        writer.append(*records)
    return DescriptionStore(Path(folder) / name)


def contents(store):
    return {(record['image'], record['prompt']): record for record in store}


@settings(max_examples=15, deadline=None)
@given(RECORDS, st.randoms(use_true_random=False), st.integers(1, 4))
def test_order_shards_and_merging_do_not_matter(records, chance, shards):
    with tempfile.TemporaryDirectory() as folder:
        whole = store_of(folder, records)
        assert contents(whole) == {(r['image'], r['prompt']): r for r in records}
        shuffled = chance.sample(records, len(records))
        other = store_of(folder, shuffled, 'shuffled')
        parts = [Path(folder, f'part{i}') for i in range(shards)]
        for i, part in enumerate(parts):
            store_of(folder, shuffled[i::shards], part.name)
        merge(parts, Path(folder, 'merged'))
        assert merge(parts, Path(folder, 'merged')) == 0  # nothing is better there
        merged = DescriptionStore(Path(folder, 'merged'))
        assert contents(whole) == contents(other) == contents(merged)
        assert whole.fingerprint == other.fingerprint == merged.fingerprint


@settings(max_examples=15, deadline=None)
@given(RECORDS.filter(bool), st.data())
def test_any_change_of_a_description_changes_the_fingerprint(records, data):
    at = data.draw(st.integers(0, len(records) - 1))
    change = data.draw(TEXTS)
    changed = {**records[at], 'descriptions': [*records[at]['descriptions'], change]}
    with tempfile.TemporaryDirectory() as folder:
        before = store_of(folder, records).fingerprint
        records = [*records[:at], changed, *records[at + 1 :]]
        assert store_of(folder, records, 'changed').fingerprint != before
