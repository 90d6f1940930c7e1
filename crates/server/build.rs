//! Puts the built web app into the binary: a table of its files, each with what `npm run build` compressed beside it. And makes the code
//! of what nodes tell each other from its description.
//!
//! Without `web/app/dist` the table is empty and the server says how to build it, so that nobody needs Node to work on the server.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Hexadecimal digits of a file's hash in its entity tag: 64 bits, enough to tell two builds of one file apart.
const TAG_DIGITS: usize = 16;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../../web/app");
    let dist = app.join("dist");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=proto");
    let described = protox::compile(["proto/delivery.proto"], ["proto"])?;
    tonic_prost_build::configure().bytes(".").compile_fds(described)?;
    // While it was not built, the folder around it is watched: a path that is not there would run this before every build.
    println!("cargo::rerun-if-changed={}", if dist.is_dir() { &dist } else { &app }.display());
    let mut files = Vec::new();
    if dist.join("index.html").is_file() {
        find(&dist, &mut files)?;
        files.sort();
    }
    let mut table = String::from("&[\n");
    for file in &files {
        // `dist` is where `find` began.
        write_entry(&mut table, file, &file.strip_prefix(&dist)?.to_string_lossy())?;
    }
    table.push_str("]\n");
    fs::write(Path::new(&std::env::var("OUT_DIR")?).join("web_app_files.rs"), table)?;
    Ok(())
}

/// The files below a folder that are served by their own name.
fn find(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if !is_compressed(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "br" || extension == "gz") && path.with_extension("").is_file()
}

fn write_entry(table: &mut String, file: &Path, name: &str) -> Result<(), Box<dyn std::error::Error>> {
    let hash = Sha256::digest(fs::read(file)?);
    let tag: String = hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>()[..TAG_DIGITS].to_owned();
    let beside = |extension: &str| {
        let compressed = PathBuf::from(format!("{}.{extension}", file.display()));
        if compressed.is_file() {
            format!("Some(include_bytes!({:?}))", compressed.display().to_string())
        } else {
            "None".to_owned()
        }
    };
    let plain = file.display().to_string();
    let path = format!("/{name}");
    writeln!(
        table,
        "    File {{ path: {path:?}, tag: {tag:?}, plain: include_bytes!({plain:?}), brotli: {}, gzip: {} }},",
        beside("br"),
        beside("gz")
    )?;
    Ok(())
}
