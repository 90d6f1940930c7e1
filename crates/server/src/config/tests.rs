use std::collections::{BTreeSet, HashMap};

use super::sources::{KEYS, variable};
use super::*;
use banter_store::cluster::Role;

const FLEET: &str = r#"
[node]
roles = ["api", "gateway"]
client_url = "https://chat1.example.org"
coordinates = [52.5, 13]
[secret]
key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
[directory]
url = "postgres://banter@localhost/banter"
[history]
contact_points = ["a:9042", "b:9042"]
[queue]
brokers = "a:9092, b:9092"
[sessions]
url = "redis://localhost"
[cluster]
servers = ["a:2181"]
"#;

fn load(text: &str, environment: &[(&str, &str)], flags: &[&str]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("banter.toml");
    std::fs::write(&path, text).unwrap();
    let environment: HashMap<String, String> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut overrides = Overrides::default();
    flags.iter().try_for_each(|flag| overrides.assign(flag))?;
    Config::load_with(Some(&path), &|name: &str| environment.get(name).cloned(), &overrides)
}

#[test]
fn nothing_said_is_a_server_of_its_own() {
    let config = Config::load_with(None, &|_| None, &Overrides::default()).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.fleet().unwrap(), None);
    assert_eq!(config.node.roles, Roles::all());
}

#[test]
fn a_fleet_is_read() {
    let config = load(FLEET, &[], &[]).unwrap();
    let fleet = config.fleet().unwrap().unwrap();
    assert_eq!(config.node.roles, [Role::Api, Role::Gateway].into_iter().collect());
    assert_eq!(config.node.coordinates, Some([52.5, 13.0]));
    assert_eq!(fleet.queue.brokers, ["a:9092", "b:9092"]);
    assert_eq!(fleet.sessions.url, ["redis://localhost"]);
    assert_eq!(fleet.history.keyspace, "banter");
    assert_eq!(config.secret.read().unwrap()[..3], [0, 1, 2]);
}

#[test]
fn the_environment_goes_over_the_file_and_flags_over_both() {
    let environment = [("BANTER_REGION", "eu"), ("BANTER_HISTORY_KEYSPACE", "here"), ("BANTER_QUEUE_PARTITIONS", "16")];
    let config = load(FLEET, &environment, &["history.keyspace=there", "node.coordinates=1.5,-2"]).unwrap();
    let fleet = config.fleet().unwrap().unwrap();
    assert_eq!((config.node.region.as_str(), fleet.history.keyspace.as_str(), fleet.queue.partitions), ("eu", "there", 16));
    assert_eq!(config.node.coordinates, Some([1.5, -2.0]));
    // A section may come from the environment alone; an empty variable says nothing.
    let config = load("", &[("BANTER_DIRECTORY_URL", "postgres://x"), ("BANTER_REGION", "")], &[]);
    assert!(matches!(config, Err(ConfigError::MissingSection { missing: "history" })), "{config:?}");
}

#[test]
fn what_is_wrong_is_told_with_its_name() {
    for (text, environment, flags, named) in [
        ("[node]\nlisten = 5", &[][..], &[][..], "socket address"),
        ("[node]\nlisten_on = \"127.0.0.1:1\"", &[], &[], "listen_on"),
        ("[nodes]", &[], &[], "nodes"),
        ("[node", &[], &[], "banter.toml"),
        ("[node]\nroles = [\"cook\"]", &[], &[], "cook"),
        ("[node]\nroles = [\"api\"]", &[], &[], "node.roles"),
        ("[node]\ntrust_proxy = \"via\"", &[], &[], "trust_proxy"),
        ("[node]\ncoordinates = [91.0, 0.0]", &[], &[], "coordinates"),
        ("[secret]\nkey = \"abc\"", &[], &[], "64 hexadecimal digits"),
        ("[secret]\nkey_file = \"/nowhere/key\"", &[], &[], "/nowhere/key"),
        ("[directory]\nurl = \"x\"", &[], &[], "[history]"),
        (FLEET, &[("BANTER_QUEUE_PARTITIONS", "many")], &[], "queue.partitions"),
        (FLEET, &[("BANTER_QUEUE_PARTITIONS", "0")], &[], "queue.partitions"),
        (FLEET, &[], &["history.keyspace=a b"], "history.keyspace"),
        (FLEET, &[], &["node.unlimited=perhaps"], "node.unlimited"),
        (FLEET, &[], &["history.colour=red"], "history.colour"),
        (FLEET, &[], &["secret"], "secret"),
    ] {
        let error = load(text, environment, flags).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    for (flag, named) in [
        ("node.web_origins=https://chat.example.org/", "node.web_origins"),
        ("node.web_origins=*", "node.web_origins"),
        ("node.gateway_origins=chat1.example.org", "node.gateway_origins"),
        ("history.tls_cert=node.pem", "history.tls_ca"),
        ("queue.tls_key=node.key", "queue.tls_cert"),
        ("queue.security=sasl_ssl", "queue.username"),
        ("sessions.tls_ca=ca.pem", "rediss://"),
        ("cluster.tls_cert=node.pem", "cluster.tls_ca"),
        ("node.internal_tls_ca=ca.pem", "node.internal_tls_cert"),
    ] {
        let error = load(FLEET, &[], &[flag]).unwrap_err().to_string();
        assert!(error.contains(named), "{flag}: {error}");
    }
    let without_key = FLEET.replace("key = \"0", "#");
    assert!(load(&without_key, &[], &[]).unwrap_err().to_string().contains("secret.key_file"));
}

#[test]
fn every_key_has_its_place_in_the_environment_and_among_the_flags() {
    let fleet = Fleet {
        directory: Directory::default(),
        history: History::default(),
        queue: Queue::default(),
        sessions: Sessions::default(),
        cluster: Cluster::default(),
    };
    let Fleet { directory, history, queue, sessions, cluster } = fleet;
    let node = Node { coordinates: Some([0.0, 0.0]), shards: Some(1), ..Node::default() };
    let config = Config {
        node,
        directory: Some(directory),
        history: Some(history),
        queue: Some(queue),
        sessions: Some(sessions),
        cluster: Some(cluster),
        ..Config::default()
    };
    let table = toml::Table::try_from(config).unwrap();
    let there: BTreeSet<_> = table
        .iter()
        .flat_map(|(section, keys)| keys.as_table().unwrap().keys().map(move |key| (section.as_str(), key.as_str())))
        .collect();
    let listed: BTreeSet<_> = KEYS.iter().map(|(section, key, _)| (*section, *key)).collect();
    assert_eq!(there, listed);
    let variables: BTreeSet<_> = KEYS.iter().map(|(section, key, _)| variable(section, key)).collect();
    assert_eq!(variables.len(), KEYS.len(), "no two have the same name");
}

#[test]
fn a_key_file_holds_bytes_or_digits() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    let secret = Secret { key: String::new(), key_file: key_file.clone() };
    std::fs::write(&key_file, [7; 32]).unwrap();
    assert_eq!(secret.read().unwrap(), [7; 32]);
    std::fs::write(&key_file, format!("{}\n", "07".repeat(32))).unwrap();
    assert_eq!(secret.read().unwrap(), [7; 32]);
    std::fs::write(&key_file, [7; 31]).unwrap();
    assert!(secret.read().is_err());
    assert!(!format!("{:?}", Secret { key: "abcdef".to_owned(), key_file }).contains("abcdef"), "never in a log");
}
