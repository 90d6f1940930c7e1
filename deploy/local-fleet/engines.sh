# shellcheck shell=bash disable=SC2154
# The engines of the local fleet: PostgreSQL, Redis, ZooKeeper, Kafka and Cassandra on loopback. To be sourced by scripts/fleet, after
# processes.sh. $nodes says how many ZooKeepers and Kafka brokers there are, 1 or 3, and $links what their links are: plain or secure.

# --- Names and ports

# The slowest to start first.
engines() {
    local number
    printf '%s\n' cassandra
    for number in $(seq "$nodes"); do printf '%s\n' "zookeeper-$number" "kafka-$number"; done
    printf '%s\n' postgres redis
}

# port NAME: where the engine takes its clients.
port() {
    case $1 in
        postgres) echo $((base + 10)) ;;
        redis) echo $((base + 11)) ;;
        cassandra) echo $((base + 12)) ;;
        zookeeper-*) echo $((base + 20 + ${1#*-})) ;;
        kafka-*) echo $((base + 30 + ${1#*-})) ;;
        *) port_of_role "$1" ;;
    esac
}

# inner_ports NAME: those on which it talks with its like, or is administered.
inner_ports() {
    case $1 in
        cassandra) echo $((base + 13)) $((base + 14)) ;;
        zookeeper-*) [ "$nodes" -eq 1 ] || echo $((base + 23 + ${1#*-})) $((base + 26 + ${1#*-})) ;;
        kafka-*) echo $((base + 33 + ${1#*-})) ;;
        *) ;;
    esac
}

# addresses KIND: host:port of all of them, with commas between.
addresses() {
    local number list=""
    for number in $(seq "$nodes"); do list+=",127.0.0.1:$(port "$1-$number")"; done
    printf '%s' "${list#,}"
}

postgres_url() {
    case $links in
        plain) printf 'postgres://banter:banter@127.0.0.1:%s/%s' "$(port postgres)" "$1" ;;
        secure) printf 'postgres://banter:%s@localhost:%s/%s?sslmode=verify-full&sslrootcert=%s' "$(password)" "$(port postgres)" "$1" \
            "$secrets/authority.pem" ;;
    esac
}

redis_url() {
    case $links in
        plain) printf 'redis://127.0.0.1:%s/%s' "$(port redis)" "$1" ;;
        secure) printf 'rediss://banter:%s@127.0.0.1:%s/%s' "$(password)" "$(port redis)" "$1" ;;
    esac
}

# --- What they need

postgres_folder() {
    local folder
    for folder in /usr/lib/postgresql/*/bin; do
        [ -x "$folder/initdb" ] && printf '%s\n' "$folder"
    done | sort -V | tail -n 1
}

# jars NAME: the folder of what its pom names. Another pom is another folder.
jars() {
    local sum
    sum=$(cksum <"$templates/$1.pom.xml")
    printf '%s' "$fleet/jars/$1-${sum%% *}"
}

install_jars() {
    local name folder repository=$fleet/maven
    for name in cassandra kafka zookeeper; do
        folder=$(jars "$name")
        [ -d "$folder" ] && continue
        say "Getting $name from Maven Central ..."
        # Of another version.
        rm -rf "$fleet/jars/$name-"*
        briefly mvn -B -q -f "$templates/$name.pom.xml" -Dmaven.repo.local="$repository" dependency:copy-dependencies \
            -DoutputDirectory="$folder.partial" -DincludeScope=runtime >"$fleet/logs/maven.log" 2>&1 ||
            fail "$name could not be fetched from Maven Central: $fleet/logs/maven.log"
        mv "$folder.partial" "$folder"
    done
    rm -rf "$repository"
}

# java_17: a Java that Cassandra 5 runs on; nothing when there is none.
java_17() {
    local java
    for java in "${JAVA_HOME:-/nowhere}/bin/java" /usr/lib/jvm/*17*/bin/java "$(command -v java)"; do
        if [ -x "$java" ] && "$java" -version 2>&1 | grep -q 'version "17\.'; then
            printf '%s' "$java"
            return
        fi
    done
}

# PostgreSQL refuses to run as root. Its own user may not reach this folder (a checkout in /root, say): it keeps the right to.
as_postgres=()
prepare_user() {
    [ "$(id -u)" -eq 0 ] || return 0
    as_postgres=(setpriv --reuid=postgres --regid=postgres --init-groups)
    local reach=(--inh-caps=+dac_override --ambient-caps=+dac_override)
    if "${as_postgres[@]}" "${reach[@]}" true 2>/dev/null; then as_postgres+=("${reach[@]}"); fi
}

# --- Preparing each

# shape: what data is kept apart by.
shape() {
    case $links in
        plain) printf '%s' "$nodes" ;;
        secure) printf '%s' "$nodes-secure" ;;
    esac
}

