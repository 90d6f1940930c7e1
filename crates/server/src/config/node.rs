//! The section of the node itself, with what each key means and its value when it is not set.

use std::net::SocketAddr;
use std::path::PathBuf;

use banter_store::cluster::{Role, Roles};
use banter_store::embedded::history::HistoryOptions;
use http::HeaderName;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::ConfigError;
use super::sections::contradiction;
use super::tls::TlsFiles;
use crate::discovery::PlaceHeaders;
use crate::origins::{MOST_ORIGINS, is_origin};
use crate::presence::GRACE;
use crate::rate_limit::ProxyHeader;

/// `[node]`: this node. Its keys are `BANTER_<KEY>` in the environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    /// What it does. All of it when not set.
    #[serde(deserialize_with = "roles")]
    pub roles: Roles,
    /// The data folder of a server that is no node of a fleet; made if it is missing.
    pub data: PathBuf,
    /// Where clients and load balancers connect. Port 0 takes a free port.
    pub listen: SocketAddr,
    /// The URL under which clients reach this very gateway (not the load balancer in front of all). Empty: where they asked.
    pub client_url: String,
    /// Origins of pages (`https://chat.example.org`) that may connect to this node besides those that came from it. For gateways that have
    /// other addresses than the page.
    pub web_origins: Vec<String>,
    /// Origins of gateways (`https://chat1.example.org`, or `https://*.chat.example.org`) that pages of this node may connect to, besides
    /// those of the gateways that it knows of.
    pub gateway_origins: Vec<String>,
    /// Where the other nodes connect. Port 0 takes a free port.
    pub internal_listen: SocketAddr,
    /// Where the other nodes reach it (`10.0.0.1:8490`). Empty: the address it listens on.
    pub internal_address: String,
    /// The certificates (PEM) of the authority that signs those of the nodes. With it nodes talk over TLS and let in nobody whose
    /// certificate is of another one; without it in plain text.
    pub internal_tls_ca: PathBuf,
    /// This node's certificate, and those between it and the authority (PEM). It names the host of `internal_address`, and is good for a
    /// server and for a client.
    pub internal_tls_cert: PathBuf,
    /// The key of `internal_tls_cert` (PEM).
    pub internal_tls_key: PathBuf,
    /// Where it is, for clients that name a region. Any text.
    pub region: String,
    /// Where it is: latitude and longitude in degrees.
    pub coordinates: Option<[f64; 2]>,
    /// A file in MaxMind's format that says where client addresses are. Empty: not known.
    pub geoip: PathBuf,
    /// The header in which the proxy in front names the region of a client. Empty: none.
    pub region_header: String,
    /// The header in which it writes a client's `<latitude>,<longitude>`, or the latitude alone. Empty: none.
    pub latitude_header: String,
    /// The header in which it writes the longitude, where it has one of its own. Empty: none.
    pub longitude_header: String,
    /// The header in which the proxy in front writes client addresses: `x-forwarded-for` or `forwarded`. Empty: none is believed.
    pub trust_proxy: String,
    /// No limits on sign-ups, logins, requests and frames. For load runs on a closed network.
    pub unlimited: bool,
    /// Milliseconds after which a lost connection counts as offline.
    pub presence_grace_ms: u64,
    /// Most sessions at once. More than descriptors can be opened makes threads that open as many each. 0: as many as there are
    /// descriptors for.
    pub sessions: u32,
    /// How many threads of their own hold the sessions. Not set: as many as `sessions` needs.
    pub shards: Option<u16>,
    /// Free space, in MiB, that is kept on the disk of the data folder.
    pub reserve_mib: u64,
    /// The longest, in seconds, that sessions are given to move to other gateways when this one stops. Only in a fleet.
    pub drain_seconds: u64,
}

impl Default for Node {
    fn default() -> Self {
        Node {
            roles: Roles::all(),
            data: "banter-data".into(),
            listen: ([127, 0, 0, 1], 8480).into(),
            client_url: String::new(),
            web_origins: Vec::new(),
            gateway_origins: Vec::new(),
            internal_listen: ([127, 0, 0, 1], 8490).into(),
            internal_address: String::new(),
            internal_tls_ca: PathBuf::new(),
            internal_tls_cert: PathBuf::new(),
            internal_tls_key: PathBuf::new(),
            region: String::new(),
            coordinates: None,
            geoip: PathBuf::new(),
            region_header: String::new(),
            latitude_header: String::new(),
            longitude_header: String::new(),
            trust_proxy: String::new(),
            unlimited: false,
            presence_grace_ms: u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX),
            sessions: 0,
            shards: None,
            reserve_mib: HistoryOptions::default().reserve_bytes >> 20,
            drain_seconds: 30,
        }
    }
}

