# shellcheck shell=bash disable=SC2154
# The processes of the local fleet: each is started by a small script of its own, which is kept, and known by its process id and the time
# it was started. To be sourced by scripts/fleet, with $fleet the folder of everything.

# name of the process -> the script it is started by, its id, what it prints
command_file() { printf '%s' "$fleet/run/$1.command"; }
id_file() { printf '%s' "$fleet/run/$1.id"; }
log_file() { printf '%s' "$fleet/logs/$1.log"; }

# start_time ID: when the process was started (in ticks since the machine was), which with the id is nobody else's; nothing for the dead.
start_time() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The name in brackets may hold anything.
    read -r -a stat <<<"${stat##*) }"
    [ "${stat[0]}" != Z ] && printf '%s' "${stat[19]}"
}

# process_id NAME: of the process, if it lives.
process_id() {
    local id started
    read -r id started 2>/dev/null <"$(id_file "$1")" || return 1
    [ "$(start_time "$id")" = "$started" ] && printf '%s' "$id"
}

lives() { process_id "$1" >/dev/null; }

is_paused() {
    local id
    id=$(process_id "$1") && grep -q '^State:[[:space:]]*T' "/proc/$id/status" 2>/dev/null
}

# started: the names of all processes that live, in the order of their names.
started() {
    local file name
    for file in "$fleet"/run/*.id; do
        [ -e "$file" ] || continue
        name=$(basename "$file" .id)
        if lives "$name"; then printf '%s\n' "$name"; fi
    done
}

# prepare NAME COMMAND...: writes the script that NAME is started by.
prepare() {
    local name=$1
    shift
    mkdir -p "$fleet/run" "$fleet/logs"
    {
        printf '#!/usr/bin/env bash\n# Starts %s. Written by scripts/fleet.\n' "$name"
        # Before the program itself runs: there is no moment in which it runs and is not known.
        # shellcheck disable=SC2016
        printf 'stat=$(cat /proc/$$/stat) && read -r -a stat <<<"${stat##*) }" && printf "%%s %%s\\n" $$ "${stat[19]}" >%q || exit 1\n' \
            "$(id_file "$name")"
        # What is set for the caller's own server or client is not meant for the fleet.
        # shellcheck disable=SC2016
        printf 'for variable in "${!BANTER_@}"; do [ "$variable" = BANTER_LOG ] || unset "$variable"; done\n'
        printf 'cd %q\nexec' "$fleet"
        printf ' %q' "$@"
        printf '\n'
    } >"$(command_file "$name")"
}

# launch NAME: runs its script in a session of its own, so that an interrupt in the terminal does not reach it.
launch() {
    local log until=$((SECONDS + 30))
    log=$(log_file "$1")
    [ ! -e "$log" ] || mv "$log" "$log.before"
    rm -f "$(id_file "$1")"
    # Not the lock: it would be held as long as the process lives.
    setsid bash "$(command_file "$1")" </dev/null >"$log" 2>&1 9>&- &
    until [ -s "$(id_file "$1")" ]; do
        [ "$SECONDS" -lt "$until" ] || fail "$1 could not be started (its log: $log)"
        sleep 0.02
    done
}

# await NAME SECONDS CHECK...: until CHECK succeeds; an error with the end of its log when the process ends before, or the time is over.
await() {
    local name=$1 seconds=$2 until
    shift 2
    until=$((SECONDS + seconds))
    until "$@"; do
        if ! lives "$name"; then
            show_log "$name"
            fail "$name ended while it was starting (its log: $(log_file "$name"))"
        fi
        if [ "$SECONDS" -ge "$until" ]; then
            show_log "$name"
            fail "$name did not answer within $seconds s (its log: $(log_file "$name"))"
        fi
        sleep 0.2
    done
}

show_log() { tail -n 25 "$(log_file "$1")" 2>/dev/null | sed "s/^/    $1: /" >&2 || true; }

# tree ID: the process and all that it started, however they made sessions of their own.
tree() {
    local child
    printf '%s\n' "$1"
    for child in $(pgrep -P "$1"); do tree "$child"; done
}

# signal NAME SIGNAL: to the process and everything below it.
signal() {
    local id
    id=$(process_id "$1") || return 1
    # All are looked up before the first of them ends and hands its children on.
    # shellcheck disable=SC2046
    kill -s "$2" $(tree "$id") 2>/dev/null || true
}

# stop SECONDS NAME...: asks all of them to end, and kills those that still live when the time is over.
stop() {
    local seconds=$1 until name id
    shift
    for name in "$@"; do
        is_paused "$name" && signal "$name" CONT
        id=$(process_id "$name") || continue
        # PostgreSQL waits for its clients on SIGTERM, and sends them away on SIGINT.
        case $name in
            postgres) kill -INT "$id" 2>/dev/null || true ;;
            *) kill -TERM "$id" 2>/dev/null || true ;;
        esac
    done
    until=$((SECONDS + seconds))
    for name in "$@"; do
        while lives "$name"; do
            if [ "$SECONDS" -ge "$until" ]; then
                signal "$name" KILL || true
                while lives "$name"; do sleep 0.05; done
            fi
            sleep 0.05
        done
        rm -f "$(id_file "$name")"
    done
}

# briefly COMMAND...: runs what ends by itself, without the lock and with a mark, by which it is found if this script ends before.
briefly() { BANTER_FLEET_FOLDER=$fleet "$@" 9>&-; }

# end_leftovers: ends what a killed scripts/fleet left behind while it prepared something. Only for who has the lock.
end_leftovers() {
    local id
    grep -lzxsF "BANTER_FLEET_FOLDER=$fleet" /proc/[0-9]*/environ 2>/dev/null | while IFS=/ read -r _ _ id _; do
        kill -KILL "$id" 2>/dev/null || true
    done || true
}

# listens PORT: somebody takes connections there.
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# need_port NAME PORT: an error that says who has it, when it is taken.
need_port() {
    local holder=""
    # A process that was killed a moment ago may still be giving up what it had.
    for _ in $(seq 30); do
        listens "$2" || return 0
        sleep 0.1
    done
    if command -v ss >/dev/null; then holder=$(ss -Hltnp "sport = :$2" 2>/dev/null | grep -o 'users:.*' | head -n 1 || true); fi
    fail "port $2, which $1 needs, is in use${holder:+ (${holder})}: end that process, or set BANTER_FLEET_PORTS to the first of 100 other" \
        "ports (now $base)"
}

# bytes_from PORT BYTES COUNT: sends BYTES (as printf writes them) and prints the first COUNT of the answer in hexadecimal. In plain text;
# tls_bytes_from (secure.sh) does it over TLS.
bytes_from() {
    # A shell of its own, whose end closes the connection.
    # shellcheck disable=SC2016
    timeout 3 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0" && printf "$1" >&3 && head -c "$2" <&3 | od -An -v -tx1 | tr -d " \n"' \
        "$1" "$2" "$3" 2>/dev/null || true
}

# fill TEMPLATE FILE NAME=VALUE...: the template with each @NAME@ replaced.
fill() {
    local text file=$2 pair
    text=$(cat "$1")
    shift 2
    for pair in "$@"; do text=${text//"@${pair%%=*}@"/"${pair#*=}"}; done
    printf '%s\n' "$text" >"$file"
}
