//! Friends, blocks, and who somebody is.

use banter_protocol::api::{Friends, FriendshipState, Profile as UserProfile};
use banter_protocol::frame::PresenceState;

use super::accounts::describe;
use super::arguments::Friend;
use super::names;
use super::output::{Output, clock};
use crate::{Error, Profile};

pub(super) async fn friend(profile: &Profile, output: &Output, friend: Friend) -> Result<(), Error> {
    let api = profile.api();
    let friendship = match friend {
        Friend::List => return list(output, api.friends().await?),
        Friend::Request { user } => api.request_friend(names::user(api, &user).await?).await?,
        Friend::Accept { user } => api.accept_friend(names::user(api, &user).await?).await?,
        Friend::Decline { user } | Friend::Remove { user } => {
            api.remove_friend(names::user(api, &user).await?).await?;
            output.done("done");
            return Ok(());
        }
    };
    output.either(&friendship, || match friendship.state {
        FriendshipState::Requested => "asked".to_owned(),
        FriendshipState::Friends => "you are friends now".to_owned(),
    });
    Ok(())
}

fn list(output: &Output, friends: Friends) -> Result<(), Error> {
    let kinds = [("friend", friends.friends), ("incoming", friends.incoming), ("outgoing", friends.outgoing)];
    if kinds.iter().all(|(_, profiles)| profiles.is_empty()) {
        output.hint("no friends or requests yet: `friend request HANDLE` asks somebody");
    }
    for (kind, profiles) in kinds {
        for profile in profiles {
            let object = serde_json::json!({ "kind": kind, "profile": profile });
            let suffix = match kind {
                "incoming" => ", asks to be a friend",
                "outgoing" => ", was asked",
                _ => "",
            };
            output.either(&object, || format!("{}{suffix}", describe(output, &profile)));
        }
    }
    Ok(())
}

pub(super) async fn block(profile: &Profile, output: &Output, user: &str, block: bool) -> Result<(), Error> {
    let api = profile.api();
    let user = names::user(api, user).await?;
    if block {
        api.block(user).await?
    } else {
        api.unblock(user).await?
    }
    output.done(if block { "blocked" } else { "no longer blocked" });
    Ok(())
}

pub(super) async fn blocks(profile: &Profile, output: &Output) -> Result<(), Error> {
    let blocked = profile.api().blocks().await?.users;
    if blocked.is_empty() {
        output.hint("nobody is blocked");
    }
    for user in blocked {
        output.either(&user, || describe(output, &user));
    }
    Ok(())
}

pub(super) async fn who(profile: &Profile, output: &Output, user: &str) -> Result<(), Error> {
    let api = profile.api();
    let found: UserProfile = match user.parse() {
        Ok(id) => api.users(&[id]).await?.pop().ok_or_else(|| Error::unexpected("no profile"))?,
        Err(_) => api.user_by_handle(user).await?,
    };
    let presence = api.presence(&[found.user]).await?.users.pop();
    let object = serde_json::json!({ "profile": found, "presence": presence });
    output.either(&object, || {
        let presence = match presence.as_ref().map(|presence| (presence.state, presence.last_seen)) {
            Some((PresenceState::Online, _)) => "\nonline".to_owned(),
            Some((PresenceState::Offline, Some(at))) => format!("\nlast seen {}", clock(at)),
            Some((PresenceState::Offline, None)) => "\noffline".to_owned(),
            _ => String::new(),
        };
        format!("{}{presence}", describe(output, &found))
    });
    Ok(())
}
