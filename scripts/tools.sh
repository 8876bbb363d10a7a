#!/usr/bin/env bash
# Tools that only the tests of deploy/ need, at pinned versions, in the project's own folders: helm (built by Go from its
# module, into .tools/bin) and kubernetes-validate (a Python package with Kubernetes' schemas inside, into .venv).
# What cannot be had is said; the tests that need it then skip with the same words.
#
#   scripts/tools.sh          installs what is missing; nothing to do the second time, also offline
set -euo pipefail
cd "$(dirname "$0")/.."

HELM_VERSION=v3.21.4
# The Kubernetes that this helm is made for. Its release builds are told so by the linker; without it, it claims 1.20.
HELM_KUBERNETES_MINOR=36
KUBERNETES_VALIDATE_VERSION=1.37.0

say() { printf 'weir: %s\n' "$*" >&2; }

helm_stamp=.tools/helm.version
helm_wanted="$HELM_VERSION 1.$HELM_KUBERNETES_MINOR"
if [ "$(cat "$helm_stamp" 2>/dev/null)" != "$helm_wanted" ] || [ ! -x .tools/bin/helm ]; then
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

python=.venv/bin/python
if ! "$python" -c "import importlib.metadata as m, sys; sys.exit(m.version('kubernetes-validate') != '$KUBERNETES_VALIDATE_VERSION')" 2>/dev/null; then
  if command -v python3 >/dev/null; then
    say "installing kubernetes-validate $KUBERNETES_VALIDATE_VERSION into .venv"
    { [ -x "$python" ] || python3 -m venv .venv; } &&
      "$python" -m pip install --quiet --disable-pip-version-check "kubernetes-validate==$KUBERNETES_VALIDATE_VERSION" ||
      say "kubernetes-validate could not be installed: manifests are not checked against Kubernetes' schemas"
  else
    say "python3 is missing: manifests are not checked against Kubernetes' schemas"
  fi
fi
