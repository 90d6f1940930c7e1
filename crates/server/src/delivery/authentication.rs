//! Nodes know each other by the key that they share.

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::auth::signature::Signer;

/// Where a node shows its proof.
const HEADER: &str = "authorization";
/// What is signed.
const PAYLOAD: [u8; 1] = [1];

/// Proves to other nodes, and checks of them, that they hold the fleet's secret key. The proof is the same for all connections, so it is as
/// secret as the network between the nodes.
#[derive(Clone)]
pub struct NodeKey {
    signer: Signer,
    proof: MetadataValue<Ascii>,
}

impl NodeKey {
    /// The proof under the fleet's secret key.
    pub fn new(key: &[u8; 32]) -> Self {
        let signer = Signer::new(key, b"banter node");
        // Base64 is visible ASCII.
        let mut proof = MetadataValue::try_from(signer.sign(&PAYLOAD)).expect("base64 is visible ASCII");
        proof.set_sensitive(true);
        NodeKey { signer, proof }
    }

    /// Puts the proof into a request.
    pub fn prove<T>(&self, request: &mut Request<T>) {
        request.metadata_mut().insert(HEADER, self.proof.clone());
    }

    /// Is this a proof?
    fn holds(&self, shown: Option<&MetadataValue<Ascii>>) -> bool {
        let shown = shown.and_then(|shown| shown.to_str().ok());
        shown.and_then(|shown| self.signer.check::<1>(shown)) == Some(PAYLOAD)
    }
}

impl Interceptor for NodeKey {
    /// Lets in who proves it.
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        if self.holds(request.metadata().get(HEADER)) {
            Ok(request)
        } else {
            Err(Status::unauthenticated("this node does not hold the fleet's secret key"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_has_the_key_comes_in() {
        let (mut ours, theirs) = (NodeKey::new(&[1; 32]), NodeKey::new(&[2; 32]));
        let with = |key: Option<&NodeKey>| {
            let mut request = Request::new(());
            if let Some(key) = key {
                key.prove(&mut request);
            }
            request
        };
        assert!(ours.call(with(Some(&ours.clone()))).is_ok());
        assert!(ours.call(with(Some(&theirs))).is_err());
        assert!(ours.call(with(None)).is_err());
    }
}
