//! Which chat servers are best for a client.
//!
//! Near before far, room before none; servers that are about equally near share the newcomers by the power of two choices: two
//! are drawn, and the one with more room wins. That spreads a crowd evenly though everybody ranks by figures that are seconds
//! old, where "always the emptiest" would send all of it to one server.

use serde::{Deserialize, Serialize};

/// Most servers that a client is told of.
pub const SERVERS_TOLD: usize = 5;
/// Servers whose distances differ by less than this are equally near, in kilometres: light needs a millisecond for it and back.
pub const EQUALLY_NEAR_KM: f64 = 100.0;
/// A server that is as full as this is chosen only when no other is left; in parts of 1,000.
pub const CROWDED_PER_MILLE: u64 = 950;

/// Mean radius of the earth, in kilometres.
const EARTH_KM: f64 = 6_371.0;
/// The distance of a server that may be anywhere: half around the earth.
const ANYWHERE_KM: f64 = 20_015.0;

/// A place on the earth, in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coordinates {
    /// North is positive: -90 to 90.
    pub latitude: f64,
    /// East is positive: -180 to 180.
    pub longitude: f64,
}

/// The coordinates are not on the earth.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("a latitude is from -90 to 90 degrees and a longitude from -180 to 180, not {latitude} and {longitude}")]
pub struct NotOnEarth {
    /// The latitude given.
    pub latitude: f64,
    /// The longitude given.
    pub longitude: f64,
}

impl Coordinates {
    /// The place at a latitude and a longitude, in degrees.
    ///
    /// # Errors
    /// When one of them is out of range or not a number.
    pub fn new(latitude: f64, longitude: f64) -> Result<Self, NotOnEarth> {
        if (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude) {
            Ok(Coordinates { latitude, longitude })
        } else {
            Err(NotOnEarth { latitude, longitude })
        }
    }

    /// The distance along a great circle, in kilometres (haversine).
    pub fn distance_km(self, other: Coordinates) -> f64 {
        let (from, to) = (self.latitude.to_radians(), other.latitude.to_radians());
        let half = |a: f64, b: f64| ((b - a) / 2.0).sin().powi(2);
        let turn = half(self.longitude.to_radians(), other.longitude.to_radians());
        let chord = half(from, to) + from.cos() * to.cos() * turn;
        2.0 * EARTH_KM * chord.clamp(0.0, 1.0).sqrt().asin()
    }
}

/// What is known of where a client is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ClientPlace {
    /// The region that its load balancer or it itself names; empty if none is known.
    pub region: String,
    /// Where it is.
    pub coordinates: Option<Coordinates>,
}

/// What is known of a chat server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate<'a> {
    /// The region that it is in; empty if it has none.
    pub region: &'a str,
    /// Where it is.
    pub coordinates: Option<Coordinates>,
    /// Most sessions that it holds.
    pub capacity: u32,
    /// Sessions that it holds.
    pub load: u32,
    /// It is about to stop.
    pub draining: bool,
}

impl Candidate<'_> {
    /// How full it is, in parts of 1,000; a server without capacity is full.
    fn fullness(&self) -> u64 {
        match self.capacity {
            0 => 1_000,
            capacity => (u64::from(self.load) * 1_000 / u64::from(capacity)).min(1_000),
        }
    }

    /// How far it is from `client`: the same region is nearest, then it goes by kilometres, in steps of what is equally near.
    fn distance_step(&self, client: &ClientPlace) -> u32 {
        let same_region = !client.region.is_empty() && client.region == self.region;
        let km = match (client.coordinates, self.coordinates) {
            (Some(from), Some(to)) => from.distance_km(to),
            _ if same_region => 0.0,
            _ => ANYWHERE_KM,
        };
        let step = (km / EQUALLY_NEAR_KM) as u32;
        if same_region { step.min(1) } else { step + 1 }
    }

    /// 0 for a server that takes newcomers gladly, 1 for a crowded one, 2 for one that is full or about to stop.
    fn reluctance(&self) -> u8 {
        match self.fullness() {
            _ if self.draining => 2,
            1_000.. => 2,
            fullness => u8::from(fullness >= CROWDED_PER_MILLE),
        }
    }
}

