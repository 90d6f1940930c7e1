//! Placeholder

/// stub
pub mod command_line {
    /// stub
    #[derive(clap::Args)]
    pub struct Arguments {}
    /// stub
    pub async fn run(_: Arguments) -> std::process::ExitCode { std::process::ExitCode::FAILURE }
}
