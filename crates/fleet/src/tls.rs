//! The one implementation of cryptography that all links of a process use.

/// Makes *ring* what links over TLS use unless they are told otherwise. Two implementations are among the dependencies, and
/// where nobody has chosen, the first such link would panic. May be called any number of times, before each link that needs it.
pub fn choose_cryptography() {
    // Somebody has chosen already: that is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
