# Bun and Deno, whose binaries are packages of npm. Only curl and tar are needed: neither Node nor
# npm has to be there, but where npm is configured its registry and certificate file are obeyed.

# npm_setting KEY: from the environment as npm reads it, npm itself, or the files that npm would read.
npm_setting() {
  _upper=$(printf %s "$1" | tr '[:lower:]-' '[:upper:]_')
  eval "_value=\${npm_config_$1-\${NPM_CONFIG_$_upper-}}"
  if [ -z "$_value" ] && command -v npm >/dev/null 2>&1; then
    _value=$(cd "$ROOT" && npm config get "$1" 2>/dev/null) || _value=
    case $_value in undefined | null) _value= ;; esac
  fi
  for _rc in "$ROOT/.npmrc" "${npm_config_userconfig:-${NPM_CONFIG_USERCONFIG:-${HOME-}/.npmrc}}" \
    /etc/npmrc /usr/etc/npmrc /usr/local/etc/npmrc; do
    [ -z "$_value" ] && [ -r "$_rc" ] || continue
    _value=$(sed -n "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*//p" "$_rc" | tail -n 1 | tr -d "\"'")
  done
  printf %s "$_value"
}

npm_discover() {
  [ -n "${NPM_REGISTRY-}" ] && return
  NPM_REGISTRY=$(npm_setting registry)
  NPM_REGISTRY=${NPM_REGISTRY:-https://registry.npmjs.org}
  NPM_REGISTRY=${NPM_REGISTRY%/}
  NPM_CAFILE=$(npm_setting cafile)
}

# unpack_npm_tool TOOL LOCK-MACHINE: .cache/tool/TOOL-VERSION-LOCK-MACHINE/TOOL, which need not run here.
# Sets _home to its directory.
unpack_npm_tool() {
  _tool=$1 _for=$2
  # shellcheck disable=SC2046
  set -- $(locked "$_tool" "$_for")
  _version=$1 _package=$3 _pin=$4 _inside=$5
  _home=$TOOL/$_tool-$_version-$_for
  [ ! -x "$_home/$_tool" ] || return 0
  step "$_tool $_version for $_for from npm"
  npm_discover
  _tgz=$CACHE/download/$_tool-$_version-$_for.tgz
  download "$NPM_REGISTRY/$_package/-/${_package#*/}-$_version.tgz" "$_tgz" "$_pin"
  rm -rf "$_home.part"
  mkdir -p "$_home.part"
  tar -xzf "$_tgz" -C "$_home.part" --strip-components="$(printf %s "$_inside" | tr -cd / | wc -c)" \
    "$_inside" || fail "tar could not unpack $_tgz" "remove $CACHE/download and run this again"
  chmod 755 "$_home.part/$_tool"
  rm -rf "$_home"
  mv "$_home.part" "$_home"
  rm -f "$_tgz"
}

# install_npm_tool TOOL LOCK-MACHINE: the same, linked as .cache/tool/bin/TOOL.
install_npm_tool() {
  unpack_npm_tool "$1" "$2"
  if [ "$(readlink "$TOOL/bin/$_tool" 2>/dev/null)" != "../${_home##*/}/$_tool" ]; then
    "$_home/$_tool" --version >/dev/null 2>&1 || {
      rm -rf "$_home"
      fail "$_tool $_version does not run here" "see whether it is built for this machine: $_for"
    }
    mkdir -p "$TOOL/bin"
    ln -s "../${_home##*/}/$_tool" "$TOOL/bin/.$_tool.$$"
    mv -f "$TOOL/bin/.$_tool.$$" "$TOOL/bin/$_tool"
  fi
}

# Bun's ordinary x64 build needs AVX2; older processors and some emulators get the baseline one.
bun_machine() {
  if [ "$1" = x64 ] && ! grep -qw avx2 /proc/cpuinfo; then echo x64-baseline; else echo "$1"; fi
}

install_packages() {
  _key=$(cat "$ROOT/deno.json" "$ROOT/deno.lock" "$ROOT/scripts/deno.json" | sha256sum | cut -d' ' -f1)
  [ -d "$ROOT/node_modules" ] && fresh packages "$_key" && return
  step "npm packages of deno.lock"
  npm_discover
  [ -z "$NPM_CAFILE" ] || export DENO_CERT="${DENO_CERT:-$NPM_CAFILE}"
  (cd "$ROOT" && NPM_CONFIG_REGISTRY="$NPM_REGISTRY/" DENO_DIR="$CACHE/deno" \
    DENO_TLS_CA_STORE="${DENO_TLS_CA_STORE:-mozilla,system}" DENO_NO_UPDATE_CHECK=1 \
    "$TOOL/bin/deno" install --frozen --quiet >&2) ||
    fail "deno install could not fetch what deno.lock names" \
      "check the registry ($NPM_REGISTRY) or, if deno.json was edited, run: deno install"
  done_with packages "$_key"
}
