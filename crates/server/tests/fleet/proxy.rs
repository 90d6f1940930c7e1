//! A connection between two nodes that can be cut.

use std::net::{SocketAddr, TcpListener as StdListener};

use banter_server::serve::Internal;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Hands on what comes to it.
pub struct Proxy {
    open: watch::Sender<bool>,
}

impl Proxy {
    /// A proxy in front of a node, and how the node is to listen.
    pub async fn new() -> (Proxy, Internal) {
        // A free port, as far as one can know.
        let behind: SocketAddr = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (open, is_open) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut open = is_open.clone();
                tokio::spawn(async move {
                    if !*open.borrow() {
                        return;
                    }
                    let Ok(mut far) = TcpStream::connect(behind).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = open.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        (Proxy { open }, Internal { listen: behind, address, tls: None })
    }

    /// Cuts what goes through it, and lets nothing through any more.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Lets through again.
    pub fn mend(&self) {
        self.open.send_replace(true);
    }
}
