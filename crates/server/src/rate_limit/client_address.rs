//! Whom a request comes from, for limits by address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use axum::http::HeaderMap;

/// An address as limits count it: IPv4 whole, IPv6 by its /64 (what one customer is given).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// The address that stands for `address`.
    pub fn of(address: IpAddr) -> Self {
        ClientAddress(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        })
    }

    /// The address; of IPv6 its first half.
    pub fn ip(self) -> IpAddr {
        self.0
    }

    /// Where a request comes from: the peer, or what a trusted proxy in between wrote. Of several entries the last counts: it was
    /// written by the proxy next to us, the others may be the client's invention.
    pub fn from_request(peer: Option<SocketAddr>, headers: &HeaderMap, trusted: Option<ProxyHeader>) -> Self {
        let written = trusted.and_then(|header| header.last_address(headers));
        let address = written.or_else(|| peer.map(|peer| peer.ip()));
        ClientAddress::of(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }
}

/// The header in which a proxy says for whom it asks. Only one is believed: a proxy that writes one of them hands on the other as
/// the client sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// `X-Forwarded-For: 192.0.2.60`, what most proxies write.
    XForwardedFor,
    /// `Forwarded: for=192.0.2.60;proto=https` (RFC 7239).
    Forwarded,
}

/// The text names no header that a proxy is believed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the header is `x-forwarded-for` or `forwarded`, not {0:?}")]
pub struct UnknownProxyHeader(String);

impl FromStr for ProxyHeader {
    type Err = UnknownProxyHeader;

    fn from_str(name: &str) -> Result<Self, UnknownProxyHeader> {
        match name.to_ascii_lowercase().as_str() {
            "x-forwarded-for" => Ok(ProxyHeader::XForwardedFor),
            "forwarded" => Ok(ProxyHeader::Forwarded),
            _ => Err(UnknownProxyHeader(name.to_owned())),
        }
    }
}

impl ProxyHeader {
    fn last_address(self, headers: &HeaderMap) -> Option<IpAddr> {
        let name = match self {
            ProxyHeader::XForwardedFor => "x-forwarded-for",
            ProxyHeader::Forwarded => "forwarded",
        };
        let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
        let last = value.rsplit(',').next()?;
        match self {
            ProxyHeader::XForwardedFor => parse(last),
            ProxyHeader::Forwarded => {
                let pairs = last.split(';').filter_map(|pair| pair.trim().split_once('='));
                pairs.filter(|(name, _)| name.eq_ignore_ascii_case("for")).find_map(|(_, node)| parse(node))
            }
        }
    }
}

/// An address with or without quotes, brackets and port.
fn parse(node: &str) -> Option<IpAddr> {
    let node = node.trim().trim_matches('"');
    if let Ok(address) = node.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(address) = node.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    node.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> ClientAddress {
        ClientAddress::of(address.parse().unwrap())
    }

    fn from(trusted: Option<ProxyHeader>, headers: &[(&'static str, &str)]) -> ClientAddress {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        ClientAddress::from_request(Some("10.0.0.1:5000".parse().unwrap()), &map, trusted)
    }

    #[test]
    fn ipv6_counts_by_its_first_half() {
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::9"));
        assert_ne!(of("2001:db8:1:2::9"), of("2001:db8:1:3::9"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }

    #[test]
    fn only_the_trusted_header_is_believed() {
        let both = [("x-forwarded-for", "192.0.2.60"), ("forwarded", "for=192.0.2.61")];
        assert_eq!(from(None, &both), of("10.0.0.1"));
        assert_eq!(from(Some(ProxyHeader::XForwardedFor), &both), of("192.0.2.60"));
        assert_eq!(from(Some(ProxyHeader::Forwarded), &both), of("192.0.2.61"));
        assert_eq!(from(Some(ProxyHeader::Forwarded), &both[..1]), of("10.0.0.1"));
    }

    #[test]
    fn the_last_entry_counts() {
        let x = Some(ProxyHeader::XForwardedFor);
        assert_eq!(from(x, &[("x-forwarded-for", "1.1.1.1, 192.0.2.60")]), of("192.0.2.60"));
        assert_eq!(from(x, &[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "192.0.2.60:80")]), of("192.0.2.60"));
        assert_eq!(from(x, &[("x-forwarded-for", "1.1.1.1, unknown")]), of("10.0.0.1"), "the first one may be invented");
        let standard = Some(ProxyHeader::Forwarded);
        assert_eq!(from(standard, &[("forwarded", "for=1.1.1.1, for=192.0.2.60;proto=https")]), of("192.0.2.60"));
        assert_eq!(from(standard, &[("forwarded", r#"proto=http;For="[2001:db8::17]:4711""#)]), of("2001:db8::"));
        assert_eq!(from(standard, &[("forwarded", r#"for="[2001:db8::17]""#)]), of("2001:db8::1"));
        assert_eq!(from(standard, &[("forwarded", "for=_hidden")]), of("10.0.0.1"));
    }
}
