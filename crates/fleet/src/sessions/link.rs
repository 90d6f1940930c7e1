//! The connection to Redis: one server, or a cluster of them.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::{TcpSettings, socket2};
use redis::{
    Client, ClientTlsConfig, Cmd, ConnectionInfo, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline, RedisError,
    TlsCertificates,
};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use super::RedisOptions;

/// The longest that connecting takes.
const CONNECTING: Duration = Duration::from_secs(1);
/// A connection on which nothing arrives for so long though something was sent is given up.
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);
/// Between attempts to connect again, at most.
const RECONNECTING: Duration = Duration::from_millis(500);

#[allow(clippy::large_enum_variant, reason = "there is one in a process")]
pub(super) enum Link {
    One(ConnectionManager),
    /// Connected when it is first used: the cluster may not be there yet.
    Many(ClusterClient, OnceCell<ClusterConnection>),
}

impl Link {
    pub(super) fn new(options: &RedisOptions) -> Result<Link, RedisError> {
        if options.cluster {
            if options.tls.is_some() {
                let rest = "a cluster's servers are vouched for by the system's authorities (or those in SSL_CERT_FILE)";
                return Err((ErrorKind::InvalidClientConfig, rest).into());
            }
            let client = ClusterClient::builder(options.urls.clone())
                .connection_timeout(CONNECTING)
                .response_timeout(options.write_timeout)
                .retries(2)
                .tcp_settings(tcp())
                .build()?;
            return Ok(Link::Many(client, OnceCell::new()));
        }
        let url = options.urls.first().map_or("", String::as_str);
        let info: ConnectionInfo = url.into_connection_info()?.set_tcp_settings(tcp());
        let client = match certificates(options) {
            Some(certificates) => Client::build_with_tls(info, certificates)?,
            None => Client::open(info)?,
        };
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECTING))
            .set_response_timeout(Some(options.write_timeout))
            .set_max_delay(RECONNECTING);
        Ok(Link::One(client.get_connection_manager_lazy(config)?))
    }

    /// The answers to commands, in order. The keys of one command are in one slot; all commands are sent at once.
    pub(super) async fn ask<T: FromRedisValue + Send + 'static>(&self, commands: Vec<Cmd>) -> Result<Vec<T>, RedisError> {
        match self {
            Link::One(connection) => {
                let mut pipeline = Pipeline::with_capacity(commands.len());
                commands.into_iter().for_each(|command| {
                    pipeline.add_command(command);
                });
                pipeline.query_async(&mut connection.clone()).await
            }
            Link::Many(client, connection) => {
                let connection = connection.get_or_try_init(|| client.get_async_connection()).await?;
                // Those for one server share its connection, and go out together.
                let mut running = JoinSet::new();
                for (place, command) in commands.into_iter().enumerate() {
                    let mut connection = connection.clone();
                    running.spawn(async move { (place, command.query_async::<T>(&mut connection).await) });
                }
                let mut answers = Vec::with_capacity(running.len());
                while let Some(answer) = running.join_next().await {
                    let (place, answer) = answer.map_err(|error| RedisError::from(std::io::Error::other(error)))?;
                    answers.push((place, answer?));
                }
                answers.sort_unstable_by_key(|(place, _)| *place);
                Ok(answers.into_iter().map(|(_, answer)| answer).collect())
            }
        }
    }
}

fn tcp() -> TcpSettings {
    let keepalive = socket2::TcpKeepalive::new().with_time(UNACKNOWLEDGED).with_interval(UNACKNOWLEDGED);
    TcpSettings::default().set_nodelay(true).set_keepalive(keepalive).set_user_timeout(UNACKNOWLEDGED)
}

fn certificates(options: &RedisOptions) -> Option<TlsCertificates> {
    let tls = options.tls.as_ref()?;
    let client_tls = tls.identity.as_ref().map(|(certificate, key)| ClientTlsConfig {
        client_cert: certificate.clone().into_bytes(),
        client_key: key.clone().into_bytes(),
    });
    Some(TlsCertificates { client_tls, root_cert: tls.authority.as_ref().map(|authority| authority.clone().into_bytes()) })
}
