#!/usr/bin/env bash
# Does endcap publish as fast as a plain S3 client? infra/bench/publish.sh ENDCAP_BINARY [--segments N] [--rounds N] [--memory N...]
# Starts SeaweedFS on 127.0.0.1 and measures both against it, in turn (rounds.py). Server and client are installed into
# .venv-bench on the first call, 120 MB; nothing else is fetched. What the server stores is deleted at the end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly VENV=.venv-bench
# shellcheck source=infra/setup/venv.sh
source infra/setup/venv.sh

# Eight that are free now, one a line.
free_ports() {
    python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(8)]
for one in sockets:
    print(one.getsockname()[1])'
}

server=
data=
stop() {
    [[ -z $server ]] || kill "$server" 2>/dev/null || true
    [[ -z $server ]] || wait "$server" 2>/dev/null || true
    [[ -z $data ]] || rm -rf "$data"
}
trap stop EXIT

start_server() {
    local identity='"name": "bench", "actions": ["Admin"]'
    data=$(mktemp -d)
    mkdir "$data/volumes"
    echo "{\"identities\": [{$identity, \"credentials\": [{\"accessKey\": \"test\", \"secretKey\": \"test\"}]}]}" \
        >"$data/s3.json"
    WEED_MASTER_VOLUME_GROWTH_COPY_1=1 "$VENV/bin/weed" server -dir="$data/volumes" -ip=127.0.0.1 -ip.bind=127.0.0.1 \
        -master.telemetry=false -master.port="$2" -master.port.grpc="$3" -volume.max=500 -volume.port="$4" \
        -volume.port.grpc="$5" -filer -filer.port="$6" -filer.port.grpc="$7" -s3 -s3.port="$1" -s3.port.grpc="$8" \
        -s3.config="$data/s3.json" >"$data/log" 2>&1 &
    server=$!
}

endcap=${1:?"usage: infra/bench/publish.sh ENDCAP_BINARY [--segments N] [--rounds N] [--memory N...]"}
use_venv "$VENV" infra/bench/requirements.txt "SeaweedFS and aiobotocore (120 MB)"
mapfile -t ports < <(free_ports)
start_server "${ports[@]}"
export AWS_ENDPOINT_URL_S3=http://127.0.0.1:${ports[0]} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1
export AWS_DEFAULT_REGION=us-east-1 TMPDIR=$data ENDCAP_LOG=warn
"$VENV/bin/python" infra/bench/rounds.py --endcap "$endcap" "${@:2}"
