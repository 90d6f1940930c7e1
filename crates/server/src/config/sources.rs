//! Where the configuration comes from: the file, the environment over it, the flags over both.

use std::path::Path;

use toml::{Table, Value};

use super::ConfigError;

/// What flags say, as text: section, key, value. Later ones win.
#[derive(Debug, Clone, Default)]
pub struct Overrides(Vec<(String, String)>);

/// What a value of a key is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// Texts with commas between them.
    Texts,
    Whole,
    /// Numbers with commas between them.
    Numbers,
    Flag,
}

/// Every key: section, name, kind.
pub(super) const KEYS: &[(&str, &str, Kind)] = &[
    ("node", "roles", Kind::Texts),
    ("node", "data", Kind::Text),
    ("node", "listen", Kind::Text),
    ("node", "client_url", Kind::Text),
    ("node", "web_origins", Kind::Texts),
    ("node", "gateway_origins", Kind::Texts),
    ("node", "internal_listen", Kind::Text),
    ("node", "internal_address", Kind::Text),
    ("node", "internal_tls_ca", Kind::Text),
    ("node", "internal_tls_cert", Kind::Text),
    ("node", "internal_tls_key", Kind::Text),
    ("node", "region", Kind::Text),
    ("node", "coordinates", Kind::Numbers),
    ("node", "geoip", Kind::Text),
    ("node", "region_header", Kind::Text),
    ("node", "latitude_header", Kind::Text),
    ("node", "longitude_header", Kind::Text),
    ("node", "trust_proxy", Kind::Text),
    ("node", "unlimited", Kind::Flag),
    ("node", "presence_grace_ms", Kind::Whole),
    ("node", "sessions", Kind::Whole),
    ("node", "shards", Kind::Whole),
    ("node", "reserve_mib", Kind::Whole),
    ("node", "drain_seconds", Kind::Whole),
    ("secret", "key", Kind::Text),
    ("secret", "key_file", Kind::Text),
    ("directory", "url", Kind::Text),
    ("history", "contact_points", Kind::Texts),
    ("history", "keyspace", Kind::Text),
    ("history", "datacenter", Kind::Text),
    ("history", "replication_factor", Kind::Whole),
    ("history", "username", Kind::Text),
    ("history", "password", Kind::Text),
    ("history", "tls_ca", Kind::Text),
    ("history", "tls_cert", Kind::Text),
    ("history", "tls_key", Kind::Text),
    ("history", "tls_names", Kind::Flag),
    ("queue", "brokers", Kind::Texts),
    ("queue", "topic", Kind::Text),
    ("queue", "feed", Kind::Flag),
    ("queue", "events_topic", Kind::Text),
    ("queue", "group", Kind::Text),
    ("queue", "epoch", Kind::Whole),
    ("queue", "partitions", Kind::Whole),
    ("queue", "replication_factor", Kind::Whole),
    ("queue", "retention_hours", Kind::Whole),
    ("queue", "security", Kind::Text),
    ("queue", "sasl_mechanism", Kind::Text),
    ("queue", "username", Kind::Text),
    ("queue", "password", Kind::Text),
    ("queue", "tls_ca", Kind::Text),
    ("queue", "tls_cert", Kind::Text),
    ("queue", "tls_key", Kind::Text),
    ("sessions", "url", Kind::Texts),
    ("sessions", "tls_ca", Kind::Text),
    ("sessions", "tls_cert", Kind::Text),
    ("sessions", "tls_key", Kind::Text),
    ("cluster", "servers", Kind::Texts),
    ("cluster", "root", Kind::Text),
    ("cluster", "session_timeout_ms", Kind::Whole),
    ("cluster", "credentials", Kind::Text),
    ("cluster", "tls_ca", Kind::Text),
    ("cluster", "tls_cert", Kind::Text),
    ("cluster", "tls_key", Kind::Text),
];

