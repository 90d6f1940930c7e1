//! What is asked of the server, and when again.

use banter_protocol::{ClientFrame, ServerFrame};

use super::device::Device;
use super::limits::error;
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
pub fn a_sync_answer_that_does_not_come_is_asked_for_again_and_an_unknown_point_is_dropped() {
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    device.to_send.clear();
    device.handle(100, Input::Frame(ServerFrame::Resync {}));
    device.handle(30_099, Input::Tick);
    assert_eq!(device.to_send.len(), 1);
    device.handle(30_100, Input::Tick);
    assert_eq!(device.to_send.len(), 2);
    device.handle(30_200, error("invalid_parameter", None, None));
    device.handle(31_200, Input::Tick);
    let Some(ClientFrame::Sync(question)) = device.to_send.last() else { panic!("asked again") };
    assert_eq!((device.to_send.len(), question.since.as_deref()), (3, None));
    device.handle(31_300, error("busy", None, Some(5)));
    device.handle(36_299, Input::Tick);
    assert_eq!(device.to_send.len(), 3);
    device.handle(36_300, Input::Tick);
    assert_eq!(device.to_send.len(), 4);
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
    device.handle(56_000, error("storage_unavailable", None, Some(5)));
    device.handle(57_000, Input::Frame(ServerFrame::Working {}));
    device.handle(61_000, Input::Tick);
    assert_eq!(asked(&device), 3);
    // An error of another frame, and then the first part after all: the second is waited for as the first was.
    device.handle(61_500, error("storage_unavailable", None, Some(5)));
    device.handle(62_000, Input::Frame(ServerFrame::Sync { conversations: vec![], point: "p2".into(), more: Some("m".into()) }));
    assert_eq!(asked(&device), 4);
    device.handle(80_000, Input::Frame(ServerFrame::Working {}));
    device.handle(100_000, Input::Tick);
    assert_eq!(asked(&device), 4);
    device.handle(101_000, Input::Frame(ServerFrame::Sync { conversations: vec![], point: "p2".into(), more: None }));
    assert!(device.engine.is_synced());
    device.handle(200_000, Input::Tick);
    assert_eq!(asked(&device), 4);
}
