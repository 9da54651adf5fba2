#!/bin/sh
# The main job on real parts: server, agent and nginx on this machine, a certificate from the built-in CA, deployed and
# proved by a TLS handshake. State stays under var/; ONCE=1 stops everything after the proof.
set -eu
cd "$(dirname "$0")/.."
top=$(pwd)
var=$top/var
state=$var/state
api_port=${API_PORT:-8443}
web_port=${WEB_PORT:-9443}
name=${NAME:-www.example.test}
api=https://localhost:$api_port
server='' agent='' web=''
start=$(date +%s%N)

say() {
  now=$(date +%s%N)
  printf '%6d.%d s  %s\n' $(((now - start) / 1000000000)) $(((now - start) / 100000000 % 10)) "$*"
}
die() {
  say "failed: $*"
  exit 1
}
stop() {
  trap - EXIT INT TERM
  for pid in $agent $web $server; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in $agent $web $server; do wait "$pid" 2>/dev/null || true; done
}
trap stop EXIT
trap 'stop; exit 130' INT
trap 'stop; exit 143' TERM

# until_true SECONDS COMMAND…: repeats it ten times a second.
until_true() {
  tries=$(($1 * 10))
  shift
  while ! "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || return 1
    sleep 0.1
  done
}
# post PATH JSON: prints the reply; the key never shows in the process list.
post() {
  printf 'header = "Authorization: Bearer %s"\n' "$(cat "$state/admin.key")" |
    curl -sS --config - --cacert "$var/ca.pem" -X POST -H 'Content-Type: application/json' -d "$2" "$api/api/v1/$1"
}
# field NAME: the text member of the JSON object on standard input.
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
cli() { CERTCTL_API_KEY=$(cat "$state/admin.key") "$top/build/bin/certctl-cli" --server "$api" --ca-bundle "$var/ca.pem" "$@"; }

say "installing what is missing, building"
make --no-print-directory build
command -v nginx >/dev/null || PATH=$PATH:/usr/sbin
mkdir -p "$var/log" "$var/nginx/tls" "$var/nginx/tmp"
# Started by root, the server gives root up, so its state cannot lie below a folder that only root may enter.
if [ "$(id -u)" = 0 ]; then
  for d in "$top" "$(dirname "$top")" "$(dirname "$(dirname "$top")")"; do
    case $(stat -c %A "$d") in *[xt]) ;; *) state=/var/lib/certctl-run$(printf '%s' "$top" | tr / -) ;; esac
  done
