#!/usr/bin/env bash
# Install what the tests need, then run lint, types and tests.
#
#   ./test.sh                            everything but what is marked slow or soak
#   ./test.sh --quick                    what runs within two minutes
#   ./test.sh --soak                     what is marked soak: kills, hostile inputs, load (30 min)
#   ./test.sh --coverage                 everything but the browser, with the coverage of lines
#   ./test.sh [arguments of pytest]      such as -m golden, -m browser, -m slow, tests/audio
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

./start.sh --no-launch || exit
python=.venv/bin/python
stamp=.venv/testudo-test-stamp
if ! cat requirements-test.txt requirements-extra-no-deps.txt | cmp --quiet - "$stamp"; then
    pip() { "$python" -m pip --disable-pip-version-check --no-input install --quiet "$@" </dev/null; }
    pip -r requirements-test.txt || exit
    pip --no-deps -r requirements-extra-no-deps.txt || exit
    cat requirements-test.txt requirements-extra-no-deps.txt >"$stamp"
fi

failed=0
check() {
    printf '\n== %s\n' "$*"
    "$python" -m "$@" || failed=1
}

check ruff check .
check ruff format --check .
check mypy
printf '\n== lint-imports\n'
PYTHONPATH=src:. .venv/bin/lint-imports --no-cache || failed=1

tests() {
    "$python" -m pytest -q -m "not slow and not soak" "$@"
}
parallel=(-n auto --maxprocesses 4 --dist loadfile) # the tests of a module share their fixtures
if [ "${1-}" = --quick ]; then
    shift
    printf '\n== pytest, without the browser, subprocesses and trainings\n'
    "$python" -m pytest -q -m "not slow and not soak and not browser and not thorough" "${parallel[@]}" "$@" ||
        failed=1
elif [ "${1-}" = --soak ]; then
    shift
    printf '\n== pytest, what is marked soak\n'
    "$python" -m pytest -q -m soak -n 2 --dist worksteal --durations 0 "$@" || failed=1
elif [ "${1-}" = --coverage ]; then
    shift
    printf '\n== pytest, without the browser, with coverage\n'
    tests --ignore tests/browser "${parallel[@]}" --cov --cov-report=term:skip-covered "$@" ||
        failed=1
elif [ $# -gt 0 ]; then
    printf '\n== pytest %s\n' "$*"
    tests "$@" || failed=1
else
    printf '\n== pytest\n'
    tests --ignore tests/browser "${parallel[@]}" || failed=1
    printf '\n== pytest tests/browser\n' # not beside the rest: a browser on a busy machine is too slow
    tests "${parallel[@]}" tests/browser || failed=1
fi
exit $failed
