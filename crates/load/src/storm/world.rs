//! The data folder that a storm begins with: made for it, or copied from one that was made before.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use banter_server::secret_key;
use banter_store::data_folder::DataFolder;
use serde::{Deserialize, Serialize};

use super::layout::Layout;
use super::loading::{self, Loaded};
use crate::Common;
use crate::server;

/// The data folder, in a folder that is kept.
const DATA: &str = "data";
/// What is in it, beside it.
const DESCRIPTION: &str = "world.json";

/// A data folder that is ready to be served.
pub(super) struct World {
    pub folder: tempfile::TempDir,
    /// What its server signs tokens with.
    pub key: [u8; 32],
    pub loaded: Loaded,
    /// How long it took to make it, or to copy it.
    pub made_in: Duration,
}

#[derive(Serialize, Deserialize)]
struct Description {
    layout: Layout,
    loaded: Loaded,
}

/// The world of `layout`. With `kept`, it is copied from there, and made there before if there is none.
pub(super) async fn prepare(common: &Common, layout: &Layout, kept: Option<&Path>) -> Result<World> {
    let folder = server::new_folder(common)?;
    let begun = Instant::now();
    let Some(kept) = kept else {
        let key = server::people(folder.path(), layout.people()).await?;
        let loaded = loading::load(folder.path(), layout).await?;
        return Ok(World { folder, key, loaded, made_in: begun.elapsed() });
    };
    let (data, description) = (kept.join(DATA), kept.join(DESCRIPTION));
    if !description.try_exists()? {
        ensure!(!data.try_exists()?, "{} holds a world that was not finished: remove it", kept.display());
        fs::create_dir_all(&data)?;
        server::people(&data, layout.people()).await?;
        let loaded = loading::load(&data, layout).await?;
        // Last: what is described is whole.
        fs::write(&description, serde_json::to_vec(&Description { layout: layout.clone(), loaded })?)?;
    }
    let Description { layout: found, loaded } = serde_json::from_slice(&fs::read(&description)?)?;
    ensure!(found == *layout, "{} holds another world: {found:?}", kept.display());
    copy(&data, folder.path()).with_context(|| format!("copying {}", data.display()))?;
    let key = secret_key::load(&DataFolder::open(folder.path())?.secret_key())?;
    Ok(World { folder, key, loaded, made_in: begun.elapsed() })
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&to)?;
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
