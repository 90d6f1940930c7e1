//! `banter chat`: the client for people and scripts, at a terminal.
//!
//! [`Arguments`] goes into a program's command line, [`run`] does what was asked. With `--json` every command prints one JSON
//! object per line on standard output, and errors as one JSON object on standard error; the exit code is 1 then.

mod accounts;
mod arguments;
mod conversations;
mod follow;
mod groups;
mod input;
mod interactive;
mod lines;
mod names;
mod output;
mod people;

pub use arguments::Arguments;

use std::path::PathBuf;
use std::process::ExitCode;

use arguments::{Action, GlobalOptions};
use output::Output;

use crate::{Error, Place, Profile};

/// Does what was asked. Errors go to standard error; the exit code tells a script whether it worked.
pub async fn run(arguments: Arguments) -> ExitCode {
    let Arguments { global, action } = arguments;
    let output = Output::new(global.json);
    match act(&global, &output, action).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn act(global: &GlobalOptions, output: &Output, action: Option<Action>) -> Result<(), Error> {
    let place = place(global)?;
    let Some(action) = action else { return interactive::run(place, output).await };
    match action {
        Action::SignUp(sign_up) => accounts::sign_up(place, output, sign_up).await,
        Action::LogIn(log_in) => accounts::log_in(place, output, log_in).await,
        Action::Write(write) => conversations::write(place, output, write).await,
        Action::Follow(follow) => follow::run(place, output, follow).await,
        Action::LogOut { forget } => accounts::log_out(&Profile::open(place).await?, output, forget).await,
        Action::List => conversations::list(&Profile::open(place).await?, output).await,
        Action::Read(read) => conversations::read(&Profile::open(place).await?, output, read).await,
        Action::Group(group) => groups::run(&Profile::open(place).await?, output, group).await,
        Action::Friend(friend) => people::friend(&Profile::open(place).await?, output, friend).await,
        Action::Block { user } => people::block(&Profile::open(place).await?, output, &user, true).await,
        Action::Unblock { user } => people::block(&Profile::open(place).await?, output, &user, false).await,
        Action::Blocks => people::blocks(&Profile::open(place).await?, output).await,
        Action::Who { user } => people::who(&Profile::open(place).await?, output, &user).await,
        Action::Profile(change) => accounts::profile(&Profile::open(place).await?, output, change).await,
        Action::Settings(change) => accounts::settings(&Profile::open(place).await?, output, change).await,
        Action::Devices { action } => accounts::devices(&Profile::open(place).await?, output, action).await,
        Action::Password => accounts::change_password(&Profile::open(place).await?, output).await,
    }
}

/// The profile's folder: as asked, else under the user's data folder (the XDG base directory specification).
fn place(global: &GlobalOptions) -> Result<Place, Error> {
    if let Some(folder) = &global.folder {
        return Ok(Place::Folder(folder.clone()));
    }
    let name = &global.profile;
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        let message = format!("a profile's name is made of letters, digits, `-`, `_` and `.`, not {name:?}");
        return Err(Error::new(Error::INVALID_ARGUMENT, message));
    }
    let from = |variable| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = from("XDG_DATA_HOME").or_else(|| Some(from("HOME")?.join(".local/share")));
    let none = || Error::new(Error::INVALID_ARGUMENT, "there is no home folder: say where with --folder");
    Ok(Place::Folder(data.ok_or_else(none)?.join("banter").join(name)))
}

#[cfg(test)]
mod tests;
