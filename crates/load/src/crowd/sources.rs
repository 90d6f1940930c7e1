//! Where connections come from: loopback addresses, and ports that are chosen here. The kernel's own choice looks for a free port, which
//! takes longer the more are taken, and gives up before all are.

use std::net::{Ipv4Addr, SocketAddrV4};

/// Ports used of one address.
const PORTS: std::ops::Range<u16> = 10_000..60_000;

/// The addresses of one thread: all of 127.n.0.1 to 127.n.255.255, for one n.
#[derive(Debug)]
pub struct Sources {
    first: u32,
    next: u32,
}

impl Sources {
    /// The addresses of the thread with this number; two threads below 250 share none.
    pub fn of_thread(number: usize) -> Self {
        // 127.0 is where the server and other programs are.
        let block = number as u32 % 250 + 1;
        Sources { first: u32::from(Ipv4Addr::new(127, 0, 0, 1)) + (block << 16), next: 0 }
    }

    /// The next one; none comes a second time before all have come.
    pub fn next_address(&mut self) -> SocketAddrV4 {
        let ports = u32::from(PORTS.end - PORTS.start);
        let (address, port) = (self.next / ports, self.next % ports);
        self.next = (self.next + 1) % (ports * 65_000);
        SocketAddrV4::new(Ipv4Addr::from(self.first + address), PORTS.start + port as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_not_shared_and_do_not_come_twice() {
        let mut first = Sources::of_thread(0);
        let seen: Vec<SocketAddrV4> = (0..120_000).map(|_| first.next_address()).collect();
        let distinct: std::collections::HashSet<_> = seen.iter().collect();
        assert_eq!(distinct.len(), seen.len());
        assert_eq!(seen[0], "127.1.0.1:10000".parse().unwrap());
        assert_eq!(seen[50_000], "127.1.0.2:10000".parse().unwrap());
        assert!(seen.iter().all(|address| address.ip().octets()[1] == 1 && address.port() < 60_000));
        assert_eq!(Sources::of_thread(1).next_address(), "127.2.0.1:10000".parse().unwrap());
    }
}
