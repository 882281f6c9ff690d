//! Pages for a browser: one file that asks for nothing else. What all of them have in common: the colours (`palette.css`), how a template is
//! filled, and how a page's policy names what is in it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// A template with each part in its place. What is filled in is not looked at again.
pub fn filled(template: &str, parts: &[(&str, &str)]) -> String {
    let mut page = String::new();
    let mut rest = template;
    while let Some(at) = rest.find("{{") {
        let (before, here) = rest.split_at(at);
        page.push_str(before);
        let part = parts.iter().find(|(name, _)| here.starts_with(name));
        let (name, value) = part.copied().unwrap_or(("{{", "{{"));
        page.push_str(value);
        rest = &here[name.len()..];
    }
    page.push_str(rest);
    page
}

/// An inline script or style, as a content security policy names it.
pub fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

/// A text as content of an element, or of an attribute in double quotes.
pub fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_what_it_is_in() {
        assert_eq!(escaped("</p>\"&amp;"), "&lt;/p>&quot;&amp;amp;");
    }

    #[test]
    fn what_is_filled_in_is_not_filled_again() {
        let parts = [("{{a}}", "{{b}}"), ("{{b}}", "2")];
        assert_eq!(filled("{{a}} {{b}} {{c}}", &parts), "{{b}} 2 {{c}}");
    }
}
