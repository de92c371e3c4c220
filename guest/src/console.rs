//! What the guest says on its serial console.
//!
//! A line of the guest's own begins with [`PREFIX`], perhaps behind something else: a shell's prompt, or the end of a
//! line of the kernel's. `guest/README.md` lists them all.

/// How the guest's own lines begin.
pub const PREFIX: &str = "skyiron-guest: ";

/// The kernel's very first line, shown before the guest itself can speak.
pub const FIRST_KERNEL_LINE: &str = "Linux version ";

/// The milestones in their order. After the last one the guest is idle, apart from its user data.
pub const MILESTONES: &[&str] = &["kernel", "init", "disks", "config-drive", "ready"];

/// One line of the guest's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Line<'a> {
    /// One of [`MILESTONES`]; `uptime` in seconds.
    Milestone { name: &'a str, uptime: f64 },
    /// Every five seconds from `ready` on.
    Alive { uptime: f64 },
    /// `NAME=VALUE`, such as `hostname=web-1` or `meta.role=web`.
    Fact { name: &'a str, value: &'a str },
    /// Anything else, such as `disk vda size=1073741824 type=mbr`: a word and the rest.
    Note { word: &'a str, rest: &'a str },
}

impl<'a> Line<'a> {
    /// Reads one line of console output. `None`: not the guest's own.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Self> {
        let said = line.split_once(PREFIX)?.1.trim_end();
        let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
        let seconds = |text: &str| text.strip_prefix("uptime=")?.parse().ok();
        if word == "milestone"
            && let Some((name, uptime)) = rest.split_once(' ')
            && let Some(uptime) = seconds(uptime)
        {
            return Some(Self::Milestone { name, uptime });
        }
        if word == "alive"
            && let Some(uptime) = seconds(rest)
        {
            return Some(Self::Alive { uptime });
        }
        match said.split_once('=') {
            Some((name, value)) if !name.contains(' ') || name.starts_with("meta.") => Some(Self::Fact { name, value }),
            _ => Some(Self::Note { word, rest }),
        }
    }
}

/// All of the guest's own lines in `output`.
pub fn lines(output: &str) -> impl Iterator<Item = Line<'_>> {
    output.lines().filter_map(Line::parse)
}

/// The last value told for the fact `name`.
#[must_use]
pub fn fact<'a>(output: &'a str, name: &str) -> Option<&'a str> {
    let values = lines(output).filter_map(|line| match line {
        Line::Fact { name: told, value } if told == name => Some(value),
        _ => None,
    });
    values.last()
}

/// How many of [`MILESTONES`] the guest has passed since it was last switched on or rebooted.
#[must_use]
pub fn milestones_passed(output: &str) -> usize {
    let names = lines(output).filter_map(|line| match line {
        Line::Milestone { name, .. } => Some(name),
        _ => None,
    });
    names.last().and_then(|name| MILESTONES.iter().position(|known| *known == name)).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line() {
        let cases = [
            ("skyiron-guest: milestone ready uptime=2.31\r", Line::Milestone { name: "ready", uptime: 2.31 }),
            ("/ # skyiron-guest: alive uptime=12.30", Line::Alive { uptime: 12.3 }),
            ("skyiron-guest: hostname=web-1", Line::Fact { name: "hostname", value: "web-1" }),
            ("skyiron-guest: meta.a b=c = d", Line::Fact { name: "meta.a b", value: "c = d" }),
            ("skyiron-guest: key=mine ssh-rsa AAA me", Line::Fact { name: "key", value: "mine ssh-rsa AAA me" }),
            ("skyiron-guest: disk vda size=512", Line::Note { word: "disk", rest: "vda size=512" }),
            ("skyiron-guest: rebooting", Line::Note { word: "rebooting", rest: "" }),
            ("skyiron-guest: milestone", Line::Note { word: "milestone", rest: "" }),
        ];
        for (text, expected) in cases {
            assert_eq!(Line::parse(text), Some(expected), "{text}");
        }
        assert_eq!(Line::parse("[    0.000000] Linux version 6.1"), None);
    }

    #[test]
    fn facts_are_the_latest_and_milestones_start_anew_with_a_reboot() {
        let once = "skyiron-guest: hostname=a\nskyiron-guest: milestone ready uptime=2.0\n";
        assert_eq!(milestones_passed(once), MILESTONES.len());
        let again = format!("{once}skyiron-guest: milestone kernel uptime=0.9\nskyiron-guest: hostname=b\n");
        assert_eq!(milestones_passed(&again), 1);
        assert_eq!(fact(&again, "hostname"), Some("b"));
        assert_eq!(fact(&again, "uuid"), None);
        assert_eq!(milestones_passed(""), 0);
    }
}
