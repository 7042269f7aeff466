"""Linear probe that trains on texts as on images (cross-modal adaptation).

    python tools/train.py configs/methods/cross_modal.py --on configs/lmmreg_bar.py

Original (Lin et al. 2023): 1 to 16 images a class with a flip, CLIP RN50 and ViT-B/16, mined or
hand-written templates; half of each batch of 8 or 32 are texts; AdamW at 1e-3 or 1e-4, weight decay
0, 1e-2 or 1e-4, cosine over 12,800 steps after 50 of warm-up; these and the step are chosen by
validation images; a linear head, an adapter, or the image tower's last layer, too. Ours: all
training images (fewer by train_dataloader.dataset.shots), 32 of them and 32 texts a step, one view,
the data's `templates`, the last of 100 epochs; AdamW at 1e-3 with weight decay 0.01 unless
tools/sweep.py chooses: --grid cross_modal:optim_wrapper.optimizer.lr=1e-4,1e-3. The projection
trains, too, with model.backbone.trainable=proj and a rate like 1e-5.
"""

_base_ = 'cross_modal_descriptions.py'

method = 'cross_modal'
protocol = 'all training images, last epoch; class names'
model = dict(head=dict(texts='class_names'))
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            transform
            for transform in _base_.train_dataloader.dataset.pipeline
            if _base_.keep_descriptions or transform.type != 'AttachDescriptions'
        ]
    )
)