impl Overrides {
    /// Sets `section.key` to `value`.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.0.push((key.to_owned(), value.into()));
    }

    /// Takes `section.key=value`.
    ///
    /// # Errors
    /// When it has another form.
    pub fn assign(&mut self, assignment: &str) -> Result<(), ConfigError> {
        let (key, value) = assignment.split_once('=').ok_or_else(|| ConfigError::UnknownKey(assignment.to_owned()))?;
        self.set(key.trim(), value.trim());
        Ok(())
    }
}

/// The name of a key in the environment: `BANTER_HISTORY_KEYSPACE`; those of the node itself without its section, `BANTER_LISTEN`.
pub(super) fn variable(section: &str, key: &str) -> String {
    match section {
        "node" => format!("BANTER_{}", key.to_ascii_uppercase()),
        _ => format!("BANTER_{}_{}", section.to_ascii_uppercase(), key.to_ascii_uppercase()),
    }
}

/// All sources together.
pub(super) fn table(
    file: Option<&Path>,
    environment: &dyn Fn(&str) -> Option<String>,
    overrides: &Overrides,
) -> Result<Table, ConfigError> {
    let mut table = match file {
        Some(path) => read(path)?,
        None => Table::new(),
    };
    for (section, key, kind) in KEYS {
        let name = variable(section, key);
        // An empty variable says nothing, as in a compose file that hands on what is not set.
        if let Some(text) = environment(&name).filter(|text| !text.is_empty()) {
            put(&mut table, section, key, *kind, &text, &name)?;
        }
    }
    for (name, text) in &overrides.0 {
        let found = KEYS.iter().find(|(section, key, _)| name.split_once('.') == Some((section, key)));
        let (section, key, kind) = found.ok_or_else(|| ConfigError::UnknownKey(name.clone()))?;
        put(&mut table, section, key, *kind, text, "a flag")?;
    }
    // One text is as good as a list of one.
    for (section, key, _) in KEYS.iter().filter(|(_, _, kind)| *kind == Kind::Texts) {
        if let Some(value) = table.get_mut(*section).and_then(|section| section.get_mut(*key))
            && let Some(text) = value.as_str()
        {
            *value = texts(text);
        }
    }
    Ok(table)
}

fn read(path: &Path) -> Result<Table, ConfigError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: name.clone(), source })?;
    // Its own sentence says the line and shows it.
    text.parse().map_err(|error: toml::de::Error| ConfigError::Invalid { origin: name, message: error.to_string() })
}

fn put(table: &mut Table, section: &str, key: &str, kind: Kind, text: &str, origin: &str) -> Result<(), ConfigError> {
    let value = value(kind, text).map_err(|wanted| ConfigError::InvalidValue {
        key: format!("{section}.{key}"),
        wanted,
        value: text.to_owned(),
        origin: origin.to_owned(),
    })?;
    let entry = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    let entry = entry.as_table_mut().ok_or_else(|| ConfigError::Invalid {
        origin: "configuration".to_owned(),
        message: format!("[{section}] is a section"),
    })?;
    entry.insert(key.to_owned(), value);
    Ok(())
}

fn value(kind: Kind, text: &str) -> Result<Value, &'static str> {
    match kind {
        Kind::Text => Ok(Value::String(text.to_owned())),
        Kind::Texts => Ok(texts(text)),
        Kind::Whole => text.trim().parse().map(Value::Integer).map_err(|_| "a whole number"),
        Kind::Numbers => {
            let numbers: Result<Vec<Value>, _> = text.split(',').map(|number| number.trim().parse().map(Value::Float)).collect();
            numbers.map(Value::Array).map_err(|_| "numbers with commas between them")
        }
        Kind::Flag => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Ok(Value::Boolean(true)),
            "false" | "0" | "no" => Ok(Value::Boolean(false)),
            _ => Err("true or false"),
        },
    }
}

fn texts(text: &str) -> Value {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    Value::Array(parts.map(|part| Value::String(part.to_owned())).collect())
}
