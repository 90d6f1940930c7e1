//! What the app may connect to: where it came from, and the gateways of the installation.

use std::sync::Arc;

use banter_store::cluster::{Member, Role};
use http::HeaderValue;
use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_64;

use crate::node::Node;
use crate::origins::origin_of;

/// Most gateways with origins of their own in the policy, listed ones first: headers have to fit into what proxies take.
const MOST_GATEWAYS: usize = 64;

/// What the app may load and do: nothing but what came with it, from where it came. Scripts and styles are files of their own, so
/// that nothing which got into the page as text can run; `self` in `connect-src` is the API and the WebSocket. Texts
/// become HTML nowhere: Trusted Types refuse it, but for the templates of the framework and the address of the service worker.
const BEFORE: &str =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'";
const BEHIND: &str = "; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types svelte-trusted-html banter-service-worker";

/// The policy of the app's files. It follows the gateways that there are.
pub struct Policy {
    listed: Vec<String>,
    node: Option<Arc<Node>>,
    /// What was said last, and of which members.
    made: Mutex<(Arc<[Member]>, Said)>,
}

/// The header, and what tells it from others.
#[derive(Debug, Clone)]
pub struct Said {
    /// The policy.
    pub header: HeaderValue,
    /// Changes when it does. Browsers keep the policy of what they have as long as its tag is the same.
    pub tag: String,
}

impl From<HeaderValue> for Said {
    fn from(header: HeaderValue) -> Self {
        let tag = format!("{:08x}", xxh3_64(header.as_bytes()) as u32);
        Said { header, tag }
    }
}

impl Policy {
    /// For pages that connect to the `listed` gateways, and to those that `node` knows of.
    pub fn new(listed: Vec<String>, node: Option<Arc<Node>>) -> Self {
        let (members, policy) = (Arc::from([]), header(&listed, &[]).into());
        Policy { listed, node, made: Mutex::new((members, policy)) }
    }

    /// What is said now.
    pub fn said(&self) -> Said {
        let mut made = self.made.lock();
        if let Some(node) = &self.node {
            let members = node.discovery.members();
            // The list is another one whenever anything about a member changes, its load too: the header seldom does.
            if !Arc::ptr_eq(&members, &made.0) {
                *made = (members.clone(), header(&self.listed, &members).into());
            }
        }
        made.1.clone()
    }
}

fn header(listed: &[String], members: &[Member]) -> HeaderValue {
    let gateways = members.iter().filter(|member| member.profile.roles.has(Role::Gateway));
    let known = gateways.filter_map(|member| origin_of(&member.profile.client_url)).filter(|origin| !origin.contains('*'));
    let mut origins: Vec<String> = Vec::new();
    for origin in listed.iter().cloned().chain(known) {
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    if origins.len() > MOST_GATEWAYS {
        tracing::warn!(origins = origins.len(), "more origins of gateways than pages can be told: list them as https://*.domain");
        origins.truncate(MOST_GATEWAYS);
    }
    let mut policy = BEFORE.to_owned();
    for origin in origins {
        // A source of HTTP is none of WebSocket, which has the same origin with another scheme.
        let socket = origin.replacen("http", "ws", 1);
        policy.extend([" ", &origin, " ", &socket]);
    }
    policy += BEHIND;
    // Origins are visible ASCII; anything else would leave the page without a policy, and so it gets none of them.
    HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

#[cfg(test)]
mod tests {
    use banter_store::cluster::{Condition, NodeIncarnation, NodeProfile, Roles};

    use super::*;

    fn member(number: u16, url: &str, role: Role) -> Member {
        let profile = NodeProfile {
            roles: Roles::from_iter([role]),
            client_url: url.to_owned(),
            internal_address: String::new(),
            region: String::new(),
            coordinates: None,
            capacity: 1,
        };
        Member { node: NodeIncarnation { number, incarnation: 1 }, profile, condition: Condition::default() }
    }

    fn connect_to(listed: &[&str], members: &[Member]) -> String {
        let listed: Vec<String> = listed.iter().map(|&origin| origin.to_owned()).collect();
        let policy = header(&listed, members);
        let policy = policy.to_str().unwrap();
        policy.split("; ").find_map(|part| part.strip_prefix("connect-src ")).unwrap().to_owned()
    }

    #[test]
    fn gateways_of_other_origins_are_allowed_each_once() {
        assert_eq!(connect_to(&[], &[]), "'self'");
        let members = [
            member(1, "https://one.example.org/gateways/1", Role::Gateway),
            member(2, "https://one.example.org/gateways/2", Role::Gateway),
            member(3, "", Role::Gateway),
            member(4, "https://api.example.org", Role::Api),
            member(5, "https://evil; script-src *", Role::Gateway),
            member(6, "https://*.example", Role::Gateway),
        ];
        let wanted = "'self' https://*.chat.example.org wss://*.chat.example.org https://one.example.org wss://one.example.org";
        assert_eq!(connect_to(&["https://*.chat.example.org", "https://one.example.org"], &members), wanted);
    }

    #[test]
    fn the_header_stays_short() {
        let members: Vec<Member> =
            (0..200).map(|number| member(number, &format!("http://{number}.example:1"), Role::Gateway)).collect();
        let sources = connect_to(&["https://first.example"], &members);
        assert_eq!(sources.split(' ').count(), 1 + 2 * MOST_GATEWAYS);
        assert!(sources.starts_with("'self' https://first.example wss://first.example http://0.example:1 ws://0.example:1"));
    }
}
