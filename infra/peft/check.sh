#!/usr/bin/env bash
# Do endcap and Hugging Face PEFT read each other's adapters? infra/peft/check.sh ENDCAP_BINARY [ADAPTER_FOLDER...]
# Installs PyTorch, transformers and PEFT (some 6 GB) into .venv-peft, so it is not part of `make test`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly VENV=.venv-peft
readonly STAMP=$VENV/.endcap-peft

# Changes when the pins, the interpreter or the clone's place change (a venv cannot be moved).
fingerprint() {
    { cat infra/peft/requirements.txt; python3 --version; pwd -P; } | sha256sum | cut -d ' ' -f 1
}

install_packages() {
    local wanted
    wanted=$(fingerprint)
    [[ ! -f $STAMP || $(<"$STAMP") != "$wanted" ]] || return 0
    echo "check-peft: installing PyTorch, transformers and PEFT into $VENV (about 6 GB)"
    python3 -m venv --clear "$VENV"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-cache-dir --require-hashes \
        --no-deps --only-binary :all: --requirement infra/peft/requirements.txt </dev/null
    echo "$wanted" >"$STAMP"
}

install_packages
# Nothing may be fetched: all that is loaded lies in the repository.
export HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error HF_HUB_DISABLE_PROGRESS_BARS=1 PYTHONDONTWRITEBYTECODE=1
exec "$VENV/bin/python" -W ignore::FutureWarning infra/peft/check.py "$@"
