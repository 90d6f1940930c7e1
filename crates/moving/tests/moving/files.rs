//! The file: its form, and what is no such file.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use banter_model::event::{Amendments, Mention};
use banter_model::{
    ConversationId, DeviceId, Event, EventBody, EventId, GroupId, Head, Marker, Member, Membership, Role, Roster, Tag, UserId,
};
use banter_moving::record::{InstallationRecord, Record};
use banter_moving::{MoveError, export, import};
use banter_store::behaviour::Random;
use banter_store::directory::Audience;
use banter_store::directory::movable::{
    BlockRecord, DeviceRecord, DirectoryRecord, FriendshipRecord, GroupKeyRecord, LastSeenRecord, RemovedDeviceRecord, UserRecord,
};
use banter_store::history::Progress;
use banter_store::history::movable::{
    ConversationRecord, EventRecord, HistoryRecord, MembershipRecord, MentionRecord, PositionRecord, ProgressRecord,
};

use super::installations::{PARTITIONS, Place, embedded, fill, is_half_moved, quiet};
use super::random::installation;

const ADA: UserId = UserId(3);
const BOB: UserId = UserId(9);
const GROUP: ConversationId = ConversationId::Group(GroupId(7));

fn event(seq: u64, body: EventBody) -> Record {
    let tag = Some(Tag::new(4).unwrap());
    let event = Event { seq, ordinal: 1, id: EventId(5), at: 6, sender: ADA, device: DeviceId(8), tag, body };
    Record::History(HistoryRecord::Event(EventRecord { conversation: GROUP, event }))
}