# fill_engine TEMPLATE FILE NAME=VALUE...: the template, with what its links need.
fill_engine() {
    local name=$1 file=$2
    shift 2
    fill "$templates/$name" "$file" LINKS="$(cat "$templates/$links/$name")" SECRETS="$secrets" PASSWORD="$(password)" "$@"
}

prepare_engine() {
    local name=$1 number=${1#*-} data
    data=$fleet/data/$(shape)/$1
    mkdir -p "$data"
    case $name in
        postgres) prepare_postgres "$data" ;;
        redis)
            fill_engine redis.conf "$data/redis.conf" PORT="$(port redis)" DATA="$data"
            prepare redis redis-server "$data/redis.conf"
            ;;
        cassandra) prepare_cassandra "$data" ;;
        zookeeper-*) prepare_zookeeper "$name" "$number" "$data" ;;
        kafka-*) prepare_kafka "$name" "$number" "$data" ;;
    esac
}

prepare_postgres() {
    local programs cluster
    programs=$(postgres_folder)
    # Another major version reads other files.
    cluster=$1/$(basename "$(dirname "$programs")")
    if [ ! -d "$cluster" ]; then
        rm -rf "$cluster.partial" "$1/password"
        mkdir "$cluster.partial"
        password >"$1/password"
        if [ "$(id -u)" -eq 0 ]; then chown -R postgres: "$1"; fi
        briefly "${as_postgres[@]}" "$programs/initdb" --pgdata="$cluster.partial" --username=banter --pwfile="$1/password" \
            --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$fleet/logs/initdb.log" 2>&1 ||
            fail "PostgreSQL's initdb failed: $fleet/logs/initdb.log"
        echo "include_if_exists = '../postgresql.conf'" >>"$cluster.partial/postgresql.conf"
        mv "$cluster.partial" "$cluster"
    fi
    fill_engine postgresql.conf "$1/postgresql.conf" PORT="$(port postgres)" DATA="$1"
    if [ "$links" = secure ]; then
        cp "$templates/secure/pg_hba.conf" "$1/pg_hba.conf"
        install -m 600 "$secrets/engine.pem" "$secrets/engine.key" "$1"
        if [ "$(id -u)" -eq 0 ]; then chown postgres: "$1"/engine.* "$1/pg_hba.conf"; fi
    fi
    prepare postgres "${as_postgres[@]}" "$programs/postgres" -D "$cluster"
}

