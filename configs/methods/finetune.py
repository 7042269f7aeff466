"""Fine-tuning without the regulariser (the paper's baseline).

python tools/train.py configs/methods/finetune.py --on configs/lmmreg_bar.py
"""

_base_ = __import__('os').environ.get('LMMREG_ON') or '../lmmreg_demo.py'

method = 'finetune'
model = dict(head=dict(alpha=0))
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            transform
            for transform in _base_.train_dataloader.dataset.pipeline
            if _base_.keep_descriptions or transform.type != 'AttachDescriptions'
        ]
    )
)
