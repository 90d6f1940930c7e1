//! The OpenAPI document that is checked in is the one that the handlers make.

use std::collections::BTreeSet;
use std::path::Path;

use banter_server::api::openapi;

fn checked_in() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json")
}

#[test]
fn the_document_is_up_to_date() {
    let path = checked_in();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, openapi::json()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == openapi::json(),
        "docs/openapi.json is not what the handlers make. Look at the change, then write it with\n    \
         UPDATE=1 cargo test -p banter-server --test openapi"
    );
}

/// The table of the API in docs/protocol.md and the document have the same methods and paths.
#[test]
fn the_table_for_people_is_complete() {
    let protocol = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    let protocol = std::fs::read_to_string(protocol).unwrap();
    let mut told = BTreeSet::new();
    for row in protocol.lines().filter(|line| line.starts_with("| ") && line.contains(" /v1/")) {
        let first = row.trim_start_matches("| ").split(" | ").next().unwrap();
        let (methods, paths) = first.split_once(" /").unwrap();
        for method in methods.split(", ") {
            for path in format!("/{paths}").split(", ") {
                let path = path.split('?').next().unwrap();
                told.insert((method.to_lowercase(), path.to_owned()));
            }
        }
    }
    let document: serde_json::Value = serde_json::from_str(openapi::json()).unwrap();
    let mut made = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            made.insert((method.clone(), path.clone()));
        }
    }
    assert!(told.len() > 30, "the table was found");
    assert_eq!(told, made);
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_may_fail() {
    let document: serde_json::Value = serde_json::from_str(openapi::json()).unwrap();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 30);
    for reference in references {
        let found = document.pointer(reference.strip_prefix('#').unwrap());
        assert!(found.is_some(), "{reference} leads nowhere");
    }
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let failed = operation.pointer("/responses/default/content/application~1json/schema/$ref");
            assert_eq!(failed.and_then(|schema| schema.as_str()), Some("#/components/schemas/ErrorBody"), "{method} {path}");
        }
    }
}

fn collect(value: &serde_json::Value, references: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(object) => {
            if let Some(reference) = object.get("$ref").and_then(|reference| reference.as_str()) {
                references.push(reference.to_owned());
            }
            object.values().for_each(|value| collect(value, references));
        }
        serde_json::Value::Array(array) => array.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}
