# What clients in the guest are made with, where the distribution has no package of it: packages of npm and
# of Python in test/support/sdk, pinned by their digests.

# install_sdk: .cache/test/sdk/node_modules and .cache/test/sdk/python
install_sdk() {
  _pins=$ROOT/test/support/sdk
  [ -f "$_pins/package-lock.json" ] || return 0
  _key=$(cat "$_pins/package.json" "$_pins/package-lock.json" "$_pins/requirements.txt" |
    sha256sum | cut -d' ' -f1)
  _home=$CACHE/test/sdk
  fresh sdk "$_key" && [ -d "$_home/node_modules" ] && [ -d "$_home/python" ] && return
  step "packages of test/support/sdk"
  mkdir -p "$_home"
  cp "$_pins/package.json" "$_pins/package-lock.json" "$_home"
  # The packages are read as they are: no script of theirs runs on this machine.
  (cd "$_home" && npm ci --ignore-scripts --no-audit --no-fund --omit=peer --omit=optional \
    --loglevel=error >&2) ||
    fail "npm could not fetch what package-lock.json names" \
      "check npm's registry setting and the proxy, then run this again"
  # Wheels are unpacked; nothing of theirs runs either.
  rm -rf "$_home/python"
  /usr/bin/pip3 install --quiet --disable-pip-version-check --root-user-action ignore --no-deps \
    --only-binary :all: --require-hashes --target "$_home/python" -r "$_pins/requirements.txt" >&2 ||
    fail "pip could not fetch what requirements.txt names" \
      "check pip's index setting and the proxy, then run this again"
  done_with sdk "$_key"
}
