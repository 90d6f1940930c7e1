//! The capacity document is what the program makes of the figures: of those for tests, and of the committed ones once there are any.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use banter_load::capacity::document;
use banter_load::capacity::figures::{FILES, Figures};
use banter_load::record::Record;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Figures that nobody measured, and the document that was made of them.
fn test_figures() -> PathBuf {
    here().join("tests/figures")
}

fn lines_differ(committed: &Path, written: &str) -> String {
    let text = fs::read_to_string(committed).unwrap_or_default();
    let differing = text.lines().zip(written.lines()).position(|(one, other)| one != other);
    format!("{} is not what the program writes, from line {:?} on", committed.display(), differing.map(|line| line + 1))
}

#[test]
fn the_document_of_the_test_figures() {
    let written = document(&Figures::read(&test_figures()).unwrap());
    let committed = test_figures().join("capacity.md");
    assert!(fs::read_to_string(&committed).unwrap() == written, "{}", lines_differ(&committed, &written));
}

#[test]
fn the_committed_document_is_what_the_committed_figures_make() {
    let docs = here().join("../../docs");
    let (figures, committed) = (docs.join("figures"), docs.join("capacity.md"));
    let all_there = FILES.iter().all(|name| figures.join(format!("{name}.json")).is_file());
    if !all_there && !committed.exists() {
        // Nothing is committed yet, so there is nothing to compare; the test above checks the program.
        return;
    }
    let written = document(&Figures::read(&figures).unwrap());
    assert!(
        fs::read_to_string(&committed).unwrap_or_default() == written,
        "{}: run `banter-load capacity --figures docs/figures --write docs/capacity.md`",
        lines_differ(&committed, &written)
    );
}

#[test]
fn every_file_and_figure_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |name: &str| fs::copy(test_figures().join(format!("{name}.json")), folder.path().join(format!("{name}.json")));
    for missing in FILES {
        for name in FILES {
            copy(name).unwrap();
        }
        let path = folder.path().join(format!("{missing}.json"));
        let mut record = Record::read(&path).unwrap();
        record.figures.clear();
        record.write(&path).unwrap();
        let error = Figures::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("{missing}.json has no figure")), "{error}");
        fs::remove_file(&path).unwrap();
        let error = format!("{:#}", Figures::read(folder.path()).unwrap_err());
        assert!(error.contains(&format!("banter-load {missing}")), "{error}");
    }
}

#[test]
fn a_run_at_a_fixed_rate_is_no_measure_of_what_a_node_carries() {
    let folder = tempfile::tempdir().unwrap();
    for name in FILES {
        fs::copy(test_figures().join(format!("{name}.json")), folder.path().join(format!("{name}.json"))).unwrap();
    }
    let path = folder.path().join("pairs.json");
    let mut record = Record::read(&path).unwrap();
    record.options.insert("rate".into(), 500.into());
    record.write(&path).unwrap();
    assert!(Figures::read(folder.path()).unwrap_err().to_string().contains("fixed rate"));
}

/// More users need more of everything that serves them, and twice the history twice the disks.
#[test]
fn the_model_grows_with_what_it_is_given() {
    use banter_load::capacity::model::{self, Node, Traffic};
    let figures = Figures::read(&test_figures()).unwrap();
    let now = Traffic::new();
    let twice = Traffic { average: now.average * 2.0, peak: now.peak * 2.0, sessions: now.sessions * 2.0, ..now };
    for node in Node::kinds(&figures) {
        for need in [model::gateways, model::workers] {
            for (one, other) in need(&figures, &now, &node).limits.iter().zip(need(&figures, &twice, &node).limits) {
                assert!((other.1 / one.1 - 2.0).abs() < 1e-9, "{one:?} {other:?}");
            }
        }
    }
    let (one, ten) = (model::history_bytes(&figures, 1.0), model::history_bytes(&figures, 10.0));
    assert!((ten / one - 10.0).abs() < 1e-9);
    assert_eq!(one, 60e9 * 365.0 * 120.0 * 1.5);
    // Whatever the figures: a copy in each zone, and a zone to lose.
    let need = model::Need { limits: vec![("a", 0.1), ("b", 4.0)] };
    assert_eq!((need.greatest(), need.nodes(), need.nodes_replicated()), (("b", 4.0), 6.0, 4.0));
}
