# The console as a service: as its own user, with a token each, and with the daemon's previews of an image that is gone.

as_postgres psql -Xqc 'create role "gloss-console" login in role gloss_console' postgres 2>/dev/null || true
site=http://127.0.0.1:9472
reader=$(printf 'r%.0s' {1..32}) admin=$(printf 'a%.0s' {1..32})
# token, arguments of curl
console() { curl -s -o /run/console-answer -w '%{http_code}' -H "Authorization: Bearer $1" "${@:2}"; }
is() { [ "$2" = "$3" ] || fail "$1: $2 in place of $3: $(head -c 400 /run/console-answer)"; }

printf '%s rita reader\n' short >/etc/gloss/console.tokens
chmod 0600 /etc/gloss/console.tokens
edit gloss-console 'Restart=no'
systemctl start gloss-console || true
ended() { [ "$(show ActiveState gloss-console)" = failed ]; }
await 20 "a wrong line is accepted" ended
journalctl --no-pager -o cat -u gloss-console | grep 'line 1: the token is 16 or more' >/dev/null || fail "the wrong line is not named"
systemctl reset-failed gloss-console
ok "a wrong line" "is named in the journal"

cp /gloss-check/images/scene-00.jpg /gloss-check/images/gone.jpg
edit glossd $'CacheDirectory=gloss-previews\nCacheDirectoryMode=0750'
configure <<<'previews: /var/cache/gloss-previews'
systemctl start glossd
enqueue gone.jpg 1 console "max_tokens => 2"
await_captions 30 "no caption" 1
job=$(sql 'select job_id from gloss.caption')
kept() { compgen -G '/var/cache/gloss-previews/*.jpg' >/dev/null; }
await 10 "no preview was kept" kept
rm /gloss-check/images/gone.jpg
ok "previews" "$(stat -c '%a %U:%G' /var/cache/gloss-previews/*.jpg)"

printf '%s rita reader\n%s ada admin\n' "$reader" "$admin" >/etc/gloss/console.tokens
printf 'CONSOLE_OPTIONS=--previews /var/cache/gloss-previews --allow-network 127.0.0.0/8 --allow-port 8000\n' >/etc/gloss/console.env
systemctl start gloss-console
await 20 "the console does not answer" curl -s "$site/"
is "without a token" "$(console none $site/)" 401
is "/" "$(console $reader $site/)" 200
grep -q '<h1>Overview</h1>' /run/console-answer || fail "/ is no overview"
is "a picture" "$(console $reader "$site/picture/$job/1?w=320")" 200
[ "$(head -c 3 /run/console-answer | od -An -tx1)" = " ff d8 ff" ] || fail "the picture is no JPEG"
is "a reader's rerun" "$(console $reader -X POST -d '' "$site/job/$job/rerun")" 403
is "an admin's" "$(console $admin -X POST -d '' "$site/job/$job/rerun")" 303
systemctl stop gloss-console
[ "$(show Result gloss-console)" = success ] || fail "the console ended with $(show Result gloss-console)"
ok "gloss-console.service" "answers /, shows a preview, knows a reader from an admin"
# The folder was this case's own wish: the unit as it comes has none, and the next cases look for what it writes.
systemctl stop glossd
rm -rf /var/cache/gloss-previews
