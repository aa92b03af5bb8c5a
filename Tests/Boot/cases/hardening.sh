# What the unit forbids, tried from inside: an instance of it whose program is a probe, and nothing else changed.

mkdir -p /home/check
for secret in /home/check/secret /root/secret; do echo secret >$secret; done
chmod 0755 /home/check /root

systemctl start glossd
field() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$(pid)/status"; }
[ "$(field Seccomp)" = 2 ] && [ "$(field NoNewPrivs)" = 1 ] && [ "$(field CapBnd)" = 0000000000000000 ] ||
    fail "it is not confined"
[ "$(ps -o user= -p "$(pid)")" = gloss ] || fail "it is not run by the user gloss"
ok "the daemon" "user gloss, seccomp filter, no capabilities, no new privileges"

python3 /gloss-check/probe.py everything >/run/probe || fail "outside of the unit not everything is possible: $(cat /run/probe)"
python=$(readlink -f "$(command -v python3)")
edit glossd@probe "Type=oneshot
Restart=no
WatchdogSec=0
ExecPaths=$python
ExecStart=
ExecStart=$python /gloss-check/probe.py nothing"
systemctl start glossd@probe || fail "in the unit something is possible: $(journalctl -o cat -u glossd@probe)"
ok "from inside" "$(wc -l </run/probe) tries, none possible; outside of the unit all are"

written=$(find /tmp /var /run /etc /dev /srv /home /root -user gloss -print -quit)
[ -z "$written" ] || fail "it has written $written"
ok "files written" "none"

systemd-analyze security --threshold=15 --no-pager glossd >/run/security || fail "$(cat /run/security)"
ok "systemd-analyze security" "$(grep -o '[0-9.]* OK' /run/security) of 10, 1.5 at most"