/// One of each kind, with the line that it is.
fn of_each_kind() -> Vec<(Record, &'static str)> {
    let directory = Record::Directory;
    let history = Record::History;
    let marker = |seq, ordinal| Marker { seq, ordinal };
    let mut head = Head { seq: 2, ordinal: 1, at: 6, last_message: 2, position: 11, ..Head::default() };
    head.tags.note(ADA, DeviceId(8), Tag::new(4).unwrap(), 2, Some(marker(2, 1)));
    let mut membership = Membership::default();
    let created = EventBody::GroupCreated { title: "Tea".into(), members: vec![BOB], earlier_history: false };
    let Record::History(HistoryRecord::Event(EventRecord { event: first, .. })) = event(1, created.clone()) else { panic!() };
    membership.enter(&first, false);
    let amendments = Amendments {
        up_to: 4,
        edits: vec![3],
        edited_at: Some(12),
        redaction: None,
        reactions: vec![banter_model::Reactions { emoji: "👍".into(), users: vec![BOB] }],
    };
    let mentions = vec![Mention { user: BOB, start: 0, length: 4 }];
    let user = UserRecord {
        id: ADA,
        handle: "ada".into(),
        display_name: "Ada \"⛵\"".into(),
        about: String::new(),
        password_hash: "$argon2id$x".into(),
        presence: Audience::Friends,
        friends_only: false,
        read_receipts: true,
        created_at: 1,
    };
    let device = DeviceRecord { id: DeviceId(8), user: ADA, name: "phone".into(), created_at: 1, used_at: 2, generation: 3 };
    let progress = Progress { read: marker(2, 1), delivered: 2, changed_at: 13 };
    let members = vec![Member { user: ADA, role: Role::Owner, since: 1 }];
    let roster = Roster { title: "Tea".into(), earlier_history: false, members };
    vec![
        (
            Record::Installation(InstallationRecord { secret_key: [0xa5; 32], ids_until: 14, partitions: 8 }),
            r#"{"installation":{"secret_key":"a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5","ids_until":14,"partitions":8}}"#,
        ),
        (
            directory(DirectoryRecord::User(user)),
            r#"{"user":{"id":"3","handle":"ada","display_name":"Ada \"⛵\"","about":"","password_hash":"$argon2id$x","presence":"friends","friends_only":false,"read_receipts":true,"created_at":1}}"#,
        ),
        (
            directory(DirectoryRecord::Device(device)),
            r#"{"device":{"id":"8","user":"3","name":"phone","created_at":1,"used_at":2,"generation":3}}"#,
        ),
        (
            directory(DirectoryRecord::RemovedDevice(RemovedDeviceRecord { id: DeviceId(8), user: ADA, removed_at: 5 })),
            r#"{"removed_device":{"id":"8","user":"3","removed_at":5}}"#,
        ),
        (
            directory(DirectoryRecord::Friendship(FriendshipRecord {
                low: ADA,
                high: BOB,
                asker: BOB,
                accepted: true,
                changed_at: 5,
            })),
            r#"{"friendship":{"low":"3","high":"9","asker":"9","accepted":true,"changed_at":5}}"#,
        ),
        (
            directory(DirectoryRecord::Block(BlockRecord { blocker: ADA, blocked: BOB, created_at: 5 })),
            r#"{"block":{"blocker":"3","blocked":"9","created_at":5}}"#,
        ),
        (
            directory(DirectoryRecord::LastSeen(LastSeenRecord { user: ADA, seen_at: 5 })),
            r#"{"last_seen":{"user":"3","seen_at":5}}"#,
        ),
        (
            directory(DirectoryRecord::GroupKey(GroupKeyRecord { user: ADA, key: "k".into(), group: GroupId(7) })),
            r#"{"group_key":{"user":"3","key":"k","group":"7"}}"#,
        ),
        (
            history(HistoryRecord::Position(PositionRecord { partition: 2, position: 11 })),
            r#"{"position":{"partition":2,"position":11}}"#,
        ),
        (
            event(1, created),
            r#"{"event":{"conversation":"g.7","event":{"seq":1,"ordinal":1,"id":"5","at":6,"sender":"3","device":"8","tag":4,"body":{"GroupCreated":{"title":"Tea","members":["9"],"earlier_history":false}}}}}"#,
        ),
        (
            event(2, EventBody::Message { text: "@bob".into(), reply_to: Some(1), mentions, amendments }),
            r#"{"event":{"conversation":"g.7","event":{"seq":2,"ordinal":1,"id":"5","at":6,"sender":"3","device":"8","tag":4,"body":{"Message":{"text":"@bob","reply_to":1,"mentions":[{"user":"9","start":0,"length":4}],"amendments":{"up_to":4,"edits":[3],"edited_at":12,"redaction":null,"reactions":[{"emoji":"👍","users":["9"]}]}}}}}}"#,
        ),
        (
            history(HistoryRecord::Conversation(ConversationRecord { conversation: GROUP, head, roster })),
            r#"{"conversation":{"conversation":"g.7","head":{"seq":2,"ordinal":1,"at":6,"last_message":2,"position":11,"tags":[{"device":"8","user":"3","highest":4,"used":1,"last_seq":2,"written":{"seq":2,"ordinal":1}}]},"roster":{"title":"Tea","earlier_history":false,"members":[{"user":"3","role":"owner","since":1}]}}}"#,
        ),
        (
            history(HistoryRecord::Membership(MembershipRecord { user: BOB, conversation: GROUP, membership })),
            r#"{"membership":{"user":"9","conversation":"g.7","membership":{"spans":[{"from":1,"to":null}],"up_to":1,"joined":{"seq":0,"ordinal":1}}}}"#,
        ),
        (
            history(HistoryRecord::Progress(ProgressRecord { user: BOB, conversation: GROUP, progress })),
            r#"{"progress":{"user":"9","conversation":"g.7","progress":{"read":{"seq":2,"ordinal":1},"delivered":2,"changed_at":13}}}"#,
        ),
        (
            history(HistoryRecord::Mention(MentionRecord { user: BOB, conversation: GROUP, seq: 2 })),
            r#"{"mention":{"user":"9","conversation":"g.7","seq":2}}"#,
        ),
    ]
}

/// Other programs read it, and later versions of this one.
#[test]
fn the_form_of_the_lines_is_fixed() {
    for (record, line) in of_each_kind() {
        assert_eq!(record.line(), line);
        assert_eq!(serde_json::from_str::<Record>(line).unwrap(), record);
    }
    for wrong in [r#"{}"#, r#"{"mention":{"user":"9","conversation":"g.7","seq":2,"more":1}}"#, r#"{"other":{}}"#, "[]"] {
        assert!(serde_json::from_str::<Record>(wrong).is_err(), "{wrong}");
    }
    let two = r#"{"last_seen":{"user":"3","seen_at":5},"block":{"blocker":"3","blocked":"9","created_at":5}}"#;
    assert!(serde_json::from_str::<Record>(two).is_err());
}

/// Kinds of events that the lines above do not have.
#[test]
fn events_of_every_kind_come_back() {
    let bodies = [
        EventBody::Edit { target: 2, text: "x".into(), mentions: vec![] },
        EventBody::Redaction { target: 2 },
        EventBody::Reaction { target: 2, emoji: "👍".into(), added: false },
        EventBody::MembersAdded { members: vec![BOB] },
        EventBody::MemberRemoved { member: BOB },
        EventBody::MemberLeft { successor: Some(BOB) },
        EventBody::RoleChanged { member: BOB, role: Role::Admin },
        EventBody::TitleChanged { title: "y".into() },
        EventBody::EarlierHistoryChanged { earlier_history: true },
    ];
    for body in bodies {
        let record = event(3, body);
        assert_eq!(serde_json::from_str::<Record>(&record.line()).unwrap(), record);
    }
}

