//! The registry of sessions on Redis or Valkey, one server or a cluster of them.
//!
//! ```text
//! {<prefix>:<shard>}:users            hash: user -> "<number>:<incarnation>,..." of the gateways where the user has sessions
//! {<prefix>:<shard>}:at:<n>:<i>       set: the users of the shard that have sessions on gateway n in its life i
//! <prefix>:nodes                      set: every "<number>:<incarnation>" that registered anybody and is not swept
//! ```
//!
//! The two keys of a shard lie in one slot, so a script changes both or none. A lookup is one `HMGET` for each shard that is
//! concerned, all in one round trip; the sets are there for sweeping and for counting. Small sets of numbers take eight bytes a
//! user in Redis, which is why there are many shards.

mod circuit;
mod link;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use banter_model::UserId;
use banter_store::Sessions;
use banter_store::cluster::NodeIncarnation;
use banter_store::sessions::{SHARDS, SessionsError, ShardCount, shard_of};
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, Script, ServerErrorKind, cmd};
use tokio::time::timeout;

use circuit::Circuit;
use link::Link;

/// Most users that one shard gives up in one step of a sweep.
const SWEPT_OF_SHARD: usize = 100;

/// How Redis is reached.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://user:password@host:port` (`rediss://` for TLS). One server; or several of a cluster, of which one is enough to find the rest.
    pub urls: Vec<String>,
    /// Is it a cluster?
    pub cluster: bool,
    /// What all keys begin with.
    pub prefix: String,
    /// Certificates, for `rediss://` to one server; the system's authorities (or those in the file that `SSL_CERT_FILE` names) are
    /// trusted when absent, and for a cluster always.
    pub tls: Option<RedisTls>,
    /// The longest that a lookup takes.
    pub lookup_timeout: Duration,
    /// The longest that a write takes, or what is done in the background.
    pub write_timeout: Duration,
}

/// Certificates, as PEM.
#[derive(Clone)]
pub struct RedisTls {
    /// Who is trusted to vouch for the servers, besides the system's authorities.
    pub authority: Option<String>,
    /// This client's own certificate and its key, where the servers ask for one.
    pub identity: Option<(String, String)>,
}

impl RedisOptions {
    /// The defaults for one server: lookups take at most 50 ms, writes a second.
    pub fn new(url: impl Into<String>) -> Self {
        RedisOptions {
            urls: vec![url.into()],
            cluster: false,
            prefix: "banter".to_owned(),
            tls: None,
            lookup_timeout: Duration::from_millis(50),
            write_timeout: Duration::from_secs(1),
        }
    }
}

/// The registry on Redis.
///
/// While Redis is away a call now and then waits for it until its timeout is over; all others are answered at once.
pub struct RedisSessions {
    link: Link,
    circuit: Circuit,
    counters: Arc<RedisCounters>,
    options: RedisOptions,
    update: Lua,
    sweep: Lua,
}

/// Counters since the registry was opened. They only grow; read them with [`Ordering::Relaxed`].
#[derive(Debug, Default)]
pub struct RedisCounters {
    /// Requests: commands that were sent together and answered together, which is one round trip (to each server of a cluster that
    /// is concerned).
    pub requests: AtomicU64,
    /// Commands in them.
    pub commands: AtomicU64,
    /// Requests without an answer. Those that were not sent, because Redis was away a moment ago, are not counted at all.
    pub failed_requests: AtomicU64,
}

/// A script, and the name that a server which has seen it knows it by.
struct Lua {
    text: &'static str,
    hash: String,
}

impl Lua {
    fn new(text: &'static str) -> Self {
        Lua { text, hash: Script::new(text).get_hash().to_owned() }
    }
}

impl RedisSessions {
    /// The registry behind these addresses. Nothing is connected yet: Redis may come later.
    ///
    /// # Errors
    /// When an address or a certificate cannot be understood.
    pub fn new(options: RedisOptions) -> Result<Self, SessionsError> {
        let link = Link::new(&options).map_err(|error| SessionsError::Failed(error.to_string()))?;
        let (update, sweep) = (Lua::new(UPDATE), Lua::new(SWEEP));
        Ok(RedisSessions { link, circuit: Circuit::default(), counters: Arc::default(), options, update, sweep })
    }

    /// What was asked of Redis so far.
    pub fn counters(&self) -> &Arc<RedisCounters> {
        &self.counters
    }

    fn users_key(&self, shard: u32) -> String {
        format!("{{{}:{shard}}}:users", self.options.prefix)
    }

    fn node_key(&self, shard: u32, at: NodeIncarnation) -> String {
        format!("{{{}:{shard}}}:at:{}", self.options.prefix, entry(at))
    }

    fn nodes_key(&self) -> String {
        format!("{}:nodes", self.options.prefix)
    }

    /// The answers to commands that are sent together, each with keys of one slot.
    async fn ask<T>(&self, commands: Vec<Cmd>, within: Duration) -> Result<Vec<T>, SessionsError>
    where
        T: FromRedisValue + Send + 'static,
    {
        self.try_ask(commands, within).await?.map_err(|error| SessionsError::Failed(error.to_string()))
    }