/// The places in `candidates` of the best servers for `client`, best first, at most [`SERVERS_TOLD`]. Those that are full or about
/// to stop come last, and only if there would be nobody else. `random` decides between equals: 64 fresh bits for each call.
pub fn rank(candidates: &[Candidate<'_>], client: &ClientPlace, random: u64) -> Vec<usize> {
    let mut random = Bits(random);
    let mut groups: Vec<((u8, u32), usize)> = candidates
        .iter()
        .enumerate()
        .map(|(place, candidate)| ((candidate.reluctance(), candidate.distance_step(client)), place))
        .collect();
    groups.sort_unstable();
    let last = if groups.iter().any(|((reluctance, _), _)| *reluctance < 2) { 2 } else { 3 };
    groups.retain(|((reluctance, _), _)| *reluctance < last);
    let mut ranked = Vec::with_capacity(SERVERS_TOLD);
    for group in groups.chunk_by(|(a, _), (b, _)| a == b) {
        let mut equals: Vec<usize> = group.iter().map(|(_, place)| *place).collect();
        while !equals.is_empty() && ranked.len() < SERVERS_TOLD {
            let (one, other) = (random.below(equals.len()), random.below(equals.len()));
            let fuller = candidates[equals[one]].fullness() > candidates[equals[other]].fullness();
            ranked.push(equals.swap_remove(if fuller { other } else { one }));
        }
    }
    ranked
}

/// Draws from the bits that were given (SplitMix64).
struct Bits(u64);

impl Bits {
    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(z ^ (z >> 31)) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRANKFURT: Coordinates = Coordinates { latitude: 50.11, longitude: 8.68 };
    const PARIS: Coordinates = Coordinates { latitude: 48.86, longitude: 2.35 };
    const SYDNEY: Coordinates = Coordinates { latitude: -33.87, longitude: 151.21 };
    const FIJI: Coordinates = Coordinates { latitude: -17.7, longitude: 178.0 };
    const SAMOA: Coordinates = Coordinates { latitude: -13.8, longitude: -171.8 };

    fn server(region: &str, coordinates: Option<Coordinates>, load: u32) -> Candidate<'_> {
        Candidate { region, coordinates, capacity: 1_000, load, draining: false }
    }

    fn at(coordinates: Coordinates) -> ClientPlace {
        ClientPlace { region: String::new(), coordinates: Some(coordinates) }
    }

    fn is_near(km: f64, expected: f64) -> bool {
        (km - expected).abs() < expected * 0.01 + 0.001
    }

    #[test]
    fn distances_are_those_of_the_earth() {
        assert!(is_near(FRANKFURT.distance_km(PARIS), 479.0), "{}", FRANKFURT.distance_km(PARIS));
        assert!(is_near(PARIS.distance_km(SYDNEY), 16_960.0), "{}", PARIS.distance_km(SYDNEY));
        assert!(is_near(FIJI.distance_km(SAMOA), 1_168.0), "across the date line: {}", FIJI.distance_km(SAMOA));
        assert!(is_near(PARIS.distance_km(PARIS), 0.0));
        let (pole, other) = (Coordinates::new(90.0, 0.0).unwrap(), Coordinates::new(-90.0, 77.0).unwrap());
        assert!(is_near(pole.distance_km(other), 20_015.0));
        assert!(Coordinates::new(90.1, 0.0).is_err() && Coordinates::new(f64::NAN, 0.0).is_err());
    }

    #[test]
    fn the_nearest_comes_first_and_the_farthest_last() {
        let servers =
            [server("", Some(SYDNEY), 0), server("", Some(PARIS), 900), server("", Some(FRANKFURT), 0), server("", None, 0)];
        for random in 0..50 {
            assert_eq!(rank(&servers, &at(PARIS), random), [1, 2, 0, 3]);
        }
    }

    #[test]
    fn a_region_counts_where_coordinates_are_missing_and_before_them() {
        let servers = [server("us", None, 0), server("eu", None, 0), server("", None, 0)];
        let client = ClientPlace { region: "eu".to_owned(), coordinates: None };
        for random in 0..50 {
            assert_eq!(rank(&servers, &client, random)[0], 1);
        }
        let servers = [server("eu-west", Some(FRANKFURT), 0), server("eu-central", Some(PARIS), 0)];
        let client = ClientPlace { region: "eu-central".to_owned(), coordinates: Some(FRANKFURT) };
        assert_eq!(rank(&servers, &client, 1), [1, 0], "what the operator names a region is meant to be used");
    }

    #[test]
    fn crowded_servers_come_after_others_however_near() {
        let servers = [server("", Some(PARIS), 960), server("", Some(SYDNEY), 0)];
        assert_eq!(rank(&servers, &at(PARIS), 3), [1, 0]);
    }

    #[test]
    fn full_and_draining_servers_are_named_only_when_there_is_no_other() {
        let draining = Candidate { draining: true, ..server("", Some(PARIS), 0) };
        let full = server("", Some(PARIS), 1_000);
        let without_room = Candidate { capacity: 0, ..full };
        assert_eq!(rank(&[draining, full, without_room, server("", Some(SYDNEY), 1)], &at(PARIS), 3), [3]);
        let mut ranked = rank(&[draining, full, without_room], &at(PARIS), 3);
        ranked.sort_unstable();
        assert_eq!(ranked, [0, 1, 2], "better than nobody: it may be over by the time the client comes");
        assert_eq!(rank(&[], &at(PARIS), 3), [0; 0]);
    }

    #[test]
    fn at_most_five_are_told_each_once() {
        let servers = [server("", None, 0); 40];
        for random in 0..200 {
            let mut ranked = rank(&servers, &ClientPlace::default(), random);
            assert_eq!(ranked.len(), SERVERS_TOLD);
            ranked.sort_unstable();
            ranked.dedup();
            assert_eq!(ranked.len(), SERVERS_TOLD);
        }
    }

    /// With figures that are not refreshed meanwhile, a crowd must not all go to one server; and the emptier gets more.
    #[test]
    fn a_crowd_is_spread() {
        let servers: Vec<_> = (0..10).map(|place| server("", None, place * 50)).collect();
        let mut chosen = [0_u32; 10];
        for random in 0..10_000 {
            chosen[rank(&servers, &ClientPlace::default(), random)[0]] += 1;
        }
        // Of ten, the emptiest wins whenever it is drawn: 19 of 100 times; the fullest when it is drawn twice.
        assert!((1_600..2_200).contains(&chosen[0]), "{chosen:?}");
        assert!((50..200).contains(&chosen[9]), "{chosen:?}");
        assert!(chosen.is_sorted_by(|more, less| more > less), "{chosen:?}");
    }

    /// Newcomers one after the other, with current figures: the loads stay together.
    #[test]
    fn two_choices_keep_loads_together() {
        let mut servers = [server("", None, 0); 20].to_vec();
        for random in 0..10_000_u64 {
            let best = rank(&servers, &ClientPlace::default(), random.wrapping_mul(0x9e37_79b9_7f4a_7c15))[0];
            servers[best].load += 1;
        }
        let loads: Vec<u32> = servers.iter().map(|server| server.load).collect();
        assert!(loads.iter().all(|load| (480..=520).contains(load)), "{loads:?}");
    }
}
