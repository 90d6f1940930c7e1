//! Listing, writing and reading.

use std::time::Duration;

use banter_protocol::ConversationSummary;

use super::arguments::{Read, Write};
use super::input;
use super::names::{self, Names};
use super::output::{Output, Style, clean, clock};
use crate::api::Api;
use crate::sync::Window;
use crate::{Client, Error, Place, Profile};

/// All conversations of the user, the latest first.
pub(super) async fn all(api: &Api) -> Result<Vec<ConversationSummary>, Error> {
    let mut summaries = Vec::new();
    let mut more = None;
    loop {
        let part = api.conversations(more.as_deref()).await?;
        summaries.extend(part.conversations);
        more = part.more;
        if more.is_none() {
            break;
        }
    }
    summaries.sort_by_key(|summary| std::cmp::Reverse(summary.at));
    Ok(summaries)
}

pub(super) async fn list(profile: &Profile, output: &Output) -> Result<(), Error> {
    let api = profile.api();
    let me = profile.account().user;
    let summaries = all(api).await?;
    let mut names = Names::kept_in(profile.store());
    if summaries.is_empty() {
        output.hint("no conversations yet: `write HANDLE TEXT` begins one, `group create` makes a group");
    }
    if !output.json {
        let peers = summaries.iter().filter_map(|summary| summary.conversation.peer_of(me));
        let writers = summaries.iter().filter_map(|summary| Some(summary.preview.as_ref()?.sender));
        names.learn(api, peers.chain(writers)).await;
    }
    for summary in summaries {
        output.either(&summary, || line(output, &names, me, &summary));
    }
    Ok(())
}

/// A conversation in one line.
pub(super) fn line(output: &Output, names: &Names, me: banter_model::UserId, summary: &ConversationSummary) -> String {
    let title = output.styled(Style::Bold, &names.title_of(me, summary));
    let unread = if summary.unread > 0 { format!(" ({} unread)", summary.unread) } else { String::new() };
    let preview = summary.preview.as_ref().map_or(String::new(), |preview| {
        let text = if preview.redacted { "(deleted)".to_owned() } else { clean(&preview.text.replace('\n', " ")) };
        format!("  {}: {text}", names.of(preview.sender))
    });
    let at = output.styled(Style::Dim, &format!("{} {}", summary.conversation, clock(summary.at)));
    format!("{title}{unread}  {at}{preview}")
}

pub(super) async fn write(place: Place, output: &Output, write: Write) -> Result<(), Error> {
    let Write { to, text, reply_to, timeout } = write;
    let text = input::text(text)?;
    let client = Client::open(place).await?;
    let result = async {
        let conversation = names::conversation(client.api(), client.store(), client.user(), &to).await.map_err(|mut error| {
            if error.is_transient() {
                error.message.push_str(&format!("; nothing was kept, since this device does not know {to} yet"));
            }
            error
        })?;
        let ticket = client.send(conversation, &text, reply_to).await?;
        let waited = tokio::time::timeout(Duration::from_secs(timeout), ticket.stored()).await;
        waited.unwrap_or_else(|_| {
            let message = format!("not stored within {timeout} s; it is kept here and sent with the next command that connects");
            Err(Error::new("not_stored_yet", message))
        })
    }
    .await;
    client.shutdown().await;
    let stored = result?;
    output.either(&stored, || format!("✓ {}", stored.seq));
    Ok(())
}

pub(super) async fn read(profile: &Profile, output: &Output, read: Read) -> Result<(), Error> {
    let (api, me) = (profile.api(), profile.account().user);
    let conversation = names::conversation(api, profile.store(), me, &read.conversation).await?;
    let window = match (read.before, read.after, read.around) {
        (Some(seq), _, _) => Window::Before(seq),
        (_, Some(seq), _) => Window::After(seq),
        (_, _, Some(seq)) => Window::Around(seq),
        _ => Window::Newest,
    };
    let page = match api.page(conversation, window, read.limit).await {
        Err(error) if error.is_transient() => {
            let Some(page) = profile.stored_page(conversation, window, read.limit).await? else { return Err(error) };
            output.note(&format!("{}; this is what is stored on this device", error.message));
            page
        }
        answered => answered?,
    };
    let mut names = Names::kept_in(profile.store());
    if !output.json {
        names.learn_from(api, &page.events).await;
    }
    for event in &page.events {
        output.either(event, || output.event(event, &names));
    }
    if let Some(last) = page.events.last().filter(|_| read.mark) {
        api.mark_read(conversation, last.seq).await?;
    }
    Ok(())
}