    /// The outer error is that Redis is away, the inner one what it answered.
    async fn try_ask<T>(&self, commands: Vec<Cmd>, within: Duration) -> Result<Result<Vec<T>, RedisError>, SessionsError>
    where
        T: FromRedisValue + Send + 'static,
    {
        let away = |what: String| SessionsError::Away(what);
        let Some(permit) = self.circuit.admit(Instant::now()) else {
            return Err(away("it was when it was last tried".to_owned()));
        };
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        self.counters.commands.fetch_add(commands.len() as u64, Ordering::Relaxed);
        match timeout(within, self.link.ask(commands)).await {
            Ok(Err(error)) if is_away(&error) => {
                self.counters.failed_requests.fetch_add(1, Ordering::Relaxed);
                permit.failed(Instant::now());
                Err(away(error.to_string()))
            }
            Ok(answer) => {
                permit.answered();
                Ok(answer)
            }
            Err(_) => {
                self.counters.failed_requests.fetch_add(1, Ordering::Relaxed);
                permit.failed(Instant::now());
                Err(away(format!("no answer within {} ms", within.as_millis())))
            }
        }
    }

    /// Calls of a script on many shards, by its name or with its whole text; each has the users' hash and the gateway's set as keys.
    fn calls(&self, script: &Lua, by_name: bool, at: NodeIncarnation, shards: &[(u32, Vec<u64>)]) -> Vec<Cmd> {
        let call = |(shard, arguments): &(u32, Vec<u64>)| {
            let mut command = match by_name {
                true => cmd("EVALSHA").arg(&script.hash).to_owned(),
                false => cmd("EVAL").arg(script.text).to_owned(),
            };
            command.arg(2).arg(self.users_key(*shard)).arg(self.node_key(*shard, at)).arg(entry(at)).arg(arguments);
            command
        };
        shards.iter().map(call).collect()
    }
}

/// Errors that tell that Redis cannot do anything at present, rather than that it does not like what it is asked.
fn is_away(error: &RedisError) -> bool {
    use ServerErrorKind::{CrossSlot, ExecAbort, NoPerm, NoScript, NoSub, NotBusy, ResponseError};
    !matches!(
        error.kind(),
        ErrorKind::Server(CrossSlot | ExecAbort | NoPerm | NoScript | NoSub | NotBusy | ResponseError)
            | ErrorKind::UnexpectedReturnType
            | ErrorKind::Parse
            | ErrorKind::Extension
            | ErrorKind::InvalidClientConfig
    )
}

fn entry(at: NodeIncarnation) -> String {
    format!("{}:{}", at.number, at.incarnation)
}

fn read_entry(text: &str) -> Result<NodeIncarnation, SessionsError> {
    let parts = text.split_once(':').and_then(|(number, incarnation)| Some((number.parse().ok()?, incarnation.parse().ok()?)));
    let (number, incarnation) = parts.ok_or_else(|| SessionsError::Failed(format!("{text:?} is not a gateway")))?;
    Ok(NodeIncarnation { number, incarnation })
}

fn by_shard(users: &[UserId]) -> BTreeMap<u32, Vec<u64>> {
    let mut shards = BTreeMap::<u32, Vec<u64>>::new();
    users.iter().for_each(|user| shards.entry(shard_of(*user)).or_default().push(user.0));
    shards
}

