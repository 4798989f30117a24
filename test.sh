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
    "$python" -m pytest -q -m "not slow" "$@" ||
        "$python" -m pytest -q -m "not slow" --last-failed --last-failed-no-failures none "$@"
}
if [ $# -gt 0 ]; then
    printf '\n== pytest %s\n' "$*"
    tests "$@" || failed=1
else # a browser waits more than it computes, so it goes beside the rest
    mkdir -p build
    tests -o cache_dir=.pytest_cache/browser tests/browser >build/browser-tests.log 2>&1 &
    browser=$!
    printf '\n== pytest\n'
    tests --ignore tests/browser || failed=1
    printf '\n== pytest tests/browser\n'
    wait "$browser" || failed=1
    cat build/browser-tests.log
fi
exit $failed
