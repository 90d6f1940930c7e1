//! Making and changing groups.

use banter_model::UserId;
use banter_protocol::api::{ChangeGroup, CreateGroup, SetRole};
use rand::RngExt;

use super::arguments::Group;
use super::conversations::all;
use super::names::{self, Names};
use super::output::Output;
use crate::client::group_of;
use crate::{Error, Profile};

pub(super) async fn run(profile: &Profile, output: &Output, group: Group) -> Result<(), Error> {
    let api = profile.api();
    let id = |text: &str| group_of(text.parse().map_err(|error| Error::new(Error::INVALID_ARGUMENT, format!("{error}")))?);
    let changed = match group {
        Group::Create { title, members, earlier_history } => {
            let members = names::users(api, &members).await?;
            // An answer that is lost can be asked for again with it, and makes no second group.
            let key = format!("{:032x}", rand::rng().random::<u128>());
            let body = CreateGroup { title, members, earlier_history, key };
            let mut result = api.create_group(&body).await;
            if result.as_ref().is_err_and(Error::is_transient) {
                result = api.create_group(&body).await;
            }
            let conversation = result?;
            output.either(&serde_json::json!({ "conversation": conversation }), || conversation.to_string());
            return Ok(());
        }
        Group::List { group } => return list(profile, output, group).await,
        Group::Add { group, members } => api.add_members(id(&group)?, names::users(api, &members).await?).await?,
        Group::Remove { group, member } => api.remove_member(id(&group)?, names::user(api, &member).await?).await?,
        Group::Leave { group } => api.leave(id(&group)?).await?,
        Group::Rename { group, title } => {
            api.change_group(id(&group)?, &ChangeGroup { title: Some(title), earlier_history: None }).await?
        }
        Group::Role { group, member, role } => {
            api.set_role(id(&group)?, names::user(api, &member).await?, &SetRole { role: role.into() }).await?
        }
    };
    output.either(&changed, || "done".to_owned());
    Ok(())
}

async fn list(profile: &Profile, output: &Output, group: Option<String>) -> Result<(), Error> {
    let api = profile.api();
    let summaries = match group {
        Some(group) => {
            let id = group.parse().map_err(|error| Error::new(Error::INVALID_ARGUMENT, format!("{error}")))?;
            group_of(id)?;
            vec![api.conversation(id).await?]
        }
        None => all(api).await?,
    };
    let mut names = Names::kept_in(profile.store());
    if summaries.iter().all(|summary| summary.group.is_none()) {
        output.hint("no groups yet: `group create TITLE HANDLE...` makes one");
    }
    for summary in summaries {
        let Some(group) = &summary.group else { continue };
        let object = serde_json::json!({ "conversation": summary.conversation, "group": group });
        if output.json {
            output.object(&object);
            continue;
        }
        let users: Vec<UserId> = group.members.iter().map(|member| member.user).collect();
        names.learn(api, users).await;
        let members: Vec<String> =
            group.members.iter().map(|member| format!("{} ({})", names.of(member.user), member.role)).collect();
        let title = names.title_of(profile.account().user, &summary);
        output.line(format!("{} {title}: {}", summary.conversation, members.join(", ")));
    }
    Ok(())
}
