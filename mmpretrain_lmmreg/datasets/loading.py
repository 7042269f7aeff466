"""The transform that loads pictures."""

import io

import numpy as np
from mmcv.image import rgb2bgr
from mmcv.transforms import BaseTransform
from mmengine import fileio
from mmpretrain.registry import TRANSFORMS

from ..errors import require_range
from .pictures import check_regular, read_rgb, why_unreadable


@TRANSFORMS.register_module()
class LoadPicture(BaseTransform):
    """As mmcv's ``LoadImageFromFile``, but with the pixels of :func:`read_rgb` for all file kinds.

    Adds ``img`` (H, W, 3), uint8 in BGR order, ``img_shape`` and ``ori_shape`` to a sample with
    ``img_path``. A sample that has its ``img`` already, as the Inferencer's, is left alone.

    Args:
        backend_args: See mmcv's ``LoadImageFromFile``.
        draft: Decode large JPEG files at an eighth, a quarter or half of their size, where both
            sides still have so many pixels: twice what the model takes or more.
    """

    def __init__(self, backend_args: dict | None = None, draft: int | None = None) -> None:
        if draft is not None:
            require_range('LoadPicture.draft', draft, 1)
        self.backend_args = backend_args
        self.draft = draft

    def transform(self, results: dict) -> dict:
        """Load the picture of a sample."""
        if 'img' in results:
            return results
        check_regular(results['img_path'])
        content = fileio.get(results['img_path'], backend_args=self.backend_args)
        file = io.BytesIO(content)
        try:
            image = read_rgb(file, self.draft)
        except Exception as error:  # pillow raises many kinds on damaged files
            raise ValueError(why_unreadable(file, error)) from error
        results['img'] = rgb2bgr(np.asarray(image))
        results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
        return results
