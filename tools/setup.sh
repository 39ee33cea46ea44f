# Sourced by ./run and ./test: makes .venv from the locked requirements, once, and again only when they change.
#   setup run|dev      which lock; dev holds run
# Leaves PYTHON set. Needs Python 3.11 or newer; uv is used if it is there, else brought by pip into .tools.

find_python() {
  local candidate
  for candidate in "${LOCKGATE_PYTHON:-}" python3.12 "$HOME"/.pyenv/versions/3.12*/bin/python3 \
    python3.13 "$HOME"/.pyenv/versions/3.13*/bin/python3 python3.11 python3; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2])' >/dev/null 2>&1; then
      # Not the environment it may stand in, such as a run's: that one may have no pip, and goes with the run.
      "$candidate" -c 'import sys; print(getattr(sys, "_base_executable", None) or sys.executable)'
      return 0
    fi
  done
  echo "error: found no Python 3.11 or newer; install one (3.12 is best), or name it: LOCKGATE_PYTHON=/path/to/python $0" >&2
  return 2
}

find_uv() {
  local wanted="uv==0.13.9"
  if command -v uv >/dev/null 2>&1; then
    command -v uv
  else
    if [ ! -x .tools/uv/bin/uv ]; then
      echo "bringing $wanted into .tools (once)" >&2
      "$1" -m pip install --quiet --disable-pip-version-check --target .tools/uv --upgrade "$wanted" >&2 || {
        echo "error: pip could not bring uv; is there a network, and pip for $1?" >&2
        return 2
      }
    fi
    echo "$PWD/.tools/uv/bin/uv"
  fi
}

setup() {
  local lock="requirements/$1.txt" stamp=".venv/.lockgate-$1" wanted base uv
  PYTHON="$PWD/.venv/bin/python"
  wanted="$PWD $(cksum <"$lock") $(cksum <pyproject.toml)"
  if [ -x "$PYTHON" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    return 0
  fi
  base=$(find_python) || return 2
  uv=$(find_uv "$base") || return 2
  echo "setting up .venv from $lock with $("$base" -V 2>&1) (once; about a minute)" >&2
  if [ ! -x "$PYTHON" ]; then
    "$uv" venv --quiet --python "$base" .venv || return 2
  fi
  "$uv" pip install --python "$PYTHON" --require-hashes --requirement "$lock" || return 2
  "$uv" pip install --quiet --python "$PYTHON" --no-deps --no-build-isolation --editable . || return 2
  echo "compiling (once)" >&2
  "$PYTHON" -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || echo "note: some files of packages could not be compiled; they are at their first use" >&2
  printf '%s' "$wanted" >"$stamp"
  if [ "$1" = dev ]; then
    printf '%s' "$PWD $(cksum <requirements/run.txt) $(cksum <pyproject.toml)" >.venv/.lockgate-run
  fi
}
