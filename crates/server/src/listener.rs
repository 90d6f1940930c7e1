//! Connections: accepted, bounded, and kept from dawdling.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use banter_protocol::ErrorCode;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt;

use crate::api::errors::ApiError;
use crate::metrics::Metrics;

/// The longest that the head of a request may take to arrive, and that a connection may stay idle between requests.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Most bytes of a request's head.
const HEAD_BYTES: usize = 32 << 10;
/// Most HTTP connections at once; sessions over WebSocket are not among them. Beyond it new ones wait in the kernel's queue.
const CONNECTIONS: usize = 20_000;
/// Bytes that a peer does not take for this long end the connection (TCP_USER_TIMEOUT, RFC 5482): one that never reads its answer
/// would keep its place for ever. In milliseconds.
const UNTAKEN_MS: u32 = 60_000;
/// Connections that wait in the kernel to be accepted; the system may allow fewer (net.core.somaxconn). When it is full, the kernel
/// drops what a device begins with, and the device asks again after one second, three, seven: with 128 places, which is what is taken
/// when nothing is said, a few hundred devices that come back at once make each other wait.
const BACKLOG: u32 = 4_096;
/// The pause when the system gives no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A connection's place among those that are not sessions. In the extensions of every request, so that a handshake can keep it
/// until its session stands.
#[derive(Clone)]
pub struct Place(
    #[expect(dead_code, reason = "it is kept, and given back when the last clone is dropped")] Arc<OwnedSemaphorePermit>,
);

/// Listens on `address`; port 0 takes a free one.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A server that is started again takes its port back from connections of the one before that are not quite gone.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections for as long as it is polled, and serves `app` on each; at most `connections` at once that are not sessions.
pub async fn serve(listener: TcpListener, app: Router, metrics: Arc<Metrics>, connections: usize) {
    let room = Arc::new(Semaphore::new(connections.min(CONNECTIONS)));
    loop {
        // The semaphore is never closed.
        let Ok(place) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (app, metrics) = (app.clone(), metrics.clone());
                tokio::spawn(async move {
                    metrics.connections.inc();
                    connection(stream, peer, Place(Arc::new(place)), app, &metrics).await;
                    metrics.connections.dec();
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection is not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection until it is idle for too long, closed, or has become a WebSocket.
async fn connection(stream: TcpStream, peer: SocketAddr, place: Place, app: Router, metrics: &Arc<Metrics>) {
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&stream, UNTAKEN_MS) {
        tracing::debug!(%peer, %error, "no timeout for what is not taken");
    }
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (app, metrics, place) = (app.clone(), metrics.clone(), place.clone());
        async move {
            if !is_plainly_framed(request.headers()) {
                return Ok(refuse_framing(&metrics));
            }
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(place);
            app.oneshot(request).await
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        if error.is_parse() || error.is_timeout() {
            metrics.broken_connections.inc();
        }
        tracing::debug!(%peer, %error, "connection");
    }
}

/// Is `chunked`, said once, the only transfer coding, if there is one? Where a body ends must not be a matter of opinion: a proxy
/// in front of us that reads another encoding, or the other of two headers, would see other requests than we do. (What hyper
/// sees to: differing lengths are refused; a length beside `chunked` is ignored, and the connection closed after the answer.)
fn is_plainly_framed(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).into_iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

fn refuse_framing(metrics: &Metrics) -> Response {
    metrics.refused(ErrorCode::InvalidRequest.code());
    let message = "`Transfer-Encoding` is `chunked`, once, or absent";
    let mut response = ApiError::new(ErrorCode::InvalidRequest, message).into_response();
    // What follows on the connection may be the rest of this request as well as the next one.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_who_come_at_once_find_room_to_wait() {
        let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").map_or(128, |text| text.trim().parse().unwrap());
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        // Nobody accepts them: each is connected only if there is a place for it.
        let mut waiting = Vec::new();
        for _ in 0..600.min(most) {
            waiting.push(std::net::TcpStream::connect_timeout(&address, Duration::from_secs(10)).unwrap());
        }
        let (_stream, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, waiting[0].local_addr().unwrap());
    }

    #[test]
    fn one_way_to_say_where_a_body_ends() {
        let framed = |codings: &[&'static str]| {
            let headers = codings.iter().map(|coding| (header::TRANSFER_ENCODING, HeaderValue::from_static(coding)));
            is_plainly_framed(&headers.fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            }))
        };
        assert!(framed(&[]) && framed(&["chunked"]) && framed(&["Chunked"]));
        for wrong in [&["chunked", "chunked"][..], &["gzip, chunked"], &["gzip", "chunked"], &["chunked, chunked"], &["xchunked"]]
        {
            assert!(!framed(wrong), "{wrong:?}");
        }
    }
}
