#!/usr/bin/env bash
# Everything about the infrastructure that can be checked without AWS: `make check-infra`. Ends non-zero on any finding.
#
#   edge          unit tests of the edge function, under node
#   asl           the state machine, by asl-validator
#   cfn-lint      the template against CloudFormation's resource schemas
#   checkov       the template and the Dockerfile against security rules
#   hadolint      the Dockerfile
#   shell         every shell script, by bash -n and shellcheck
#   python        that every script compiles
#   suppressions  that each skipped rule says why, beside it
#   emulator      the whole template deployed, every branch of the state machine (tests/it/cloud/statemachine_test.py)
#
# infra/check.sh NAME... runs only these. Linters are pinned, checked by hash and installed into ~/.cache/endcap/infra-check, where
# clones share them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly TOOLS=${XDG_CACHE_HOME:-$HOME/.cache}/endcap/infra-check
readonly VENV=$TOOLS/venv NODE=$TOOLS/node_modules STAMP=$TOOLS/installed
readonly ALL=(edge asl cfn-lint checkov hadolint shell python suppressions emulator)
readonly TEMPLATE=infra/template.yaml DOCKERFILE=infra/Dockerfile MACHINE=infra/statemachine.asl.json

die() {
    printf 'check-infra: %s\n' "$*" >&2
    exit 1
}

need() {
    command -v "$1" >/dev/null 2>&1 || die "$1 is missing. On Debian or Ubuntu run, then try again:
    sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends $2'"
}

# Changes when the pins or an interpreter change.
fingerprint() {
    { cat infra/check/requirements.txt infra/check/package-lock.json; python3 --version; node --version; } | sha256sum | cut -d ' ' -f 1
}

install_linters() {
    local wanted
    need python3 python3
    need node nodejs
    need npm npm
    wanted=$(fingerprint)
    mkdir -p "$TOOLS"
    # Two clones may check at once: the second waits and finds everything installed.
    exec 9>"$TOOLS/lock"
    flock 9
    if [[ -f $STAMP && $(<"$STAMP") == "$wanted" ]]; then
        exec 9>&-
        return 0
    fi
    echo "check-infra: installing linters into $TOOLS (about 450 MB, once)"
    rm -f "$STAMP"
    python3 -m venv --clear "$VENV"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-compile --no-deps --require-hashes \
        --only-binary :all: --requirement infra/check/requirements.txt </dev/null || die "pip failed; run the same command again"
    cp infra/check/package.json infra/check/package-lock.json "$TOOLS"
    npm ci --prefix "$TOOLS" --no-audit --no-fund --loglevel error </dev/null >/dev/null || die "npm failed; run the same command again"
    echo "$wanted" >"$STAMP"
    exec 9>&-
}

scripts() {
    git ls-files -- '*.sh' .ci/run
}

# A line that switches a rule off must follow a comment that says why (in YAML: must have a comment of its own).
unexplained() {
    local files
    mapfile -t files < <(scripts | grep -v '^infra/check.sh$')
    awk '/checkov:skip=[A-Z0-9_]*(:.{0,20})?$/ { print FILENAME ":" FNR ": " $0 }
         /hadolint ignore=|shellcheck disable=/ && previous !~ /^[ \t]*#/ { print FILENAME ":" FNR ": " $0 } { previous = $0 }' \
        "$DOCKERFILE" "${files[@]}"
    awk '/ignore_checks:/ && previous !~ /^[ \t]*#/ { print FILENAME ":" FNR ": " $0 }
         wanted && !/comment: "..................../ { print FILENAME ":" FNR ": no comment for " rule }
         { wanted = 0; previous = $0 }
         /- id: CKV/ { wanted = 1; rule = $NF }' "$TEMPLATE"
}

check() {
    case $1 in
        edge) node --test infra/edge ;;
        asl) "$NODE/.bin/asl-validator" --json-path "$MACHINE" ;;
        cfn-lint) "$VENV/bin/cfn-lint" --include-checks I --non-zero-exit-code informational "$TEMPLATE" ;;
        checkov) "$VENV/bin/checkov" --file "$TEMPLATE" "$DOCKERFILE" --framework cloudformation dockerfile --skip-download --compact --quiet ;;
        hadolint) "$VENV/bin/hadolint" --failure-threshold style "$DOCKERFILE" ;;
        shell) scripts | xargs -n 1 bash -n && scripts | xargs "$VENV/bin/shellcheck" --external-sources ;;
        python) git ls-files -- 'infra/*.py' 'tests/it/cloud/*.py' | PYTHONDONTWRITEBYTECODE=1 xargs python3 -c \
            'import sys; [compile(open(name).read(), name, "exec") for name in sys.argv[1:]]' ;;
        suppressions)
            local found
            found=$(unexplained)
            [[ -z $found ]] || { echo "$found"; return 1; } ;;
        emulator)
            [[ -x .venv/bin/python ]] || die ".venv is missing: run \`make setup\`"
            PYTHONDONTWRITEBYTECODE=1 .venv/bin/python tests/it/cloud/statemachine_test.py ;;
        *) die "no check $1; there are: ${ALL[*]}" ;;
    esac
}

install_linters
log=$(mktemp)
trap 'rm -f "$log"' EXIT
[[ $# -gt 0 ]] || set -- "${ALL[@]}"
passed=0 failed=0
for name in "$@"; do
    started=$SECONDS
    if check "$name" >"$log" 2>&1; then
        printf 'ok    %-13s %3s s\n' "$name" $((SECONDS - started))
        passed=$((passed + 1))
    else
        printf 'FAIL  %-13s %3s s\n' "$name" $((SECONDS - started))
        sed 's/^/    /' "$log"
        failed=$((failed + 1))
    fi
done
echo "check-infra: $passed passed, $failed failed"
[[ $failed -eq 0 ]]
