//! Builds again when a migration is added: they are part of the binary.

#[allow(clippy::print_stdout)] // How a build script talks to cargo.
fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
