#!/usr/bin/env bash
# Writes requirements/*.txt again from pyproject.toml, and the pins of data-science/environment/*-conda.yml from them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/setup.sh
uv=$(find_uv "$(find_python)")
lock() {
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
    --no-emit-index-url --no-emit-find-links pyproject.toml --group build "$@" >/dev/null
}
lock --group dev --output-file requirements/dev.txt
lock --constraint requirements/dev.txt --output-file requirements/run.txt
# Tools of long tests, each in an environment of its own: Azure's command line, which reads ours, and checkov, which reads the Bicep.
tool() {
  printf '%s\n' "$2" | "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --prerelease allow \
    --no-emit-index-url --no-emit-find-links --output-file "requirements/$1.txt" - >/dev/null
}
tool azure-cli "azure-cli==$(sed -n 's/^CLI: Final = "\(.*\)"$/\1/p' src/lockgate/az/groups/account.py)"
tool checkov checkov
setup run
"$PYTHON" tools/write_conda_files.py
