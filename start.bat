@echo off
rem Make the environment if there is none, then open the studio. Not tried on Windows yet.
rem   start.bat [arguments of app.py]     start.bat --no-launch: only make the environment
setlocal
cd /d "%~dp0"

if not exist .venv\Scripts\python.exe (
    py -3 -c "import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))" || (
        echo Testudo needs Python 3.10 to 3.14. Install it from python.org. 1>&2
        exit /b 2
    )
    py -3 -m venv .venv || exit /b 1
)

rem An environment is up to date when it was made from these very requirements.
fc /b requirements.txt .venv\testudo-stamp >nul 2>nul
if errorlevel 1 (
    echo Installing; the first time this takes minutes and several gigabytes.
    .venv\Scripts\python -m pip --disable-pip-version-check install -q -r requirements.txt || exit /b 1
    .venv\Scripts\python -m pip --disable-pip-version-check install -q --no-deps -e . || exit /b 1
    copy /y requirements.txt .venv\testudo-stamp >nul
)

if "%~1"=="--no-launch" exit /b 0
.venv\Scripts\python app.py %*
