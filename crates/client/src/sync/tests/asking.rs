//! What is asked of the server, and when again.

use banter_protocol::{ClientFrame, ServerFrame};

use super::device::Device;
use super::scenarios::welcome;
use crate::sync::Input;

#[test]
pub fn the_point_is_kept_only_after_the_last_part() {
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    device.handle(0, Input::Frame(ServerFrame::Resync {}));
    device.handle(0, Input::Frame(ServerFrame::Sync { conversations: vec![], point: "p2".into(), more: Some("m".into()) }));
    assert_eq!(device.disk.point.as_deref(), Some("p1"));
    let Some(ClientFrame::Sync(question)) = device.to_send.last() else { panic!("asked for the rest") };
    assert_eq!((question.since.as_deref(), question.more.as_deref()), (Some("p1"), Some("m")));
    assert!(!device.engine.is_synced());
    device.handle(0, Input::Frame(ServerFrame::Sync { conversations: vec![], point: "p2".into(), more: None }));
    assert_eq!(device.disk.point.as_deref(), Some("p2"));
    assert!(device.engine.is_synced());
}

#[test]
pub fn an_answer_that_is_worked_on_is_not_asked_for_again() {
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    let asked = |device: &Device| device.to_send.iter().filter(|frame| matches!(frame, ClientFrame::Sync(_))).count();
    device.handle(0, Input::Frame(ServerFrame::Working {}));
    device.handle(0, Input::Frame(ServerFrame::Resync {}));
    assert_eq!(asked(&device), 1);
    device.handle(25_000, Input::Frame(ServerFrame::Working {}));
    device.handle(54_999, Input::Tick);
    assert_eq!(asked(&device), 1, "it comes");
    device.handle(55_000, Input::Tick);
    assert_eq!(asked(&device), 2, "it is lost");
    // What is refused for now comes when the server said, whatever else it works on.
    let (code, message) = ("storage_unavailable".to_owned(), "later".to_owned());
    let later = ServerFrame::Error { code, message, tag: None, conversation: None, retry_after: Some(5) };
    device.handle(56_000, Input::Frame(later));
    device.handle(57_000, Input::Frame(ServerFrame::Working {}));
    device.handle(61_000, Input::Tick);
    assert_eq!(asked(&device), 3);
    device.handle(62_000, Input::Frame(ServerFrame::Working {}));
    device.handle(63_000, Input::Frame(ServerFrame::Sync { conversations: vec![], point: "p2".into(), more: None }));
    assert!(device.engine.is_synced());
    device.handle(200_000, Input::Tick);
    assert_eq!(asked(&device), 3);
}
