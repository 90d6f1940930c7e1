//! Other users: profiles, friends, blocks, presence.

use banter_model::UserId;
use banter_model::limits::USERS_PER_QUESTION;
use banter_model::name::normalise_handle;
use banter_protocol::api::{Blocks, Friends, Friendship, Presences, Profile, Profiles};
use reqwest::Method;

use super::Api;
use crate::Error;

impl Api {
    /// Profiles by id, in the same order. Asks several times when there are many.
    pub async fn users(&self, users: &[UserId]) -> Result<Vec<Profile>, Error> {
        let mut profiles = Vec::with_capacity(users.len());
        for some in users.chunks(USERS_PER_QUESTION) {
            let answer: Profiles = self.get(&format!("/v1/users?ids={}", joined(some))).await?;
            profiles.extend(answer.users);
        }
        Ok(profiles)
    }

    /// The profile of `handle`, with or without `@`.
    pub async fn user_by_handle(&self, handle: &str) -> Result<Profile, Error> {
        let handle = normalise_handle(handle).map_err(|error| Error::new("invalid_handle", error.to_string()))?;
        self.get(&format!("/v1/handles/{handle}")).await
    }

    /// Friends and requests.
    pub async fn friends(&self) -> Result<Friends, Error> {
        self.get("/v1/friends").await
    }

    /// Asks somebody to be a friend; accepts if they asked before.
    pub async fn request_friend(&self, user: UserId) -> Result<Friendship, Error> {
        self.post(&format!("/v1/friends/{user}")).await
    }

    /// Accepts a request.
    pub async fn accept_friend(&self, user: UserId) -> Result<Friendship, Error> {
        self.post(&format!("/v1/friends/{user}/accept")).await
    }

    /// Declines a request, takes an own one back, or ends a friendship.
    pub async fn remove_friend(&self, user: UserId) -> Result<(), Error> {
        self.tell(Method::DELETE, &format!("/v1/friends/{user}"), None).await
    }

    /// Whom the user blocks.
    pub async fn blocks(&self) -> Result<Blocks, Error> {
        self.get("/v1/blocks").await
    }

    /// Blocks somebody.
    pub async fn block(&self, user: UserId) -> Result<(), Error> {
        self.tell(Method::PUT, &format!("/v1/blocks/{user}"), None).await
    }

    /// Ends a block.
    pub async fn unblock(&self, user: UserId) -> Result<(), Error> {
        self.tell(Method::DELETE, &format!("/v1/blocks/{user}"), None).await
    }

    /// Who is online, of at most 200.
    pub async fn presence(&self, users: &[UserId]) -> Result<Presences, Error> {
        self.get(&format!("/v1/presence?ids={}", joined(users))).await
    }
}

fn joined(users: &[UserId]) -> String {
    users.iter().map(UserId::to_string).collect::<Vec<_>>().join(",")
}
