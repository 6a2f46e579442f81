# What only the distribution can give: QEMU, and for the tests the tools that build a small world.

# package_for COMMAND
package_for() {
  case $1 in
    qemu-system-x86_64) echo qemu-system-x86 ;;
    qemu-system-aarch64) echo qemu-system-arm ;;
    qemu-aarch64-static) echo qemu-user-static ;;
    /usr/aarch64-linux-gnu/lib/libc.so.6) echo libc6-arm64-cross ;;
    ip) echo iproute2 ;;
    ping) echo iputils-ping ;;
    dig) echo bind9-dnsutils ;;
    certtool) echo gnutls-bin ;;
    certutil) echo libnss3-tools ;;
    kdig) echo knot-dnsutils ;;
    dnsmasq) echo dnsmasq-base ;; # without the service
    musl-gcc) echo musl-tools ;;
    x86_64-linux-gnu-as) echo binutils-x86-64-linux-gnu ;;
    aarch64-linux-gnu-as) echo binutils-aarch64-linux-gnu ;;
    xz) echo xz-utils ;;
    busybox) echo busybox-static ;; # one file, that runs in a guest without libraries
    /usr/sbin/dhclient) echo isc-dhcp-client ;;
    /usr/sbin/dropbear) echo dropbear-bin ;;
    ssh) echo openssh-client ;;
    /usr/bin/pip3) echo python3-pip ;;
    /usr/bin/node) echo nodejs ;;
    /usr/sbin/mke2fs) echo e2fsprogs ;; # an ordinary user's PATH is without it
    /usr/bin/*) echo "${1##*/}" ;; # where the guest looks for it
    man) echo man-db ;;
    pasta) echo passt ;;
    *) echo "$1" ;;
  esac
}

# missing_packages COMMAND...: the packages of those that are not on PATH.
missing_packages() {
  _missing=
  for _command in "$@"; do
    command -v "$_command" >/dev/null 2>&1 || _missing="$_missing $(package_for "$_command")"
  done
  printf %s "$_missing"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  else
    sudo -n env DEBIAN_FRONTEND=noninteractive ${http_proxy:+"http_proxy=$http_proxy"} \
      ${https_proxy:+"https_proxy=$https_proxy"} "$@"
  fi
}

# install_commands COMMAND...: all of them, or nothing and the one command that would do it.
install_commands() {
  _missing=$(missing_packages "$@")
  [ -n "$_missing" ] || return 0
  step "Debian packages:$_missing"
  command -v apt-get >/dev/null 2>&1 ||
    fail "these are missing and this system has no apt-get:$_missing" \
      "install them with the system's own package manager, then run this again"
  _apt="apt-get install -y --no-install-recommends$_missing"
  if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
    fail "these packages are missing and installing them takes root" \
      "run this one command, then run this again: sudo sh -c 'apt-get update && $_apt'"
  fi
  # A list that is fresh enough saves the slow update; a stale one fails and is refreshed.
  # shellcheck disable=SC2086
  as_root $_apt -q >"$CACHE/apt.log" 2>&1 || {
    note "refreshing apt's lists first"
    as_root apt-get update -q >"$CACHE/apt.log" 2>&1
    as_root $_apt -q >>"$CACHE/apt.log" 2>&1
  } || {
    tail -n 8 "$CACHE/apt.log" >&2
    fail "apt-get could not install$_missing (its last lines are above)" \
      "run this yourself, then run this again: sudo sh -c 'apt-get update && $_apt'"
  }
}