/// Keys: the users' hash and the gateway's set of the shard. Arguments: the gateway, how many users are there, these, and those
/// who are gone. An earlier life of the gateway is removed from who is there now. Answers with the size of the set.
const UPDATE: &str = r"
local entry, here = ARGV[1], tonumber(ARGV[2])
local number = string.match(entry, '^%d+:')
for i = 3, #ARGV do
  local user, present = ARGV[i], i - 2 <= here
  local others = {}
  local known = redis.call('HGET', KEYS[1], user)
  if known then
    for other in string.gmatch(known, '[^,]+') do
      if other ~= entry and not (present and string.sub(other, 1, #number) == number) then others[#others + 1] = other end
    end
  end
  if present then
    others[#others + 1] = entry
    redis.call('SADD', KEYS[2], user)
  else
    redis.call('SREM', KEYS[2], user)
  end
  if #others == 0 then
    redis.call('HDEL', KEYS[1], user)
  else
    redis.call('HSET', KEYS[1], user, table.concat(others, ','))
  end
end
return redis.call('SCARD', KEYS[2])
";

/// The same keys. Arguments: the gateway, which is dead, and how many users at most. Answers with the users that were removed.
const SWEEP: &str = r"
local entry = ARGV[1]
local users = redis.call('SPOP', KEYS[2], tonumber(ARGV[2]))
for _, user in ipairs(users) do
  local others = {}
  local known = redis.call('HGET', KEYS[1], user)
  if known then
    for other in string.gmatch(known, '[^,]+') do
      if other ~= entry then others[#others + 1] = other end
    end
    if #others == 0 then
      redis.call('HDEL', KEYS[1], user)
    else
      redis.call('HSET', KEYS[1], user, table.concat(others, ','))
    end
  end
end
return users
";

#[async_trait]
impl Sessions for RedisSessions {
    async fn announce(&self, at: NodeIncarnation) -> Result<(), SessionsError> {
        let add = cmd("SADD").arg(self.nodes_key()).arg(entry(at)).to_owned();
        self.ask::<u64>(vec![add], self.options.write_timeout).await.map(|_| ())
    }

    async fn update(&self, at: NodeIncarnation, here: &[UserId], gone: &[UserId]) -> Result<Vec<ShardCount>, SessionsError> {
        let mut calls = BTreeMap::<u32, Vec<u64>>::new();
        for (shard, users) in by_shard(here) {
            calls.insert(shard, [vec![users.len() as u64], users].concat());
        }
        for (shard, users) in by_shard(gone) {
            calls.entry(shard).or_insert_with(|| vec![0]).extend(users);
        }
        let calls: Vec<(u32, Vec<u64>)> = calls.into_iter().collect();
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let within = self.options.write_timeout;
        let counts = match self.try_ask(self.calls(&self.update, true, at, &calls), within).await? {
            // A server that has just started does not know the script yet. Running it again where it ran already does no harm.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.ask::<u64>(self.calls(&self.update, false, at, &calls), within).await?
            }
            answer => answer.map_err(|error| SessionsError::Failed(error.to_string()))?,
        };
        Ok(calls.iter().zip(counts).map(|((shard, _), users)| ShardCount { shard: *shard, users }).collect())
    }

    async fn gateways(&self, users: &[UserId]) -> Result<Vec<(UserId, NodeIncarnation)>, SessionsError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let mut places = BTreeMap::<u32, Vec<usize>>::new();
        users.iter().enumerate().for_each(|(place, user)| places.entry(shard_of(*user)).or_default().push(place));
        let ask = |(shard, places): (&u32, &Vec<usize>)| {
            let users: Vec<u64> = places.iter().map(|place| users[*place].0).collect();
            cmd("HMGET").arg(self.users_key(*shard)).arg(users).to_owned()
        };
        let answers = self.ask::<Vec<Option<String>>>(places.iter().map(ask).collect(), self.options.lookup_timeout).await?;
        let mut found: Vec<(usize, String)> = Vec::new();
        for (places, answer) in places.values().zip(answers) {
            found.extend(places.iter().zip(answer).filter_map(|(place, gateways)| Some((*place, gateways?))));
        }
        found.sort_unstable_by_key(|(place, _)| *place);
        let mut gateways = Vec::with_capacity(found.len());
        for (place, entries) in found {
            for entry in entries.split(',') {
                gateways.push((users[place], read_entry(entry)?));
            }
        }
        Ok(gateways)
    }

    async fn counts(&self, at: NodeIncarnation) -> Result<Vec<ShardCount>, SessionsError> {
        let ask = (0..SHARDS).map(|shard| cmd("SCARD").arg(self.node_key(shard, at)).to_owned()).collect();
        let counts = self.ask::<u64>(ask, self.options.write_timeout).await?;
        Ok((0..).zip(counts).map(|(shard, users)| ShardCount { shard, users }).collect())
    }

    async fn registered(&self, at: NodeIncarnation, shard: u32) -> Result<Vec<UserId>, SessionsError> {
        let ask = cmd("SMEMBERS").arg(self.node_key(shard, at)).to_owned();
        let users = self.ask::<Vec<u64>>(vec![ask], self.options.write_timeout).await?;
        Ok(users.into_iter().flatten().map(UserId).collect())
    }

    async fn nodes(&self) -> Result<Vec<NodeIncarnation>, SessionsError> {
        let ask = cmd("SMEMBERS").arg(self.nodes_key()).to_owned();
        let entries = self.ask::<Vec<String>>(vec![ask], self.options.write_timeout).await?;
        let nodes: Result<Vec<_>, _> = entries.iter().flatten().map(|entry| read_entry(entry)).collect();
        nodes.map(|mut nodes| {
            nodes.sort_unstable();
            nodes
        })
    }

    async fn sweep(&self, dead: NodeIncarnation, limit: usize) -> Result<Vec<UserId>, SessionsError> {
        let mut left = limit.max(1);
        let mut calls = Vec::new();
        for ShardCount { shard, users } in self.counts(dead).await?.into_iter().filter(|count| count.users > 0) {
            let some = (users as usize).min(SWEPT_OF_SHARD).min(left);
            calls.push((shard, vec![some as u64]));
            left -= some;
            if left == 0 {
                break;
            }
        }
        if calls.is_empty() {
            let remove = cmd("SREM").arg(self.nodes_key()).arg(entry(dead)).to_owned();
            self.ask::<u64>(vec![remove], self.options.write_timeout).await?;
            return Ok(Vec::new());
        }
        // With the text, for it must not run twice: who was removed the first time would be told to nobody.
        let sweep = self.calls(&self.sweep, false, dead, &calls);
        let users = self.ask::<Vec<u64>>(sweep, self.options.write_timeout).await?;
        Ok(users.into_iter().flatten().map(UserId).collect())
    }
}
