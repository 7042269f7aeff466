__version__ = '0.2.0'

# What the extras `onedl` and `openmmlab` of setup.py install, and compat.py requires. Both
# families provide the same modules (mmengine, mmcv, mmpretrain), so only one can be there.
FAMILIES = {
    'onedl': (
        'onedl-mmengine>=0.10.12,<0.11',
        'onedl-mmcv>=2.3.6,<2.4',
        'onedl-mmpretrain>=1.3.6,<1.4',
    ),
    'openmmlab': (
        'mmengine>=0.10.7,<0.11',
        'mmcv-lite>=2.1,<2.3',
        'mmpretrain>=1.2,<1.3',
    ),
}
