# What every step of set-up shares: where things are, how a step speaks, how it fails, how a file is
# downloaded. Sourced by POSIX sh with ROOT set to the checkout. All talk goes to stderr: stdout
# belongs to the command that the user came for.

CACHE=$ROOT/.cache
TOOL=$CACHE/tool
LOCK=$ROOT/scripts/toolchain/toolchain.lock
STAMP=$CACHE/stamp

step() {
  STEP=$1
  printf 'set-up: %s\n' "$1" >&2
}

note() {
  printf '        %s\n' "$1" >&2
}

# fail WHY WHAT-TO-DO: names the step, and ends.
fail() {
  printf 'set-up failed at "%s"\n  why:  %s\n  then: %s\n' "$STEP" "$1" "$2" >&2
  exit 1
}

machine() {
  case $(uname -s)-$(uname -m) in
    Linux-x86_64) echo x64 ;;
    Linux-aarch64 | Linux-arm64) echo arm64 ;;
    *) fail "set-up knows Linux on x86_64 and aarch64; this is $(uname -s) on $(uname -m)" \
      "install Bun, Deno, Go and QEMU yourself, then run: deno task build" ;;
  esac
}

# locked TOOL MACHINE: the lock's line for it, without the first two words.
locked() {
  awk -v tool="$1" -v machine="$2" \
    '$1 == tool && $2 == machine { print $3, $4, $5, $6, $7 }' "$LOCK"
}

# digest_ok FILE ALGORITHM:HEX
digest_ok() {
  _want=${2#*:}
  _have=$("${2%%:*}sum" "$1" | cut -d' ' -f1)
  [ "$_have" = "$_want" ]
}

# download URL FILE ALGORITHM:HEX: into a part file, renamed once the digest agrees, so that an
# interrupted set-up leaves nothing that a later one would take for whole.
download() {
  _part=$2.part
  mkdir -p "$(dirname "$2")"
  set -- "$1" "$2" "$3" -fL --retry 3 --connect-timeout 20 -o "$_part" "$1"
  _url=$1 _file=$2 _digest=$3
  shift 3
  [ -z "${NPM_CAFILE-}" ] || set -- --cacert "$NPM_CAFILE" "$@"
  if [ -t 2 ]; then
    curl --progress-bar "$@" >&2 || _download_failed "$_url" $?
  else
    curl -sS "$@" >&2 &
    _curl=$!
    _tell_progress "$_part" "$_curl"
    wait "$_curl" || _download_failed "$_url" $?
  fi
  if ! digest_ok "$_part" "$_digest"; then
    rm -f "$_part"
    fail "what $_url sent is not what toolchain.lock pins (${_digest%%:*} differs)" \
      "check the registry or the proxy in between, then run this again"
  fi
  mv -f "$_part" "$_file"
}

_download_failed() {
  rm -f "$_part"
  fail "curl could not fetch $1 (its status $2 is explained above)" \
    "check the network, the proxy variables and the registry configuration, then run this again"
}

# Without a terminal there is no progress bar: one line every five seconds says how far it is.
_tell_progress() {
  _ticks=0
  while kill -0 "$2" 2>/dev/null; do
    sleep 0.2
    _ticks=$((_ticks + 1))
    [ $((_ticks % 25)) -eq 0 ] && [ -f "$1" ] &&
      note "$(($(wc -c <"$1") / 1048576)) MiB so far"
  done
  return 0
}

# fresh NAME VALUE: whether the step NAME was last finished with exactly VALUE.
fresh() {
  [ -f "$STAMP/$1" ] && [ "$(cat "$STAMP/$1")" = "$2" ]
}

done_with() {
  mkdir -p "$STAMP"
  printf '%s\n' "$2" >"$STAMP/$1.part"
  mv -f "$STAMP/$1.part" "$STAMP/$1"
}
