//! Taking a number, and keeping it.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use banter_model::Millis;
use banter_model::snowflake::NODES;
use banter_store::cluster::{Condition, JoinError, Member, NodeIncarnation, NodeProfile};
use serde::{Deserialize, Serialize};
use zookeeper_client::{Client, CreateMode, CreateOptions, Error, MultiWriteError, Stat};

use super::{ZooKeeperOptions, join_error};

/// How often all free numbers are tried in turn, when others are faster each time.
const ROUNDS: usize = 3;

/// What stays of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) incarnation: u64,
    pub(super) ids_until: Millis,
}

/// A number that this process has.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) node: NodeIncarnation,
    /// Up to when ids may have been given out by those who had the number before.
    pub(super) after: Millis,
    /// Up to when this process may give them out.
    pub(super) until: Millis,
    /// Every life that this process has tried to begin with the number: a transaction may have been carried out though its
    /// answer was lost.
    ours: Vec<u64>,
    /// Of the node below `numbers`.
    version: i32,
}

/// Somebody else has the number, or the engine does not do it now.
#[derive(Debug)]
pub(super) enum Unclaimed {
    Taken,
    Engine(Error),
}

impl From<Error> for Unclaimed {
    fn from(error: Error) -> Self {
        Unclaimed::Engine(error)
    }
}

pub(super) fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

pub(super) fn members(options: &ZooKeeperOptions) -> String {
    format!("{}/members", options.root)
}

pub(super) fn member(options: &ZooKeeperOptions, number: u16) -> String {
    format!("{}/members/{number:04}", options.root)
}

pub(super) fn numbers(options: &ZooKeeperOptions) -> String {
    format!("{}/numbers", options.root)
}

pub(super) fn kept_path(options: &ZooKeeperOptions, number: u16) -> String {
    format!("{}/numbers/{number:04}", options.root)
}

pub(super) fn json<T: Serialize>(value: &T) -> Vec<u8> {
    // Plain structs with text keys: there is nothing that JSON cannot say.
    serde_json::to_vec(value).unwrap_or_default()
}

pub(super) fn persistent(options: &ZooKeeperOptions) -> CreateOptions<'static> {
    CreateMode::Persistent.with_acls(options.acls())
}

fn ephemeral(options: &ZooKeeperOptions) -> CreateOptions<'static> {
    CreateMode::Ephemeral.with_acls(options.acls())
}

/// For how long ahead ids are reserved.
fn reserved_ms(options: &ZooKeeperOptions) -> u64 {
    u64::try_from(options.ids_ahead.as_millis()).unwrap_or(u64::MAX >> 1)
}

/// Takes a number: one that was never used, or else the one that is unused for longest.
pub(super) async fn claim(client: &Client, options: &ZooKeeperOptions, profile: &NodeProfile) -> Result<Claim, JoinError> {
    for path in [members(options), numbers(options)] {
        client.mkdir(&path, &persistent(options)).await.map_err(join_error)?;
    }
    for _ in 0..ROUNDS {
        for (number, kept) in free_numbers(client, options).await.map_err(join_error)? {
            match take(client, options, profile, number, kept).await {
                Ok(claim) => return Ok(claim),
                Err(Unclaimed::Taken) => {}
                Err(Unclaimed::Engine(error)) => return Err(join_error(error)),
            }
        }
    }
    Err(JoinError::NoNumber)
}

/// The free numbers, best first.
async fn free_numbers(client: &Client, options: &ZooKeeperOptions) -> Result<Vec<(u16, Option<(Kept, Stat)>)>, Error> {
    let taken: BTreeSet<String> = client.list_children(&members(options)).await?.into_iter().collect();
    let used: BTreeSet<String> = client.list_children(&numbers(options)).await?.into_iter().collect();
    let free: Vec<u16> = (0..NODES).filter(|number| !taken.contains(&format!("{number:04}"))).collect();
    let (again, fresh): (Vec<u16>, Vec<u16>) = free.into_iter().partition(|number| used.contains(&format!("{number:04}")));
    if !fresh.is_empty() {
        return Ok(fresh.into_iter().map(|number| (number, None)).collect());
    }
    // Sent at once, and answered in order.
    let asked: Vec<_> = again.iter().map(|number| (*number, client.get_data(&kept_path(options, *number)))).collect();
    let mut found = Vec::with_capacity(asked.len());
    for (number, answer) in asked {
        let (data, stat) = answer.await?;
        found.push((number, Some((read(&data)?, stat))));
    }
    found.sort_by_key(|(_, kept)| kept.as_ref().map(|(kept, _)| kept.ids_until));
    Ok(found)
}

pub(super) fn read(data: &[u8]) -> Result<Kept, Error> {
    serde_json::from_slice(data).map_err(|error| Error::UnexpectedError(format!("a node number's entry is damaged: {error}")))
}

