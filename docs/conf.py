"""Settings of the documentation site: `python -m sphinx -W -b html docs build/docs` builds it, without any network."""

import sys
from pathlib import Path

import toolkit

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS / "_extensions"))

project = "h4l-toolkit"
version = release = toolkit.__version__
project_copyright = "the authors of h4l-toolkit"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "h4l_site"]
exclude_patterns = ["_extensions"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the tests execute the notebooks; the site shows the outputs that they hold
html_math_renderer = "mathml"

default_role = "code"
autodoc_preserve_defaults = True
autodoc_member_order = "alphabetical"
autodoc_typehints_format = "short"
autodoc_default_options = {"exclude-members": "set"}  # a setter of all properties, which matplotlib writes into every class
autodoc_type_aliases = {"ArrayLike": "ArrayLike", "FloatArray": "FloatArray", "IntArray": "IntArray"}
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # the signature has the types

html_theme = "furo"
html_title = f"h4l-toolkit {version}"
html_static_path = ["_static"]
html_css_files = ["h4l.css"]
html_copy_source = False
html_show_sphinx = False
