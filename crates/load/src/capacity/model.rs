//! From the figures of one node to a fleet. Nothing in here is written down that is not computed from [`Figures`] and
//! [`super::assumptions`].

use super::assumptions as assumed;
use super::figures::Figures;

/// Seconds of a day.
const DAY: f64 = 86_400.0;
/// Days of a year.
const YEAR: f64 = 365.0;

/// What comes in and goes out, of all users together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traffic {
    /// Messages a second, on the average.
    pub average: f64,
    /// Messages in the busiest second.
    pub peak: f64,
    /// Sessions that get a message as an event.
    pub deliveries: f64,
    /// Receivers of a message who are offline, and get a push.
    pub pushes: f64,
    /// Sessions in the busiest second.
    pub sessions: f64,
}

impl Traffic {
    /// As assumed.
    pub fn new() -> Traffic {
        let average = assumed::MESSAGES_A_DAY.value / DAY;
        let group_share = 1.0 - assumed::DIRECT_SHARE.value;
        let receivers = assumed::DIRECT_SHARE.value + group_share * (assumed::GROUP_MEMBERS.value - 1.0);
        let online = receivers * assumed::WRITTEN_TO_ONLINE.value;
        // The writer's other devices get it too.
        let own = assumed::SESSIONS_PER_USER.value - 1.0;
        Traffic {
            average,
            peak: average * assumed::PEAK.value,
            deliveries: online * assumed::SESSIONS_PER_USER.value + own,
            pushes: receivers - online,
            sessions: assumed::DAILY_USERS.value * assumed::ONLINE_SHARE.value * assumed::SESSIONS_PER_USER.value,
        }
    }
}

impl Default for Traffic {
    fn default() -> Self {
        Traffic::new()
    }
}

/// A machine that a role runs on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Node {
    /// Processors.
    pub cores: f64,
    /// Processors as the measured machine has them: fewer, where a large machine does not scale.
    pub effective_cores: f64,
    /// Bytes.
    pub memory: f64,
}

impl Node {
    /// The measured machine, and a larger one.
    pub fn kinds(figures: &Figures) -> [Node; 2] {
        let (measured, large) = (figures.machine.cores as f64, assumed::LARGE_CORES.value);
        let large_effective = if large > measured { large * assumed::LARGE_EFFICIENCY.value } else { large };
        [
            Node { cores: measured, effective_cores: measured, memory: figures.machine.memory_bytes as f64 },
            Node { cores: large, effective_cores: large_effective, memory: assumed::LARGE_MEMORY.value },
        ]
    }
}

/// Nodes of a role, by what they are limited by. Counts are before rounding and without a spare zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Need {
    /// What limits, and how many nodes it asks for.
    pub limits: Vec<(&'static str, f64)>,
}

impl Need {
    /// The limit that asks for the most.
    pub fn greatest(&self) -> (&'static str, f64) {
        self.limits.iter().copied().max_by(|one, other| one.1.total_cmp(&other.1)).unwrap_or(("nothing", 0.0))
    }

    /// Whole nodes, with a zone to lose.
    pub fn nodes(&self) -> f64 {
        let zones = assumed::ZONES.value;
        (self.greatest().1 * zones / (zones - 1.0)).ceil().max(zones)
    }

    /// Whole nodes where copies are in all zones already: losing one leaves enough of them.
    pub fn nodes_replicated(&self) -> f64 {
        self.greatest().1.ceil().max(assumed::ZONES.value)
    }
}

/// Bytes from and to devices for a message, headers included.
pub fn client_bytes(traffic: &Traffic) -> (f64, f64) {
    let (send, sent, event) =
        (assumed::SEND_FRAME_BYTES.value, assumed::SENT_FRAME_BYTES.value, assumed::EVENT_FRAME_BYTES.value);
    let packet = assumed::PACKET_BYTES.value;
    (send + packet, sent + packet + traffic.deliveries * (event + packet))
}

/// Gateways on nodes of this kind.
pub fn gateways(figures: &Figures, traffic: &Traffic, node: &Node) -> Need {
    let memory = node.memory * assumed::SESSION_MEMORY_SHARE.value / (figures.session_bytes + figures.session_kernel_bytes);
    // Pairs have one delivery for each message; each further one costs what it costs in a group.
    let further = (traffic.deliveries - 1.0).max(0.0) * figures.delivery_us;
    let message_us = (figures.message_us() * assumed::GATEWAY_SHARE.value + further) * assumed::FLEET_FACTOR.value;
    let busy = traffic.peak * message_us / 1e6;
    let (_, out) = client_bytes(traffic);
    Need {
        limits: vec![
            ("memory of sessions", traffic.sessions / memory),
            ("sessions that one may lose", traffic.sessions / assumed::SESSIONS_MOST.value),
            ("processors", busy / (node.effective_cores * assumed::UTILISATION.value)),
            ("network to devices", traffic.peak * out / (assumed::NODE_NETWORK.value * assumed::UTILISATION.value)),
        ],
    }
}

