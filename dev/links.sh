#!/usr/bin/env bash
# Check the external links of the documentation. This needs a network, so CI does not run it.
set -euo pipefail
cd "$(dirname "$0")/.."
python -m sphinx -q -b linkcheck docs build/links
