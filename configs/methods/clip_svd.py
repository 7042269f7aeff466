"""Zero-shot classifier of which the projection's singular values train (CLIP-SVD).

    python tools/train.py configs/methods/clip_svd.py --on configs/lmmreg_bar.py

Original (Koleilat et al. 2025): the singular values of the matrices of both towers' blocks train,
0.04 % of the parameters, by the cross entropy of image and class-name embeddings, by AdamW at 5e-4
with weight decay 0.01 and a cosine, in batches of 32; 1 to 16 images a class. The projections to
the joint space stay as they are. Ours: the image projection alone, which they leave, so that the
feature table stays, to fixed class names; all training images (fewer by
train_dataloader.dataset.shots); Adam at 1e-3, 100 epochs, which is our choice. With any other
method: model.backbone.trainable=svd. All linear layers of the image tower: --cfg-options
model.backbone.trainable=svd_all train_cfg.type=EpochBasedTrainLoop val_cfg.type=ValLoop
test_cfg.type=TestLoop
"""

_base_ = 'zero_shot.py'

method = 'clip_svd'
protocol = 'all training images, last epoch; class names'
model = dict(backbone=dict(trainable='svd'))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=100)
