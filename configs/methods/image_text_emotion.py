"""Image embedding beside mean description and mean emotion.

    python tools/train.py configs/methods/image_text_emotion.py --on configs/lmmreg_bar.py

All images need replies to both prompts: python tools/describe.py configs/lmmreg_bar.py --split all
--prompt 'Give 10 emotions that the image elicits', and the same without --prompt.
Original (Tzelepi and Mezaris, ICIP workshops 2024): disturbing images, two classes; the wording
of the second prompt is ours.
"""

_base_ = 'image_text.py'

method = 'image_text_emotion'
prompts = [
    'Give 10 semantic descriptions for the image',
    'Give 10 emotions that the image elicits',
]
model = dict(head=dict(prompts=prompts))