/// Other than between nodes, a role that does not exist is a slip.
fn roles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Roles, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let role = |name: &String| Role::named(name).ok_or_else(|| D::Error::custom(format!("`{name}` is no role")));
    names.iter().map(role).collect()
}

/// Most sessions that a node can be told to hold.
const MOST_SESSIONS: u32 = 10_000_000;
/// Most shards.
const MOST_SHARDS: u16 = 1_024;

impl Node {
    /// The header in which client addresses are believed.
    ///
    /// # Errors
    /// When it is another one.
    pub fn proxy_header(&self) -> Result<Option<ProxyHeader>, ConfigError> {
        let header = Some(self.trust_proxy.as_str()).filter(|header| !header.is_empty());
        header.map(str::parse).transpose().map_err(|error| contradiction(format!("`node.trust_proxy`: {error}")))
    }

    /// The headers in which the proxy in front writes where a client is.
    ///
    /// # Errors
    /// When one is no header.
    pub fn place_headers(&self) -> Result<PlaceHeaders, ConfigError> {
        let header = |name: &String, key: &str| -> Result<Option<HeaderName>, ConfigError> {
            let name = Some(name.as_str()).filter(|name| !name.is_empty());
            name.map(str::parse).transpose().map_err(|_| contradiction(format!("`node.{key}` is no name of a header")))
        };
        Ok(PlaceHeaders {
            region: header(&self.region_header, "region_header")?,
            latitude: header(&self.latitude_header, "latitude_header")?,
            longitude: header(&self.longitude_header, "longitude_header")?,
        })
    }

    /// The files of the links between nodes.
    pub fn internal_tls(&self) -> TlsFiles<'_> {
        let (ca, cert, key) = (&self.internal_tls_ca, &self.internal_tls_cert, &self.internal_tls_key);
        TlsFiles { keys: "node.internal_tls", ca, cert, key }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        self.proxy_header()?;
        self.place_headers()?;
        self.internal_tls().validate_with_authority()?;
        if self.internal_tls().is_on() && self.internal_tls().identity().is_none() {
            return Err(contradiction("`node.internal_tls_cert`: nodes show each other who they are".to_owned()));
        }
        let wrong = if self.roles.is_empty() {
            "`node.roles` names at least one of api, gateway, worker, presence"
        } else if self.sessions > MOST_SESSIONS {
            "`node.sessions` is at most 10,000,000"
        } else if self.shards.is_some_and(|shards| shards > MOST_SHARDS) {
            "`node.shards` is at most 1,024"
        } else if self
            .coordinates
            .is_some_and(|[latitude, longitude]| !((-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude)))
        {
            "`node.coordinates` is [latitude, longitude] in degrees"
        } else if !is_http(&self.client_url) {
            "`node.client_url` begins with http:// or https://"
        } else if !self.web_origins.iter().all(|origin| is_origin(origin, false)) {
            "`node.web_origins` are like https://chat.example.org, in small letters and with nothing behind"
        } else if !self.gateway_origins.iter().all(|origin| is_origin(origin, true)) {
            "`node.gateway_origins` are like https://chat1.example.org or https://*.chat.example.org, in small letters and with nothing behind"
        } else if self.web_origins.len() > MOST_ORIGINS || self.gateway_origins.len() > MOST_ORIGINS {
            "`node.web_origins` and `node.gateway_origins` are at most 64 each"
        } else if self.internal_address.contains("://") {
            "`node.internal_address` is host:port"
        } else if self.internal_address.is_empty() && self.internal_listen.ip().is_unspecified() {
            "`node.internal_address` says where the other nodes reach a node whose `internal_listen` is any address"
        } else {
            return Ok(());
        };
        Err(contradiction(wrong.to_owned()))
    }
}

fn is_http(url: &str) -> bool {
    url.is_empty() || url.starts_with("http://") || url.starts_with("https://")
}
