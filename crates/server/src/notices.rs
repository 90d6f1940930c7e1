//! Notices: what sessions and nodes are told that is in no log. One way for all of it, whether the sessions are here or on other nodes.

use std::sync::Arc;

use banter_model::{DeviceId, Millis, UserId};
use banter_protocol::ServerFrame;
use banter_protocol::frame::AccountPart;
use banter_store::Origin;

use crate::auth::removed_devices::RemovedDevices;
use crate::clock;
use crate::conversations::relations::Relations;
use crate::gateway::EncodedFrame;
use crate::gateway::hub::Hub;

/// Something to be told, here and on the nodes that it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A frame for the sessions of these users.
    Frame {
        /// Whose sessions.
        users: Vec<UserId>,
        /// What they are told.
        frame: EncodedFrame,
        /// The one session that is not told: it did it.
        except: Option<Origin>,
        /// May it be lost when there is too much to tell?
        ephemeral: bool,
    },
    /// Devices were removed: their tokens are refused from now on, their sessions end.
    SignedOut {
        /// Whose.
        user: UserId,
        /// Which.
        devices: Vec<DeviceId>,
        /// When.
        at: Millis,
    },
    /// Settings, friends, blocks or accounts changed: what is remembered of these users is forgotten.
    Forget {
        /// Of whom.
        users: Vec<UserId>,
    },
}

/// The way to the other nodes. Never waits.
pub trait Elsewhere: Send + Sync + 'static {
    /// Hands a notice on to the nodes that it concerns; this one has seen to it for itself.
    fn notify(&self, notice: Notice);
}

/// Tells sessions and nodes.
pub struct Notices {
    number: u16,
    hub: Arc<Hub>,
    relations: Arc<Relations>,
    removed_devices: Arc<RemovedDevices>,
    /// `None` when all sessions are here.
    elsewhere: Option<Arc<dyn Elsewhere>>,
}

impl Notices {
    /// Notices of the node with this number, for the sessions in `hub` and those `elsewhere`.
    pub fn new(
        number: u16,
        hub: Arc<Hub>,
        relations: Arc<Relations>,
        removed_devices: Arc<RemovedDevices>,
        elsewhere: Option<Arc<dyn Elsewhere>>,
    ) -> Self {
        Notices { number, hub, relations, removed_devices, elsewhere }
    }

    /// Tells all sessions of `users`, but the one with the number `except` on this node.
    pub fn tell(&self, users: &[UserId], frame: &ServerFrame, except: Option<u64>) {
        self.frame(users, frame, except, false);
    }

    /// The same with something that nobody misses: it is dropped where there is too much to tell.
    pub fn mention(&self, users: &[UserId], frame: &ServerFrame) {
        self.frame(users, frame, None, true);
    }

    /// Tells all devices of `user` that a part of the account changed.
    pub fn account(&self, user: UserId, changed: AccountPart) {
        self.tell(&[user], &ServerFrame::Account { changed }, None);
    }

    /// Devices that the directory has removed: their tokens are refused from now on, their sessions end, the others are told.
    pub fn sign_out(&self, user: UserId, devices: &[DeviceId]) {
        if !devices.is_empty() {
            self.notify(Notice::SignedOut { user, devices: devices.to_vec(), at: clock::now() });
            self.account(user, AccountPart::Devices);
        }
    }

    /// What is remembered of these users is forgotten, everywhere.
    pub fn forget(&self, users: &[UserId]) {
        self.notify(Notice::Forget { users: users.to_vec() });
    }

    /// Sees to a notice on this node alone.
    pub fn receive(&self, notice: &Notice) {
        match notice {
            Notice::Frame { users, frame, except, .. } => {
                let except = except.filter(|origin| origin.gateway == self.number).map(|origin| origin.session);
                users.iter().for_each(|user| self.hub.send_encoded(*user, frame, except));
            }
            Notice::SignedOut { user, devices, at } => {
                for device in devices {
                    // In this order: a session that opens at the same time finds the device removed, or is found by the hub.
                    self.removed_devices.insert(*device, *at);
                    self.hub.sign_out(*user, *device);
                }
            }
            Notice::Forget { users } => users.iter().for_each(|user| self.relations.forget(*user)),
        }
    }

    fn notify(&self, notice: Notice) {
        self.receive(&notice);
        if let Some(elsewhere) = &self.elsewhere {
            elsewhere.notify(notice);
        }
    }

    /// Encoded once, and only if somebody may take it.
    fn frame(&self, users: &[UserId], frame: &ServerFrame, except: Option<u64>, ephemeral: bool) {
        match &self.elsewhere {
            Some(_) if users.is_empty() => {}
            Some(_) => {
                let except = except.map(|session| Origin { gateway: self.number, session });
                self.notify(Notice::Frame { users: users.to_vec(), frame: self.hub.encode(frame), except, ephemeral });
            }
            None => {
                let mut encoded = None;
                for user in users.iter().filter(|user| self.hub.has_session(**user)) {
                    let encoded = encoded.get_or_insert_with(|| self.hub.encode(frame));
                    self.hub.send_encoded(*user, encoded, except);
                }
            }
        }
    }
}
