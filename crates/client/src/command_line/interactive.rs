//! The interactive session: one conversation at a time, live.

use std::time::Duration;

use banter_model::{ConversationId, Seq, UserId};
use banter_protocol::Event;
use banter_protocol::frame::PresenceState;
use tokio::sync::mpsc;

use super::follow::{Events, conversation_of};
use super::lines::{self, Terminal, Typed};
use super::names::{self, Names};
use super::output::{Output, Style, clean, clock};
use crate::sync::{ConnectionState, ConversationState, Notification, Window};
use crate::{Client, Error, Place, Ticket};

/// Events shown when a conversation is opened.
const SHOWN: usize = 20;
/// How long to wait for the server before showing what is here.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait for answers at the end of input.
const LAST: Duration = Duration::from_secs(30);
/// Answers that wait to be shown.
const ANSWERS: usize = 1_024;

const HELP: &str = "\
a line is sent as a message; the number before a message is what these take:
  /reply 12 text     answers message 12
  /react 12 👍       puts an emoji on it (/unreact takes it away)
  /edit 12 text      writes an own message anew
  /delete 12         deletes it for everyone
  /older             shows earlier messages
  /open @ada         goes to another conversation
  /list              lists the conversations
  /quit              ends";

struct Session<'a> {
    client: &'a Client,
    output: &'a Output,
    names: Names,
    open: Option<ConversationId>,
    /// The first event shown.
    oldest: Seq,
    /// The conversations as they were listed, by number.
    listed: Vec<ConversationId>,
    answers: mpsc::Sender<Result<Seq, Error>>,
    unanswered: usize,
}

pub(super) async fn run(place: Place, output: &Output) -> Result<(), Error> {
    if output.json {
        return Err(Error::new(Error::INVALID_ARGUMENT, "--json needs a command: see --help"));
    }
    let client = Client::open(place).await?;
    let terminal = Terminal::remember();
    let result = session(&client, output).await;
    output.set_printer(None);
    drop(terminal);
    client.shutdown().await;
    result
}

async fn session(client: &Client, output: &Output) -> Result<(), Error> {
    match tokio::time::timeout(PATIENCE, client.wait_synced()).await {
        Ok(synced) => synced?,
        Err(_) => output.line(output.styled(Style::Dim, "no connection yet; what you write is kept and sent later")),
    }
    let mut events = Events::new(client, None).await?;
    let mut typed = lines::read(output)?;
    let (answers, mut answered) = mpsc::channel(ANSWERS);
    let (names, listed) = (Names::kept_in(client.store()), vec![]);
    let mut session = Session { client, output, names, open: None, oldest: 0, listed, answers, unanswered: 0 };
    session.list().await?;
    output.line("choose a number or a handle; /help says what else there is");
    loop {
        tokio::select! {
            line = typed.recv() => match line {
                None => {
                    // The end of a pipe, perhaps: what was written is given its time.
                    let _ = tokio::time::timeout(LAST, session.answered(&mut answered)).await;
                    break;
                }
                Some(Typed::Key) => if let Some(conversation) = session.open {
                    client.typing(conversation).await?;
                },
                Some(Typed::Line(line)) => match session.take(line.trim_end()).await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => output.line(format!("! {}", clean(&error.message))),
                },
            },
            Some(answer) = answered.recv() => session.show_answer(answer),
            notification = events.next() => match notification? {
                Some(Notification::SignedOut { message }) => return Err(Error::new(Error::SIGNED_OUT, message)),
                Some(notification) => session.show(notification).await?,
                None => break,
            },
        }
    }
    Ok(())
}

