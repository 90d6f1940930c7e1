//! The end of a run: everything written is answered, every device has everything, and the logs are read once more from outside.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use banter_client::api::{Api, log_in};
use banter_client::sync::Window;
use banter_model::UserId;
use banter_model::limits::PAGE_EVENTS;
use banter_protocol::ConversationSummary;
use tokio::time::sleep;

use super::device::{Device, Order, Report};
use super::people::People;
use crate::checker::View;

/// The longest that anything is waited for. Generous: the machine may be busy, and devices wait up to half a minute before they connect.
const PATIENCE: Duration = Duration::from_secs(180);
/// Read markers go around within this time after everything else; what does not is a violation, which the checker tells of.
const MARKERS: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);
/// How often devices that wait are told to connect at once.
const RECONNECT: Duration = Duration::from_secs(2);

/// Waits until every device is in sync.
pub async fn wait_synced(devices: &[Device]) -> Result<()> {
    wait(devices, "every device to be in sync", |_, report| !report.synced).await
}

/// Waits until everything written is answered and every device has everything, and reads every user's conversations through a new
/// device that knows nothing, at the server `base`.
pub async fn settle(people: &People, base: &str) -> Result<Vec<View>> {
    let People { cast, devices } = people;
    wait(devices, "every outbox to be empty", |_, report| report.unanswered > 0).await?;
    let mut apis = Vec::new();
    for user in 0..cast.users {
        let logged_in = log_in(base, &cast.login(user)).await.context("a new device for reading")?;
        apis.push((logged_in.user, Api::new(base, Some(logged_in.tokens), None)?));
    }
    let mut views = views(&apis).await?;
    let lacks = |device: &Device, report: &Report| {
        let own = views.iter().filter(|view| view.user == device.life.user);
        let mut own = own.map(|view| (view, report.conversations.iter().find(|state| state.id == view.conversation)));
        !report.synced || own.any(|(view, state)| state.is_none_or(|state| state.have < Some(view.head.seq)))
    };
    wait(devices, "every device to have every event", lacks).await?;
    let began = Instant::now();
    while !markers_agree(devices, &views).await? && began.elapsed() < MARKERS {
        sleep(PAUSE * 5).await;
        for view in &mut views {
            let api = apis.iter().find(|(user, _)| *user == view.user).context("nobody reads for this user")?;
            let summary = api.1.conversation(view.conversation).await?;
            (view.read, view.unread) = (summary.read, summary.unread);
        }
    }
    Ok(views)
}

async fn markers_agree(devices: &[Device], views: &[View]) -> Result<bool> {
    for device in devices {
        let report = device.report().await?;
        for view in views.iter().filter(|view| view.user == device.life.user) {
            let state = report.conversations.iter().find(|state| state.id == view.conversation);
            if state.is_none_or(|state| state.read != view.read) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

async fn wait(devices: &[Device], what: &str, waits: impl Fn(&Device, &Report) -> bool) -> Result<()> {
    let began = Instant::now();
    let mut reconnected = began;
    loop {
        let mut waiting = Vec::new();
        for device in devices {
            let report = device.report().await?;
            if waits(device, &report) {
                waiting.push((device, report));
            }
        }
        if waiting.is_empty() {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            let (device, report) = &waiting[0];
            bail!("waiting for {what}: {} devices are not there, {} among them: {report:?}", waiting.len(), device.life.name);
        }
        if reconnected.elapsed() > RECONNECT {
            waiting.iter().for_each(|(device, _)| device.order(Order::Reconnect));
            reconnected = Instant::now();
        }
        sleep(PAUSE).await;
    }
}

async fn views(apis: &[(UserId, Api)]) -> Result<Vec<View>> {
    let mut views = Vec::new();
    for (user, api) in apis {
        let mut more = None;
        loop {
            let part = api.conversations(more.as_deref()).await?;
            for summary in part.conversations {
                views.push(view(*user, api, summary).await?);
            }
            more = part.more;
            if more.is_none() {
                break;
            }
        }
    }
    Ok(views)
}

async fn view(user: UserId, api: &Api, summary: ConversationSummary) -> Result<View> {
    let id = summary.conversation;
    let mut events = Vec::new();
    let mut after = 0;
    while after < summary.head_seq {
        let page = api.page(id, Window::After(after), PAGE_EVENTS).await?;
        if page.to <= after {
            bail!("user {user} gets nothing after {after} in {id}, which ends at {}", summary.head_seq);
        }
        after = page.to;
        events.extend(page.events);
    }
    let (title, members) = summary.group.map(|group| (group.title, group.members)).unwrap_or_default();
    let mut members: Vec<UserId> = members.iter().map(|member| member.user).collect();
    members.sort_unstable();
    Ok(View {
        user,
        conversation: id,
        events,
        head: banter_model::Marker { seq: summary.head_seq, ordinal: summary.head_ordinal },
        read: summary.read,
        unread: summary.unread,
        title,
        members,
        preview: summary.preview.map(|preview| (preview.seq, preview.text)),
    })
}
