# shellcheck shell=bash disable=SC2154
# What makes the links of the local fleet secure: an authority, its certificates, and passwords. To be sourced by scripts/fleet, before
# engines.sh. $secrets is their folder, and $links says whether they are used: plain or secure.

# Made once for a checkout, with openssl:
#   authority.pem  signs the others                            password    of `banter` at every engine
#   engine.pem     certificate and key of all engines          engine.key  the key alone
#   node.pem       certificate of all nodes of banter          node.key    its key

# password: of `banter`. Everybody knows that of plain links.
password() {
    case $links in
        plain) echo banter ;;
        secure) cat "$secrets/password" ;;
    esac
}

make_secrets() {
    [ ! -d "$secrets" ] || return 0
    local folder=$secrets.partial log=$fleet/logs/openssl.log name
    rm -rf "$folder"
    (
        umask 077
        mkdir "$folder"
        cd "$folder"
        od -An -v -tx1 -N16 /dev/urandom | tr -d ' \n' >password
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out authority.key
        openssl req -x509 -new -key authority.key -days 3650 -subj "/CN=banter local fleet" -out authority.pem \
            -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
        for name in engine node; do
            openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$name.key"
            openssl req -new -key "$name.key" -subj "/CN=banter $name" -out "$name.request"
            # Each is a server to some and a client to others. The names are those that they are reached at.
            printf '%s\n' basicConstraints=CA:FALSE subjectAltName=DNS:localhost,IP:127.0.0.1 extendedKeyUsage=serverAuth,clientAuth >"$name.extensions"
            openssl x509 -req -in "$name.request" -CA authority.pem -CAkey authority.key -CAcreateserial -days 3650 \
                -extfile "$name.extensions" -out "$name.pem"
        done
        # What runs on Java, and HAProxy, take both from one file.
        cat engine.key >>engine.pem
        rm -f ./*.request ./*.extensions ./*.srl
    ) >"$log" 2>&1 || fail "openssl could not make certificates: $log"
    mv "$folder" "$secrets"
}

# tls_to PORT: sends what it is given over TLS as a node would, and prints the answer until its input ends or the other side closes.
tls_to() {
    timeout 5 openssl s_client -quiet -no_ign_eof -verify_return_error -connect "127.0.0.1:$1" -verify_ip 127.0.0.1 \
        -CAfile "$secrets/authority.pem" -cert "$secrets/node.pem" -key "$secrets/node.key" 2>/dev/null
}

# tls_bytes_from PORT BYTES COUNT: sends BYTES (as printf writes them) and prints the first COUNT of the answer in hexadecimal.
tls_bytes_from() { slowly 0.4 "$2" | tls_to "$1" | head -c "$3" | od -An -v -tx1 | tr -d ' \n' || true; }

# slowly SECONDS BYTES...: prints them one after the other, each with a pause for its answer: the end of what is sent ends a connection.
slowly() {
    local pause=$1 bytes
    shift
    # shellcheck disable=SC2059 # They are written as printf wants them.
    for bytes in "$@"; do printf "$bytes" && sleep "$pause"; done
}

# --- Cassandra's role. There is no program for it among its jars, so this speaks its protocol (CQL 4).

# big BYTES NUMBER: the number in so many bytes, as printf writes them.
big() {
    local digits
    digits=$(printf "%0$(($1 * 2))x" "$2")
    # shellcheck disable=SC2001 # Each pair of digits.
    sed 's/../\\x&/g' <<<"$digits"
}

# frame OPCODE LENGTH BODY: a request.
frame() { printf '%s' "\\x04\\0\\0\\x01\\x$1$(big 4 "$2")$3"; }

# cql USER PASSWORD [STATEMENT]: logs in, asks, and prints the kinds of the answers: 03 for "log in", 10 for "logged in", 00 for an error.
cql() {
    local user=$1 password=$2 statement=${3:-} requests answers at=0 length
    length=$((2 + ${#user} + ${#password}))
    requests=("$(frame 01 22 '\0\x01\0\x0bCQL_VERSION\0\x053.0.0')"
        "$(frame 0f $((4 + length)) "$(big 4 "$length")\\x00$user\\x00$password")")
    # One node is enough (consistency ONE), and nothing else is said.
    [ -z "$statement" ] || requests+=("$(frame 07 $((7 + ${#statement})) "$(big 4 ${#statement})$statement\\x00\\x01\\x00")")
    answers=$(slowly 1 "${requests[@]}" | tls_to "$(port cassandra)" | od -An -v -tx1 | tr -d ' \n' || true)
    while [ "$at" -lt ${#answers} ]; do
        printf '%s ' "${answers:at+8:2}"
        at=$((at + 18 + 2 * 16#${answers:at+10:8}))
    done
}

# has_cassandra_role: `banter` may log in, and the user that Cassandra comes with may not any more; which is brought about if need be.
has_cassandra_role() {
    if [[ $(cql banter "$(password)") = *10* && $(cql cassandra cassandra) != *10* ]]; then return; fi
    cql cassandra cassandra "CREATE ROLE IF NOT EXISTS banter WITH SUPERUSER = true AND LOGIN = true AND PASSWORD = '$(password)'" >/dev/null
    [[ $(cql banter "$(password)" "ALTER ROLE cassandra WITH SUPERUSER = false AND LOGIN = false") = *"10 08"* ]]
}
