//! What can be asked for.

use std::path::PathBuf;

use banter_model::limits::PAGE_EVENTS;
use banter_model::{DeviceId, Role, Seq};
use banter_protocol::api::{Audience, Writers};
use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand, ValueEnum};

/// The command line of `banter chat`. Without a command: an interactive session.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    pub(super) global: GlobalOptions,
    #[command(subcommand)]
    pub(super) action: Option<Action>,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(super) struct GlobalOptions {
    /// Which of several logins on this computer.
    #[arg(long, global = true, env = "BANTER_PROFILE", default_value = "default", help_heading = "Login")]
    pub profile: String,
    /// The folder of the login, instead of one under the user's data folder.
    #[arg(long, global = true, env = "BANTER_FOLDER", help_heading = "Login")]
    pub folder: Option<PathBuf>,
    /// One JSON object per line, for scripts.
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
}

/// What making a login takes.
#[derive(Debug, Args)]
pub(super) struct NewLogin {
    /// The server.
    #[arg(long, env = "BANTER_SERVER", default_value = "http://127.0.0.1:8480")]
    pub server: String,
    /// What to call this device.
    #[arg(long)]
    pub device_name: Option<String>,
    /// Forgets who is logged in here, with everything not sent yet.
    #[arg(long)]
    pub forget: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Makes an account. The password is asked for, or taken from BANTER_PASSWORD.
    SignUp(SignUp),
    /// Logs in. The password is asked for, or taken from BANTER_PASSWORD.
    LogIn(LogIn),
    /// Logs this device out.
    LogOut {
        /// Forgets what is not sent yet.
        #[arg(long)]
        forget: bool,
    },
    /// Lists the conversations.
    List,
    /// Writes a message, and waits until it is stored.
    Write(Write),
    /// Shows messages of a conversation.
    Read(Read),
    /// Shows what happens as it happens, until interrupted.
    Follow(Follow),
    /// Makes and changes groups.
    #[command(subcommand)]
    Group(Group),
    /// Friends and requests.
    #[command(subcommand)]
    Friend(Friend),
    /// Blocks somebody: they can no longer write.
    Block {
        /// A handle or user id.
        user: String,
    },
    /// Ends a block.
    Unblock {
        /// A handle or user id.
        user: String,
    },
    /// Lists who is blocked.
    Blocks,
    /// Shows who somebody is, and whether they are online.
    Who {
        /// A handle or user id.
        user: String,
    },
    /// Shows or changes the own profile.
    Profile(ChangeProfile),
    /// Shows or changes the settings.
    Settings(ChangeSettings),
    /// Lists the devices, or ends one.
    Devices {
        #[command(subcommand)]
        action: Option<DeviceAction>,
    },
    /// Changes the password, which logs out the other devices. Asked for, or taken from BANTER_PASSWORD and BANTER_NEW_PASSWORD.
    Password,
}

#[derive(Debug, Args)]
pub(super) struct SignUp {
    /// The unique name: 3 to 32 of a-z, 0-9 and `_`, beginning with a letter.
    pub handle: String,
    /// The name shown; the handle when absent.
    #[arg(long)]
    pub display_name: Option<String>,
    #[command(flatten)]
    pub login: NewLogin,
}

#[derive(Debug, Args)]
pub(super) struct LogIn {
    /// The handle.
    pub handle: String,
    #[command(flatten)]
    pub login: NewLogin,
}

#[derive(Debug, Args)]
pub(super) struct Write {
    /// A handle or conversation.
    pub to: String,
    /// The text; `-`, or none, reads it from standard input.
    pub text: Vec<String>,
    /// The number of the message that it answers.
    #[arg(long)]
    pub reply_to: Option<Seq>,
    /// Seconds to wait until it is stored. It is sent later if that is too short.
    #[arg(long, default_value_t = 30)]
    pub timeout: u64,
}

