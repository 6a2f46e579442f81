# files_steps.sh GIVEN WORK OWN KIND: what programs do with small files. GIVEN has the tree (tree.ts); WORK is
# where files are measured, and may have it as `given`; OWN is an empty directory that is not. KIND is what the
# file system mounted at WORK has to be, or empty. What is measured lies between the lines "begins" and a name.
set -eu
given=$1 work=$2 own=$3 kind=$4

is=$(awk -v at="$work" '$2 == at { is = $3 } END { print is }' /proc/mounts)
if [ -n "$kind" ] && [ "$is" != "$kind" ]; then
  echo "$work is of the file system '$is', and not $kind" >&2
  exit 1
fi

measured() {
  step=$1
  shift
  echo begins
  "$@"
  echo "$step"
}

cp -r "$given"/*.tar "$given/registry" "$given/project" "$own"
export HOME="$own"
python3 -u -m http.server --bind 127.0.0.1 --directory "$own/registry" 0 >"$own/served" 2>/dev/null &
server=$!
trap 'kill $server' EXIT
until grep -q ' port ' "$own/served"; do sleep 0.1; done
port=$(sed -n 's/.* port \([0-9]*\).*/\1/p' "$own/served")

unpack() { mkdir "$work/tree" && tar xf "$own/tree.tar" -C "$work/tree"; }
read_all() { find "$1" -type f -print0 | xargs -0 cat >/dev/null; }
stat_all() { find "$work/tree" -size +1000000c; }
status() { [ -z "$(git -C "$work/tree" -c 'safe.directory=*' status --porcelain)" ]; }
install() {
  npm ci --prefix "$work/project" --registry "http://127.0.0.1:$port" --cache "$own/npm" \
    --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel error >&2
}

# Programs and what they load are known from here on.
read_all "$own/project"
git --version >/dev/null
npm --version >/dev/null

[ ! -e "$work/given" ] || measured given read_all "$work/given"
measured unpack unpack
measured read read_all "$work/tree"
measured again read_all "$work/tree"
measured stat stat_all
tar xf "$own/git.tar" -C "$work/tree"
status
measured status status
cp -r "$own/project" "$work"
measured install install
[ "$(find "$work/project/node_modules" -name '*.js' | wc -l)" = 580 ]
