# Python programs that are only measured against, each in an environment of its own.

# install_mitmproxy: a peer that does not install is left out of the measurement, and said to be.
install_mitmproxy() {
  _pins=$ROOT/scripts/toolchain/mitmproxy.txt
  _key=$(sha256sum "$_pins" | cut -d' ' -f1)
  _home=$CACHE/bench/mitmproxy
  fresh mitmproxy "$_key" && [ -x "$_home/bin/mitmdump" ] && return
  step "mitmproxy, to measure against"
  mkdir -p "$CACHE/bench"
  if python3 -m venv --clear "$_home" >&2 &&
    "$_home/bin/pip" install --quiet --disable-pip-version-check -r "$_pins" >&2; then
    done_with mitmproxy "$_key"
  else
    note "it does not install here; measurements go without it"
  fi
}
