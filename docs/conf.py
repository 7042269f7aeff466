"""The documentation: ``python -m sphinx -W -n docs build/docs`` (extra ``docs``)."""

import sys
from importlib import import_module

from sphinx.util.nodes import make_refnode

import mmpretrain_lmmreg
from mmpretrain_lmmreg import register  # noqa: F401  autodoc reads the components

PACKAGE = 'mmpretrain_lmmreg'
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
napoleon_use_rtype = False  # what is returned is told in words, which are no types
napoleon_use_ivar = True  # attributes that are also properties are described once
exclude_patterns = ['build']
html_theme = 'furo'
html_title = 'mmpretrain-lmmreg'
html_copy_source = False


def resolve(app, env, node, contnode):
    """Link a short name to the object that ends in it; an internal name stays plain text.

    A name that exists nowhere in the package is left to Sphinx, which warns.
    """
    if node.get('refdomain') != 'py':
        return None
    target = node['reftarget']
    found = [
        (entry.aliased, name, entry)
        for name, entry in env.domains['py'].objects.items()
        if name == target or name.endswith(f'.{target}')
    ]
    if found:
        _, _, entry = min(found, key=lambda each: each[:2])
        args = (app.builder, node['refdoc'], entry.docname, entry.node_id, contnode)
        return make_refnode(*args)
    modules = [module for name, module in sys.modules.items() if name.startswith(PACKAGE)]
    if target.startswith(PACKAGE):
        folder, _, target = target.rpartition('.')
        modules = [import_module(folder)]
    return contnode if any(hasattr(each, target.split('.')[0]) for each in modules) else None


def setup(app):
    """Let Sphinx ask :func:`resolve`."""
    app.connect('missing-reference', resolve)
