//! The capacity document.

use serde_json::{Map, Value, json};

use super::assumptions as assumed;
use super::figures::Figures;
use super::model::{self, Need, Node, Traffic};
use super::table::{bytes, number, table, whole};

/// Years of history that are looked at.
const YEARS: [f64; 3] = [1.0, 5.0, 10.0];

/// The counts of nodes, by name.
pub(super) fn summary(figures: &Figures) -> Map<String, Value> {
    let traffic = Traffic::new();
    let [_, node] = Node::kinds(figures);
    let summary = json!({
        "messages in the busiest second": traffic.peak,
        "sessions in the busiest second": traffic.sessions,
        "gateways, larger nodes": model::gateways(figures, &traffic, &node).nodes(),
        "workers, larger nodes": model::workers(figures, &traffic, &node).nodes(),
        "Kafka brokers": model::brokers(&traffic).nodes_replicated(),
        "Cassandra nodes after 1 year": model::cassandra(&traffic, model::history_bytes(figures, 1.0)).nodes_replicated(),
        "breaks first": breaks(figures, &traffic).first().map(|limit| limit.name),
    });
    summary.as_object().cloned().unwrap_or_default()
}

/// The whole document.
pub(super) fn document(figures: &Figures) -> String {
    let traffic = Traffic::new();
    let parts = [
        introduction(figures),
        measured(figures),
        traffic_part(&traffic),
        roles(figures, &traffic),
        engines(figures, &traffic),
        bandwidth(&traffic),
        failure(figures, &traffic),
        breaking(figures, &traffic),
        assumptions_part(),
    ];
    parts.concat().trim_end().to_owned() + "\n"
}

fn introduction(figures: &Figures) -> String {
    format!(
        "# Capacity\n\n\
         What a fleet for {} daily users and {} messages a day is made of. This document is written by a program from\n\
         the files of runs and from the assumptions at its end; a test compares the two. Do not edit it: change\n\
         `crates/load/src/capacity/assumptions.rs` or measure again, then\n\n\
         ```\nbanter-load capacity --figures docs/figures --write docs/capacity.md\n```\n\n\
         Nodes are counted for the busiest second ({} times the average), filled to {} %, with one of {} zones lost.\n*The measured node* \
         has {} cores and {} of memory, *the larger node* {} cores and {}.\n\n",
        whole(assumed::DAILY_USERS.value),
        whole(assumed::MESSAGES_A_DAY.value),
        number(assumed::PEAK.value),
        whole(assumed::UTILISATION.value * 100.0),
        whole(assumed::ZONES.value),
        figures.machine.cores,
        bytes(figures.machine.memory_bytes as f64),
        whole(assumed::LARGE_CORES.value),
        bytes(assumed::LARGE_MEMORY.value),
    )
}

fn row(name: &str, value: String) -> [String; 2] {
    [name.to_owned(), value]
}

fn measured(figures: &Figures) -> String {
    let runs = figures.runs.iter().map(|(name, commit, date)| format!("{name} ({commit}, {})", date.get(..10).unwrap_or(date)));
    let rows = [
        row("direct messages a second, stored before they are answered", whole(figures.messages_a_second)),
        row("processors busy with that", number(figures.processors)),
        row("processor time of a message", format!("{} µs", number(figures.message_us()))),
        row("processor time of each further delivery", format!("{} µs", number(figures.delivery_us))),
        row("memory of a session: process", bytes(figures.session_bytes)),
        row("memory of a session: kernel", bytes(figures.session_kernel_bytes)),
        row("sessions opened a second", whole(figures.opened_a_second)),
        row("sessions back in sync a second, all cut at once", whole(figures.synced_a_second)),
        row("bytes on disk of a message", number(figures.message_bytes)),
        row("bytes of its text, compressed", number(figures.text_bytes)),
        row("cold random page, p99", format!("{} ms", number(figures.cold_page_ms))),
    ];
    format!(
        "## Measured on one node, embedded\n\n{}Runs: {}.\n\n",
        table(["", "one node"], rows),
        runs.collect::<Vec<_>>().join(", ")
    )
}