/// Processor time of a message in a worker of a fleet, in microseconds.
pub fn worker_us(figures: &Figures) -> f64 {
    figures.message_us() * assumed::WORKER_SHARE.value * assumed::FLEET_FACTOR.value
}

/// Workers on nodes of this kind.
pub fn workers(figures: &Figures, traffic: &Traffic, node: &Node) -> Need {
    let busy = traffic.peak * worker_us(figures) / 1e6;
    let out = traffic.peak * traffic.deliveries * assumed::EVENT_FRAME_BYTES.value;
    Need {
        limits: vec![
            ("processors", busy / (node.effective_cores * assumed::UTILISATION.value)),
            ("network to gateways", out / (assumed::NODE_NETWORK.value * assumed::UTILISATION.value)),
        ],
    }
}

/// Bytes that Kafka takes for a message, one copy: a command and the event that came of it.
pub fn kafka_bytes() -> f64 {
    2.0 * (assumed::TEXT_BYTES.value + assumed::KAFKA_RECORD_BYTES.value)
}

/// Kafka brokers.
pub fn brokers(traffic: &Traffic) -> Need {
    let copies = kafka_bytes() * assumed::KAFKA_REPLICATION.value;
    let kept = traffic.average * DAY * assumed::KAFKA_RETENTION.value * copies;
    Need {
        limits: vec![
            ("bytes written", traffic.peak * copies / (assumed::KAFKA_BROKER_BYTES.value * assumed::UTILISATION.value)),
            ("disk for the retention", kept / (assumed::KAFKA_BROKER_DISK.value * assumed::UTILISATION.value)),
        ],
    }
}

/// Bytes of one copy of the history after so many years.
pub fn history_bytes(figures: &Figures, years: f64) -> f64 {
    assumed::MESSAGES_A_DAY.value * YEAR * years * figures.message_bytes * assumed::CASSANDRA_SIZE.value
}

/// Bytes of all the disks that hold `bytes` in Cassandra.
pub fn cassandra_disks(bytes: f64) -> f64 {
    bytes * assumed::CASSANDRA_REPLICATION.value / (1.0 - assumed::CASSANDRA_FREE.value)
}

/// Cassandra nodes that hold `bytes` (one copy) and carry the traffic.
pub fn cassandra(traffic: &Traffic, bytes: f64) -> Need {
    let rows = traffic.peak * assumed::CASSANDRA_ROWS_PER_MESSAGE.value * assumed::CASSANDRA_REPLICATION.value;
    // A quorum reads two copies.
    let pages = traffic.peak * assumed::READS_PER_WRITE.value / assumed::PAGE_MESSAGES.value * 2.0;
    Need {
        limits: vec![
            ("writes", rows / (assumed::CASSANDRA_WRITES.value * assumed::UTILISATION.value)),
            ("reads", pages / (assumed::CASSANDRA_READS.value * assumed::UTILISATION.value)),
            ("disk", bytes * assumed::CASSANDRA_REPLICATION.value / assumed::CASSANDRA_DENSITY.value),
        ],
    }
}

/// Bytes in the cold tier, overhead included, after so many years, if full buckets leave Cassandra when they are old.
pub fn cold_bytes(figures: &Figures, years: f64) -> f64 {
    let days = (YEAR * years - assumed::COLD_AFTER.value).max(0.0);
    let message = figures.text_bytes + assumed::COLD_EVENT_BYTES.value;
    assumed::MESSAGES_A_DAY.value * days * message * assumed::COLD_OVERHEAD.value
}

/// Bytes that stay in Cassandra then, one copy.
pub fn warm_bytes(figures: &Figures, years: f64) -> f64 {
    history_bytes(figures, years.min(assumed::COLD_AFTER.value / YEAR))
}

/// Messages a second of the busiest partition that one core can fold and store, and how many it gets at the peak.
pub fn partition(figures: &Figures, traffic: &Traffic) -> (f64, f64) {
    let carries = 1e6 / worker_us(figures) * assumed::UTILISATION.value;
    (carries, traffic.peak / assumed::PARTITIONS.value * assumed::PARTITION_SKEW.value)
}

/// Seconds until the sessions of one gateway of `gateways`, and of a whole zone, are in sync elsewhere.
pub fn comes_back(figures: &Figures, traffic: &Traffic, gateways: f64) -> (f64, f64) {
    let zones = assumed::ZONES.value;
    let one = traffic.sessions / gateways / ((gateways - 1.0).max(1.0) * figures.synced_a_second);
    let zone = traffic.sessions / zones / (gateways * (zones - 1.0) / zones * figures.synced_a_second);
    (one, zone)
}
