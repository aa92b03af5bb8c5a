# One thread hangs while all others run: systemd kills the daemon and starts it again.

edit glossd WatchdogSec=3
systemctl start glossd
for thread in gloss-fetch gloss-inference; do
    first=$(pid)
    enqueue scene-00.jpg 200 $thread "max_tokens => 60"
    await_captions 20 "no captions" "$(($(captions) + 3))"
    python3 /gloss-check/freeze.py "$first" $thread >/run/freeze &
    await 5 "the thread $thread can't be stopped" grep -q froze /run/freeze
    await_restart "$first"
    [ "$(cut -d' ' -f1 /run/glossd-end)" = watchdog ] || fail "it ended with $(cat /run/glossd-end)"
    wait
    ok "$thread hangs" "$(cat /run/glossd-end); active again"
done
all_done 400
ok "its jobs" "400 done, each once, none with an attempt used up"