fn traffic_part(traffic: &Traffic) -> String {
    let rows = [
        row("messages a second, average", whole(traffic.average)),
        row("messages a second, peak", whole(traffic.peak)),
        row("sessions at the peak", whole(traffic.sessions)),
        row("deliveries of a message to sessions", number(traffic.deliveries)),
        row("deliveries a second, peak", number(traffic.peak * traffic.deliveries)),
        row("receivers without a session a second, peak, before pushes are collapsed", number(traffic.peak * traffic.pushes)),
    ];
    format!("## Traffic\n\n{}", table(["", "all users"], rows))
}

fn roles(figures: &Figures, traffic: &Traffic) -> String {
    let kinds = Node::kinds(figures);
    let role = |name: &str, need: &dyn Fn(&Node) -> Need| {
        let [small, large] = kinds.map(|kind| need(&kind));
        let rows = small
            .limits
            .iter()
            .zip(&large.limits)
            .map(|(small, large)| [format!("{name}, by {}", small.0), number(small.1), number(large.1)]);
        let total = [format!("**{name}**, a zone to lose"), whole(small.nodes()), whole(large.nodes())];
        rows.chain([total]).collect::<Vec<_>>()
    };
    let rows = role("gateways", &|node| model::gateways(figures, traffic, node))
        .into_iter()
        .chain(role("workers", &|node| model::workers(figures, traffic, node)));
    format!(
        "## Gateways and workers\n\nBoth have no data of their own. What limits asks for so many nodes before a zone is lost:\n\n{}",
        table(["", "measured nodes", "larger nodes"], rows)
    )
}

fn engines(figures: &Figures, traffic: &Traffic) -> String {
    let brokers = model::brokers(traffic);
    let kafka = brokers.limits.iter().map(|(name, nodes)| row(&format!("brokers, by {name}"), number(*nodes)));
    let kafka = kafka.chain([row("**Kafka brokers**", whole(brokers.nodes_replicated()))]);
    let cassandra = YEARS.map(|years| {
        let history = model::history_bytes(figures, years);
        let need = model::cassandra(traffic, history);
        let (limit, _) = need.greatest();
        [whole(years), bytes(history), bytes(model::cassandra_disks(history)), whole(need.nodes_replicated()), limit.to_owned()]
    });
    let need = model::cassandra(traffic, 0.0);
    let others = need.limits.iter().filter(|(name, _)| *name != "disk");
    let others = others.map(|(name, nodes)| format!("{name} alone ask for {} nodes", whole(nodes.ceil())));
    format!(
        "## Kafka\n\n{}## Cassandra: history for ever\n\nReplication {}. Traffic at the peak: {}; what remains is disk.\n\n{}",
        table(["", "nodes"], kafka),
        whole(assumed::CASSANDRA_REPLICATION.value),
        others.collect::<Vec<_>>().join(", "),
        table(["years of history", "one copy", "disks, all copies and free space", "nodes", "limited by"], cassandra)
    )
}

fn bandwidth(traffic: &Traffic) -> String {
    let (from, to) = model::client_bytes(traffic);
    let kafka = model::kafka_bytes();
    let event = assumed::EVENT_FRAME_BYTES.value;
    let row_bytes = assumed::TEXT_BYTES.value + assumed::KAFKA_RECORD_BYTES.value;
    let lines = [
        ("devices to gateways", from),
        ("gateways to devices", to),
        ("to Kafka, one copy", kafka),
        ("Kafka among its brokers", kafka * (assumed::KAFKA_REPLICATION.value - 1.0)),
        // Half of it are commands, read once; half are events, read by two.
        ("Kafka to workers, search and push", kafka * 1.5),
        ("workers to gateways, if each delivery went alone", traffic.deliveries * event),
        (
            "workers to Cassandra, all copies",
            row_bytes * assumed::CASSANDRA_ROWS_PER_MESSAGE.value * assumed::CASSANDRA_REPLICATION.value,
        ),
    ];
    let rows = lines.map(|(name, message)| {
        let bits = |messages: f64| format!("{} Gbit/s", number(messages * message * 8.0 / 1e9));
        [name.to_owned(), number(message), bits(traffic.average), bits(traffic.peak)]
    });
    format!("## Bandwidth\n\n{}", table(["", "bytes a message", "average", "peak"], rows))
}