prepare_cassandra() {
    local jars flag storage jmx options=() agent
    jars=$(jars cassandra)
    read -r storage jmx < <(inner_ports cassandra)
    fill_engine cassandra.yaml "$1/cassandra.yaml" PORT="$(port cassandra)" STORAGE_PORT="$storage" DATA="$1"
    agent=$(echo "$jars"/jamm-*.jar)
    # What Cassandra reaches into of Java 17, as its own conf/jvm17-server.options has it.
    for flag in java.base/jdk.internal.{misc,ref,loader,math,module,util.jar} java.base/{java.lang.ref,sun.nio.ch} \
        java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.{registry,server} java.sql/java.sql; do
        options+=(--add-exports "$flag=ALL-UNNAMED")
    done
    for flag in java.base/java.{lang,lang.module,lang.reflect,lang.ref,io,util,util.concurrent,util.concurrent.atomic,net,nio} \
        java.base/jdk.internal.{loader,ref,reflect,math,module,util.jar,misc} java.base/sun.nio.ch \
        jdk.management/com.sun.management.internal java.rmi/sun.rmi.transport.tcp; do
        options+=(--add-opens "$flag=ALL-UNNAMED")
    done
    # Nobody else to wait for: the ring is this node.
    options+=(-Dcassandra.ring_delay_ms=1000 -Dcassandra.skip_wait_for_gossip_to_settle=0 -Dcassandra.superuser_setup_delay_ms=0)
    prepare cassandra "${java[@]}" "-Djava.io.tmpdir=$1" -Xms512m -Xmx1g -XX:MaxDirectMemorySize=512m -Xss256k "${options[@]}" \
        "-javaagent:$agent" "-Dcassandra.config=file://$1/cassandra.yaml" "-Dcassandra.storagedir=$1" -Dcassandra-foreground=yes \
        "-Dcassandra.jmx.local.port=$jmx" -Djdk.attach.allowAttachSelf=true -Dio.netty.tryReflectionSetAccessible=true \
        "-Dlogback.configurationFile=$templates/logback.xml" -cp "$jars/*" org.apache.cassandra.service.CassandraDaemon
}

prepare_zookeeper() {
    local other inner
    fill_engine zoo.cfg "$3/zoo.cfg" PORT="$(port "$1")" DATA="$3/data"
    mkdir -p "$3/data"
    if [ "$nodes" -gt 1 ]; then
        echo "$2" >"$3/data/myid"
        for other in $(seq "$nodes"); do
            inner=$(inner_ports "zookeeper-$other")
            echo "server.$other=127.0.0.1:${inner/ /:}" >>"$3/zoo.cfg"
        done
    fi
    prepare "$1" "${java[@]}" "-Djava.io.tmpdir=$3" -Xmx128m -XX:+UseSerialGC "-Dlogback.configurationFile=$templates/logback.xml" \
        -cp "$(jars zookeeper)/*" org.apache.zookeeper.server.quorum.QuorumPeerMain "$3/zoo.cfg"
}

prepare_kafka() {
    local other voters="" in_sync=$(((nodes + 1) / 2)) heap=$((nodes > 1 ? 384 : 512)) run users=()
    for other in $(seq "$nodes"); do voters+=",$other@127.0.0.1:$(inner_ports "kafka-$other")"; done
    fill_engine kafka.properties "$3/kafka.properties" NUMBER="$2" VOTERS="${voters#,}" PORT="$(port "$1")" \
        CONTROLLER_PORT="$(inner_ports "$1")" DATA="$3/data" REPLICATION="$nodes" IN_SYNC="$in_sync"
    run=("${java[@]}" "-Djava.io.tmpdir=$3" "-Xmx${heap}m" "-Dlog4j2.configurationFile=$templates/log4j2.properties"
        -cp "$(jars kafka)/*")
    if [ ! -e "$3/formatted" ]; then
        rm -rf "$3/data"
        if [ "$links" = secure ]; then users=(--add-scram "SCRAM-SHA-512=[name=banter,password=$(password)]"); fi
        briefly "${run[@]}" kafka.tools.StorageTool format -t banterLocalFleet00000A -c "$3/kafka.properties" "${users[@]}" \
            >"$fleet/logs/$1-format.log" 2>&1 || fail "Kafka's folder could not be made: $fleet/logs/$1-format.log"
        touch "$3/formatted"
    fi
    prepare "$1" "${run[@]}" kafka.Kafka "$3/kafka.properties"
}

# --- Does it answer?

# asked PORT BYTES COUNT: as bytes_from, over what the links are.
asked() {
    case $links in
        plain) bytes_from "$@" ;;
        secure) tls_bytes_from "$@" ;;
    esac
}

ask_redis() {
    local with=()
    if [ "$links" = secure ]; then
        with=(--tls --cacert "$secrets/authority.pem" --cert "$secrets/node.pem" --key "$secrets/node.key" --user banter)
        local -x REDISCLI_AUTH
        REDISCLI_AUTH=$(password)
    fi
    timeout 3 redis-cli -p "$(port redis)" "${with[@]}" "$@" 2>/dev/null
}

