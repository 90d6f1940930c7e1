//! The people of a run: their accounts, their devices, and the conversations that they write in.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use banter_client::{Place, Profile};
use banter_model::{ConversationId, UserId};
use banter_protocol::api::{Login, SignUp};
use parking_lot::Mutex;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::device::{Device, Life, Order, Shared};
use super::times::Times;
use super::writer::Writing;
use crate::checker::{Record, View};

/// The password of everybody in a run.
pub const PASSWORD: &str = "only for this run";
/// How long a group is tried to be made.
const GROUP: Duration = Duration::from_secs(60);

/// Who there are to be.
#[derive(Debug, Clone)]
pub struct Cast {
    /// What handles begin with: nobody else at the server has such.
    pub handles: String,
    /// Users.
    pub users: usize,
    /// Devices of each.
    pub devices_per_user: usize,
    /// What all devices together do in a second.
    pub rate: f64,
    /// What is random about what they write.
    pub seed: u64,
}

impl Cast {
    /// The handle of the user with this number, from 0.
    pub fn handle(&self, user: usize) -> String {
        format!("{}{user}", self.handles)
    }

    /// A login of that user.
    pub fn login(&self, user: usize) -> Login {
        Login { handle: self.handle(user), password: PASSWORD.to_owned(), device_name: None }
    }
}

/// The people of a run, with their devices.
pub struct People {
    /// Who they are.
    pub cast: Cast,
    /// Their devices, those of one user beside each other.
    pub devices: Vec<Device>,
}

impl People {
    /// Signs everybody up at the server `base`, and opens the devices, each in a folder of its own below `folder`. All devices are logged
    /// in before anything is written, so that each follows everything.
    ///
    /// # Errors
    /// When somebody cannot be signed up or logged in.
    pub async fn sign_up(cast: Cast, folder: &Path, base: &str, shared: &Arc<Shared>) -> Result<People> {
        let interval = Duration::from_secs_f64((cast.users * cast.devices_per_user) as f64 / cast.rate);
        let mut tasks = JoinSet::new();
        for user in 0..cast.users {
            let (cast, base, folder, shared) = (cast.clone(), base.to_owned(), folder.to_owned(), shared.clone());
            tasks.spawn(async move {
                let mut lives = Vec::new();
                for number in 0..cast.devices_per_user {
                    let place = folder.join(format!("device-{user}-{number}"));
                    let (home, login) = (Place::Folder(place.clone()), cast.login(user));
                    let profile = if number == 0 {
                        let Login { handle, password, device_name } = login;
                        Profile::sign_up(home, &base, &SignUp { handle, password, display_name: None, device_name }).await?
                    } else {
                        Profile::log_in(home, &base, &login).await?
                    };
                    profile.store().close().await;
                    let account = profile.account();
                    let device = (user * cast.devices_per_user + number) as u64;
                    let random = cast.seed ^ (device + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                    lives.push(Life {
                        user: account.user,
                        device: account.device,
                        name: format!("u{user}d{number}"),
                        folder: place,
                        journal: Mutex::new(Vec::new()),
                        writing: Mutex::new(Writing::new(random, interval)),
                        times: Times::default(),
                        shared: shared.clone(),
                    });
                }
                anyhow::Ok((user, lives))
            });
        }
        let mut made = Vec::new();
        while let Some(lives) = tasks.join_next().await {
            made.push(lives??);
        }
        made.sort_by_key(|(user, _)| *user);
        let lives = made.into_iter().flat_map(|(_, lives)| lives);
        let devices = lives.map(|life| Device::start(Arc::new(life))).collect::<Result<_>>()?;
        Ok(People { cast, devices })
    }

    /// Everybody writes to the next two.
    pub fn begin_direct(&self) {
        let users: Vec<UserId> = self.devices.iter().step_by(self.cast.devices_per_user).map(|device| device.life.user).collect();
        let mut pairs = BTreeSet::new();
        for (index, user) in users.iter().enumerate() {
            pairs.extend((1..=2).filter_map(|step| ConversationId::direct(*user, users[(index + step) % users.len()])));
        }
        for conversation in pairs {
            for device in self.devices.iter().filter(|device| conversation.peer_of(device.life.user).is_some()) {
                device.order(Order::Join(conversation));
            }
        }
    }

    /// Makes the group with this number (number 0 has about two thirds of all users, others fewer), and has its members write there.
    ///
    /// # Errors
    /// When it is refused, or not made within a minute.
    pub async fn make_group(&self, number: usize, random: &mut StdRng) -> Result<()> {
        let count = self.cast.users;
        let owner = random.random_range(0..count);
        let mut members: BTreeSet<UserId> = BTreeSet::new();
        let most = if number == 0 { count } else { random.random_range(1..count) };
        for _ in 0..most * 2 {
            let user = random.random_range(0..count);
            members.insert(self.devices[user * self.cast.devices_per_user].life.user);
        }
        let maker = &self.devices[owner * self.cast.devices_per_user];
        members.remove(&maker.life.user);
        let (title, members): (_, Vec<UserId>) = (format!("group {number}"), members.into_iter().collect());
        let earlier_history = random.random_bool(0.5);
        let began = Instant::now();
        let conversation = loop {
            let (reply, answer) = oneshot::channel();
            maker.order(Order::Group { title: title.clone(), members: members.clone(), earlier_history, reply });
            match answer.await {
                Ok(Ok(conversation)) => break conversation,
                Ok(Err(error)) if !error.is_transient() => bail!("a group cannot be made: {error}"),
                // No answer, or the device was killed: the same key makes the same group.
                _ => ensure!(began.elapsed() < GROUP, "waiting for a group to be made"),
            }
            sleep(Duration::from_millis(50)).await;
        };
        for device in
            self.devices.iter().filter(|device| device.life.user == maker.life.user || members.contains(&device.life.user))
        {
            device.order(Order::Join(conversation));
        }
        Ok(())
    }

    /// Everything that is known of the run, with the logs as `views` show them.
    ///
    /// # Errors
    /// When a device has ended.
    pub async fn record(&self, views: Vec<View>) -> Result<Record> {
        let mut record = Record { devices: Vec::new(), views };
        for device in &self.devices {
            record.devices.push(device.record(device.contents().await?));
        }
        Ok(record)
    }

    /// Gives all devices the same order.
    pub fn order_all(&self, order: impl Fn() -> Order) {
        self.devices.iter().for_each(|device| device.order(order()));
    }
}
