"""Repairs of the installed libraries, applied before mmpretrain is imported."""
import torch


def define_missing_torchvision_ops() -> None:
    """Let torchvision import beside a torch without its compiled ops (CPU torch, CUDA torchvision)."""
    library = torch.library.Library('torchvision', 'FRAGMENT')
    for name, schema in {
        'nms': 'nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
        'qnms': 'qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
    }.items():
        if not hasattr(torch.ops.torchvision, name):
            library.define(schema)


define_missing_torchvision_ops()
