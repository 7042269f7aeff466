"""The API page: ``python -m sphinx -W docs/api build/api``."""

import mmpretrain_lmmreg

project = 'mmpretrain-lmmreg'
release = mmpretrain_lmmreg.__version__
extensions = ['sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'sphinx.ext.viewcode']
autodoc_member_order = 'bysource'
autodoc_typehints = 'signature'
autodoc_preserve_defaults = True
templates_path = []
html_theme = 'alabaster'
html_theme_options = dict(description=mmpretrain_lmmreg.__doc__.splitlines()[0])
html_copy_source = False
