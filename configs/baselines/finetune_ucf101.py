"""Fine-tuning without the regulariser (the paper's baseline) on UCF101.

python tools/train.py configs/baselines/finetune_ucf101.py
"""

_base_ = ['../lmmreg_ucf101.py']

method = 'finetune'
model = dict(head=dict(alpha=0))
train_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))  # no descriptions
