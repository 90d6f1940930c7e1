//! `banter doctor`: says what is wrong with a data folder.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use banter_store::data_folder::{Finding, Severity, examine};
use banter_store::directory::sql::examine_sqlite;
use banter_store::embedded::history::HistoryOptions;

/// Examines the folder, prints a line for each finding, and fails if one is a fault. Changes nothing.
pub async fn run(data: &Path) -> ExitCode {
    let mut findings = examine(data, HistoryOptions::default().reserve_bytes);
    let directory = data.join("directory.sqlite");
    if directory.is_file() {
        match examine_sqlite(&directory).await {
            Ok(problems) if problems.is_empty() => {
                findings.push(Finding { severity: Severity::Fine, text: "the directory of people is whole".to_owned() });
            }
            Ok(problems) => findings.extend(
                problems
                    .into_iter()
                    .map(|problem| Finding { severity: Severity::Fault, text: format!("the directory of people: {problem}") }),
            ),
            Err(error) => findings
                .push(Finding { severity: Severity::Fault, text: format!("the directory of people cannot be read: {error}") }),
        }
    }
    report(&findings)
}

/// Prints a line for each finding, and fails if one is a fault.
pub fn report(findings: &[Finding]) -> ExitCode {
    // A closed standard output is no fault of what was examined.
    let _ = print(findings);
    let faults = findings.iter().filter(|finding| finding.severity == Severity::Fault).count();
    if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(findings: &[Finding]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for finding in findings {
        let mark = match finding.severity {
            Severity::Fine => "fine   ",
            Severity::Warning => "warning",
            Severity::Fault => "FAULT  ",
        };
        writeln!(out, "{mark}  {}", finding.text)?;
    }
    Ok(())
}
