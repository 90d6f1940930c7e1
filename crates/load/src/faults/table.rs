//! What is done to a fleet: one fault after the other.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail};

/// How something goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// SIGKILL, and started again after a while: a machine that died.
    Kill,
    /// SIGSTOP, and SIGCONT after a while: a machine that hangs. Its connections stay open, and new ones come about.
    Pause,
    /// What it and the others send each other is dropped, for a while: a link that is cut.
    Cut,
}

impl How {
    /// What the control is told at the beginning.
    pub fn breaks(self) -> &'static str {
        match self {
            How::Kill => "kill",
            How::Pause => "pause",
            How::Cut => "cut",
        }
    }

    /// What the control is told at the end.
    pub fn mends(self) -> &'static str {
        match self {
            How::Kill => "start",
            How::Pause => "resume",
            How::Cut => "mend",
        }
    }
}

const BOTH: &[How] = &[How::Kill, How::Pause];
const ALL: &[How] = &[How::Kill, How::Pause, How::Cut];

/// What goes away: the name by which the control knows it, which of them (all where no number is given), and how.
/// Everybody whom a gateway loses is at the other one from then on, so that is the next that goes.
const TARGETS: [(&str, Option<u32>, &[How]); 15] = [
    ("api", Some(1), BOTH),
    ("gateway", Some(1), &[How::Kill]),
    ("gateway", Some(2), &[How::Pause]),
    ("gateway", Some(1), &[How::Cut]),
    ("worker", Some(1), BOTH),
    ("presence", Some(1), BOTH),
    ("haproxy", None, BOTH),
    ("postgres", None, BOTH),
    ("redis", None, ALL),
    ("zookeeper", Some(1), BOTH),
    ("zookeeper", None, ALL),
    ("kafka", Some(1), ALL),
    ("kafka", Some(2), BOTH),
    ("kafka", None, BOTH),
    ("cassandra", None, ALL),
];

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// How it goes away.
    pub how: How,
    /// What goes away.
    pub target: &'static str,
    /// Which of them; all when absent.
    pub number: Option<u32>,
}

impl fmt::Display for Fault {
    /// Its name: `pause-kafka-1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.how.breaks(), self.target)?;
        self.number.map_or(Ok(()), |number| write!(f, "-{number}"))
    }
}

impl Fault {
    /// What follows the verb on the control's command line.
    pub fn place(&self) -> Vec<String> {
        [self.target.to_owned()].into_iter().chain(self.number.map(|number| number.to_string())).collect()
    }

    /// How long it lasts.
    pub fn lasts(&self, killed: Duration, paused: Duration) -> Duration {
        match self.how {
            How::Kill => killed,
            How::Pause | How::Cut => paused,
        }
    }
}

/// All of them, in the order in which they happen.
pub fn all() -> Vec<Fault> {
    let each = |(target, number, hows): (_, _, &'static [How])| hows.iter().map(move |how| Fault { how: *how, target, number });
    TARGETS.into_iter().flat_map(each).collect()
}

/// Those that are asked for: each of `names` is the name of one, or a part of the names of some. All when there are no names.
///
/// # Errors
/// When a name is part of none.
pub fn named(names: &[String]) -> Result<Vec<Fault>> {
    let all = all();
    if names.is_empty() {
        return Ok(all);
    }
    let mut asked = Vec::new();
    for name in names {
        let exactly: Vec<Fault> = all.iter().copied().filter(|fault| fault.to_string() == *name).collect();
        let partly = || all.iter().copied().filter(|fault| fault.to_string().contains(name)).collect();
        let found: Vec<Fault> = if exactly.is_empty() { partly() } else { exactly };
        if found.is_empty() {
            let names: Vec<String> = all.iter().map(Fault::to_string).collect();
            bail!("there is no fault {name}: {}", names.join(", "));
        }
        asked.extend(found.into_iter().filter(|fault| !asked.contains(fault)).collect::<Vec<_>>());
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(asked: &[&str]) -> Vec<String> {
        let asked: Vec<String> = asked.iter().map(|name| (*name).to_owned()).collect();
        named(&asked).unwrap().iter().map(Fault::to_string).collect()
    }

    #[test]
    fn faults_are_found_by_their_names_and_by_parts_of_them() {
        assert_eq!(names(&[]).len(), all().len());
        assert_eq!(names(&["gateway"]), ["kill-gateway-1", "pause-gateway-2", "cut-gateway-1"]);
        assert_eq!(names(&["pause-kafka"]), ["pause-kafka"], "exactly this one");
        assert_eq!(names(&["redis", "pause-redis"]), ["kill-redis", "pause-redis", "cut-redis"], "each once");
        assert_eq!(names(&["kill-zookeeper-"]), ["kill-zookeeper-1"]);
        assert!(named(&["mongodb".to_owned()]).is_err());
    }

    #[test]
    fn the_control_is_told_which() {
        let fault = named(&["pause-kafka-1".to_owned()]).unwrap()[0];
        assert_eq!((fault.how.breaks(), fault.place(), fault.how.mends()), ("pause", vec!["kafka".into(), "1".into()], "resume"));
        assert_eq!(named(&["kill-kafka".to_owned()]).unwrap()[0].place(), ["kafka"]);
    }
}
