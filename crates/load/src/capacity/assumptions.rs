//! Everything that the capacity model takes for granted: what was asked for, and what was not measured here. Change it here, and write
//! the document again.

/// A figure that no run of ours measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assumption {
    /// What it is.
    pub name: &'static str,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// Where it comes from.
    pub reason: &'static str,
}

macro_rules! assumptions {
    ($($constant:ident = $value:expr, $unit:literal, $name:literal, $reason:literal;)*) => {
        $(
            #[doc = concat!($name, ": ", $reason)]
            pub const $constant: Assumption =
                Assumption { name: $name, value: $value, unit: $unit, reason: $reason };
        )*
        /// All of them, in the order of the document.
        pub const ALL: &[Assumption] = &[$($constant),*];
    };
}

assumptions! {
    DAILY_USERS = 50e6, "users", "Daily users", "the yardstick of the brief";
    MESSAGES_A_DAY = 60e9, "messages", "Messages a day", "the yardstick of the brief; 1,200 for each user, far more than people write, so it stands for bots and growth too";
    PEAK = 3.0, "times the average", "Busiest second", "a guess: an evening at twice the average, and a great event at half as much again";
    DIRECT_SHARE = 0.8, "of messages", "Direct messages", "as in the mixed runs; the others go to groups";
    GROUP_MEMBERS = 20.0, "members", "Group that a message goes to, on the average", "at most 100; busy groups are larger than the median";
    ONLINE_SHARE = 0.3, "of daily users", "Online at the busiest second", "phones sleep and are woken by push; 10 % in the mixed runs, three times that at the peak";
    WRITTEN_TO_ONLINE = 0.6, "of receivers", "Receivers who are online", "who is written to is likelier to be there than anybody: conversations are two-sided";
    SESSIONS_PER_USER = 1.3, "sessions", "Sessions of one online user", "a phone, and for some a desk";
    TEXT_BYTES = 100.0, "bytes", "Text of a message", "as in the runs of pairs";
    EVENT_FRAME_BYTES = 380.0, "bytes", "Frame of an event", "`banter-load relay` prints 312 for 100 characters and ids of three digits; those of a fleet have 19";
    SEND_FRAME_BYTES = 210.0, "bytes", "Frame of a send", "the same; 172 there";
    SENT_FRAME_BYTES = 170.0, "bytes", "Frame of a sent", "the same; 132 there";
    PACKET_BYTES = 120.0, "bytes", "Headers of a frame that travels alone", "Ethernet, IPv6, TCP with timestamps, TLS record";
    UTILISATION = 0.6, "of a resource", "How full a node is run at the peak", "room for compaction, retries, and what is uneven between nodes";
    ZONES = 3.0, "zones", "Zones, one of which may be lost at the peak", "the others carry its share: 3 / 2 of the nodes";
    GATEWAY_SHARE = 0.7, "of the embedded cost", "Part of a direct message's processor time that is the gateway's", "reading, decoding, encoding and writing; to be replaced by a profile";
    WORKER_SHARE = 0.3, "of the embedded cost", "Part that is the worker's", "folding, building rows; the rest of the above";
    FLEET_FACTOR = 2.0, "times", "What a role costs in a fleet against embedded", "gRPC, Kafka and Cassandra clients in place of channels and an embedded engine; not measured before there is a fleet";
    SESSION_MEMORY_SHARE = 0.7, "of a node's memory", "Memory of a gateway that sessions may take", "the rest is the system's, and what outboxes hold at the peak";
    SESSIONS_MOST = 1e6, "sessions", "Most sessions of a gateway, whatever its memory", "one that is lost sends all of them elsewhere at once";
    LARGE_CORES = 16.0, "cores", "A larger node: cores", "a common size to rent";
    LARGE_MEMORY = 64.0 * 1073741824.0, "bytes", "A larger node: memory", "a common size to rent";
    LARGE_EFFICIENCY = 0.7, "of linear", "How a larger node scales", "locks, caches and interrupts; not measured here";
    NODE_NETWORK = 1.25e9, "bytes a second", "Network of a node, each way", "10 Gbit/s";
    PARTITIONS = 1024.0, "partitions", "Partitions of a fleet of this size", "fixed at installation; the default of 256 is for smaller ones";
    PARTITION_SKEW = 2.0, "times the average", "Busiest partition", "conversations are hashed; a few very busy groups are not even";
    KAFKA_RECORD_BYTES = 100.0, "bytes", "What a record of a command or an event has besides its text", "ids, tag, origin, and Kafka's own header; not compressed here";
    KAFKA_REPLICATION = 3.0, "copies", "Copies of a Kafka record", "design: at least 2 in sync";
    KAFKA_RETENTION = 3.0, "days", "How long Kafka keeps records", "a weekend's repair; history and search have long passed";
    KAFKA_BROKER_BYTES = 200e6, "bytes a second", "What a broker writes, replicas included", "NOT MEASURED: the load at which Confluent's benchmark still has 5 ms p99 (its peak is 605 MB/s; developer.confluent.io/learn/kafka-performance)";
    KAFKA_BROKER_DISK = 4e12, "bytes", "Disk of a broker", "one NVMe disk of a common size";
    CASSANDRA_REPLICATION = 3.0, "copies", "Copies of a Cassandra row", "design";
    CASSANDRA_ROWS_PER_MESSAGE = 1.3, "rows", "Rows written for a message", "its event, and its share of head and position rows, which a batch writes once";
    CASSANDRA_WRITES = 30e3, "rows a second", "Rows that a node writes", "NOT MEASURED: a guess of 2,000 a second for each of 16 cores; inserts are bound by processors (DataStax, capacity planning)";
    CASSANDRA_READS = 5e3, "pages a second", "Pages that a node reads", "NOT MEASURED: a guess; a page is one slice of one partition, and half of them are of the last days";
    CASSANDRA_SIZE = 1.5, "times the embedded history", "Size of a row on disk", "NOT MEASURED: write times, row headers, partition index; zstd on both sides";
    CASSANDRA_DENSITY = 4e12, "bytes", "Data of a node", "1 to 4 TB before Cassandra 5, which permits more (answer of a Cassandra engineer, dba.stackexchange.com/questions/339678); what counts is the time to rebuild a node";
    CASSANDRA_FREE = 0.3, "of a disk", "Disk kept free for compaction", "DataStax has disks run at 50 to 80 %, the higher the more levelled the compaction";
    CASSANDRA_CLUSTER = 1000.0, "nodes", "Largest Cassandra cluster that is wise", "a guess: larger ones are run, by teams that do nothing else";
    PAGE_MESSAGES = 50.0, "messages", "Messages of a page", "what a screen takes";
    READS_PER_WRITE = 1.0, "times", "Messages read from the history against those written", "the brief: reads and writes about 1:1";
    COLD_AFTER = 90.0, "days", "When a bucket goes to the cold tier", "a guess: nearly all reads are of the last weeks";
    COLD_OVERHEAD = 1.5, "times", "Bytes stored for a byte in the cold tier", "erasure code of 6 + 3; three copies would be 3";
    COLD_EVENT_BYTES = 24.0, "bytes", "What a message has besides its compressed text in a cold bucket", "the target of the embedded history";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_shares_and_the_rest_is_positive() {
        for assumption in ALL {
            assert!(assumption.value > 0.0 && assumption.value.is_finite(), "{assumption:?}");
            assert!(!assumption.reason.is_empty() && !assumption.unit.is_empty(), "{assumption:?}");
        }
        for share in
            [DIRECT_SHARE, ONLINE_SHARE, WRITTEN_TO_ONLINE, UTILISATION, CASSANDRA_FREE, SESSION_MEMORY_SHARE, LARGE_EFFICIENCY]
        {
            assert!(share.value <= 1.0, "{share:?}");
        }
        assert_eq!(GATEWAY_SHARE.value + WORKER_SHARE.value, 1.0);
    }
}