#[derive(Debug, Args)]
pub(super) struct Read {
    /// A handle or conversation.
    pub conversation: String,
    /// Messages before this one.
    #[arg(long, group = "window")]
    pub before: Option<Seq>,
    /// Messages after this one.
    #[arg(long, group = "window")]
    pub after: Option<Seq>,
    /// Messages around this one.
    #[arg(long, group = "window")]
    pub around: Option<Seq>,
    /// How many events at most.
    #[arg(long, default_value_t = 50, value_parser = RangedU64ValueParser::<usize>::new().range(1..=PAGE_EVENTS as u64))]
    pub limit: usize,
    /// Count them as read.
    #[arg(long)]
    pub mark: bool,
}

#[derive(Debug, Args)]
pub(super) struct Follow {
    /// A handle or conversation; all of them when absent.
    pub conversation: Option<String>,
    /// First what came after this event (of the conversation named).
    #[arg(long, requires = "conversation")]
    pub after: Option<Seq>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Group {
    /// Makes a group.
    Create {
        /// Its title.
        title: String,
        /// Handles or user ids of its members.
        members: Vec<String>,
        /// Later newcomers see what was said before them.
        #[arg(long)]
        earlier_history: bool,
    },
    /// Brings users in.
    Add {
        /// The group's conversation.
        group: String,
        /// Handles or user ids.
        #[arg(required = true)]
        members: Vec<String>,
    },
    /// Puts a member out.
    Remove {
        /// The group's conversation.
        group: String,
        /// A handle or user id.
        member: String,
    },
    /// Goes out.
    Leave {
        /// The group's conversation.
        group: String,
    },
    /// Gives it another title.
    Rename {
        /// The group's conversation.
        group: String,
        /// The title.
        title: String,
    },
    /// Gives a member another role.
    Role {
        /// The group's conversation.
        group: String,
        /// A handle or user id.
        member: String,
        /// The role.
        role: RoleName,
    },
    /// Lists the members, or all groups.
    List {
        /// The group's conversation.
        group: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum RoleName {
    Member,
    Admin,
    Owner,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Member => Role::Member,
            RoleName::Admin => Role::Admin,
            RoleName::Owner => Role::Owner,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Friend {
    /// Asks somebody; accepts if they asked before.
    Request {
        /// A handle or user id.
        user: String,
    },
    /// Accepts a request.
    Accept {
        /// A handle or user id.
        user: String,
    },
    /// Declines a request.
    Decline {
        /// A handle or user id.
        user: String,
    },
    /// Ends a friendship, or takes a request back.
    Remove {
        /// A handle or user id.
        user: String,
    },
    /// Lists friends and requests.
    List,
}

#[derive(Debug, Args)]
pub(super) struct ChangeProfile {
    /// The name shown.
    #[arg(long)]
    pub display_name: Option<String>,
    /// A line about oneself.
    #[arg(long)]
    pub about: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ChangeSettings {
    /// Who sees whether one is online, and when last.
    #[arg(long)]
    pub presence: Option<AudienceName>,
    /// Who may write.
    #[arg(long)]
    pub writers: Option<WritersName>,
    /// Do others see how far one has read?
    #[arg(long, action = clap::ArgAction::Set, value_name = "true|false")]
    pub read_receipts: Option<bool>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum AudienceName {
    Everyone,
    Friends,
    Nobody,
}

impl From<AudienceName> for Audience {
    fn from(name: AudienceName) -> Self {
        match name {
            AudienceName::Everyone => Audience::Everyone,
            AudienceName::Friends => Audience::Friends,
            AudienceName::Nobody => Audience::Nobody,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum WritersName {
    Everyone,
    Friends,
}

impl From<WritersName> for Writers {
    fn from(name: WritersName) -> Self {
        match name {
            WritersName::Everyone => Writers::Everyone,
            WritersName::Friends => Writers::Friends,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum DeviceAction {
    /// Ends a device.
    Revoke {
        /// Its id.
        device: DeviceId,
    },
}
