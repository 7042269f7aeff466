"""LMM-Reg.-CLIP on own images: folders named like their classes, or a list of paths and labels.

    CUSTOM_ROOT=pictures python tools/train.py configs/lmmreg_custom.py
    CUSTOM_ROOT=pictures CUSTOM_LIST=labels.csv python tools/train.py configs/lmmreg_custom.py

Classes are found from the data. Without ``CUSTOM_ROOT/descriptions.jsonl`` (tools/describe.py)
prompts with the class names make the class means; ``CUSTOM_NAMES``, a JSON object or a CSV file
with the columns label,name, says what folders or labels that are no words are called in them.
``CUSTOM_COLUMNS='path=photo,label=species'`` says which columns of the list are meant, where they
are not called as usual. Which of configs/methods to put on it by --on is in docs/methods.md.
"""

_base_ = [
    '_base_/models/clip_vit_l14.py',
    '_base_/datasets/clip_images.py',
    '_base_/schedules/adam_100e.py',
    '_base_/default_runtime.py',
]
import os

from mmpretrain_lmmreg.datasets import find_classes

data_root = os.environ.get('CUSTOM_ROOT') or 'data/custom'
ann_file = os.environ.get('CUSTOM_LIST', '')
columns = os.environ.get('CUSTOM_COLUMNS', '')
class_names = os.environ.get('CUSTOM_NAMES', '')
data = dict(
    dataset=dict(
        type='OwnImages',
        data_root=data_root,
        ann_file=ann_file,
        columns=columns,
        class_names=class_names,
    )
)
train_dataloader = dict(
    dataset=dict(
        **data['dataset'],
        pipeline=[
            *_base_.pixels,
            dict(type='AttachDescriptions', missing='skip'),
            dict(type='PackInputs'),
        ],
    )
)
val_dataloader = data
test_dataloader = data

method = 'lmmreg'
model = dict(head=dict(num_classes=len(find_classes(data_root, ann_file, columns))))
default_hooks = dict(class_means=dict(source='auto'))
keep_descriptions = True  # where they are missing, they are skipped
