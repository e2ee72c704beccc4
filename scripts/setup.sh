#!/usr/bin/env bash
# Makes a clone ready to work on a fresh Debian or Ubuntu: scripts/setup.sh [demo|test|bench|lint]...
#
#   demo     .venv from requirements.lock, and the servers of the demo: Prometheus, Alertmanager (Envoy
#            comes with the lock)
#   test     .venv from requirements-dev.lock, the servers of the demo, a browser, tc, Pango
#   bench    the same, and wrk
#   lint     .venv from requirements-dev.lock, nothing more
#
# Every package is pinned and checked by its hash.
#
# Run it as often as you like: it says nothing and is done at once when all is there. System packages are
# installed only if their program or library is missing, with root or sudo; without either it prints the command for
# somebody who may, and ends with 1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly STAMP=.venv/.setup
# The release of the Chaos Toolkit that this Python does not get: experiments are compared with both.
readonly OTHER=.venv/chaostoolkit
readonly POLICY=/usr/sbin/policy-rc.d
readonly POLICY_MARK='made by sloguard scripts/setup.sh, only there while it installs packages; safe to delete'

say() { printf 'setup: %s\n' "$*" >&2; }
fail() {
  say "$*"
  exit 1
}

# --- what is asked for -----------------------------------------------------------------------------

wants_demo='' wants_test='' wants_bench='' lock=requirements.lock
for group in "$@"; do
  case $group in
    demo) wants_demo=yes ;;
    test) wants_demo=yes wants_test=yes lock=requirements-dev.lock ;;
    bench) wants_demo=yes wants_test=yes wants_bench=yes lock=requirements-dev.lock ;;
    lint) lock=requirements-dev.lock ;;
    *)
      say "unknown group '$group'; one or more of: demo, test, bench, lint"
      exit 2
      ;;
  esac
done

# --- system packages -------------------------------------------------------------------------------

missing=()

# need PACKAGE PROGRAM...: PACKAGE is missing if none of the programs is there.
need() {
  local package=$1 program
  shift
  for program in "$@"; do
    # Users often lack the directories where Debian puts tc and its like.
    PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null && return
  done
  missing+=("$package")
}

# need_library PACKAGE FILE: PACKAGE is missing if the loader knows no such library.
need_library() {
  local known
  known=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null) || known=''
  if [[ $known != *"$2 "* ]]; then missing+=("$1"); fi
}

look_for_packages() {
  if [[ $wants_demo ]]; then
    need prometheus prometheus
    need prometheus-alertmanager prometheus-alertmanager alertmanager
  fi
  if [[ $wants_test ]]; then
    [[ " ${missing[*]} " == *" prometheus "* ]] || need prometheus promtool
    need chromium chromium chromium-browser google-chrome
    need iproute2 tc
    # Reports as PDF are laid out by Pango.
    need_library libpango-1.0-0 libpango-1.0.so.0
    need_library libpangoft2-1.0-0 libpangoft2-1.0.so.0
    need_library libharfbuzz-subset0 libharfbuzz-subset.so.0
  fi
  if [[ $wants_bench ]]; then
    need wrk wrk
  fi
}

# Debian starts and enables a server as soon as it is installed. Nobody asked for one on port 9090, so for
# this one installation its start is declined, and afterwards it is not enabled.
decline_starts() {
  if [[ -e $POLICY ]] && ! grep -qF "$POLICY_MARK" "$POLICY"; then
    return # somebody else's policy stands
  fi
  "${root[@]}" tee "$POLICY" >/dev/null <<EOF
#!/bin/sh
# $POLICY_MARK
case "\$1" in prometheus | prometheus.service | prometheus-alertmanager | prometheus-alertmanager.service) exit 101 ;; esac
exit 0
EOF
  "${root[@]}" chmod 755 "$POLICY"
}

allow_starts() {
  if [[ -e $POLICY ]] && grep -qF "$POLICY_MARK" "$POLICY"; then
    "${root[@]}" rm -f "$POLICY"
  fi
}

# The units of a package that was installed just now; nobody can rely on them yet.
disable_unit() {
  command -v systemctl >/dev/null || return 0
  "${root[@]}" systemctl disable --quiet "$1.service" >/dev/null 2>&1 || return 0
  say "$1 is installed as a program; 'systemctl enable --now $1' would make it a service"
}