answers() {
    local answer
    case $1 in
        postgres) "$(postgres_folder)/psql" -qtAX -d "$(postgres_url postgres)" -c 'SELECT 1' >/dev/null 2>&1 ;;
        redis) [ "$(ask_redis ping)" = PONG ] ;;
        # OPTIONS, a frame of CQL 4 that needs no session, is answered by SUPPORTED.
        cassandra) [ "$(asked "$(port cassandra)" '\x04\0\0\x01\x05\0\0\0\0' 5)" = 8400000106 ] ;;
        # It says `Mode` when it is a server by itself, leads or follows: not while it looks for the others.
        zookeeper-*) asked "$(port "$1")" srvr 400 | grep -q "$(printf '\nMode: ' | od -An -v -tx1 | tr -d ' \n')" ;;
        # ApiVersions, which any client may ask; the answer repeats the request's number. The log tells when the broker is let in.
        kafka-*)
            answer=$(asked "$(port "$1")" '\0\0\0\x0a\0\x12\0\0\0\0\0\x01\xff\xff' 8)
            [ "${answer:8}" = 00000001 ] && grep -q 'Kafka Server started' "$(log_file "$1")"
            ;;
        *) role_answers "$1" ;;
    esac
}

# --- All of them

start_engines() {
    local name number missing=()
    mkdir -p "$fleet/logs" "$fleet/run"
    mapfile -t engines < <(engines)
    for name in "${engines[@]}"; do lives "$name" || missing+=("$name"); done
    if [ ${#missing[@]} -gt 0 ]; then
        for name in "${missing[@]}"; do
            for number in $(port "$name") $(inner_ports "$name"); do need_port "$name" "$number"; done
        done
        java=("$(java_17)" -XX:+ExitOnOutOfMemoryError -XX:-UsePerfData)
        [ -n "${java[0]}" ] || fail "there is no Java 17, which Cassandra 5 needs: install it, or set JAVA_HOME"
        install_jars
        prepare_user
        if [ "$links" = secure ]; then make_secrets; fi
        say "Starting ${missing[*]} ..."
        # While the first start, the next are prepared.
        for name in "${missing[@]}"; do
            prepare_engine "$name"
            launch "$name"
        done
    fi
    for name in "${engines[@]}"; do await "$name" 120 answers "$name"; done
    if [ "$links" = secure ]; then await cassandra 60 has_cassandra_role; fi
    make_database banter
}

make_database() {
    local psql
    psql=("$(postgres_folder)/psql" -qtAX -v ON_ERROR_STOP=1 -d "$(postgres_url postgres)")
    if [ -z "$("${psql[@]}" -c "SELECT 1 FROM pg_database WHERE datname = '$1'")" ]; then "${psql[@]}" -c "CREATE DATABASE $1"; fi
}

# test_database: an empty one.
test_database() {
    "$(postgres_folder)/psql" -qtAX -v ON_ERROR_STOP=1 -d "$(postgres_url postgres)" -c 'DROP DATABASE IF EXISTS banter_test WITH (FORCE)' \
        -c 'CREATE DATABASE banter_test' 2>/dev/null || fail "PostgreSQL has no database for the tests"
}

# test_variables: what tells the tests where the engines are. They know plain links alone; for secure ones a configuration is written.
test_variables() {
    if [ "$links" = secure ]; then
        mkdir -p "$fleet/config"
        write_config "$fleet/config/engines.toml" api api-1
        printf 'export BANTER_CONFIG=%q\n' "$fleet/config/engines.toml"
        return
    fi
    printf 'export %s=%s\n' BANTER_TEST_CASSANDRA "127.0.0.1:$(port cassandra)" BANTER_TEST_KAFKA "$(addresses kafka)" \
        BANTER_TEST_REDIS "$(redis_url 1)" BANTER_TEST_ZOOKEEPER "$(addresses zookeeper)" \
        BANTER_TEST_POSTGRES "$(postgres_url banter_test)"
}
