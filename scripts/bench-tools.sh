#!/usr/bin/env bash
# What only benchmarks compare Weir with, at pinned versions, in the project's own folder: envoyproxy/ratelimit, built by Go
# from its module into .tools/bin. Where Go is absent, it is said, and the benchmark leaves that row out.
set -euo pipefail
cd "$(dirname "$0")/.."

RATELIMIT_VERSION=v1.4.1-0.20260122083618-3fb702589d36

say() { printf 'weir: %s\n' "$*" >&2; }

stamp=.tools/ratelimit.version
if [ "$(cat "$stamp" 2>/dev/null)" = "$RATELIMIT_VERSION" ] && [ -x .tools/bin/ratelimit ]; then exit 0; fi
if ! command -v go >/dev/null; then
  say "Go is absent, so envoyproxy/ratelimit cannot be built: its row is left out"
  exit 0
fi
say "building envoyproxy/ratelimit $RATELIMIT_VERSION"
mkdir -p .tools/bin
GOBIN="$PWD/.tools/bin" GOFLAGS="-p=${WEIR_TOOLS_JOBS:-2}" CGO_ENABLED=0 \
  go install -trimpath -ldflags="-s -w" "github.com/envoyproxy/ratelimit/src/service_cmd@$RATELIMIT_VERSION"
mv .tools/bin/service_cmd .tools/bin/ratelimit
echo "$RATELIMIT_VERSION" > "$stamp"
