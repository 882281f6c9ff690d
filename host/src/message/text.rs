//! Text that others wrote, where people read it.

/// How much of a peer's text is shown, in bytes.
pub(crate) const LONGEST_LINE: usize = 500;

/// A peer's or a guest's text as one harmless line of at most about `limit` bytes: control characters (newlines, terminal
/// commands) and characters that break lines or reorder text are escaped. A line that was made so stays as it is.
pub(crate) fn one_line(text: &str, limit: usize) -> String {
    let mut line = String::new();
    for c in text.chars() {
        if line.len() >= limit {
            line.push('…');
            break;
        }
        match c {
            // Unicode's directional controls (UAX 9), line and paragraph separators.
            '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => line.extend(c.escape_unicode()),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_would_forge_lines_or_command_the_terminal() {
        assert_eq!(
            one_line("a\nERROR b\u{1b}[2J\u{202e}x\u{9b}1m\u{2028}y", 100),
            "a\\nERROR b\\u{1b}[2J\\u{202e}x\\u{9b}1m\\u{2028}y"
        );
    }

    #[test]
    fn cuts_a_line_that_is_too_long() {
        let line = one_line(&"x".repeat(1 << 20), 1000);
        assert!(line.len() < 1010 && line.ends_with('…'));
    }

    #[test]
    fn a_line_made_harmless_stays_as_it_is() {
        for text in ["Zoë\u{1b}[2J\r", &"é".repeat(1000)] {
            let once = one_line(text, LONGEST_LINE);
            assert_eq!(one_line(&once, LONGEST_LINE), once);
        }
    }
}
