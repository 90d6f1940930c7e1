//! Rules of `banter_model` that clients apply themselves, as cases with their answers.

use banter_model::name::{check_about, check_display_name, check_password, check_reaction, check_title, normalise_handle};
use banter_model::text::check_text;
use banter_model::{
    Conversation, ConversationId, DeviceId, EventBody, EventId, GroupId, Refusal, Role, UserId, amend, fold, mention,
};
use banter_protocol::Event;
use serde_json::{Value, json};

use super::Random;

/// A text and how often it is repeated, so that long ones stay short here.
const TEXTS: [(&str, usize); 30] = [
    ("hello", 1),
    ("", 1),
    (" ", 1),
    ("\n\t\r\n", 1),
    ("\u{3000}\u{2003}", 1),
    ("\u{feff}", 1),
    ("\u{feff}a", 1),
    ("\u{85}", 1),
    ("\u{200b}", 1),
    ("\u{1680}", 1),
    ("a\0b", 1),
    ("a\u{1b}b", 1),
    ("a\u{7f}b", 1),
    ("a\u{85}b", 1),
    ("a\u{9f}b", 1),
    ("a\u{a0}b", 1),
    ("a\n\tb\r\n", 1),
    ("\u{202e}right to left\u{202c}", 1),
    ("e\u{301}", 1),
    ("👩\u{200d}👩\u{200d}👧", 1),
    ("a", 100_000),
    ("a", 100_001),
    ("😀", 100_000),
    ("😀", 100_001),
    ("ab😀", 33_334),
    ("ä", 64),
    ("ä", 65),
    ("😀", 100),
    ("😀", 101),
    ("😀", 281),
];

const NAMES: [&str; 14] =
    ["@Ada_99", "ada", "ab", "_ada", "9ada", "a b", "ädä", "ada-b", "@@ada", "@", "abc", "\u{212A}elvin", "ADA", "ada\n"];

const EMOJI: [&str; 18] = [
    "👍",
    "❤️",
    "👩‍👩‍👧",
    "1️⃣",
    "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "🇧🇷",
    "",
    "a",
    "1",
    "👍 ",
    "ok👍",
    "\0",
    "👍👍👍👍👍👍👍👍👍👍👍👍👍👍👍👍👍",
    "#",
    "*️⃣",
    "ß",
    "א",
    "①",
];

const MENTIONS: [&str; 20] = [
    "😀 @Ada, and @bob.",
    "@ada@bob (@eve)",
    "mail ada@example.org",
    "https://x.org/@ada",
    "@ab",
    "@",
    "@@ada",
    "@9lives",
    "ä@ada",
    "א@ada",
    "٣@ada",
    "①@ada",
    "😀@ada",
    "_@ada",
    "-@ada",
    "@ada_",
    "@adaä",
    "\u{301}@ada",
    "𝒳@ada",
    "(@ADA)@bob @eve/@ann",
];

fn refused(result: Result<(), Refusal>) -> Value {
    match result {
        Ok(()) => Value::Null,
        Err(refusal) => json!({ "code": refusal.code(), "message": refusal.to_string() }),
    }
}

fn texts() -> Value {
    let case = |(text, times): (&str, usize)| {
        let whole = text.repeat(times);
        json!({
            "text": text,
            "times": times,
            "characters": whole.chars().count(),
            "first_5": whole.chars().take(5).collect::<String>(),
            "text_check": refused(check_text(&whole)),
            "title": refused(check_title(&whole).map_err(Refusal::from)),
            "display_name": refused(check_display_name(&whole).map_err(Refusal::from)),
            "about": refused(check_about(&whole).map_err(Refusal::from)),
            "password": refused(check_password(&whole).map_err(Refusal::from)),
        })
    };
    TEXTS.into_iter().map(case).collect()
}

fn handles() -> Value {
    let long = ["a".repeat(32), "a".repeat(33)];
    let all = NAMES.into_iter().map(str::to_owned).chain(long);
    all.map(|text| json!({ "text": text, "handle": normalise_handle(&text).ok() })).collect()
}

fn reactions() -> Value {
    EMOJI
        .into_iter()
        .map(|text| json!({ "text": text, "refusal": refused(check_reaction(text).map_err(Refusal::from)) }))
        .collect()
}

fn mentions() -> Value {
    let long = [format!("@{}", "a".repeat(32)), format!("@{}", "a".repeat(33)), "@ada ".repeat(120)];
    let all = MENTIONS.into_iter().map(str::to_owned).chain(long);
    let found = |text: &str| -> Vec<Value> {
        mention::find(text)
            .into_iter()
            .map(|one| json!({ "handle": one.handle, "start": one.start, "length": one.length }))
            .collect()
    };
    all.map(|text| json!({ "text": text, "found": found(&text) })).collect()
}

fn conversations() -> Value {
    let users = [1_u64, 2, 9, 10, 99, 100, u64::MAX].map(UserId);
    let mut ids: Vec<_> =
        users.iter().flat_map(|one| users.iter().filter_map(|other| ConversationId::direct(*one, *other))).collect();
    ids.extend([1, 2, 10, u64::MAX].map(|id| ConversationId::Group(GroupId(id))));
    ids.sort_unstable();
    ids.dedup();
    // In order; with the other one, as user 9 sees it.
    ids.into_iter().map(|id| json!({ "id": id, "peer_of_9": id.peer_of(UserId(9)) })).collect()
}

