//! Vectors for clients in other languages (`crates/client/vectors`): what went into engines in the scenarios and in seeded simulations, and
//! what they made of it. The tests fail when what is committed is not what this engine does; `BANTER_WRITE_VECTORS=1 cargo test -p banter-client
//! vectors` writes it anew.

use std::path::Path;

use serde_json::{Value, json};

use super::recording::{Record, record};
use super::{asking, limits, model_vectors, scenarios, simulation};

/// Seeds that between them bring far-behind pulls, kills, refusals and group changes; and how many steps of each.
const SIMULATIONS: [(u64, u64); 4] = [(1, 400), (5, 400), (12, 400), (2_117_043, 400)];

/// Compares `text` with the committed file, or writes it.
fn keep(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    if std::env::var_os("BANTER_WRITE_VECTORS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "vectors/{name} is stale: BANTER_WRITE_VECTORS=1 cargo test -p banter-client vectors");
}

/// One line for each step, so that a difference can be read.
fn lines(name: &str, records: Vec<Record>) -> String {
    let mut out = String::new();
    for record in records {
        let head = json!({ "name": name, "device": record.device });
        let tail = json!({ "events": record.events });
        for line in [head].into_iter().chain(record.steps).chain([tail]) {
            out += &line.to_string();
            out.push('\n');
        }
    }
    out
}

#[test]
fn vectors_of_scenarios() {
    let all: [(&str, fn()); 28] = [
        ("far_behind_the_newest_comes_first_and_is_told_last", scenarios::far_behind_the_newest_comes_first_and_is_told_last),
        (
            "events_that_come_with_a_summary_are_taken_if_they_go_on_from_what_is_there",
            scenarios::events_that_come_with_a_summary_are_taken_if_they_go_on_from_what_is_there,
        ),
        ("preview_and_mentions_do_not_miss_what_is_in_a_gap", scenarios::preview_and_mentions_do_not_miss_what_is_in_a_gap),
        (
            "mentions_are_never_more_than_what_is_unread_and_not_missed",
            scenarios::mentions_are_never_more_than_what_is_unread_and_not_missed,
        ),
        (
            "a_group_is_followed_from_where_the_user_came_in_however_far_they_have_read_elsewhere",
            scenarios::a_group_is_followed_from_where_the_user_came_in_however_far_they_have_read_elsewhere,
        ),
        (
            "nothing_is_asked_for_without_a_session_nor_before_the_server_wants_it",
            scenarios::nothing_is_asked_for_without_a_session_nor_before_the_server_wants_it,
        ),
        (
            "an_answer_older_than_a_live_event_does_not_bring_anybody_back_in",
            scenarios::an_answer_older_than_a_live_event_does_not_bring_anybody_back_in,
        ),
        (
            "a_page_older_than_what_was_told_does_not_undo_amendments",
            scenarios::a_page_older_than_what_was_told_does_not_undo_amendments,
        ),
        (
            "later_means_the_same_tag_later_and_nothing_new_before_it",
            scenarios::later_means_the_same_tag_later_and_nothing_new_before_it,
        ),
        ("a_stale_tag_is_looked_up_in_the_history", scenarios::a_stale_tag_is_looked_up_in_the_history),
        ("markers_go_out_once_a_second_and_again_after_a_break", scenarios::markers_go_out_once_a_second_and_again_after_a_break),
        ("a_single_message_is_said_to_have_arrived_at_once", scenarios::a_single_message_is_said_to_have_arrived_at_once),
        (
            "a_marker_sent_shortly_before_device_and_server_died_is_sent_by_the_next_run",
            scenarios::a_marker_sent_shortly_before_device_and_server_died_is_sent_by_the_next_run,
        ),
        ("the_point_is_kept_only_after_the_last_part", asking::the_point_is_kept_only_after_the_last_part),
        ("an_answer_that_is_worked_on_is_not_asked_for_again", asking::an_answer_that_is_worked_on_is_not_asked_for_again),
        ("typing_ends_by_itself_or_with_a_message", scenarios::typing_ends_by_itself_or_with_a_message),
        (
            "at_most_32_tags_of_a_conversation_and_224_commands_are_in_flight",
            limits::at_most_32_tags_of_a_conversation_and_224_commands_are_in_flight,
        ),
        ("what_would_be_refused_is_not_queued", limits::what_would_be_refused_is_not_queued),
        ("pauses_between_pulls_double_and_empty_pages_end_them", limits::pauses_between_pulls_double_and_empty_pages_end_them),
        ("a_conversation_that_is_gone_is_not_asked_for_again", limits::a_conversation_that_is_gone_is_not_asked_for_again),
        ("a_page_with_a_hole_makes_what_is_before_it_unknown", limits::a_page_with_a_hole_makes_what_is_before_it_unknown),
        (
            "pages_far_from_all_others_are_not_remembered_once_there_are_256",
            limits::pages_far_from_all_others_are_not_remembered_once_there_are_256,
        ),
        ("gaps_are_closed_however_many_ranges_there_are", limits::gaps_are_closed_however_many_ranges_there_are),
        (
            "a_sync_answer_that_does_not_come_is_asked_for_again_and_an_unknown_point_is_dropped",
            asking::a_sync_answer_that_does_not_come_is_asked_for_again_and_an_unknown_point_is_dropped,
        ),
        (
            "presence_typing_and_account_are_told_and_forgotten_with_the_session",
            limits::presence_typing_and_account_are_told_and_forgotten_with_the_session,
        ),
        ("markers_of_others_and_of_oneself_only_grow", limits::markers_of_others_and_of_oneself_only_grow),
        (
            "edits_and_redactions_change_what_is_stored_and_the_preview",
            limits::edits_and_redactions_change_what_is_stored_and_the_preview,
        ),
        ("a_group_that_is_not_known_is_asked_for", limits::a_group_that_is_not_known_is_asked_for),
    ];
    let text: String = all.into_iter().map(|(name, scenario)| lines(name, record(scenario))).collect();
    keep("scenarios.jsonl", &text);
}

#[test]
fn vectors_of_simulations() {
    for (seed, steps) in SIMULATIONS {
        let records = record(|| simulation::run(seed, steps));
        keep(&format!("simulation-{seed}.jsonl"), &lines(&format!("seed {seed}"), records));
    }
}

#[test]
fn vectors_of_the_model() {
    let all: Vec<(&str, Value)> = model_vectors::all();
    let text: Vec<String> = all
        .into_iter()
        .map(|(name, cases)| {
            let cases: Vec<String> = cases.as_array().into_iter().flatten().map(|case| format!("    {case}")).collect();
            format!("  \"{name}\": [\n{}\n  ]", cases.join(",\n"))
        })
        .collect();
    keep("model.json", &format!("{{\n{}\n}}\n", text.join(",\n")));
}
