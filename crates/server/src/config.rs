//! The configuration: one TOML file, of which each key can be overridden by the environment and by a flag.
//!
//! Without any section of a fleet a server keeps everything in one data folder. With them it is one node of many over shared engines,
//! and all of them have to be there.

mod check;
mod links;
mod node;
mod secret;
mod sections;
mod sources;
mod tls;

use std::path::Path;

use banter_store::cluster::Roles;

pub use check::{check, findings};
pub use node::Node;
pub use secret::Secret;
pub use sections::{Cluster, Directory, History, Queue, Sessions};
pub use sources::Overrides;
pub use tls::TlsFiles;

/// What a node is told, from all sources together.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// This node.
    pub node: Node,
    /// The key that tokens are signed with.
    pub secret: Secret,
    /// The relational store of people.
    pub directory: Option<Directory>,
    /// The store of logs.
    pub history: Option<History>,
    /// The command queue.
    pub queue: Option<Queue>,
    /// Who has sessions where.
    pub sessions: Option<Sessions>,
    /// Which nodes there are.
    pub cluster: Option<Cluster>,
}

/// The sections that make a node one of a fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// The relational store of people.
    pub directory: Directory,
    /// The store of logs.
    pub history: History,
    /// The command queue.
    pub queue: Queue,
    /// Who has sessions where.
    pub sessions: Sessions,
    /// Which nodes there are.
    pub cluster: Cluster,
}

/// The configuration is not one.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no TOML, or holds a key or a value that there is not.
    #[error("{origin}: {message}")]
    Invalid {
        /// Where it stands.
        origin: String,
        /// What is wrong.
        message: String,
    },
    /// A flag names no key.
    #[error("`{0}` is no key of the configuration: write section.key=value")]
    UnknownKey(String),
    /// A value is not one of its key's.
    #[error("`{key}` is {wanted}, not {value:?} ({origin})")]
    InvalidValue {
        /// Section and key.
        key: String,
        /// What it takes.
        wanted: &'static str,
        /// What was given.
        value: String,
        /// Where it stands.
        origin: String,
    },
    /// Some sections of a fleet are there, and one is not.
    #[error(
        "a fleet needs the section [{missing}] too: without any of [directory], [history], [queue], [sessions] and [cluster] a server keeps everything in its data folder"
    )]
    MissingSection {
        /// Which.
        missing: &'static str,
    },
    /// Values that do not go together.
    #[error("{0}")]
    Contradiction(String),
}

impl Config {
    /// Reads the file, if there is one, and puts what the environment and the flags say over it.
    ///
    /// # Errors
    /// When it cannot be read, holds what it may not, or its parts do not go together.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Config, ConfigError> {
        let environment = |name: &str| std::env::var(name).ok();
        Self::load_with(file, &environment, overrides)
    }

    fn load_with(
        file: Option<&Path>,
        environment: &dyn Fn(&str) -> Option<String>,
        overrides: &Overrides,
    ) -> Result<Config, ConfigError> {
        let table = sources::table(file, environment, overrides)?;
        let invalid = |error: toml::de::Error| ConfigError::Invalid {
            origin: file.map_or("configuration".to_owned(), |path| path.display().to_string()),
            message: error.message().to_owned(),
        };
        let config: Config = table.try_into().map_err(invalid)?;
        config.validate()?;
        Ok(config)
    }

    /// The engines of a fleet; `None` when everything is in the data folder.
    ///
    /// # Errors
    /// When there are some of a fleet's sections and not all.
    pub fn fleet(&self) -> Result<Option<Fleet>, ConfigError> {
        let Config { directory, history, queue, sessions, cluster, .. } = self.clone();
        if directory.is_none() && history.is_none() && queue.is_none() && sessions.is_none() && cluster.is_none() {
            return Ok(None);
        }
        fn there<T>(section: Option<T>, missing: &'static str) -> Result<T, ConfigError> {
            section.ok_or(ConfigError::MissingSection { missing })
        }
        Ok(Some(Fleet {
            directory: there(directory, "directory")?,
            history: there(history, "history")?,
            queue: there(queue, "queue")?,
            sessions: there(sessions, "sessions")?,
            cluster: there(cluster, "cluster")?,
        }))
    }

    fn validate(&self) -> Result<(), ConfigError> {
        self.node.validate()?;
        self.secret.validate()?;
        match self.fleet()? {
            Some(fleet) => {
                if self.secret.is_empty() {
                    let message = "the nodes of a fleet share one secret key: set `secret.key_file` or `secret.key`";
                    return Err(ConfigError::Contradiction(message.to_owned()));
                }
                fleet.history.validate()?;
                fleet.queue.validate()?;
                fleet.sessions.validate()?;
                fleet.cluster.tls().validate_with_authority()
            }
            None if self.node.roles != Roles::all() => {
                let message = "a server with its own data folder has all roles: `node.roles` is for the nodes of a fleet";
                Err(ConfigError::Contradiction(message.to_owned()))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
