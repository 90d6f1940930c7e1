//! Everything stored or sent as text comes back as it was.

mod simulation;

use std::fmt::{Debug, Display};
use std::str::FromStr;

use banter_model::encoding::Stored;
use banter_model::{Command, ConversationId, DeviceId, EventId, GroupId, Marker, Tag, UserId};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde::Serialize;
use serde::de::DeserializeOwned;
use simulation::{Run, conversation_id, steps};

fn stored<T: Stored + PartialEq + Debug>(value: &T) -> Result<(), TestCaseError> {
    let bytes = value.encode();
    let back = T::decode(&bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(&back, value);
    prop_assert!(T::decode(&bytes[..bytes.len() - 1]).is_err(), "a cut-off value was read");
    Ok(())
}

/// The text form and the JSON form are the same one string.
fn text<T: Display + FromStr + Serialize + DeserializeOwned + PartialEq + Debug>(value: T) -> Result<(), TestCaseError> {
    let text = value.to_string();
    let back: Option<T> = text.parse().ok();
    prop_assert_eq!(back.as_ref(), Some(&value));
    let json = serde_json::to_string(&value).expect("a string");
    prop_assert_eq!(&json, &format!("\"{text}\""));
    prop_assert_eq!(serde_json::from_str::<T>(&json).expect("the same"), value);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        // Written only when a case fails.
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_a_run_stores_comes_back(id in conversation_id(), steps in steps()) {
        let run = Run::of(id, steps);
        run.commands.iter().try_for_each(stored)?;
        run.events().try_for_each(stored)?;
        let end = run.end();
        end.rows.values().try_for_each(stored)?;
        end.memberships.values().try_for_each(stored)?;
        stored(&end.conversation.head)?;
        stored(&end.conversation.roster)?;
    }

    #[test]
    fn large_numbers_and_any_text_come_back(
        numbers in any::<[u64; 5]>(), tag in 1..(1_u64 << 53), texts in any::<(String, String)>(), group in 1..=u64::MAX,
    ) {
        let [seq, ordinal, sender, device, id] = numbers;
        stored(&Marker { seq, ordinal })?;
        let (text, emoji) = texts;
        let conversation = ConversationId::Group(GroupId(group));
        for action in [
            banter_model::Action::Edit { target: seq, text, mentions: vec![] },
            banter_model::Action::React { target: seq, emoji, add: true },
        ] {
            let tag = Tag::new(tag).ok();
            let sender = UserId(sender);
            stored(&Command { conversation, sender, device: DeviceId(device), tag, id: EventId(id), action })?;
        }
        prop_assert_eq!(serde_json::from_str::<Tag>(&tag.to_string()).expect("a tag").get(), tag);
    }

    #[test]
    fn ids_come_back_from_text_and_json(one in 1..=u64::MAX, other in 1..=u64::MAX) {
        text(UserId(one))?;
        text(DeviceId(one))?;
        text(GroupId(one))?;
        text(EventId(one))?;
        let direct = ConversationId::direct(UserId(one), UserId(other));
        for id in direct.into_iter().chain([ConversationId::Group(GroupId(other))]) {
            text(id)?;
            prop_assert_eq!(ConversationId::from_bytes(id.to_bytes()), Ok(id));
        }
    }
}
