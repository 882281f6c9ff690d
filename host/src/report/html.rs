use super::Report;

impl Report {
    /// x
    pub fn to_html(&self) -> String {
        String::new()
    }
}
