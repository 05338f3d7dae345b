# shellcheck shell=bash
# Sourced: a virtual environment of its own for a script that `make test` does not need.
#
#   use_venv VENV REQUIREMENTS WHAT   installs the pinned requirements into VENV, unless they are there; WHAT says so
#
# Run in the root of the clone.

use_venv() {
    local venv=$1 requirements=$2 stamp=$1/.endcap-venv wanted
    # Changes when the pins, the interpreter or the clone's place change (a venv cannot be moved).
    wanted=$({ cat "$requirements"; python3 --version; pwd -P; } | sha256sum | cut -d ' ' -f 1)
    [[ ! -f $stamp || $(<"$stamp") != "$wanted" ]] || return 0
    echo "installing $3 into $venv"
    python3 -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-cache-dir --require-hashes --no-deps \
        --only-binary :all: --requirement "$requirements" </dev/null
    echo "$wanted" >"$stamp"
}
