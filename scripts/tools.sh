#!/usr/bin/env bash
# Tools that only some tests need: helm and an OpenTelemetry Collector (built by Go from their modules at pinned versions,
# into .tools/bin), kubernetes-validate (a pinned Python package with Kubernetes' schemas inside, into .venv) and Prometheus
# with promtool (Debian's package; its service is not started). What cannot be had is said; the tests that need it then skip
# with the same words.
#
#   scripts/tools.sh [NAME …]     installs what is missing of helm, collector, kubernetes-validate, prometheus; all without a
#                                 name. Nothing to do the second time, also offline
set -euo pipefail
cd "$(dirname "$0")/.."

HELM_VERSION=v3.21.4
# The Kubernetes that this helm is made for. Its release builds are told so by the linker; without it, it claims 1.20.
HELM_KUBERNETES_MINOR=36
KUBERNETES_VALIDATE_VERSION=1.37.0
# The collector's modules, and the stable ones among them, of one release.
COLLECTOR_VERSION=v0.165.0
COLLECTOR_STABLE_VERSION=v1.71.0

say() { printf 'weir: %s\n' "$*" >&2; }

# Whether the tool is among those asked for.
names=" $* "
wanted() { [ "$names" = "  " ] || [[ "$names" == *" $1 "* ]]; }

helm_stamp=.tools/helm.version
helm_wanted="$HELM_VERSION 1.$HELM_KUBERNETES_MINOR"
if wanted helm && { [ "$(cat "$helm_stamp" 2>/dev/null)" != "$helm_wanted" ] || [ ! -x .tools/bin/helm ]; }; then
  if command -v go >/dev/null; then
    say "building helm $HELM_VERSION"
    mkdir -p .tools/bin
    # The processes of one build are bounded so that a small machine stays usable.
    chartutil=helm.sh/helm/v3/pkg/chartutil
    flags="-s -w -X $chartutil.k8sVersionMajor=1 -X $chartutil.k8sVersionMinor=$HELM_KUBERNETES_MINOR"
    if GOBIN="$PWD/.tools/bin" GOFLAGS="-p=${WEIR_TOOLS_JOBS:-2}" CGO_ENABLED=0 \
      go install -trimpath -ldflags="$flags" "helm.sh/helm/v3/cmd/helm@$HELM_VERSION"; then
      echo "$helm_wanted" > "$helm_stamp"
    else
      say "helm could not be built: the chart's tests are skipped"
    fi
  else
    say "Go is absent, so helm cannot be built: the chart's tests are skipped"
  fi
fi

# The collector's own builder makes it of the components that deploy/otel/collector.yaml names.
build_collector() {
  local work
  work=$(mktemp -d)
  cat > "$work/builder.yaml" <<YAML
dist: { name: otelcol, output_path: $work/out }
receivers: [{ gomod: go.opentelemetry.io/collector/receiver/otlpreceiver $COLLECTOR_VERSION }]
processors:
  - gomod: go.opentelemetry.io/collector/processor/batchprocessor $COLLECTOR_VERSION
  - gomod: go.opentelemetry.io/collector/processor/memorylimiterprocessor $COLLECTOR_VERSION
exporters: [{ gomod: go.opentelemetry.io/collector/exporter/debugexporter $COLLECTOR_VERSION }]
extensions:
  - gomod: github.com/open-telemetry/opentelemetry-collector-contrib/extension/healthcheckextension $COLLECTOR_VERSION
providers:
  - gomod: go.opentelemetry.io/collector/confmap/provider/envprovider $COLLECTOR_STABLE_VERSION
  - gomod: go.opentelemetry.io/collector/confmap/provider/fileprovider $COLLECTOR_STABLE_VERSION
YAML
  export GOFLAGS="-p=${WEIR_TOOLS_JOBS:-2}" CGO_ENABLED=0
  local built=1
  if GOBIN="$work" go install "go.opentelemetry.io/collector/cmd/builder@$COLLECTOR_VERSION" &&
    "$work/builder" --config "$work/builder.yaml" >"$work/log" 2>&1; then
    mkdir -p .tools/bin && mv "$work/out/otelcol" .tools/bin/otelcol && built=0
  else
    tail -n 3 "$work/log" >&2 || true
  fi
  rm -rf "$work"
  return "$built"
}

collector_stamp=.tools/collector.version
if wanted collector && { [ "$(cat "$collector_stamp" 2>/dev/null)" != "$COLLECTOR_VERSION" ] || [ ! -x .tools/bin/otelcol ]; }; then
  if command -v go >/dev/null; then
    say "building the OpenTelemetry Collector $COLLECTOR_VERSION"
    if build_collector; then
      echo "$COLLECTOR_VERSION" > "$collector_stamp"
    else
      say "the OpenTelemetry Collector could not be built: its test is skipped"
    fi
  else
    say "Go is absent, so the OpenTelemetry Collector cannot be built: its test is skipped"
  fi
fi

python=.venv/bin/python
if wanted kubernetes-validate && ! "$python" -c "import importlib.metadata as m, sys; sys.exit(m.version('kubernetes-validate') != '$KUBERNETES_VALIDATE_VERSION')" 2>/dev/null; then
  if command -v python3 >/dev/null; then
    say "installing kubernetes-validate $KUBERNETES_VALIDATE_VERSION into .venv"
    { [ -x "$python" ] || python3 -m venv .venv; } &&
      "$python" -m pip install --quiet --disable-pip-version-check "kubernetes-validate==$KUBERNETES_VALIDATE_VERSION" ||
      say "kubernetes-validate could not be installed: manifests are not checked against Kubernetes' schemas"
  else
    say "python3 is missing: manifests are not checked against Kubernetes' schemas"
  fi
fi

if wanted prometheus && ! { command -v prometheus && command -v promtool; } >/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing prometheus"
    # Debian starts what it installs unless this file says no.
    [ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d && ours=1; }
    apt=(apt-get -qq -o DPkg::Lock::Timeout=120)
    { "${apt[@]}" update && DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends prometheus; } >/dev/null ||
      say "prometheus could not be installed: the tests of dashboard and alert rules are skipped"
    [ -z "${ours:-}" ] || rm -f /usr/sbin/policy-rc.d
  else
    say "prometheus is missing and I am not root: install it (Debian: apt-get install prometheus) for the tests of dashboard and alert rules"
  fi
fi
