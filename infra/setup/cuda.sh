#!/usr/bin/env bash
# A CUDA toolkit to compile against, of NVIDIA's own wheels: neither a GPU nor a driver is needed. Prints its folder.
#
#   infra/setup/cuda.sh
#
# The wheels lack what a linker looks for: names without a version, and the driver's library, which every GPU host brings. Both
# are made here; the driver's is a stub with each name of cuda.h and nothing behind it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=infra/setup/venv.sh
source infra/setup/venv.sh

readonly VENV=.venv-cuda

# nvcc hands host code to g++.
command -v g++ >/dev/null || {
    echo "cuda: g++ is missing: apt-get install -y --no-install-recommends g++" >&2
    exit 1
}

use_venv $VENV infra/setup/cuda-requirements.txt "NVIDIA's CUDA toolkit (some 700 MB to fetch)" >&2
toolkit=$(echo "$PWD/$VENV"/lib/python3*/site-packages/nvidia/cu13)
readonly toolkit
"$toolkit/bin/nvcc" --version >/dev/null || {
    echo "cuda: the installed nvcc does not run on this machine" >&2
    exit 1
}

ln -sfn lib "$toolkit/lib64"
for library in "$toolkit"/lib/lib*.so.*; do
    name=${library##*/}
    ln -sf "$name" "$toolkit/lib/${name%%.so.*}.so"
done

if [[ ! -f $toolkit/lib/stubs/libcuda.so ]]; then
    mkdir -p "$toolkit/lib/stubs"
    grep -oE '\bcu[A-Z][A-Za-z0-9_]*' "$toolkit/include/cuda.h" | sort -u | sed 's/.*/void &(void) {}/' |
        gcc -x c -w -shared -Wl,-soname,libcuda.so.1 -o "$toolkit/lib/stubs/libcuda.so" -
fi
echo "$toolkit"