install_packages() {
  local install=(apt-get install -y --no-install-recommends "${missing[@]}")
  command -v apt-get >/dev/null ||
    fail "not found: ${missing[*]} (named as Debian packages). Install them and run this again."
  if [[ $(id -u) == 0 ]]; then
    root=()
  elif sudo -n true 2>/dev/null; then
    root=(sudo -n)
  elif command -v sudo >/dev/null && [[ -t 0 ]]; then
    root=(sudo)
  else
    fail "these Debian packages are missing, and installing them takes root. Run:
  apt-get update && ${install[*]}"
  fi
  say "installing ${missing[*]}"
  trap allow_starts EXIT
  decline_starts
  # The lock of this script (9) must not live on in something that a package starts.
  "${root[@]}" apt-get -q -o DPkg::Lock::Timeout=120 update >&2 9<&- || say "apt-get update failed; trying with what is known"
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive "${install[@]}" -q -o DPkg::Lock::Timeout=120 >&2 9<&- ||
    fail "apt-get could not install ${missing[*]}; its message is above"
  allow_starts
  trap - EXIT
  local package
  for package in "${missing[@]}"; do
    case $package in prometheus | prometheus-alertmanager) disable_unit "$package" ;; esac
  done
}

# --- the virtual environment -----------------------------------------------------------------------

# What .venv was made of; it holds as long as this does. A clone that was moved needs a new one.
fingerprint() {
  sha256sum "$1" pyproject.toml
  pwd -P
}

# What tests and lint need holds all that the demo needs, in the same versions.
is_current() {
  local made
  [[ -x .venv/bin/python && -f $STAMP ]] || return 1
  made=$(<"$STAMP")
  [[ $made == "$(fingerprint "$lock" 2>/dev/null)" || $made == "$(fingerprint requirements-dev.lock 2>/dev/null)" ]]
}

find_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  fail "no Python 3.11 or newer found; install one (Debian, Ubuntu: apt-get install python3)"
}

# Debian keeps what venv needs in a package of its own.
look_for_venv() {
  if [[ -x .venv/bin/python ]]; then return; fi
  local python
  python=$(find_python)
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    missing+=("$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')")
  fi
}

make_venv() {
  [[ -f $lock ]] || fail "$lock is missing; is this a whole clone?"
  if ! .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    local python
    python=$(find_python)
    say "making .venv with $python"
    rm -rf .venv
    "$python" -m venv .venv || fail "python could not make .venv; its message is above"
  fi
  rm -rf "$STAMP" "$OTHER"
  say "installing what $lock pins into .venv"
  local pip=(.venv/bin/python -m pip --disable-pip-version-check --no-input -q install)
  "${pip[@]}" --require-hashes -r "$lock" >&2 9<&- || fail "pip could not install $lock; its message is above"
  # With the build tools pinned too, nothing unpinned is fetched to build this very project.
  local build=()
  if .venv/bin/python -c 'import hatchling, editables' 2>/dev/null; then build=(--no-build-isolation); fi
  "${pip[@]}" --no-deps "${build[@]}" -e . >&2 9<&- || fail "pip could not install the project; its message is above"
  fingerprint "$lock" >"$STAMP"
}

# The lock names two releases of the Chaos Toolkit, one for Pythons before 3.12 and one from there on. Both
# run on either (what they need besides is the same): the other one is unpacked beside the installed one.
make_other() {
  local wanted
  wanted=$(.venv/bin/python -c 'import sys; print(">=" if sys.version_info < (3, 12) else "<")')
  say "unpacking the other release of the Chaos Toolkit into $OTHER"
  rm -rf "$OTHER.new"
  awk -v wanted="; python_full_version $wanted " '
    /^[^ ]/ { take = /^chaostoolkit(-lib)?==/ && index($0, wanted) }
    take && /^[^ ]/ { sub(/ ; python_full_version [^ ]+ [^ ]+/, "") }
    take && !/^ *#/
  ' "$lock" >"$OTHER.lock"
  .venv/bin/python -m pip --disable-pip-version-check --no-input -q install --target "$OTHER.new" --no-deps \
    --ignore-requires-python --require-hashes -r "$OTHER.lock" >&2 9<&- ||
    fail "pip could not install the Chaos Toolkit of the other Pythons; its message is above"
  mv "$OTHER.new" "$OTHER"
}

# --- main ------------------------------------------------------------------------------------------

look_for_packages
lacks_other() { [[ $wants_test && ! -d $OTHER ]]; }
if ((${#missing[@]} == 0)) && is_current && ! lacks_other; then exit 0; fi

# Two at once (make -j) would trip over each other. The lock is on the directory: no file is left behind.
exec 9<.
if command -v flock >/dev/null; then flock 9; fi

missing=()
look_for_packages
is_current || look_for_venv
if ((${#missing[@]})); then install_packages; fi
is_current || make_venv
if lacks_other; then make_other; fi
