//! The report in a terminal: what broke, then one line for each message, fault and start, in order of time.

use std::fmt;

use super::Report;
use super::arrow::{Arrow, State, Way};
use super::finding::Evidence;
use super::measure::{size, time};

/// The widest column that others' words can make, in characters.
const WIDEST: usize = 44;

/// Failed runs that are told of before the sequence.
const MOST_FAILED: usize = 10;

/// A line of the sequence: time, number, from whom to whom, what, and what became of it.
struct Line {
    at: u64,
    number: String,
    way: String,
    what: String,
    outcome: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head())?;
        let lines = self.lines();
        let width = |column: fn(&Line) -> &String| {
            let messages = lines.iter().filter(|line| !line.what.is_empty());
            let widths = messages.map(|line| column(line).chars().count());
            widths.max().unwrap_or(0).min(WIDEST)
        };
        let at = time(self.about.until).len();
        let number = width(|line| &line.number);
        let (way, what) = (width(|line| &line.way), width(|line| &line.what));
        if !lines.is_empty() {
            writeln!(f)?;
        }
        for line in &lines {
            let text = format!(
                "{:>at$}  {:>number$}  {:<way$}  {:<what$}  {}",
                time(line.at),
                line.number,
                line.way,
                line.what,
                line.outcome
            );
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

impl Report {
    /// What a reader needs first: what was run, what broke, how the rest went.
    pub fn head(&self) -> String {
        let mut head = String::new();
        // Writing to a text cannot fail.
        let _ = self.write_head(&mut head);
        head
    }

    fn write_head(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let about = &self.about;
        writeln!(f, "{}: {}", about.title, self.verdict)?;
        if !about.whole {
            writeln!(
                f,
                "the trace has no end: who wrote it was killed, left something out, or still writes"
            )?;
        }
        for finding in &self.findings {
            writeln!(f, "\nbroken     {}: {}", finding.invariant, finding.how)?;
            self.evidence(f, &finding.evidence, finding.more)?;
        }
        let failed: Vec<_> = self.runs.iter().filter(|run| !run.done).collect();
        for run in failed.iter().take(MOST_FAILED) {
            writeln!(f, "\nfailed     {} {}", run.kind, run.name)?;
            for party in &run.parties {
                writeln!(f, "           {}: {}", party.node, party.outcome)?;
            }
            self.evidence(f, &run.evidence, run.more)?;
        }
        if failed.len() > MOST_FAILED {
            writeln!(f, "\nfailed     {} more runs", failed.len() - MOST_FAILED)?;
        }
        writeln!(f)?;
        for fact in &self.facts {
            writeln!(f, "{:<10} {}", fact.name, fact.value)?;
        }
        Ok(())
    }

    fn evidence(&self, f: &mut impl fmt::Write, evidence: &[Evidence], more: usize) -> fmt::Result {
        let at = time(self.about.until).len();
        for one in evidence {
            writeln!(f, "           {:>at$}  {}", time(one.at), one.text)?;
        }
        if more > 0 {
            writeln!(f, "           and {more} more")?;
        }
        Ok(())
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines: Vec<_> = self.arrows.iter().map(Line::of).collect();
        for fault in &self.faults {
            lines.push(Line::note(fault.at, format!("! {fault}")));
            if let Some(until) = fault.until {
                let text = format!("! {} {}", fault.lane, fault.over);
                lines.push(Line::note(until, text));
            }
        }
        for moment in &self.moments {
            lines.push(Line::note(moment.at, moment.text.clone()));
        }
        for finding in &self.findings {
            let text = format!("! broken: {}: {}", finding.invariant, finding.how);
            lines.push(Line::note(finding.at, text));
        }
        lines.sort_by_key(|line| line.at);
        lines
    }
}

impl Line {
    fn of(arrow: &Arrow) -> Self {
        let kind = arrow.kind.as_deref().unwrap_or("unknown to its ends");
        let what = match (arrow.way, arrow.bytes) {
            (Way::Asked, _) => format!("{kind} {}", arrow.run.as_deref().unwrap_or_default()),
            (_, Some(bytes)) => format!("{kind} {}", size(bytes)),
            (_, None) => kind.to_owned(),
        };
        let outcome = match arrow.state {
            // An answer's words are its outcome.
            _ if arrow.way == Way::Answered => arrow.outcome.clone(),
            State::Treated => arrow.outcome.clone(),
            _ => format!("! {}", arrow.outcome),
        };
        Self {
            at: arrow.at,
            number: arrow.n.map(|n| format!("#{n}")).unwrap_or_default(),
            way: format!("{} → {}", arrow.from, arrow.to),
            what: what.trim_end().to_owned(),
            outcome,
        }
    }

    fn note(at: u64, way: String) -> Self {
        Self {
            at,
            number: String::new(),
            way,
            what: String::new(),
            outcome: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{HOSTILE, Sample};
    use super::*;

    fn shown(sample: &Sample) -> String {
        Report::of(&sample.trace).to_string()
    }

    #[test]
    fn nothing_of_a_trace_commands_the_terminal_or_makes_lines() {
        let mut sample = Sample::new();
        sample.broken("a\u{1b}[2J", "b\nbroken     c\r");
        sample.answer("node\n-0", "done\u{202e}: x");

        let text = shown(&sample);

        assert!(!text.contains(['\u{1b}', '\r', '\u{202e}']), "{text}");
        let broken = text.lines().filter(|line| line.starts_with("broken"));
        assert_eq!(broken.count(), 1, "{text}");
    }

    #[test]
    fn says_first_what_broke_and_which_lines_lead_up_to_it() {
        let text = shown(&Sample::faulty());

        let mut lines = text.lines();
        let title = "simulation of 3 nodes, seed 7: one thing broke that must hold";
        assert_eq!(lines.next(), Some(title));
        let told: Vec<_> = lines.by_ref().skip(1).take(3).collect();
        let expected = [
            "broken     what was stored is there: node-2 reported key-1 and does not have it",
            "           33.093 s  node-2 answered the researcher: done: key-1",
            "           33.243 s  node-2 without power for 7.5 s",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn each_message_has_a_line_with_what_became_of_it() {
        let text = shown(&Sample::faulty());

        for line in [
            " 1.003 s   #4  node-0 → node-1      ChannelSetupRequest 227 B      treated by channel-setup, answered by #5",
            " 1.024 s  #11  node-1 → node-0      AdditiveSSharingReply 577 B    delayed by a fault, delivered 2.1 s later, treated by additive-sharing",
            " 1.039 s  #16  node-1 → node-2      AdditiveSSharingRequest 227 B  ! dropped by a fault at the relay",
            "33.243 s  #35  node-0 → node-1      AdditiveSSharingRequest 260 B  ! node-1 was killed before it was done",
            "33.243 s       ! node-2 without power for 7.5 s",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
    }

    #[test]
    fn says_that_a_trace_has_no_end() {
        let mut sample = Sample::new();
        sample.trace.whole = false;

        let text = shown(&sample);

        let verdict = "seed 7: not whole: what broke may be missing\n";
        assert!(text.contains(verdict), "{text}");
        assert!(text.contains("the trace has no end"), "{text}");
        assert!(!text.contains("nothing broke"), "{text}");
    }

    #[test]
    fn a_long_name_does_not_push_all_lines_away() {
        let mut sample = Sample::new();
        sample.set_up_channel(&"n".repeat(250), HOSTILE, super::super::sample::Fate::Fine);
        sample.set_up_channel("a", "b", super::super::sample::Fate::Fine);

        let text = shown(&sample);
        let line = text.lines().find(|line| line.contains("a → b"));
        assert!(line.is_some_and(|line| line.len() < 200), "{text}");
    }
}
