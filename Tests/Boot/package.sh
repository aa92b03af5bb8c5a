# The package, after all other cases: it was installed for them. Upgrade at work, remove, purge.

id gloss >/dev/null || fail "there is no user gloss"
[ "$(stat -c '%a %U:%G' /etc/gloss)" = "750 root:gloss" ] || fail "/etc/gloss: $(stat -c '%a %U:%G' /etc/gloss)"
installed() { dpkg-query -W -f '${Status} ${Version}' gloss; }
for file in man/man8/glossd.8.gz man/man1/glossctl-enqueue-from.1.gz bash-completion/completions/glossctl \
    gloss/monitoring/alerts.yml; do
    [ -s /usr/share/$file ] || fail "the package has no /usr/share/$file"
done
systemctl is-enabled -q gloss-prune.timer && fail "retention is on without being asked for"
systemctl is-enabled -q gloss-reproduce.timer && fail "proof is on without being asked for"
systemctl is-enabled -q gloss-console.service && fail "the console is on without being asked for"
ok "installed" "$(installed); user, directories and units are there"

echo 'health: { port: 9481 }' | configure glossd@left
systemctl start glossd glossd@left
# Jobs come in until the upgrade is over, however long that takes.
feed() {
    local n=0
    while [ -e /run/feeding ]; do enqueue scene-00.jpg 100 upgrade$((n++)) "max_tokens => 60"; done
}
touch /run/feeding
feed &
await_captions 20 "no captions" 10
first=$(pid) left=$(pid glossd@left)
dpkg --force-confold -i /gloss-check/packages/*-2_*.deb >/run/dpkg 2>&1 || fail "$(cat /run/dpkg)"
await_restart "$first"
again() { [ "$(pid glossd@left)" -ne 0 ] && [ "$(pid glossd@left)" -ne "$left" ] && active glossd@left; }
await 20 "glossd@left is not started again" again
for unit in glossd glossd@left; do
    [ "$(cat /run/$unit-end)" = "success exited 0" ] || fail "$unit did not drain: $(cat /run/$unit-end)"
done
rm /run/feeding
wait $!
fed=$(sql 'select count(*) from gloss.job')
all_done "$fed"
ok "upgraded at work" "$(installed); both drained and started again, $fed done, each once"

enqueue scene-00.jpg 300 remove "max_tokens => 60"
await_captions 20 "no captions" $((fed + 10))
systemctl enable -q glossd glossd@left gloss-prune.timer gloss-reproduce.timer
dpkg -r gloss >/run/dpkg 2>&1 || fail "$(cat /run/dpkg)"
for unit in glossd glossd@left; do
    [ "$(cat /run/$unit-end)" = "success exited 0" ] || fail "$unit did not drain: $(cat /run/$unit-end)"
done
[ ! -e /usr/bin/glossd ] && [ -e /etc/gloss/glossd.yaml ] || fail "removing left the program, or took the settings"
[ "$(sql 'select count(*) from gloss.leased')" = 0 ] || fail "jobs are still leased"
ok "removed" "drained, program gone, settings kept"

results=$(captions)
dpkg --purge gloss >/run/dpkg 2>&1 || fail "$(cat /run/dpkg)"
left=$(shopt -s nullglob; echo /etc/gloss* /var/lib/gloss* /usr/share/gloss* /usr/share/doc/gloss* /usr/lib/sysusers.d/gloss* /usr/bin/gloss* \
    /usr/lib/tmpfiles.d/gloss* /lib/systemd/system/gloss* /etc/systemd/system/multi-user.target.wants/gloss* /etc/systemd/system/timers.target.wants/gloss* \
    /usr/share/man/man?/gloss* /usr/share/*/*completion*/*gloss*)
[ -z "$left" ] || fail "purging left $left"
[ "$(captions)" = "$results" ] || fail "the database was touched"
ok "purged" "nothing left; the database still has its $results results"
