//! The table of `docs/protocol.md` names tests that are there.

use std::path::Path;

#[test]
fn every_row_of_the_table_has_its_test() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(here.join("../../docs/protocol.md")).unwrap();
    let (_, section) = document.split_once("## Bad input").expect("the section");
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what is sent")).collect();
    assert!(rows.len() > 30, "{}", rows.len());
    for row in rows {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for test in tests.split(", ") {
            let (file, name) = test.trim_matches('`').split_once("::").unwrap_or_else(|| panic!("no test in {row}"));
            let source = ["bad_input", "gateway"].iter().find_map(|folder| {
                std::fs::read_to_string(here.join(format!("tests/{folder}/{file}.rs")))
                    .ok()
                    .filter(|source| source.contains(&format!("fn {name}(")))
            });
            assert!(source.is_some(), "there is no {test}, which is named in {row}");
        }
    }
}