async fn exported() -> (Place, String) {
    let from = embedded().await;
    fill(&from.installation, &installation(&mut Random::new(5), 5, PARTITIONS).records).await;
    let path = from.folder.path().join("export");
    export(&from.installation, &path, 1_780_000_000_000, &quiet).await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    (from, text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_whole_private_and_not_written_over() {
    let (from, text) = exported().await;
    let path = from.folder.path().join("export");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(text.starts_with(r#"{"banter_export":{"format":1,"created_at":1780000000000,"source":""#), "{text}");
    assert!(
        text.lines().last().unwrap().starts_with(r#"{"end":{"installation":{"count":1,"checksum":""#) && text.ends_with("}}}\n")
    );
    let again = export(&from.installation, &path, 7, &quiet).await;
    assert!(matches!(again, Err(MoveError::Exists { .. })), "{again:?}");
}

async fn refused(folder: &Path, text: &str) -> MoveError {
    let (path, to) = (folder.join("changed"), embedded().await);
    std::fs::write(&path, text).unwrap();
    let error = import(&path, &to.installation, &quiet).await.unwrap_err();
    assert!(!is_half_moved(&*to.history).await, "something was written: {error}");
    error
}

/// What is wrong with a file is told before anything is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_whole_export_is_refused() {
    let (from, text) = exported().await;
    let folder = from.folder.path();
    let lines: Vec<&str> = text.lines().collect();
    let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    for cut in [lines.len() - 1, lines.len() / 2, 2, 1] {
        let error = refused(folder, &joined(&lines[..cut])).await;
        assert!(matches!(error, MoveError::CutOff { .. }), "{cut}: {error}");
    }
    let error = refused(folder, text.trim_end()).await;
    assert!(matches!(error, MoveError::CutOff { .. }), "{error}");
    for (nothing, reason) in
        [("", "whole first line"), ("hello\n", "expected value"), ("{\"banter_export\":{}}\n", "missing field")]
    {
        let error = refused(folder, nothing).await;
        assert!(matches!(error, MoveError::NotAnExport { .. }) && error.to_string().contains(reason), "{error}");
    }
    let newer = text.replacen("\"format\":1", "\"format\":2", 1);
    assert!(matches!(refused(folder, &newer).await, MoveError::NewerFormat { found: 2, .. }));
    // A line gone, one twice, one changed, two installations, something unknown, something that is no text.
    let middle = lines.len() / 2;
    let without = [&lines[..middle], &lines[middle + 1..]].concat();
    assert!(matches!(refused(folder, &joined(&without)).await, MoveError::Damaged { .. }));
    let twice = [&lines[..middle], &lines[middle - 1..]].concat();
    assert!(matches!(refused(folder, &joined(&twice)).await, MoveError::Damaged { .. }));
    let changed = text.replacen("$argon2id$", "$argon2id$0", 1);
    let error = refused(folder, &changed).await;
    assert!(error.to_string().contains("changed or damaged since it was written (users)"), "{error}");
    let two = [&lines[..2], &lines[1..]].concat();
    assert!(matches!(refused(folder, &joined(&two)).await, MoveError::NotAnExport { .. }));
    let unknown = [&lines[..3], &["{\"robot\":{}}"], &lines[3..]].concat();
    let error = refused(folder, &joined(&unknown)).await;
    assert!(matches!(error, MoveError::Line { number: 4, .. }) && error.to_string().contains("robot"), "{error}");
}

/// The order of the records of a kind is nothing: other engines give them in another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_a_kind_come_in_any_order() {
    let (from, text) = exported().await;
    let mut lines: Vec<&str> = text.lines().collect();
    let last = lines.len() - 1;
    let kind = |line: &str| line.split('"').nth(1).unwrap_or_default().to_owned();
    lines[2..last].chunk_by_mut(|one, other| kind(one) == kind(other)).for_each(<[&str]>::reverse);
    assert_ne!(lines.join("\n"), text.trim_end());
    let (path, to) = (from.folder.path().join("reversed"), embedded().await);
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    import(&path, &to.installation, &quiet).await.unwrap();
    let moved = super::installations::lines(&to.installation, to.folder.path(), "moved").await;
    assert_eq!(moved, text.lines().skip(1).collect::<Vec<_>>());
}