impl Session<'_> {
    /// Does what a line says; false at the end.
    async fn take(&mut self, line: &str) -> Result<bool, Error> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" => {}
            "/quit" | "/exit" => return Ok(false),
            "/help" => self.output.line(HELP),
            "/list" => self.list().await?,
            "/open" => self.open(rest.trim()).await?,
            "/older" => self.older().await?,
            "/reply" => {
                let (seq, text) = numbered(rest)?;
                let ticket = self.client.send(self.conversation()?, text, Some(seq)).await?;
                self.wait(ticket);
            }
            "/react" | "/unreact" => {
                let (seq, emoji) = numbered(rest)?;
                let ticket = self.client.react(self.conversation()?, seq, emoji.trim(), word == "/react").await?;
                self.wait(ticket);
            }
            "/edit" => {
                let (seq, text) = numbered(rest)?;
                let ticket = self.client.edit(self.conversation()?, seq, text).await?;
                self.wait(ticket);
            }
            "/delete" => {
                let (seq, _) = numbered(rest)?;
                let ticket = self.client.redact(self.conversation()?, seq).await?;
                self.wait(ticket);
            }
            _ if word.starts_with('/') => {
                return Err(Error::new(Error::INVALID_ARGUMENT, format!("there is no {word}: see /help")));
            }
            _ if self.open.is_none() => self.open(line).await?,
            _ => {
                let ticket = self.client.send(self.conversation()?, line, None).await?;
                self.wait(ticket);
            }
        }
        Ok(true)
    }

    fn show_answer(&mut self, answer: Result<Seq, Error>) {
        self.unanswered -= 1;
        match answer {
            Ok(seq) => self.output.line(self.output.styled(Style::Dim, &format!("{seq:>5} ✓"))),
            Err(error) => self.output.line(format!("! not sent: {}", clean(&error.message))),
        }
    }

    /// Shows answers until everything written has one.
    async fn answered(&mut self, answers: &mut mpsc::Receiver<Result<Seq, Error>>) {
        while self.unanswered > 0 {
            let Some(answer) = answers.recv().await else { return };
            self.show_answer(answer);
        }
    }

    fn conversation(&self) -> Result<ConversationId, Error> {
        self.open.ok_or_else(|| Error::new(Error::INVALID_ARGUMENT, "choose a conversation first"))
    }

    fn wait(&mut self, ticket: Ticket) {
        self.unanswered += 1;
        let answers = self.answers.clone();
        tokio::spawn(async move {
            let answer = ticket.stored().await.map(|stored| stored.seq);
            // The session may be over.
            let _ = answers.send(answer).await;
        });
    }

    async fn list(&mut self) -> Result<(), Error> {
        let me = self.client.user();
        let states: Vec<ConversationState> = self.client.conversations().await?;
        let peers = states.iter().filter_map(|state| state.id.peer_of(me));
        self.names.learn(self.client.api(), peers).await;
        self.listed = states.iter().map(|state| state.id).collect();
        for (number, state) in states.iter().enumerate() {
            let title = self.output.styled(Style::Bold, &self.names.title(me, state.id, &state.roster.title));
            let unread = if state.unread() > 0 { format!(" ({} unread)", state.unread()) } else { String::new() };
            let at = self.output.styled(Style::Dim, &clock(state.at));
            self.output.line(format!("{:>3}  {title}{unread}  {at}", number + 1));
        }
        Ok(())
    }

    async fn open(&mut self, text: &str) -> Result<(), Error> {
        let (api, me) = (self.client.api(), self.client.user());
        let by_number = text.parse::<usize>().ok().and_then(|number| self.listed.get(number.checked_sub(1)?).copied());
        let conversation = match by_number {
            Some(conversation) => conversation,
            None => names::conversation(api, self.client.store(), me, text).await?,
        };
        let state = self.client.conversation(conversation).await?;
        let known = state.as_ref().is_some_and(|state| state.reaches > 0);
        // A direct conversation without a message yet has no history to ask for.
        let events = if known || !conversation.is_direct() {
            self.client.page(conversation, Window::Newest, SHOWN).await?.events
        } else {
            Vec::new()
        };
        self.open = Some(conversation);
        self.oldest = events.first().map_or(1, |event| event.seq);
        let users: Vec<UserId> = match (conversation.peer_of(me), &state) {
            (Some(peer), _) => vec![peer],
            (None, Some(state)) => state.roster.members.iter().map(|member| member.user).collect(),
            (None, None) => vec![],
        };
        self.names.learn(api, users.iter().copied()).await;
        let title = self.names.title(me, conversation, state.as_ref().map_or("", |state| &state.roster.title));
        self.output.line(self.output.styled(Style::Bold, &format!("— {title} —")));
        self.print(&events).await;
        if let Some(last) = events.last() {
            self.client.mark_read(conversation, last.seq).await?;
        }
        self.client.watch_presence(users.into_iter().filter(|user| *user != me).collect()).await
    }

    async fn older(&mut self) -> Result<(), Error> {
        let page = self.client.page(self.conversation()?, Window::Before(self.oldest), SHOWN).await?;
        self.oldest = page.events.first().map_or(self.oldest, |event| event.seq);
        self.print(&page.events).await;
        Ok(())
    }

    async fn print(&mut self, events: &[Event]) {
        self.names.learn_from(self.client.api(), events).await;
        for event in events {
            self.output.line(self.output.event(event, &self.names));
        }
    }

    async fn show(&mut self, notification: Notification) -> Result<(), Error> {
        let me = self.client.user();
        let elsewhere = self.open.is_none() || conversation_of(&notification).is_some_and(|about| Some(about) != self.open);
        let dim = |text: String| self.output.line(self.output.styled(Style::Dim, &text));
        match notification {
            Notification::Event { conversation, event } if elsewhere => {
                let is_message = matches!(event.content, banter_protocol::Content::Message { .. });
                if is_message && event.sender != me {
                    self.names.learn(self.client.api(), [event.sender]).await;
                    let state = self.client.conversation(conversation).await?;
                    let title = state.map_or(String::new(), |state| state.roster.title);
                    let place = if conversation.is_direct() { String::new() } else { format!(" in {}", clean(&title)) };
                    let line = format!("      {} wrote{place}", self.names.of(event.sender));
                    self.output.line(self.output.styled(Style::Dim, &line));
                }
            }
            Notification::Event { event, .. } if event.device == self.client.device() && event.tag.is_some() => {
                // It stands there as it was typed; its number comes with the answer.
            }
            Notification::Event { conversation, event } => {
                self.print(std::slice::from_ref(&event)).await;
                self.client.mark_read(conversation, event.seq).await?;
            }
            Notification::Delivered { user, seq, .. } if !elsewhere => {
                dim(format!("{seq:>5} ✓✓ {}", self.names.of(user)));
            }
            Notification::Read { user, seq, .. } if !elsewhere && user != me => {
                dim(format!("{seq:>5} read by {}", self.names.of(user)));
            }
            Notification::Typing { user, typing: true, .. } if !elsewhere => {
                dim(format!("      {} is typing", self.names.of(user)));
            }
            Notification::Presence { user } if self.open.is_some() => {
                let name = self.names.of(user.user);
                match (user.state, user.last_seen) {
                    (PresenceState::Online, _) => dim(format!("      {name} is online")),
                    (PresenceState::Offline, Some(at)) => dim(format!("      {name} was last seen {}", clock(at))),
                    _ => {}
                }
            }
            Notification::Connection { state: ConnectionState::Connecting } => dim("      connecting".to_owned()),
            Notification::Connection { .. } => dim("      connected".to_owned()),
            _ => {}
        }
        Ok(())
    }
}

/// `12 text`: the number of a message, and the rest.
fn numbered(text: &str) -> Result<(Seq, &str), Error> {
    let (number, rest) = text.trim_start().split_once(' ').unwrap_or((text.trim(), ""));
    let number = number.parse().map_err(|_| Error::new(Error::INVALID_ARGUMENT, "the number of a message is missing"))?;
    Ok((number, rest))
}
