# An image that the unit's memory limit does not allow: the daemon says so and waits, and works once it may.

python3 - <<'PY'
import struct, zlib
def chunk(name, data): return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
width, height = 9000, 9000
rows = zlib.compressobj(1)
data = b"".join([rows.compress(bytes(1 + width)) for _ in range(height)]) + rows.flush()
with open("/gloss-check/images/huge.png", "wb") as file:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
PY
# limit, in MB: that of the unit's control group. Where this container has no such groups, its files stand in for them.
groups=/sys/fs/cgroup
set_limit() {
    if [ "$groups" = /sys/fs/cgroup ]; then
        systemctl set-property --runtime glossd "MemoryMax=$1M"
    else
        echo $(($1 << 20)) >$groups/system.slice/glossd.service/memory.max
    fi
}
if grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null; then
    edit glossd "MemoryMax=200M"
else
    groups=/run/groups
    mkdir -p $groups/system.slice/glossd.service
    echo 0 >$groups/system.slice/glossd.service/memory.current
    echo inactive_file 0 >$groups/system.slice/glossd.service/memory.stat
    set_limit 200
    edit glossd "BindReadOnlyPaths=$groups:/sys/fs/cgroup"
    ok "no control groups for memory here" "files stand in for them; nothing is killed"
fi
systemctl start glossd
grep -q MemAvailable "/proc/$(pid)/root/proc/meminfo" || fail "it can't see how much memory is free"
enqueue scene-00.jpg 50 small
enqueue huge.png 1 huge
says_so() { says "claiming nothing: decoding takes up to 231 MB of memory, and *"; }
await 20 "it does not say that memory is short" says_so
ok "a limit of 200 MB" "$(show StatusText)"
curl -s http://127.0.0.1:9471/metrics | grep >/dev/null '^gloss_held_up 1.0$' || fail "/metrics does not say so"
[ "$(curl -s -o /run/health -w '%{http_code}' http://127.0.0.1:9471/healthz)" = 503 ] || fail "/healthz: $(cat /run/health)"
told() { as_postgres glossctl status --database dbname=gloss | grep >/dev/null 'takes no jobs: decoding'; }
await 10 "glossctl status does not say so" told
ok "metrics, health, glossctl status" "say so too"

set_limit 2000
resumed() { ! says "claiming nothing*"; }
await 5 "it does not notice that memory is there" resumed
sql 'update gloss.scheduled set run_at = now()'
all_done 51
[ "$(show NRestarts)" = 0 ] || fail "it was killed"
ok "a limit of 2 GB" "all done, no attempt used up, the same process"

if [ "$groups" = /sys/fs/cgroup ]; then
    # What it can't foresee: the kernel kills it. Nothing is lost.
    enqueue scene-00.jpg 300 killed "max_tokens => 60"
    await_captions 20 "no captions" 60
    first=$(pid)
    systemctl set-property --runtime glossd MemoryMax=1M || true
    killed() { [ "$(cut -d' ' -f1 /run/glossd-end)" = oom-kill ]; }
    await 20 "it is not killed" killed
    set_limit 2000
    await_restart "$first"
    all_done 351
    ok "killed for want of memory" "$(cat /run/glossd-end); started again, all done, each once"
fi
rm /gloss-check/images/huge.png
