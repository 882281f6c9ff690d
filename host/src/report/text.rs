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
        self.head(f)?;
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
    pub fn head(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let about = &self.about;
        writeln!(f, "{}: {}", about.title, self.verdict())?;
        if !about.whole {
            writeln!(
                f,
                "the trace has no end: who wrote it was killed, or still writes"
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
        for (name, value) in self.facts() {
            writeln!(f, "{name:<10} {value}")?;
        }
        Ok(())
    }

    /// Whether something broke, in a few words.
    pub fn verdict(&self) -> String {
        match self.findings.len() {
            0 if self.about.checked => "nothing broke that must hold".into(),
            0 => "not checked for what must hold".into(),
            1 => "one thing broke that must hold".into(),
            many => format!("{many} things broke that must hold"),
        }
    }

    /// How all of it went, in a few lines with a name each.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let (messages, states) = self.counts();
        let states = states
            .iter()
            .map(|(state, count)| format!("{count} {}", state.name()));
        let mut facts = vec![
            ("time", time(self.about.until)),
            (
                "messages",
                listed(format!("{messages} between nodes"), states.collect()),
            ),
        ];
        if !self.runs.is_empty() {
            let done = self.runs.iter().filter(|run| run.done).count();
            facts.push((
                "runs",
                format!("{done} of {} done by all their nodes", self.runs.len()),
            ));
        }
        let hit = self.arrows.iter().filter(|arrow| !arrow.hits.is_empty());
        let lasting = self.faults.iter().map(ToString::to_string);
        let mut faults: Vec<_> = lasting.collect();
        let of_messages = hit.count();
        if of_messages > 0 {
            faults.push(format!("{of_messages} messages hit"));
        }
        if !faults.is_empty() {
            facts.push(("faults", faults.join("; ")));
        }
        facts.push(("made by", format!("backchannel {}", self.about.build)));
        facts
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
                let text = format!("! {} no longer {}", fault.lane, fault.words);
                lines.push(Line::note(until, text));
            }
        }
        for moment in &self.moments {
            let text = format!("{} {}", moment.lane, moment.text);
            lines.push(Line::note(moment.at, text));
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

fn listed(first: String, rest: Vec<String>) -> String {
    if rest.is_empty() {
        return first;
    }
    format!("{first}: {}", rest.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::sample::Sample;
    use super::*;

    #[test]
    fn tmp() {
        let report = Report::of(&Sample::faulty().trace);
        println!("{report}");
        println!("{}", serde_json::to_string(&report).unwrap().len());
    }
}
