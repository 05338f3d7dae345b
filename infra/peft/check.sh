#!/usr/bin/env bash
# Do endcap and Hugging Face PEFT read each other's adapters? infra/peft/check.sh ENDCAP_BINARY [ADAPTER_FOLDER...]
# Installs PyTorch, transformers and PEFT (some 6 GB) into .venv-peft, so it is not part of `make test`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly VENV=.venv-peft
# shellcheck source=infra/setup/venv.sh
source infra/setup/venv.sh

use_venv "$VENV" infra/peft/requirements.txt "PyTorch, transformers and PEFT (about 6 GB)"
# Nothing may be fetched: all that is loaded lies in the repository.
export HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error HF_HUB_DISABLE_PROGRESS_BARS=1 PYTHONDONTWRITEBYTECODE=1
exec "$VENV/bin/python" -W ignore::FutureWarning infra/peft/check.py "$@"
