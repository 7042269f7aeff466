"""Control: LMM-Reg. with the class means of the training images' own embeddings.

    python tools/train.py configs/methods/image_means.py --on configs/lmmreg_bar.py

If this does as well as LMM-Reg., no text is needed.
"""

_base_ = __import__('os').environ.get('LMMREG_ON') or '../lmmreg_demo.py'

method = 'image_means'
default_hooks = dict(class_means=dict(source='images'))
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            transform
            for transform in _base_.train_dataloader.dataset.pipeline
            if _base_.keep_descriptions or transform.type != 'AttachDescriptions'
        ]
    )
)
