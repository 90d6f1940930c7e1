//! What is unsafe about the links of a fleet, as its configuration has them: who can read along, and who can pass for somebody else.

use super::{Config, Directory, Fleet, History, Queue};

/// What is unsafe about the links to the engines and between the nodes. Loopback is no exception: that nobody listens there is for the
/// operator to know.
pub(super) fn unsafe_links(config: &Config, fleet: &Fleet) -> Vec<String> {
    let mut found = Vec::new();
    directory(&fleet.directory, &mut found);
    history(&fleet.history, &mut found);
    queue(&fleet.queue, &mut found);
    for url in &fleet.sessions.url {
        session_store(url, &mut found);
    }
    if !fleet.cluster.tls().is_on() {
        found.push("[cluster] is reached in plain text: `cluster.tls_ca` makes it TLS".to_owned());
    }
    if fleet.cluster.credentials.is_empty() {
        found.push("[cluster] has no `credentials`: whoever reaches ZooKeeper can be a node".to_owned());
    }
    if !config.node.internal_tls().is_on() {
        let text = "[node] talks with other nodes in plain text: messages, and the proof that one is a node, can be read by who listens \
                    on that network; `node.internal_tls_ca` makes it TLS";
        found.push(text.to_owned());
    }
    found
}

fn directory(directory: &Directory, found: &mut Vec<String>) {
    // A path in place of a host is a socket of this machine.
    let is_socket = directory.url.contains(":///") || directory.url.contains("host=/") || directory.url.contains("%2F");
    let mode = parameter(&directory.url, "sslmode").or_else(|| parameter(&directory.url, "ssl-mode"));
    match mode {
        _ if is_socket => {}
        Some("verify-full") => {}
        Some("verify-ca") => {
            found.push("[directory] takes any server of the authority: `sslmode=verify-full` looks at its name".to_owned())
        }
        Some("require") => {
            found.push("[directory] is encrypted to whoever answers: `sslmode=verify-full` looks at who that is".to_owned());
        }
        _ => found.push("[directory] may be reached in plain text: `sslmode=verify-full` in its URL makes it TLS".to_owned()),
    }
    if !is_socket && password(&directory.url).is_none() {
        found.push("[directory] has no password in its URL".to_owned());
    }
}

fn history(history: &History, found: &mut Vec<String>) {
    if !history.tls().is_on() {
        found.push("[history] is reached in plain text: `history.tls_ca` makes it TLS".to_owned());
    } else if !history.tls_names {
        let text = "[history] takes any certificate of `history.tls_ca` for that of any node: `history.tls_names` looks at the addresses in them";
        found.push(text.to_owned());
    }
    if history.username.is_empty() {
        found.push("[history] has no `username`: whoever reaches Cassandra can read and change everything".to_owned());
    }
}

fn queue(queue: &Queue, found: &mut Vec<String>) {
    if !queue.security.ends_with("ssl") {
        found.push("[queue] is reached in plain text: `queue.security` makes it TLS".to_owned());
        if queue.security.starts_with("sasl") && queue.sasl_mechanism == "PLAIN" {
            found.push("[queue] shows its password in plain text: `queue.sasl_mechanism` has others".to_owned());
        }
    }
    if !queue.security.starts_with("sasl") && queue.tls().identity().is_none() {
        found.push("[queue] has no credentials: whoever reaches Kafka can read and write commands".to_owned());
    }
}

fn session_store(url: &str, found: &mut Vec<String>) {
    // Sockets of this machine.
    if url.starts_with("unix:") || url.starts_with("redis+unix:") {
        return;
    }
    let at = host(url);
    if !url.starts_with("rediss://") {
        found.push(format!("[sessions] are reached in plain text at {at}: rediss:// makes it TLS"));
    } else if url.ends_with("#insecure") {
        found.push(format!(
            "[sessions] are encrypted to whoever answers at {at}: without `#insecure` it is looked at who that is"
        ));
    }
    if password(url).is_none() {
        found.push(format!("[sessions] have no password at {at}: whoever reaches Redis can say who is online"));
    }
}

/// The value of a parameter in the query of a URL.
fn parameter<'a>(url: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = url.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// What is before the host of a URL, and the host.
fn authority(url: &str) -> (Option<&str>, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host))
}

/// The host of a URL or an address, with its port if there is one.
pub(super) fn host(url: &str) -> &str {
    authority(url).1
}

fn password(url: &str) -> Option<&str> {
    let (_, password) = authority(url).0?.split_once(':')?;
    (!password.is_empty()).then_some(password)
}

