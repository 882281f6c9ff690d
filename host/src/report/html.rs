//! The report as one page: everything in it is in the file, and the file asks for nothing else.
//!
//! The page's own script draws it; it makes elements and texts, never markup, of what it reads. Should that fail once, the page's
//! policy runs no other script, loads nothing and sends nothing.

use super::Report;
use crate::html::{escaped, filled, hash};

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = concat!(
    include_str!("../html/palette.css"),
    include_str!("page/page.css")
);
/// The script, in reading order.
const SCRIPT: &str = concat!(
    include_str!("page/model.js"),
    include_str!("page/view.js"),
    include_str!("page/arrows.js"),
    include_str!("page/diagram.js"),
    include_str!("page/timeline.js"),
    include_str!("page/summary.js"),
    include_str!("page/details.js"),
    include_str!("page/start.js"),
);

impl Report {
    /// The page.
    pub fn to_html(&self) -> String {
        // Numbers, texts and lists: there is nothing in it that JSON does not have.
        let json = serde_json::to_string(self).unwrap_or_default();
        let policy = format!(
            "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'",
            hash(SCRIPT),
            hash(STYLE)
        );
        // Within JSON `<` is part of a text, and may as well be written so: then nothing ends the element that it is in.
        let json = json.replace('<', "\\u003c");
        let title = format!("{}: {}", self.about.title, self.verdict);
        let parts = [
            ("{{policy}}", policy.as_str()),
            ("{{title}}", &escaped(&title)),
            ("{{style}}", STYLE),
            ("{{script}}", SCRIPT),
            ("{{report}}", &json),
        ];
        filled(PAGE, &parts)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{HOSTILE, Sample};
    use super::*;

    /// What is between two texts of a page.
    fn between<'a>(page: &'a str, start: &str, end: &str) -> &'a str {
        let (_, rest) = page.split_once(start).expect(start);
        rest.split_once(end).expect(end).0
    }

    #[test]
    fn no_text_of_a_trace_becomes_markup() {
        let page = Report::of(&Sample::hostile()).to_html();

        let expected =
            PAGE.matches('<').count() + STYLE.matches('<').count() + SCRIPT.matches('<').count();
        assert!(!page.contains(HOSTILE));
        assert_eq!(page.matches('<').count(), expected);
        let json = between(&page, "id=\"report\">", "</script>");
        let report: serde_json::Value = serde_json::from_str(json).expect("JSON");
        assert!(
            report["findings"][0]["how"]
                .as_str()
                .is_some_and(|how| how.contains(HOSTILE))
        );
    }

    #[test]
    fn what_stands_in_a_trace_is_not_taken_for_a_place_in_the_template() {
        let mut sample = Sample::new();
        sample.broken("{{script}}", "{{report}} {{policy}}");
        let page = Report::of(&sample.trace).to_html();

        let json = between(&page, "id=\"report\">", "</script>");
        let report: serde_json::Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(report["findings"][0]["how"], "{{report}} {{policy}}");
        assert_eq!(page.matches(SCRIPT).count(), 1);
    }

    #[test]
    fn the_page_names_nothing_outside_itself() {
        let page = Report::of(&Sample::faulty().trace).to_html();

        for outside in [
            "src=",
            "href=",
            "url(",
            "@import",
            "import ",
            "fetch(",
            "XMLHttp",
            "WebSocket",
        ] {
            assert!(!page.contains(outside), "{outside}");
        }
        // The only address is the name of SVG's elements.
        let addresses = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!addresses.contains("://"));
    }

    #[test]
    fn the_policy_allows_the_pages_own_script_and_style_alone() {
        let page = Report::of(&Sample::faulty().trace).to_html();

        let policy = between(&page, "Content-Security-Policy\" content=\"", "\">");
        assert!(policy.starts_with("default-src 'none'; "));
        let script = between(&page, "<script type=\"module\">", "</script>");
        let style = between(&page, "<style>", "</style>");
        for own in [script, style] {
            assert!(policy.contains(&hash(own)));
        }
        assert!(!policy.contains("unsafe"));
    }
}
