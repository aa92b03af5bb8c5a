# What the cases are written with.

ok() { printf '  %-32s %s\n' "$1" "${2:-}"; }

fail() {
    echo "FAILED: $*"
    systemctl --no-pager -n 0 status 'glossd*' gloss-console || true
    systemctl --no-pager list-jobs || true
    journalctl --no-pager -o short-monotonic -n 25 -u 'glossd*' -u gloss-console | cut -c1-240 || true
    journalctl --no-pager -o short-monotonic -n 8 -u check-postgresql | cut -c1-240 || true
    exit 1
}

# seconds, what, command…: waits until the command succeeds.
await() {
    local until=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $until ] || fail "$what"
        sleep 0.1
    done
}

as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
sql() { as_postgres psql -XqAt -v ON_ERROR_STOP=1 gloss -c "$1"; }
true_in_sql() { [ "$(sql "select $1")" = t ]; }

start_postgres() {
    systemd-run --quiet --collect --unit=check-postgresql --property=User=postgres "$pg/postgres" \
        -D "${1:-/var/lib/check/data}" -k /run/postgresql -c listen_addresses= -c fsync=off -c full_page_writes=off
    await 10 "PostgreSQL does not start" as_postgres psql -Xc 'select 1' postgres
}
stop_postgres() { systemctl stop check-postgresql; }

# property, unit
show() { systemctl show -P "$1" "${2:-glossd}"; }
pid() { show MainPID "${1:-glossd}"; }
active() { systemctl is-active -q "${1:-glossd}"; }
says() { [[ "$(show StatusText)" == $1 ]]; }
# the pid that it had: waits for another one that is ready
await_restart() {
    restarted() { [ "$(pid)" -ne 0 ] && [ "$(pid)" -ne "$1" ] && active; }
    await 20 "it is not started again" restarted "$1"
}

# unit, lines of [Service]: as systemctl edit would, until the next case.
edit() {
    mkdir -p "/run/systemd/system/$1.service.d"
    printf '[Service]\n%s\n' "$2" >"/run/systemd/system/$1.service.d/case.conf"
    systemctl daemon-reload
}

# The settings of a unit; more of them come from standard input.
configure() {
    { printf '%s\n' 'model: /var/lib/gloss/models/tiny' 'database: dbname=gloss' 'heartbeat_seconds: 0.5' \
        'poll_seconds: 0.5' 'rescue_seconds: 2' && cat; } >"/etc/gloss/${1:-glossd}.yaml"
}

# No daemon, no job, the unit as it is.
empty_queue() {
    systemctl stop 'glossd*' gloss-console 2>/dev/null || true
    systemctl reset-failed 'glossd*' gloss-console 2>/dev/null || true
    rm -rf /run/systemd/system/glossd*.d /run/systemd/system/gloss-console*.d /etc/gloss/*
    configure </dev/null
    install -m 0600 /dev/null /etc/gloss/glossd.env
    printf 'GLOSS_FETCH_NETWORKS=127.0.0.0/8,::1/128\nGLOSS_FETCH_PORTS=8000\n' >/etc/gloss/glossd.env
    systemctl daemon-reload
    as_postgres dropdb --if-exists --force gloss 2>/dev/null
    as_postgres createdb --template=empty gloss
}

# image, count, batch, options of enqueue_caption
enqueue() {
    sql "select count(*) from generate_series(1, $2) n,
        gloss.enqueue_caption('http://localhost:8000/$1', key => '$3/' || n, batch => '$3' ${4:+, $4})" >/dev/null
}
# How many are done.
captions() { sql 'select count(*) from gloss.caption'; }
# seconds, what, count
await_captions() { await "$1" "$2: $(sql 'select code, reason from gloss.dead limit 3')" true_in_sql "count(*) >= $3 from gloss.caption"; }
# So many jobs: one result for each and none for others, none dead, held, or in two places, no attempt used up.
all_done() {
    await 60 "not all $1 are done: $(captions)" true_in_sql "count(*) >= $1 from gloss.result"
    local found=$(sql "select count(*), count(distinct job_id), max(attempts), (select count(*) from gloss.dead),
        (select count(*) from gloss.leased), (select count(*) from gloss.misplaced_job) from gloss.result")
    [ "$found" = "$1|$1|0|0|0|0" ] || fail "results, their jobs, attempts used up, dead, held, misplaced: $found"
}
