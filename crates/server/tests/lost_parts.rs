//! A server on a data folder that lost a part of itself.

use std::fs;
use std::path::Path;

use banter_server::serve::{ServeError, ServeOptions, Server};
use banter_store::data_folder::{DataFolder, DataFolderError};
use banter_store::embedded::history::HistoryOptions;

async fn open(folder: &Path) -> Result<Server, ServeError> {
    let mut options = ServeOptions::new(folder.to_owned(), ([127, 0, 0, 1], 0).into());
    options.history = HistoryOptions { reserve_bytes: 0, ..HistoryOptions::default() };
    Server::open(options).await
}

#[tokio::test]
async fn it_does_not_start_and_makes_nothing_anew() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("data");
    // A first start that ended early is completed.
    drop(DataFolder::open(&folder).unwrap());
    for part in ["history", "directory.sqlite", "secret"] {
        let server = open(&folder).await.unwrap();
        server.run(std::future::ready(())).await.unwrap();
        let (there, away) = (folder.join(part), base.path().join("away"));
        fs::rename(&there, &away).unwrap();
        let Err(ServeError::DataFolder(error)) = open(&folder).await else { panic!("started without {part}") };
        assert!(matches!(&error, DataFolderError::Incomplete { missing, .. } if *missing == [part]), "{error}");
        assert!(!there.exists(), "{part} was made anew");
        fs::rename(&away, &there).unwrap();
    }
    // Without it the clock alone decides.
    fs::remove_file(folder.join("ids")).unwrap();
    open(&folder).await.unwrap();
}
