"""Control: LMM-Reg. with prompts of the class names in place of descriptions.

    python tools/train.py configs/methods/class_names.py --on configs/lmmreg_bar.py

If this does as well as LMM-Reg., the class names alone suffice. The prompts are the data's
`templates`.
"""

_base_ = __import__('os').environ.get('LMMREG_ON') or '../lmmreg_demo.py'

method = 'class_names'
default_hooks = dict(class_means=dict(source='class_names'))
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            transform
            for transform in _base_.train_dataloader.dataset.pipeline
            if _base_.keep_descriptions or transform.type != 'AttachDescriptions'
        ]
    )
)
