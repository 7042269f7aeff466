"""Control: LMM-Reg. with descriptions by an LMM that was told each image's class.

    python tools/train.py configs/methods/lmmreg_named.py --on configs/lmmreg_bar.py

Needs replies to a prompt with {class}, which only training images may get:
python tools/describe.py configs/lmmreg_bar.py --describer openai --model NAME \
    --prompt 'Give 10 semantic descriptions for the image, which shows {class}'
Not the paper's method, whose prompt tells nothing: if this does better, the texts gain by the name.
"""

_base_ = __import__('os').environ.get('LMMREG_ON') or '../lmmreg_demo.py'

method = 'lmmreg_named'
protocol = 'all training images, last epoch; the LMM is told the class (control)'
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(transform, named=True) if transform.type == 'AttachDescriptions' else transform
            for transform in _base_.train_dataloader.dataset.pipeline
        ]
    )
)
