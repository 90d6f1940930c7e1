//! Who is there, as ZooKeeper tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use banter_store::cluster::Member;
use tokio::sync::watch;
use zookeeper_client::{Client, Error};

/// What is known of the members, by the name of their node; those whose entry cannot be read are left out.
#[derive(Debug, Default)]
pub(super) struct Listing(BTreeMap<String, Member>);

impl Listing {
    /// All that are there now.
    pub(super) async fn read(client: &Client, path: &str) -> Result<Listing, Error> {
        let names = client.list_children(path).await?;
        let mut listing = Listing::default();
        listing.read_again(client, path, names.into_iter().collect()).await?;
        Ok(listing)
    }

    /// Reads what became of those with these names.
    pub(super) async fn read_again(&mut self, client: &Client, path: &str, names: BTreeSet<String>) -> Result<(), Error> {
        // Sent at once, and answered in order.
        let asked: Vec<_> = names.into_iter().map(|name| (client.get_data(&format!("{path}/{name}")), name)).collect();
        for (answer, name) in asked {
            match answer.await {
                Ok((data, _)) => match serde_json::from_slice::<Member>(&data) {
                    Ok(member) => {
                        self.0.insert(name, member);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the cluster's member {name} cannot be understood, and is left out");
                        self.0.remove(&name);
                    }
                },
                Err(Error::NoNode) => {
                    self.0.remove(&name);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Tells those who watch, if it is news.
    pub(super) fn publish(&self, to: &watch::Sender<Arc<[Member]>>) {
        let mut all: Vec<Member> = self.0.values().cloned().collect();
        all.sort_unstable_by_key(|member| member.node.number);
        to.send_if_modified(|known| {
            let news = **known != *all;
            if news {
                *known = all.into();
            }
            news
        });
    }
}
