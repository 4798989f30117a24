#!/usr/bin/env bash
# Make the environment if there is none (or it is out of date), then open the studio.
#
#   ./start.sh [arguments of app.py]
#   ./start.sh --no-launch              only make the environment
#
#   PYTHON=/path/to/python3.12          use this Python (3.10 to 3.14)
#   TESTUDO_TORCH_INDEX=<address>       take torch from this package index, see README.md
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

venv=.venv
stamp=$venv/testudo-stamp # what was installed; written last
suits='import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))'

find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11 python3.10 python3.14 python; do
        if "$name" -c "$suits" >/dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
}

make_venv() {
    local python=${PYTHON:-$(find_python)}
    if ! "$python" -c "$suits" >/dev/null 2>&1; then
        echo "start.sh: Testudo needs Python 3.10 to 3.14 with its venv module, not" \
            "${PYTHON:-what was found here}. Install one (Debian, Ubuntu: apt install python3" \
            "python3-venv), or set PYTHON to its path." >&2
        exit 2
    fi
    "$python" -m venv --clear "$venv"
}

pip() {
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@" </dev/null
}

torch_index=${TESTUDO_TORCH_INDEX-$(cat $venv/torch-index 2>/dev/null || true)}
fingerprint() {
    "$venv/bin/python" - requirements.txt pyproject.toml "$torch_index" <<'PYTHON'
import hashlib, pathlib, sys
files = b"".join(pathlib.Path(name).read_bytes() for name in sys.argv[1:3])
text = f"{sys.version} {sys.argv[3]} {pathlib.Path.cwd()}"
sys.stdout.write(hashlib.sha256(files + text.encode()).hexdigest())
PYTHON
}

"$venv/bin/python" -c "$suits" >/dev/null 2>&1 || make_venv
if [ "$(fingerprint)" != "$(cat "$stamp" 2>/dev/null || true)" ]; then
    echo "Installing; the first time this takes minutes and several gigabytes."
    rm -f "$stamp"
    if [ "$torch_index" != "$(cat $venv/torch-index 2>/dev/null || true)" ]; then
        pip uninstall --quiet --yes torch torchaudio
    fi
    if [ -n "$torch_index" ]; then
        pip install --quiet --index-url "$torch_index" $(grep -E '^torch(audio)?==' requirements.txt)
    fi
    pip install --quiet -r requirements.txt
    pip install --quiet --no-deps --editable .
    printf '%s' "$torch_index" >$venv/torch-index
    fingerprint >"$stamp"
fi

if [ "${1-}" = --no-launch ]; then
    exit 0
fi
exec "$venv/bin/python" app.py "$@"