fn event(seq: u64, sender: u64, body: EventBody) -> banter_model::Event {
    let (id, device) = (EventId(seq), DeviceId(sender * 10));
    banter_model::Event { seq, ordinal: seq, id, at: 1_000 + seq, sender: UserId(sender), device, tag: None, body }
}

/// A message, and what is made of it, step by step. Some events are about another message, come twice or come out of order.
fn amendments() -> Value {
    let mut random = Random(11);
    let mut cases = vec![];
    for _ in 0..40 {
        let message =
            EventBody::Message { text: "one @ada".into(), reply_to: None, mentions: vec![], amendments: Default::default() };
        let mut message = Event::from(event(3, 1, message));
        let begun = message.clone();
        let mut steps = vec![];
        for number in 0..12 {
            let (seq, sender) = (2 + random.below(14), 1 + random.below(3));
            let target = if random.chance(90) { 3 } else { 4 };
            let body = match random.below(10) {
                0 => EventBody::Redaction { target },
                1..=3 => {
                    let mentions = vec![banter_model::Mention { user: UserId(2), start: 0, length: 4 }];
                    let mentions = if random.chance(50) { mentions } else { vec![] };
                    let text = if random.chance(10) { String::new() } else { format!("edit {number}") };
                    EventBody::Edit { target, text, mentions }
                }
                4 => EventBody::TitleChanged { title: "x".into() },
                _ => {
                    let emoji = ["👍", "🎉", "😀"][random.below(3) as usize].to_owned();
                    EventBody::Reaction { target, emoji, added: random.chance(60) }
                }
            };
            let event = Event::from(event(seq, sender, body));
            let changed = crate::sync::amend(&mut message, &event);
            steps.push(json!({ "event": event, "changed": changed, "message": message }));
        }
        cases.push(json!({ "message": begun, "steps": steps }));
    }
    let many = (0..25_u32).map(|number| char::from_u32(0x1F600 + number).unwrap().to_string());
    let message = EventBody::Message { text: "x".into(), reply_to: None, mentions: vec![], amendments: Default::default() };
    let mut target = event(1, 1, message);
    let begun = Event::from(target.clone());
    let steps: Vec<Value> = many
        .enumerate()
        .map(|(index, emoji)| {
            let event = event(2 + index as u64, 2, EventBody::Reaction { target: 1, emoji, added: true });
            let changed = amend::amend(&mut target, &event);
            json!({ "event": Event::from(event), "changed": changed, "message": Event::from(target.clone()) })
        })
        .collect();
    cases.push(json!({ "message": begun, "steps": steps }));
    cases.into()
}

/// A group's log, with the roster after each event.
fn rosters() -> Value {
    let mut random = Random(13);
    let mut cases = vec![];
    for _ in 0..20 {
        let mut conversation = Conversation::new(ConversationId::Group(GroupId(7)));
        let created =
            EventBody::GroupCreated { title: "Boat".into(), members: vec![UserId(2), UserId(30)], earlier_history: false };
        let mut events = vec![event(1, 1, created)];
        for seq in 2..30 {
            let user = UserId([1, 2, 3, 9, 10, 30, 100][random.below(7) as usize]);
            let body = match random.below(8) {
                0 | 1 => EventBody::MembersAdded { members: vec![user, UserId(11 + random.below(3))] },
                2 => EventBody::MemberRemoved { member: user },
                3 => EventBody::MemberLeft { successor: random.chance(50).then_some(UserId(2)) },
                4 => EventBody::RoleChanged { member: user, role: Role::Owner },
                5 => EventBody::RoleChanged { member: user, role: if random.chance(50) { Role::Admin } else { Role::Member } },
                6 => EventBody::TitleChanged { title: format!("title {seq}") },
                _ => EventBody::EarlierHistoryChanged { earlier_history: random.chance(50) },
            };
            events.push(event(seq, 1 + random.below(3), body));
        }
        let steps = events.into_iter().map(|event| {
            fold::change_roster(&mut conversation, &event);
            json!({ "event": Event::from(event), "roster": conversation.roster })
        });
        cases.push(Value::from(steps.collect::<Vec<_>>()));
    }
    cases.into()
}

/// Who may put out whom: a member with the role `has` one with the role `other`.
fn removals() -> Value {
    let roles = [Role::Member, Role::Admin, Role::Owner];
    let tried = |has: Role, other: Role| {
        let mut conversation = Conversation::new(ConversationId::Group(GroupId(7)));
        let since = 1;
        conversation.roster.members =
            [(1, has), (2, other)].map(|(user, role)| banter_model::Member { user: UserId(user), role, since }).into();
        conversation.head.seq = 1;
        let command = banter_model::Command {
            conversation: conversation.id,
            sender: UserId(1),
            device: DeviceId(1),
            tag: None,
            id: EventId(1),
            action: banter_model::Action::RemoveMember { member: UserId(2) },
        };
        matches!(fold::apply(&mut conversation, 1, command, None), banter_model::Outcome::Applied { .. })
    };
    // There is one owner, so an owner never meets another.
    let pairs = roles.into_iter().flat_map(|has| roles.into_iter().map(move |other| (has, other)));
    pairs
        .filter(|pair| *pair != (Role::Owner, Role::Owner))
        .map(|(has, other)| json!({ "has": has, "other": other, "may": tried(has, other) }))
        .collect()
}

/// All of them, by name.
pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("texts", texts()),
        ("handles", handles()),
        ("reactions", reactions()),
        ("mentions", mentions()),
        ("conversations", conversations()),
        ("amendments", amendments()),
        ("rosters", rosters()),
        ("removals", removals()),
    ]
}
