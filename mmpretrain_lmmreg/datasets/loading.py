"""The transform that loads pictures."""

import io

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine import fileio
from mmpretrain.registry import TRANSFORMS

from .pictures import check_regular, read_rgb


@TRANSFORMS.register_module()
class LoadPicture(BaseTransform):
    """As mmcv's ``LoadImageFromFile``, but with the pixels of :func:`read_rgb` for all file kinds.

    Adds ``img`` (H, W, 3), uint8 in BGR order, ``img_shape`` and ``ori_shape`` to a sample with
    ``img_path``. A sample that has its ``img`` already, as the Inferencer's, is left alone.

    Args:
        backend_args: See mmcv's ``LoadImageFromFile``.
    """

    def __init__(self, backend_args: dict | None = None) -> None:
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Load the picture of a sample."""
        if 'img' in results:
            return results
        check_regular(results['img_path'])
        content = fileio.get(results['img_path'], backend_args=self.backend_args)
        results['img'] = np.asarray(read_rgb(io.BytesIO(content)))[:, :, ::-1]
        results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(backend_args={self.backend_args})'
