"""The embedded default: a drawn data set with scripted descriptions, and a tiny CLIP."""

from pathlib import Path

__all__ = ['CLIP_FOLDER']

CLIP_FOLDER = Path(__file__).with_name('clip')  # 64 pixels, 64 joint dimensions
