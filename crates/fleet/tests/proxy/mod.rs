//! A link to an engine that can be cut.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Hands on what comes, while it is whole.
pub struct Proxy {
    address: SocketAddr,
    whole: watch::Sender<bool>,
}

impl Proxy {
    /// A link to the engine at `to` (`host:port`).
    pub async fn to(to: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy { address: listener.local_addr().unwrap(), whole: watch::Sender::new(true) };
        let (to, whole) = (to.to_owned(), proxy.whole.subscribe());
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (to, mut whole) = (to.clone(), whole.clone());
                tokio::spawn(async move {
                    if !*whole.borrow() {
                        return;
                    }
                    let Ok(mut far) = TcpStream::connect(&to).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = whole.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        proxy
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Nothing gets through any more, and connections are closed.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// New connections get through.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}
