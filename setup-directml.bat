@echo off
rem The environment for a GPU on Windows without CUDA, through DirectML. Not tried on one yet.
rem
rem DirectML's package requires its own, older torch, so it gets the environment to itself: torch and
rem torchaudio are left as it installs them, and what needs a newer torch may fail.
setlocal
cd /d "%~dp0"

call start.bat --no-launch || exit /b 1
.venv\Scripts\python -m pip --disable-pip-version-check install torch-directml || exit /b 1
.venv\Scripts\python -c "import torch_directml as d; raise SystemExit(0 if d.device_count() else 'torch sees no DirectML device')"
