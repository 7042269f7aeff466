"""The documentation: ``python -m sphinx -W -n docs build/docs`` (extra ``docs``)."""

import mmpretrain_lmmreg
from mmpretrain_lmmreg import register  # noqa: F401  autodoc reads the components

project = 'mmpretrain-lmmreg'
release = mmpretrain_lmmreg.__version__
extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'sphinx_copybutton',
]
myst_enable_extensions = ['dollarmath', 'colon_fence']
myst_heading_anchors = 3
autodoc_member_order = 'bysource'
autodoc_typehints = 'none'
autodoc_preserve_defaults = True
templates_path = []
exclude_patterns = ['build']
html_theme = 'furo'
html_title = 'mmpretrain-lmmreg'
html_copy_source = False
html_static_path = []
