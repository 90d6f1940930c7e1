# shellcheck shell=bash disable=SC2154
# The processes of banter in the local fleet, two of each role, and HAProxy in front of them. To be sourced by scripts/fleet, after
# engines.sh. $banter is the binary, $direct says whether clients are sent to the gateways themselves instead of through HAProxy, and
# $unlimited whether there are no rate limits.

each_role=2

# In the order in which they are started.
roles() {
    local role number
    for role in worker presence gateway api; do
        for number in $(seq "$each_role"); do printf '%s-%s\n' "$role" "$number"; done
    done
}

port_of_role() {
    case $1 in
        haproxy) echo "$base" ;;
        api-*) echo $((base + 40 + ${1#*-})) ;;
        gateway-*) echo $((base + 42 + ${1#*-})) ;;
        worker-*) echo $((base + 44 + ${1#*-})) ;;
        presence-*) echo $((base + 46 + ${1#*-})) ;;
    esac
}

# internal_port NAME: where the other nodes reach it.
internal_port() { echo $(($(port_of_role "$1") + 20)); }

address() {
    local scheme=http
    if [ "$links" = secure ]; then scheme=https; fi
    printf '%s://127.0.0.1:%s' "$scheme" "$(port_of_role haproxy)"
}

role_answers() {
    local at with=()
    at=http://127.0.0.1:$(port_of_role "$1")
    if [ "$1" = haproxy ]; then at=$(address); fi
    if [ "$links" = secure ]; then with=(--cacert "$secrets/authority.pem"); fi
    curl --silent --fail --max-time 3 --output /dev/null "${with[@]}" "$at/health"
}

# quoted LIST: what has commas between, each in quotation marks.
quoted() { sed 's/[^,]*/"&"/g; s/,/, /g' <<<"$1"; }

prepare_role() {
    local name=$1 role=${1%-*} number=${1#*-} client_url="" trust_proxy=x-forwarded-for
    if [ "$role" = gateway ]; then
        client_url=$(address)/gateways/$number
        # Whoever connects directly could write anything there.
        if [ "$direct" = yes ]; then client_url=http://127.0.0.1:$(port "$name") trust_proxy=""; fi
    fi
    write_config "$fleet/config/$name.toml" "$role" "$name" "$client_url" "$trust_proxy"
    prepare "$name" "$banter" serve --config "$fleet/config/$name.toml"
}

# write_config FILE ROLE NAME [CLIENT_URL [TRUST_PROXY]]: the configuration of a node.
write_config() {
    local file=$1 with=(USER= PASSWORD= CREDENTIALS= AUTHORITY= CERTIFICATE= CERTIFICATE_KEY= KAFKA_SECURITY=plaintext)
    if [ "$links" = secure ]; then
        with=(USER=banter PASSWORD="$(password)" CREDENTIALS="banter:$(password)" AUTHORITY="$secrets/authority.pem"
            CERTIFICATE="$secrets/node.pem" CERTIFICATE_KEY="$secrets/node.key" KAFKA_SECURITY=sasl_ssl)
    fi
    make_secret_key
    fill "$templates/banter.toml" "$file" ROLE="$2" PORT="$(port "$3")" INTERNAL_PORT="$(internal_port "$3")" CLIENT_URL="${4:-}" \
        TRUST_PROXY="${5:-}" UNLIMITED="$unlimited" KEY_FILE="$fleet/secret-key" POSTGRES="$(postgres_url banter)" \
        CASSANDRA_PORT="$(port cassandra)" BROKERS="$(quoted "$(addresses kafka)")" REPLICATION="$nodes" REDIS="$(redis_url 0)" \
        SERVERS="$(quoted "$(addresses zookeeper)")" "${with[@]}"
}

make_secret_key() {
    [ ! -s "$fleet/secret-key" ] || return 0
    (umask 077 && od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n' >"$fleet/secret-key.partial")
    mv "$fleet/secret-key.partial" "$fleet/secret-key"
}

prepare_haproxy() {
    local tls=""
    if [ "$links" = secure ]; then tls="ssl crt $secrets/engine.pem"; fi
    fill "$templates/haproxy.cfg" "$fleet/config/haproxy.cfg" PORT="$(port haproxy)" TLS="$tls" API_1="$(port api-1)" API_2="$(port api-2)" \
        GATEWAY_1="$(port gateway-1)" GATEWAY_2="$(port gateway-2)"
    # It makes room for as many connections as there may be descriptors, and some systems allow a thousand million.
    local most=65536 allowed
    allowed=$(ulimit -Hn)
    if [ "$allowed" != unlimited ] && [ "$allowed" -lt "$most" ]; then most=$allowed; fi
    # In the foreground, one process.
    prepare haproxy prlimit "--nofile=$most" haproxy -db -f "$fleet/config/haproxy.cfg"
}

# build_banter: sets $banter, and builds it unless BANTER_BINARY names one.
build_banter() {
    if [ -n "${BANTER_BINARY:-}" ]; then
        banter=$(realpath "$BANTER_BINARY")
        [ -x "$banter" ] || fail "BANTER_BINARY names $BANTER_BINARY, which is no program"
        return
    fi
    # Not the lock.
    scripts/build 9>&-
    banter=$PWD/target/quick/banter
}

start_roles() {
    local name missing=()
    mapfile -t processes < <(roles && echo haproxy)
    for name in "${processes[@]}"; do lives "$name" || missing+=("$name"); done
    if [ ${#missing[@]} -gt 0 ]; then
        for name in "${missing[@]}"; do
            need_port "$name" "$(port "$name")"
            [ "$name" = haproxy ] || need_port "$name" "$(internal_port "$name")"
        done
        mkdir -p "$fleet/config"
        say "Starting ${missing[*]} ..."
        for name in "${missing[@]}"; do
            if [ "$name" = haproxy ]; then prepare_haproxy; else prepare_role "$name"; fi
        done
        # One of them makes the tables and topics before the others look for them.
        if [[ " ${missing[*]} " = *" worker-1 "* ]]; then
            launch worker-1
            await worker-1 60 answers worker-1
        fi
        for name in "${missing[@]}"; do lives "$name" || launch "$name"; done
    fi
    for name in "${processes[@]}"; do await "$name" 60 answers "$name"; done
}

# --- The smoke test

# chat PERSON ...: the command-line client, as somebody with a folder of their own.
chat() {
    local person=$1 with=()
    shift
    if [ "$links" = secure ]; then with=(SSL_CERT_FILE="$secrets/authority.pem"); fi
    env -u BANTER_CONFIG "${with[@]}" BANTER_PASSWORD="a long password of $person" BANTER_SERVER="$(address)" BANTER_FOLDER="$work/$person" \
        timeout 60 "$banter" chat "$@" 9>&-
}

# seen FILE TEXT SECONDS: the text comes to stand in the file.
seen() {
    local until=$((SECONDS + $3))
    until grep -qF "$2" "$1" 2>/dev/null; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.1
    done
}

work=
follower=
# check: two people sign up, write to each other, and read it again, all through HAProxy.
check() {
    local mark ada bob person
    mark=$(od -An -v -tx1 -N4 /dev/urandom | tr -d ' \n')
    ada=ada_$mark bob=bob_$mark
    work=$(mktemp -d "$fleet/check.XXXXXX")
    trap end_check EXIT
    chat ada sign-up "$ada" >"$work/log" 2>&1 || broken "signing up"
    chat bob sign-up "$bob" >"$work/log" 2>&1 || broken "signing up a second time"
    chat bob follow --json >"$work/followed" 2>"$work/log" &
    follower=$!
    seen "$work/followed" '"synced"' 20 || broken "connecting"
    chat ada write "$bob" "hello from $ada" >"$work/log" 2>&1 || broken "writing"
    seen "$work/followed" "hello from $ada" 20 || broken "receiving while online"
    end_follower
    chat bob write "$ada" "hello from $bob" >"$work/log" 2>&1 || broken "answering"
    chat ada read "$bob" --json >"$work/read" 2>"$work/log" || broken "reading"
    for person in "$ada" "$bob"; do grep -qF "hello from $person" "$work/read" || broken "reading what was written"; done
    chat ada group create "the group of $ada" "$bob" >"$work/log" 2>&1 || broken "making a group"
    chat bob group list >"$work/read" 2>"$work/log" || broken "listing groups"
    grep -qF "the group of $ada" "$work/read" || broken "being brought into a group"
    check_links
    say "The smoke test is done: accounts, messages both ways (live and read again), a group."
}

# check_links: `banter config check` finds no fault, and names links in plain text where there are some.
check_links() {
    local name plain
    for name in gateway-1 api-1 worker-1; do
        env -i PATH="$PATH" "$banter" config check --config "$fleet/config/$name.toml" >"$work/log" 2>&1 || broken "config check of $name"
        plain=$(grep -c "plain text" "$work/log" || true)
        case $links in
            secure) [ "$plain" -eq 0 ] || broken "config check of $name, which finds plain text" ;;
            # The five engines, and the other nodes.
            plain) [ "$plain" -ge 6 ] || broken "config check of $name, which does not name the links in plain text" ;;
        esac
    done
}

end_follower() {
    if [ -z "$follower" ]; then return; fi
    # shellcheck disable=SC2046 # Each is an id.
    kill $(tree "$follower") 2>/dev/null || true
    # Only for this one: the processes of the fleet are children too.
    wait "$follower" 2>/dev/null || true
    follower=
}

end_check() {
    end_follower
    rm -rf "$work"
}

broken() {
    cat "$work/log" >&2
    fail "the smoke test failed at: $1 (logs of the processes: $fleet/logs)"
}
