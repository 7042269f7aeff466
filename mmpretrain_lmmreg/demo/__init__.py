"""The embedded default: a drawn data set with scripted descriptions, and a tiny CLIP.

Importing it registers with open_clip the model ``demo-clip`` and its
weights ``demo``: 64 pixels, 64 joint dimensions, CLIP's own tokenizer.
"""

import json
from pathlib import Path

from open_clip import factory, pretrained

__all__ = ['CLIP_FOLDER', 'CLIP_NAME', 'CLIP_TAG', 'register_clip']

CLIP_NAME, CLIP_TAG = 'demo-clip', 'demo'
CLIP_FOLDER = Path(__file__).with_name('clip')


def register_clip(folder: Path = CLIP_FOLDER) -> None:
    """Make the model of a ``local-dir:`` folder known to open_clip as demo-clip, weights demo."""
    config = json.loads((folder / 'open_clip_config.json').read_text(encoding='utf-8'))
    weights = {'file': str(folder / 'open_clip_model.safetensors'), **config['preprocess_cfg']}
    # open_clip.add_model_config wants another form of file, and for tags there is no function
    factory._MODEL_CONFIGS[CLIP_NAME] = config['model_cfg']
    pretrained._PRETRAINED[CLIP_NAME] = {CLIP_TAG: weights}


register_clip()