async fn take(
    client: &Client,
    options: &ZooKeeperOptions,
    profile: &NodeProfile,
    number: u16,
    found: Option<(Kept, Stat)>,
) -> Result<Claim, Unclaimed> {
    let before = found.as_ref().map_or(Kept { incarnation: 0, ids_until: 0 }, |(kept, _)| *kept);
    let incarnation = now().max(before.incarnation + 1);
    let until = before.ids_until.max(now() + reserved_ms(options));
    let kept = Kept { incarnation, ids_until: until };
    let member =
        Member { node: NodeIncarnation { number, incarnation }, profile: profile.clone(), condition: Condition::default() };
    let version = write(client, options, kept, found.map(|(_, stat)| stat.version), None, &member).await?;
    Ok(Claim { node: member.node, after: before.ids_until, until, ours: vec![incarnation], version })
}

/// One transaction: the new life is noted and the ephemeral node is there. `version` is that of the number's entry, if there is
/// one; `former` that of the ephemeral node of a session that we had and that is not over yet. Returns the entry's new version.
async fn write(
    client: &Client,
    options: &ZooKeeperOptions,
    kept: Kept,
    version: Option<i32>,
    former: Option<i32>,
    member: &Member,
) -> Result<i32, Unclaimed> {
    let path = self::member(options, member.node.number);
    let entry = kept_path(options, member.node.number);
    let mut writer = client.new_multi_writer();
    match version {
        Some(version) => writer.add_set_data(&entry, &json(&kept), Some(version))?,
        None => writer.add_create(&entry, &json(&kept), &persistent(options))?,
    }
    if let Some(former) = former {
        writer.add_delete(&path, Some(former))?;
    }
    writer.add_create(&path, &json(member), &ephemeral(options))?;
    match writer.commit().await {
        Ok(_) => Ok(version.map_or(0, |version| version + 1)),
        // Whichever of the operations says so: somebody came first.
        Err(MultiWriteError::OperationFailed { source: Error::BadVersion | Error::NodeExists | Error::NoNode, .. }) => {
            Err(Unclaimed::Taken)
        }
        Err(MultiWriteError::OperationFailed { source, .. } | MultiWriteError::RequestFailed { source }) => Err(source.into()),
    }
}

impl Claim {
    /// Makes this node a member again, in the present session: as it was if its ephemeral node is still there and this
    /// session's own, else in a new life.
    ///
    /// # Errors
    /// [`Unclaimed::Taken`] if somebody else has had the number meanwhile.
    pub(super) async fn renew(
        &mut self,
        client: &Client,
        options: &ZooKeeperOptions,
        profile: &NodeProfile,
        condition: Condition,
    ) -> Result<(), Unclaimed> {
        for _ in 0..ROUNDS {
            if self.try_renew(client, options, profile, condition).await? {
                return Ok(());
            }
        }
        Err(Error::Timeout.into())
    }

    /// Returns whether it is done; if not, what was read changed before it was written.
    async fn try_renew(
        &mut self,
        client: &Client,
        options: &ZooKeeperOptions,
        profile: &NodeProfile,
        condition: Condition,
    ) -> Result<bool, Unclaimed> {
        let number = self.node.number;
        let (entry, living) = (client.get_data(&kept_path(options, number)), client.get_data(&member(options, number)));
        let entry = found(entry.await)?.map(|(data, stat)| Ok::<_, Error>((read(&data)?, stat))).transpose()?;
        let living = found(living.await)?;
        if let Some((kept, stat)) = &entry {
            if !self.ours.contains(&kept.incarnation) {
                return Err(Unclaimed::Taken);
            }
            self.version = stat.version;
            self.until = self.until.max(kept.ids_until);
            if living.as_ref().is_some_and(|(_, stat)| stat.ephemeral_owner == client.session_id().0) {
                self.node.incarnation = kept.incarnation;
                return Ok(true);
            }
        }
        let incarnation = self.ours.iter().copied().max().map_or(0, |last| last + 1).max(now());
        self.ours.push(incarnation);
        let until = self.until.max(now() + reserved_ms(options));
        let kept = Kept { incarnation, ids_until: until };
        let member = Member { node: NodeIncarnation { number, incarnation }, profile: profile.clone(), condition };
        let version = entry.map(|(_, stat)| stat.version);
        // The one that is there is of a session that we had: whoever else takes a number changes its entry.
        let former = living.map(|(_, stat)| stat.version);
        match write(client, options, kept, version, former, &member).await {
            Ok(version) => {
                *self = Claim { node: member.node, after: self.after, until, ours: vec![incarnation], version };
                Ok(true)
            }
            Err(Unclaimed::Taken) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Raises the floor of ids for the time `now`.
    ///
    /// # Errors
    /// [`Unclaimed::Taken`] if somebody else has the number, or an answer was lost: [`Claim::renew`] tells.
    pub(super) async fn raise(&mut self, client: &Client, options: &ZooKeeperOptions, now: Millis) -> Result<(), Unclaimed> {
        let until = self.until.max(now + reserved_ms(options));
        let kept = Kept { incarnation: self.node.incarnation, ids_until: until };
        match client.set_data(&kept_path(options, self.node.number), &json(&kept), Some(self.version)).await {
            Ok(stat) => {
                (self.version, self.until) = (stat.version, until);
                Ok(())
            }
            Err(Error::BadVersion | Error::NoNode) => Err(Unclaimed::Taken),
            Err(error) => Err(error.into()),
        }
    }
}

pub(super) fn found<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Error::NoNode) => Ok(None),
        Err(error) => Err(error),
    }
}
