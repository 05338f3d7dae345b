#!/usr/bin/env bash
# Takes a picture of the first storefront page: infra/setup/screenshot.sh ENDCAP_BINARY OUT.png
# Needs a night in out/ (make run-local) and Chromium (make setup-test).
set -euo pipefail

readonly ENDCAP=$1 OUT=$2 PORT=8791
work=$(mktemp -d)
"$ENDCAP" serve --listen "127.0.0.1:$PORT" >"$work/serve.log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT

for _ in $(seq 50); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; then break; fi
    kill -0 "$server" 2>/dev/null || { cat "$work/serve.log" >&2; exit 1; }
    sleep 0.2
done

flags=(--headless --disable-gpu --hide-scrollbars --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-quic --user-data-dir="$work/profile")
# Chromium refuses its sandbox to root.
[[ $(id -u) -ne 0 ]] || flags+=(--no-sandbox)
chromium "${flags[@]}" --window-size=1280,1500 --virtual-time-budget=8000 --screenshot="$PWD/$OUT" \
    "http://127.0.0.1:$PORT/" 2>/dev/null
echo "wrote $OUT"
