# Runs in the container that scripts/check-boot boots: PostgreSQL and images, then each case with an empty queue.
set -euo pipefail
shopt -s nullglob
pg=$1 only=$2
cd /
. /gloss-check/tools.sh
trap 'fail "$BASH_SOURCE, line $LINENO"' ERR
set -E

dpkg --force-confnew -i /gloss-check/packages/*-1_*.deb >/run/dpkg 2>&1 || fail "$(cat /run/dpkg)"
systemd-run --quiet --unit=check-images python3 -m http.server 8000 --bind 127.0.0.1 --directory /gloss-check/images
mkdir -p /var/lib/check /run/postgresql
chown postgres /var/lib/check /run/postgresql
as_postgres "$pg/initdb" -D /var/lib/check/data --no-sync --auth=peer -E UTF8 --locale=C.UTF-8 >/dev/null
start_postgres
as_postgres createdb empty
as_postgres glossctl migrate --database dbname=empty >/dev/null
as_postgres psql -Xqc 'create role gloss login in role gloss_worker' postgres
await 10 "no image server" curl -sf http://127.0.0.1:8000/

run() {
    local began=${EPOCHREALTIME/./}
    empty_queue
    basename "$1" .sh
    . "$1"
    ok "" "$(((${EPOCHREALTIME/./} - began) / 1000)) ms"
}
for file in /gloss-check/cases/$only.sh; do [ ! -e "$file" ] || run "$file"; done
if [[ package == $only ]]; then run /gloss-check/package.sh; fi
