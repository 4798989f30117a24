#!/usr/bin/env bash
# Install what the tests need, then run lint, types and tests.
#
#   ./test.sh [arguments of pytest]      such as -m golden, -m browser, -m slow, tests/speech
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

./start.sh --no-launch || exit
python=.venv/bin/python
stamp=.venv/testudo-test-stamp
if ! cmp --quiet requirements-test.txt "$stamp"; then
    "$python" -m pip --disable-pip-version-check --no-input install --quiet \
        -r requirements-test.txt </dev/null || exit
    cp requirements-test.txt "$stamp"
fi

failed=0
check() {
    printf '\n== %s\n' "$*"
    "$python" -m "$@" || failed=1
}

check ruff check .
check ruff format --check .
check mypy

# A browser on a busy machine can be too slow once; what fails twice has failed.
tests() {
    "$python" -m pytest -q -m "not slow" "$@"
}
printf '\n== pytest\n'
tests "$@" || tests --last-failed --last-failed-no-failures none "$@" || failed=1
exit $failed
