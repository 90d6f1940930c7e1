//! Links between nodes over TLS: who has no certificate of the authority is no node.

use banter_server::delivery::wire::delivery_client::DeliveryClient;
use banter_server::delivery::wire::parcel::Content;
use banter_server::delivery::wire::{Farewell, Hello, Parcel};
use banter_server::delivery::{NodeKey, NodeTls};
use banter_server::serve::Internal;
use banter_store::Cluster;
use banter_store::cluster::Role;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tonic::Request;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::nodes::{Fleet, GATEWAY, KEY, Node, Wish};
use crate::support::socket::Socket;
use crate::support::{direct, soon};

/// Who signs certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for `name`, and its key.
    fn sign(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// What a node with a certificate for `name` is told.
    fn node(&self, name: &str) -> Internal {
        let (certificate, key) = self.sign(name);
        let tls = NodeTls::new(self.pem.clone(), certificate, key).unwrap();
        Internal { listen: "127.0.0.1:0".parse().unwrap(), address: String::new(), tls: Some(tls) }
    }
}

/// Where other nodes reach it.
fn internal_address(node: &Node) -> String {
    let members = node.member.members().borrow().clone();
    let own = members.iter().find(|member| member.node.number == node.member.number()).unwrap();
    own.profile.internal_address.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_cross_over_tls() {
    let (mut fleet, authority) = (Fleet::new().await, Authority::new());
    let one = fleet.start(Wish { internal: authority.node("127.0.0.1"), ..Wish::of(&Role::ALL) }).await;
    let other = fleet.start(Wish { internal: authority.node("127.0.0.1"), ..Wish::of(GATEWAY) }).await;
    let [ada, bob] = fleet.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let (mut at_ada, mut at_bob) = (Socket::open_at(one.address, &ada).await, Socket::open_at(other.address, &bob).await);
    at_ada.say(1, talk, "hello").await;
    assert_eq!(at_bob.expect("event").await["event"]["seq"], 1);
    at_bob.say(1, talk, "hello yourself").await;
    assert_eq!(at_ada.expect("event").await["event"]["seq"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_certificate_of_the_authority_is_not_let_in() {
    let (mut fleet, authority, another) = (Fleet::new().await, Authority::new(), Authority::new());
    let node = fleet.start(Wish { internal: authority.node("127.0.0.1"), ..Wish::of(&Role::ALL) }).await;
    let address = internal_address(&node);
    let call = async |tls: Option<ClientTlsConfig>| {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{address}")).unwrap();
        let endpoint = match tls {
            Some(tls) => endpoint.tls_config(tls.ca_certificate(Certificate::from_pem(&authority.pem))).unwrap(),
            None => endpoint,
        };
        let channel = endpoint.connect().await.map_err(|error| error.to_string())?;
        // It holds the key of the fleet, all the same.
        let content = [Content::Hello(Hello { number: 999, incarnation: 1 }), Content::Farewell(Farewell {})];
        let mut request = Request::new(futures_util::stream::iter(content.map(|content| Parcel { content: Some(content) })));
        NodeKey::new(&KEY).prove(&mut request);
        DeliveryClient::new(channel).deliver(request).await.map(drop).map_err(|status| status.to_string())
    };
    let with = |(certificate, key): (String, String)| ClientTlsConfig::new().identity(Identity::from_pem(certificate, key));
    soon("an answer", call(Some(with(authority.sign("127.0.0.1"))))).await.unwrap();
    for (who, tls) in [
        ("in plain text", None),
        ("without a certificate", Some(ClientTlsConfig::new())),
        ("of another authority", Some(with(another.sign("127.0.0.1")))),
    ] {
        let answer = soon("an answer", call(tls)).await;
        assert!(answer.is_err(), "{who}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_who_cannot_show_who_it_is() {
    let (mut fleet, authority, another) = (Fleet::new().await, Authority::new(), Authority::new());
    let worker = fleet.start(Wish { internal: authority.node("127.0.0.1"), ..Wish::of(&Role::ALL) }).await;
    for (who, internal) in [
        ("of another authority", another.node("127.0.0.1")),
        ("by another name", authority.node("elsewhere.example")),
        ("in plain text", Wish::of(GATEWAY).internal),
    ] {
        let before = worker.metric("links_broken_total").await;
        let gateway = fleet.start(Wish { internal, ..Wish::of(GATEWAY) }).await;
        soon(who, async {
            while worker.metric("links_broken_total").await == before {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
        assert_eq!(worker.metric("parcels_sent_total").await, 0, "{who}");
        gateway.die().await;
    }
}

#[test]
fn certificates_of_no_use_are_told_at_the_start() {
    let authority = Authority::new();
    let ((certificate, key), (_, other_key)) = (authority.sign("127.0.0.1"), authority.sign("127.0.0.1"));
    assert!(NodeTls::new(authority.pem.clone(), certificate.clone(), key.clone()).is_ok());
    for (authority, certificate, key) in [
        (authority.pem.clone(), certificate.clone(), other_key),
        (authority.pem.clone(), "nothing".to_owned(), key.clone()),
        ("nothing".to_owned(), certificate, key),
    ] {
        let error = NodeTls::new(authority, certificate, key).unwrap_err().to_string();
        assert!(error.contains("node.internal_tls"), "{error}");
    }
}
