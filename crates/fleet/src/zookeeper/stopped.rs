//! A cluster of which no node runs: how far ids went there, for who moves an installation in or out.

use banter_model::Millis;
use banter_model::snowflake::NODES;
use zookeeper_client::{Client, Error};

use super::ZooKeeperOptions;
use super::numbers::{Kept, found, json, kept_path, members, numbers, persistent, read};

/// A cluster is not stopped, or cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum StoppedError {
    /// There are nodes.
    #[error("{0} node(s) of the fleet are running: stop them all first (one that was killed is one for some seconds more)")]
    Running(usize),
    /// ZooKeeper cannot be reached, or refused.
    #[error("ZooKeeper: {0}")]
    Engine(String),
}

impl From<Error> for StoppedError {
    fn from(error: Error) -> Self {
        match error {
            // Each says that somebody took a number meanwhile.
            Error::BadVersion | Error::NodeExists => StoppedError::Running(1),
            error => StoppedError::Engine(error.to_string()),
        }
    }
}

/// A cluster of which no node runs.
pub struct StoppedCluster {
    client: Client,
    options: ZooKeeperOptions,
}

impl StoppedCluster {
    /// Connects, and sees that no node runs. That one is started afterwards is not noticed.
    ///
    /// # Errors
    /// When there are nodes, or ZooKeeper cannot be reached within about the session timeout.
    pub async fn connect(options: ZooKeeperOptions) -> Result<Self, StoppedError> {
        let client = options.connect(None).await?;
        for path in [members(&options), numbers(&options)] {
            client.mkdir(&path, &persistent(&options)).await?;
        }
        match client.list_children(&members(&options)).await?.len() {
            0 => Ok(StoppedCluster { client, options }),
            nodes => Err(StoppedError::Running(nodes)),
        }
    }

    /// Up to when ids may have been given out by any node; 0 when none ever was.
    ///
    /// # Errors
    /// When ZooKeeper does not answer.
    pub async fn ids_until(&self) -> Result<Millis, StoppedError> {
        let all = self.kept().await?;
        Ok(all.into_iter().filter_map(|(_, kept)| kept.map(|(kept, _)| kept.ids_until)).max().unwrap_or(0))
    }

    /// From now on ids of all numbers are of a later time than `until`. Again changes nothing.
    ///
    /// # Errors
    /// When ZooKeeper does not answer, or a node was started meanwhile; some numbers may have been raised then.
    pub async fn raise_ids_until(&self, until: Millis) -> Result<(), StoppedError> {
        let mut created = Vec::new();
        let mut raised = Vec::new();
        // Sent at once, and answered in order.
        for (number, kept) in self.kept().await? {
            let path = kept_path(&self.options, number);
            match kept {
                None => {
                    let entry = json(&Kept { incarnation: 0, ids_until: until });
                    created.push((path, entry));
                }
                Some((kept, version)) if kept.ids_until < until => {
                    raised.push(self.client.set_data(&path, &json(&Kept { ids_until: until, ..kept }), Some(version)));
                }
                Some(_) => {}
            }
        }
        for answer in raised {
            answer.await?;
        }
        let options = persistent(&self.options);
        let mut answers = Vec::with_capacity(created.len());
        for (path, entry) in &created {
            answers.push(self.client.create(path, entry, &options));
        }
        for answer in answers {
            answer.await?;
        }
        Ok(())
    }

    /// What stays of each number, with the version of its entry.
    async fn kept(&self) -> Result<Vec<(u16, Option<(Kept, i32)>)>, StoppedError> {
        let asked: Vec<_> = (0..NODES).map(|number| (number, self.client.get_data(&kept_path(&self.options, number)))).collect();
        let mut all = Vec::with_capacity(asked.len());
        for (number, answer) in asked {
            let kept = found(answer.await)?.map(|(data, stat)| Ok::<_, Error>((read(&data)?, stat.version))).transpose()?;
            all.push((number, kept));
        }
        Ok(all)
    }
}
