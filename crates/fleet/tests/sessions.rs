//! The registry of sessions on a real Redis, when `BANTER_TEST_REDIS` (a url) names one; on a cluster too when `BANTER_TEST_REDIS_CLUSTER`
//! (urls with commas in between) does.

// Helpers of tests unwrap as tests do.
#![allow(clippy::unwrap_used)]

mod proxy;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use banter_fleet::sessions::{RedisOptions, RedisSessions};
use banter_model::UserId;
use banter_store::cluster::NodeIncarnation;
use banter_store::sessions::{SessionsError, shard_of};
use banter_store::{Sessions, behaviour};
use proxy::Proxy;
use tokio::time::{sleep, timeout};

/// The registries to try, each with keys that no other test has.
fn registries() -> Vec<RedisOptions> {
    let mut found = Vec::new();
    for (variable, cluster) in [("BANTER_TEST_REDIS", false), ("BANTER_TEST_REDIS_CLUSTER", true)] {
        match std::env::var(variable) {
            Ok(urls) => {
                let urls = urls.split(',').map(str::to_owned).collect();
                // So that a machine that is busy with other tests is not taken for a Redis that is away.
                let (lookup_timeout, write_timeout) = (Duration::from_secs(20), Duration::from_secs(20));
                let options = RedisOptions::new("");
                found.push(RedisOptions { urls, cluster, prefix: prefix(), lookup_timeout, write_timeout, ..options });
            }
            Err(_) => eprintln!("not run: {variable} is not set"),
        }
    }
    found
}

fn prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    format!("banter-test-{}-{now}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_come_and_go() {
    for options in registries() {
        behaviour::sessions::users_come_and_go(&RedisSessions::new(options).unwrap(), behaviour::seed()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lives_are_told_apart() {
    for options in registries() {
        behaviour::sessions::lives_are_told_apart(&RedisSessions::new(options).unwrap(), behaviour::seed()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once() {
    for options in registries() {
        behaviour::sessions::many_at_once(&RedisSessions::new(options).unwrap(), behaviour::seed()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn away_is_told_at_once_and_back_is_noticed() {
    let Some(options) = registries().into_iter().find(|options| !options.cluster) else { return };
    let (engine, database) = options.urls[0].trim_start_matches("redis://").split_once('/').unwrap_or((&options.urls[0], ""));
    let link = Proxy::to(engine.trim_start_matches("redis://")).await;
    let options = RedisOptions { urls: vec![format!("redis://{}/{database}", link.address())], ..options };
    let sessions = RedisSessions::new(options).unwrap();
    let at = NodeIncarnation { number: 1, incarnation: 1 };
    let user = [UserId(7)];
    sessions.update(at, &user, &[]).await.unwrap();
    assert_eq!(sessions.gateways(&user).await.unwrap(), [(user[0], at)]);
    link.cut();
    let mut refusals = 0;
    for _ in 0..1_000 {
        let asked = timeout(Duration::from_secs(30), sessions.gateways(&user)).await.unwrap();
        refusals += usize::from(asked == Err(SessionsError::Away("it was when it was last tried".to_owned())));
        assert!(matches!(asked, Err(SessionsError::Away(_))), "{asked:?}");
    }
    assert!(refusals > 900, "only {refusals} of 1,000 calls were answered without trying");
    link.mend();
    let back = async {
        while sessions.gateways(&user).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), back).await.expect("never back");
    assert_eq!(sessions.gateways(&user).await.unwrap(), [(user[0], at)]);
    sessions.update(at, &[], &user).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_does_not_answer_is_given_up_in_time() {
    // It accepts, and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    let sessions = RedisSessions::new(RedisOptions::new(url)).unwrap();
    let asked = timeout(Duration::from_secs(30), sessions.gateways(&[UserId(7)])).await.unwrap();
    assert!(matches!(asked, Err(SessionsError::Away(_))), "{asked:?}");
    assert!(RedisSessions::new(RedisOptions::new("nonsense")).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_has_forgotten_the_scripts_is_told_them() {
    for options in registries() {
        let client = redis::Client::open(options.urls[0].as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        redis::cmd("SCRIPT").arg("FLUSH").query_async::<()>(&mut connection).await.unwrap();
        let sessions = RedisSessions::new(options).unwrap();
        let at = NodeIncarnation { number: 1, incarnation: 1 };
        let users: Vec<UserId> = (1..500).map(UserId).collect();
        sessions.update(at, &users, &[]).await.unwrap();
        assert_eq!(sessions.gateways(&users).await.unwrap().len(), users.len());
        sessions.update(at, &[], &users).await.unwrap();
    }
}

/// What goes out together is one round trip, and what is not sent at all is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn round_trips_are_counted() {
    for options in registries() {
        let sessions = RedisSessions::new(options).unwrap();
        let at = NodeIncarnation { number: 1, incarnation: 1 };
        let users: Vec<UserId> = (1..500).map(UserId).collect();
        // So that the scripts are known, and the connection is there.
        sessions.update(at, &users, &[]).await.unwrap();
        let counters = sessions.counters().clone();
        let seen = || [&counters.requests, &counters.commands].map(|counter| counter.load(Ordering::Relaxed));
        let before = seen();
        assert_eq!(sessions.gateways(&users).await.unwrap().len(), users.len());
        assert_eq!(sessions.gateways(&[]).await.unwrap(), []);
        sessions.update(at, &[], &users).await.unwrap();
        let shards: BTreeSet<u32> = users.iter().map(|user| shard_of(*user)).collect();
        assert_eq!(seen(), [before[0] + 2, before[1] + 2 * shards.len() as u64]);
        assert_eq!(counters.failed_requests.load(Ordering::Relaxed), 0);
    }
}