fi
shown_state=${state#"$top/"}

say "starting the server on $api"
CERTCTL_STATE_DIR=$state CERTCTL_SERVER_PORT=$api_port "$top/build/bin/certctl-server" >>"$var/log/server.log" 2>&1 &
server=$!
until_true 30 curl -skf "$api/health" || { tail -n 5 "$var/log/server.log"; die "the server did not start (var/log/server.log)"; }
# The chain the server shows ends in the CA; its file is read here, on the server's own disk, not from the network.
awk '/BEGIN CERT/ { n++ } n >= 2' "$state/tls/server.crt" >"$var/ca.pem"
say "CA sha256=$(openssl x509 -in "$var/ca.pem" -outform DER | sha256sum | cut -d' ' -f1)"

if [ ! -s "$var/agent.id" ]; then
  say "registering an agent, with a team, an owner and a target"
  post teams '{"id":"t-run","name":"Run"}' >/dev/null
  post owners '{"id":"o-run","name":"Run","email":"run@example.test","team_id":"t-run"}' >/dev/null
  reply=$(post agents '{"name":"run-agent","hostname":"localhost"}')
  id=$(printf '%s' "$reply" | field id)
  [ -n "$id" ] || die "no agent: $reply"
  (umask 077 && printf '%s' "$reply" | field api_key >"$var/agent.key")
  nginx_cmd="nginx -p $var/nginx -c nginx.conf"
  reply=$(post targets "{\"id\":\"tgt-run\",\"name\":\"run-nginx\",\"type\":\"NGINX\",\"agent_id\":\"$id\",\"config\":{
    \"cert_path\":\"$var/nginx/tls/site.crt\",\"key_path\":\"$var/nginx/tls/site.key\",
    \"validate_command\":\"$nginx_cmd -t -q\",\"reload_command\":\"$nginx_cmd -s reload\",
    \"post_deploy_verify\":{\"enabled\":true,\"endpoint\":\"127.0.0.1:$web_port\"}}}")
  [ -n "$(printf '%s' "$reply" | field id)" ] || die "no target: $reply"
  printf '%s\n' "$id" >"$var/agent.id"
fi

say "starting nginx on https://localhost:$web_port with a placeholder certificate"
[ -s "$var/nginx/tls/site.key" ] ||
  (umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=placeholder \
    -keyout "$var/nginx/tls/site.key" -out "$var/nginx/tls/site.crt" 2>/dev/null)
cat >"$var/nginx/nginx.conf" <<EOF
daemon off;
pid nginx.pid;
error_log $var/log/nginx.log;
events { }
http {
  access_log off;
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  server {
    listen 127.0.0.1:$web_port ssl;
    server_name $name;
    ssl_certificate tls/site.crt;
    ssl_certificate_key tls/site.key;
    location / { return 200 "served by nginx with a certificate from certctl\n"; }
  }
}
EOF
nginx -p "$var/nginx" -c nginx.conf >>"$var/log/nginx.log" 2>&1 &
web=$!
until_true 10 test -s "$var/nginx/nginx.pid" || die "nginx did not start (var/log/nginx.log)"

say "starting the agent"
(umask 077 && mkdir -p "$var/agent-keys")
CERTCTL_API_KEY=$(cat "$var/agent.key") "$top/build/bin/certctl-agent" -server "$api" -agent-id "$(cat "$var/agent.id")" \
  -ca-bundle "$var/ca.pem" -key-dir "$var/agent-keys" >>"$var/log/agent.log" 2>&1 &
agent=$!

if [ -s "$var/certificate.id" ]; then
  say "renewing the certificate for $name"
  cli certs renew "$(cat "$var/certificate.id")" --wait=2m || die "renewal (var/log/agent.log says more)"
else
  say "issuing a certificate for $name"
  cli certs create run-site --cn "$name" --san "$name" --san localhost --target tgt-run --owner o-run --team t-run \
    --policy rp-default --issuer iss-local --wait=2m --format json >"$var/certificate.json" || die "issuance (var/log/agent.log says more)"
  sed -n 's/^ *"id": *"\([^"]*\)".*/\1/p' "$var/certificate.json" | head -n 1 >"$var/certificate.id"
fi

say "looking at what nginx serves"
shown=$(openssl s_client -connect "127.0.0.1:$web_port" -servername "$name" -verify_hostname "$name" -CAfile "$var/ca.pem" \
  -verify_return_error </dev/null 2>/dev/null | openssl x509 -outform DER | sha256sum | cut -d' ' -f1) || die "the handshake does not verify"
issued=$(cli certs versions "$(cat "$var/certificate.id")" --format json | sed -n 's/.*"fingerprint_sha256": *"\([0-9a-f]*\)".*/\1/p' | head -n 1)
[ "$shown" = "$issued" ] || die "nginx serves $shown, the newest version is $issued"

say "trust the CA:      var/ca.pem (curl --cacert, openssl -CAfile)"
say "API:               $api/api/v1, first administrator's key in $shown_state/admin.key"
say "a first call:      curl --cacert var/ca.pem -H \"Authorization: Bearer \$(cat $shown_state/admin.key)\" $api/api/v1/certificates"
say "the site:          curl --cacert var/ca.pem https://localhost:$web_port/"
say "served certificate verified sha256=$shown"
[ -z "${ONCE:-}" ] || exit 0
say "running; Ctrl-C stops everything"
wait "$server"