#[cfg(test)]
mod tests {
    use super::super::{Cluster, Node, Sessions};
    use super::*;

    fn plain() -> (Config, Fleet) {
        let fleet = Fleet {
            directory: Directory { url: "postgres://banter:banter@127.0.0.1:1/banter".to_owned() },
            history: History::default(),
            queue: Queue::default(),
            sessions: Sessions { url: vec!["redis://127.0.0.1:1".to_owned()], ..Sessions::default() },
            cluster: Cluster::default(),
        };
        (Config::default(), fleet)
    }

    fn secure() -> (Config, Fleet) {
        let internal = |name: &str| name.into();
        let node = Node {
            internal_tls_ca: internal("ca"),
            internal_tls_cert: internal("cert"),
            internal_tls_key: internal("key"),
            ..Node::default()
        };
        let name = || "banter".to_owned();
        let fleet = Fleet {
            directory: Directory { url: "postgres://banter:se@cret@db/banter?x=1&sslmode=verify-full".to_owned() },
            history: History { tls_ca: "ca".into(), tls_names: true, username: name(), ..History::default() },
            queue: Queue { security: "sasl_ssl".to_owned(), username: name(), ..Queue::default() },
            sessions: Sessions { url: vec!["rediss://banter:secret@r/0".to_owned()], ..Sessions::default() },
            cluster: Cluster { tls_ca: "ca".into(), credentials: "banter:secret".to_owned(), ..Cluster::default() },
        };
        (Config { node, ..Config::default() }, fleet)
    }

    /// The sections that findings with this text are about.
    fn about<'a>(found: &'a [String], text: &str) -> Vec<&'a str> {
        found.iter().filter(|found| found.contains(text)).filter_map(|found| found.split(' ').next()).collect()
    }

    #[test]
    fn each_link_in_plain_text_is_named() {
        let (config, fleet) = plain();
        let found = unsafe_links(&config, &fleet);
        assert_eq!(about(&found, "plain text"), ["[directory]", "[history]", "[queue]", "[sessions]", "[cluster]", "[node]"]);
        assert_eq!(about(&found, " no "), ["[history]", "[queue]", "[sessions]", "[cluster]"], "and who asks for nothing");
    }

    #[test]
    fn nothing_is_said_of_links_that_are_safe() {
        let (config, fleet) = secure();
        assert_eq!(unsafe_links(&config, &fleet), Vec::<String>::new());
    }

    #[test]
    fn encryption_to_anybody_is_not_safe() {
        type Change = fn(&mut Fleet);
        let cases: [(Change, &str); 9] = [
            (|fleet| fleet.directory.url = "postgres://a:b@c/d?sslmode=require".to_owned(), "whoever answers"),
            (|fleet| fleet.directory.url = "postgres://a:b@c/d?sslmode=verify-ca".to_owned(), "any server"),
            (|fleet| fleet.directory.url = "postgres://a:b@c/d?sslmode=prefer".to_owned(), "plain text"),
            (|fleet| fleet.directory.url = "postgres://a@c/d?sslmode=verify-full".to_owned(), "no password"),
            (|fleet| fleet.history.tls_names = false, "any certificate"),
            (|fleet| fleet.queue.security = "sasl_plaintext".to_owned(), "plain text"),
            (|fleet| fleet.queue.security = "ssl".to_owned(), "no credentials"),
            (|fleet| fleet.sessions.url[0] += "#insecure", "whoever answers at r"),
            (|fleet| fleet.sessions.url.push("redis://a:b@other:1/0".to_owned()), "plain text at other:1"),
        ];
        for (change, named) in cases {
            let (config, mut fleet) = secure();
            change(&mut fleet);
            let found = unsafe_links(&config, &fleet);
            assert!(found.len() == 1 && found[0].contains(named), "{named}: {found:?}");
            assert!(!found[0].contains("secret"), "no password in what is printed: {found:?}");
        }
        let (config, mut fleet) = secure();
        (fleet.queue.security, fleet.queue.sasl_mechanism) = ("sasl_plaintext".to_owned(), "PLAIN".to_owned());
        assert_eq!(unsafe_links(&config, &fleet).len(), 2, "the link, and the password on it");
    }

    #[test]
    fn sockets_of_this_machine_are_no_links() {
        let (config, mut fleet) = secure();
        fleet.directory.url = "postgres:///banter?host=/run/postgresql".to_owned();
        fleet.sessions.url = vec!["unix:///run/redis.sock".to_owned()];
        assert_eq!(unsafe_links(&config, &fleet), Vec::<String>::new());
    }
}