fn failure(figures: &Figures, traffic: &Traffic) -> String {
    let rows = ["measured node", "larger node"].into_iter().zip(Node::kinds(figures)).map(|(name, node)| {
        let gateways = model::gateways(figures, traffic, &node).nodes();
        let (one, zone) = model::comes_back(figures, traffic, gateways);
        [name.to_owned(), whole(traffic.sessions / gateways), format!("{} s", number(one)), format!("{} s", number(zone))]
    });
    format!(
        "## When gateways are lost\n\nSessions go to the others and ask for what they missed, at the rate measured for one node:\n\n{}",
        table(["gateways of", "sessions of one", "one lost: all in sync after", "a zone lost: after"], rows)
    )
}

/// A limit that more load runs into.
struct Limit {
    name: &'static str,
    /// How many times the load of this document it takes.
    times: f64,
    next: &'static str,
}

/// The limits that adding nodes does not move, the nearest first.
fn breaks(figures: &Figures, traffic: &Traffic) -> Vec<Limit> {
    let (carries, gets) = model::partition(figures, traffic);
    let year = model::cassandra(traffic, model::history_bytes(figures, 1.0)).nodes_replicated();
    let ten = model::cassandra(traffic, model::history_bytes(figures, 10.0)).nodes_replicated();
    let most = assumed::CASSANDRA_CLUSTER.value;
    let [_, large] = Node::kinds(figures);
    let (gateways, workers) =
        (model::gateways(figures, traffic, &large).nodes(), model::workers(figures, traffic, &large).nodes());
    let mut limits = vec![
        Limit {
            name: "one Cassandra cluster, 10 years of history",
            times: most / ten,
            next: "full buckets of 1,024 events never change but for redactions: move them, compressed, to an object store after some weeks (below)",
        },
        Limit {
            name: "one Cassandra cluster, 1 year of history",
            times: most / year,
            next: "the same; and one cluster for each range of partitions, since nothing reads across conversations",
        },
        Limit {
            name: "the busiest partition on one core",
            times: carries / gets,
            next: "more partitions, which a migration has to bring about since their number is fixed; or several threads that fold one partition by conversation",
        },
        Limit {
            name: "streams between workers and gateways (each to each, 1,000 by 1,000)",
            times: (1e6 / (gateways * workers)).sqrt(),
            next: "gateways in cells, with a relay for each that takes one stream from a worker and spreads it",
        },
    ];
    limits.sort_by(|one, other| one.times.total_cmp(&other.times));
    limits
}

fn breaking(figures: &Figures, traffic: &Traffic) -> String {
    let limits = breaks(figures, traffic);
    let first = limits.first().map_or(String::new(), |limit| {
        let when = match limit.times < 1.0 {
            true => "it carries only",
            false => "it carries",
        };
        format!("What breaks first is **{}**: {when} {} times the load above.\n\n", limit.name, number(limit.times))
    });
    let rows = limits.iter().map(|limit| [limit.name.to_owned(), format!("{} ×", number(limit.times)), limit.next.to_owned()]);
    let cold = YEARS.map(|years| {
        let warm = model::warm_bytes(figures, years);
        let nodes = model::cassandra(traffic, warm).nodes_replicated();
        [whole(years), bytes(warm), whole(nodes), bytes(model::cold_bytes(figures, years))]
    });
    format!(
        "## Where it breaks first\n\n{first}Gateways, workers and brokers grow by adding nodes. These do not:\n\n{}\
         ### The next design step: a cold tier\n\nBuckets older than {} days in an object store with an erasure code (overhead {}), \
         read by range,\none request a page. A redaction of something so old is kept as a row that is laid over the bucket until the bucket is \
         written anew:\n\n{}",
        table(["limit", "reached at", "what then"], rows),
        whole(assumed::COLD_AFTER.value),
        number(assumed::COLD_OVERHEAD.value),
        table(["years of history", "in Cassandra, one copy", "Cassandra nodes", "in the cold tier, overhead included"], cold)
    )
}

fn assumptions_part() -> String {
    let rows = assumed::ALL.iter().map(|assumption| {
        let value = match assumption.unit {
            "bytes" | "bytes a second" if assumption.value >= 1e6 => {
                format!("{}{}", bytes(assumption.value), assumption.unit.trim_start_matches("bytes"))
            }
            unit => format!("{} {unit}", number(assumption.value)),
        };
        [assumption.name.to_owned(), value, assumption.reason.to_owned()]
    });
    format!(
        "## Assumptions\n\nNot measured by the runs above. Those marked NOT MEASURED are of engines that this project did not measure yet: \
         replace them\nby figures of your own before anything is bought.\n\n{}",
        table(["", "", "because"], rows)
    )
}
