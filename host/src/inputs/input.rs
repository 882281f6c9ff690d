use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;

use super::{Cell, InputName, Kind, ReadError, Source};

/// The most rows, of any input: as many numbers as a quarter of the largest memory holds that a plugin may be given.
pub const MOST_ROWS: usize = 4 << 20;

/// The fewest rows of an input where its operator does not say. What comes of few rows tells something of each of them: published tables
/// hide cells of fewer than 5 to 11 people, and an input can be used again and again, so this is about twice as many.
pub const LEAST_ROWS: u64 = 20;

/// What a plugin is granted, by the names that it asks for.
pub type Inputs = BTreeMap<InputName, Input>;

/// Values that an operator grants a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Where they stand.
    pub source: Source,
    /// What they are.
    pub kind: Kind,
    least: u64,
}

/// A minimum that an input cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("min-rows can be 1 to {MOST_ROWS}, not {0}")]
pub struct OutOfRange(pub u64);

/// Why nobody gets an input's values.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// They are of the other kind. Whoever asks is at fault.
    #[error("it holds {0}")]
    OtherKind(Kind),
    /// The operator's minimum is not met. How many there are is not told: there may be one.
    #[error("it has fewer rows than min-rows = {0}")]
    TooFew(u64),
    /// They cannot be read. The operator's.
    #[error("{0}")]
    NotRead(#[from] ReadError),
}

impl InputError {
    /// What the operator can do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::OtherKind(_) => "write its kind as what the plugin asks for".into(),
            Self::TooFew(_) => {
                "give it more rows, or lower min-rows if so few people may show".into()
            }
            Self::NotRead(error) => error.advice(),
        }
    }
}

impl Input {
    /// An input of `least` rows or more, [`LEAST_ROWS`] if that is not said.
    pub fn new(source: Source, kind: Kind, least: Option<u64>) -> Result<Self, OutOfRange> {
        let least = least.unwrap_or(LEAST_ROWS);
        if !(1..=MOST_ROWS as u64).contains(&least) {
            return Err(OutOfRange(least));
        }
        Ok(Self {
            source,
            kind,
            least,
        })
    }

    /// The fewest rows that it gives.
    pub fn least_rows(&self) -> u64 {
        self.least
    }

    /// The input with its file taken from `folder`, if it does not say where from.
    pub fn within(&self, folder: &Path) -> Self {
        Self {
            source: self.source.within(folder),
            ..self.clone()
        }
    }

    /// The input, whose ramp begins here, if it is one.
    pub fn rising_from(&self, from: usize) -> Self {
        match self.source {
            Source::Ramp { count, .. } => Self {
                source: Source::Ramp { from, count },
                ..self.clone()
            },
            _ => self.clone(),
        }
    }

    /// Its numbers, in their order: all finite.
    pub fn numbers(&self) -> Result<Vec<f64>, InputError> {
        self.is(Kind::Numbers)?;
        let numbers = self.source.read(Kind::Numbers, number)?;
        self.enough(numbers)
    }

    /// Its ids, each once: their bytes in UTF-8, without space around them, and nothing else changed.
    pub fn ids(&self) -> Result<Vec<String>, InputError> {
        self.is(Kind::Ids)?;
        let mut ids = self.source.read(Kind::Ids, id)?;
        let mut seen = HashSet::with_capacity(ids.len());
        let first: Vec<_> = ids.iter().map(|id| seen.insert(id.as_str())).collect();
        let mut first = first.into_iter();
        ids.retain(|_| first.next().unwrap_or_default());
        self.enough(ids)
    }

    /// Whether it could be given now.
    pub fn check(&self) -> Result<(), InputError> {
        match self.kind {
            Kind::Numbers => self.numbers().map(drop),
            Kind::Ids => self.ids().map(drop),
        }
    }

    fn is(&self, kind: Kind) -> Result<(), InputError> {
        if self.kind == kind {
            return Ok(());
        }
        Err(InputError::OtherKind(self.kind))
    }

    fn enough<T>(&self, rows: Vec<T>) -> Result<Vec<T>, InputError> {
        if (rows.len() as u64) < self.least {
            return Err(InputError::TooFew(self.least));
        }
        Ok(rows)
    }
}

impl fmt::Display for Input {
    /// In words, to be read after its name: "ids, column mrn of cohort.csv, at least 20 rows".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, source) = (self.kind, &self.source);
        match source {
            Source::Column { column, .. } => write!(f, "{kind}, column {column} of {source}")?,
            Source::Vector(_) | Source::Values(_) | Source::Ramp { .. } => {
                write!(f, "{kind}, {source}")?
            }
        }
        write!(f, ", at least {} rows", self.least)
    }
}

/// A finite number; none of anything else.
pub fn number(cell: Cell<'_>) -> Option<f64> {
    let number = match cell {
        Cell::Text(text) => text.parse().ok()?,
        Cell::Number(number) => number,
    };
    number.is_finite().then_some(number)
}

/// A text that is not empty. A number of JSON is none: 7 and 7.0 would be one id.
fn id(cell: Cell<'_>) -> Option<String> {
    match cell {
        Cell::Text(text) if !text.is_empty() => Some(text.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::PathBuf;

    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn with(name: &str, text: impl AsRef<[u8]>) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            fs::write(folder.path().join(name), text).expect("written");
            Self(folder)
        }

        fn column(&self, file: &str, kind: Kind) -> Input {
            let column = "value".to_owned();
            let file = PathBuf::from(file);
            self.input(Source::Column { file, column }, kind)
        }

        fn vector(&self, file: &str, kind: Kind) -> Input {
            self.input(Source::Vector(file.into()), kind)
        }

        fn input(&self, source: Source, kind: Kind) -> Input {
            let input = Input::new(source, kind, Some(1)).expect("in range");
            input.within(self.0.path())
        }
    }

    fn why(refused: Result<impl Sized, InputError>) -> String {
        let error = refused.err().expect("refused");
        assert!(!error.advice().is_empty());
        error.to_string()
    }

    #[test]
    fn a_number_that_is_none_is_refused_with_its_line_and_without_itself() {
        for bad in [
            "NaN",
            "inf",
            "-infinity",
            "1e999",
            "",
            "1,5",
            "secret-7",
            "0x10",
        ] {
            let folder = Folder::with("a.csv", format!("value,n\n1,0\n\"{bad}\",0\n"));
            let said = why(folder.column("a.csv", Kind::Numbers).numbers());
            assert!(said.contains("line 3 of "), "{said}");
            assert!(bad.len() < 3 || !said.contains(bad), "{said}");

            let lines = format!("1\n{bad}\n2\n");
            let folder = Folder::with("a.txt", lines);
            let said = why(folder.vector("a.txt", Kind::Numbers).numbers());
            assert!(said.contains("line 2 of "), "{said}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused_without_what_it_holds() {
        for bad in [
            "[1, NaN]",
            "[1, 1e999]",
            "[1, null]",
            "[1, [2]]",
            "[1, {\"secret-7\": 1}]",
            "{\"secret-7\": 1}",
            "\"secret-7\"",
            "[1, \"secret-7\"]",
            "[1] secret-7",
            "[1, true]",
            "[1",
            "",
        ] {
            let folder = Folder::with("a.json", bad);
            let said = why(folder.vector("a.json", Kind::Numbers).numbers());
            assert!(!said.contains("secret-7"), "{said}");
        }
        let folder = Folder::with("a.json", "[\"7\", 7]");
        let said = why(folder.vector("a.json", Kind::Ids).ids());
        assert!(said.contains("line 2 of "), "{said}");
    }

    #[test]
    fn an_id_that_is_missing_or_no_text_is_refused() {
        let folder = Folder::with("a.csv", "n,value\n1,a\n2, \n");
        assert!(why(folder.column("a.csv", Kind::Ids).ids()).contains("line 3"));
        let folder = Folder::with("a.txt", "a\n\nb\n");
        assert!(why(folder.vector("a.txt", Kind::Ids).ids()).contains("line 2"));
        let folder = Folder::with("a.txt", b"a\n\xffsecret\n");
        let said = why(folder.vector("a.txt", Kind::Ids).ids());
        assert!(said.contains("UTF-8") && !said.contains("secret"), "{said}");
        let folder = Folder::with("a.csv", b"value\n\xffsecret\n");
        let said = why(folder.column("a.csv", Kind::Ids).ids());
        assert!(said.contains("utf-8") && !said.contains("secret"), "{said}");
    }

    #[test]
    fn a_column_that_is_not_there_is_named_and_the_first_row_is_not() {
        // Without names, the first row is somebody's.
        let folder = Folder::with("a.csv", "secret-1,57\nsecret-2,61\n");
        let said = why(folder.column("a.csv", Kind::Ids).ids());
        assert!(
            said.contains("\"value\"") && !said.contains("secret"),
            "{said}"
        );
        let folder = Folder::with("a.csv", "value,n\n1\n");
        let said = why(folder.column("a.csv", Kind::Numbers).numbers());
        assert!(said.contains("line: 2"), "{said}");
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        let folder = Folder::with("a.csv", "");
        fs::create_dir(folder.0.path().join("b.csv")).expect("made");
        assert!(why(folder.column("b.csv", Kind::Ids).ids()).contains("no file"));
        assert!(why(folder.vector("gone", Kind::Ids).ids()).contains("gone"));
        // A device has no end.
        let zero = Input::new(Source::Vector("/dev/zero".into()), Kind::Ids, None);
        assert!(why(zero.expect("in range").ids()).contains("no file"));
    }

    #[test]
    fn a_file_of_a_gibibyte_is_not_read() {
        let folder = Folder::with("a.csv", "");
        for name in ["a.csv", "a.txt", "a.json"] {
            // Nothing of it is on the disk.
            let file = File::create(folder.0.path().join(name)).expect("made");
            file.set_len(1 << 30).expect("grown");
            let said = why(folder.vector(name, Kind::Numbers).numbers());
            assert!(said.contains("more than 256 MiB"), "{said}");
        }
        assert!(why(folder.column("a.csv", Kind::Ids).ids()).contains("more than 256 MiB"));
    }

    #[test]
    fn rows_without_end_are_not_kept() {
        let lines = "1\n".repeat(MOST_ROWS + 1);
        let folder = Folder::with("a.txt", &lines);
        let said = why(folder.vector("a.txt", Kind::Numbers).numbers());
        assert!(said.contains("more than 4194304 rows"), "{said}");
        let folder = Folder::with("a.json", format!("[1{}]", ",1".repeat(MOST_ROWS)));
        let said = why(folder.vector("a.json", Kind::Numbers).numbers());
        assert!(said.contains("more than 4194304 rows"), "{said}");
    }

    #[test]
    fn one_kind_is_not_given_for_the_other() {
        let folder = Folder::with("a.txt", "1\n2\n");
        let ids = folder.vector("a.txt", Kind::Ids);
        assert!(matches!(
            ids.numbers(),
            Err(InputError::OtherKind(Kind::Ids))
        ));
        let numbers = folder.vector("a.txt", Kind::Numbers);
        assert!(matches!(
            numbers.ids(),
            Err(InputError::OtherKind(Kind::Numbers))
        ));
    }

    #[test]
    fn fewer_rows_than_the_minimum_are_not_given_and_twice_the_same_id_is_one() {
        let folder = Folder::with("a.txt", "7\n".repeat(20));
        let source = Source::Vector(folder.0.path().join("a.txt"));
        let input = |kind, least| Input::new(source.clone(), kind, least).expect("in range");
        assert_eq!(
            input(Kind::Numbers, None).numbers().expect("enough").len(),
            20
        );
        let said = why(input(Kind::Numbers, Some(21)).numbers());
        assert_eq!(said, "it has fewer rows than min-rows = 21");
        assert!(matches!(
            input(Kind::Ids, None).ids(),
            Err(InputError::TooFew(20))
        ));
        assert_eq!(input(Kind::Ids, Some(1)).ids().expect("one"), ["7"]);
        for least in [0, MOST_ROWS as u64 + 1, u64::MAX] {
            let refused = Input::new(source.clone(), Kind::Ids, Some(least));
            assert_eq!(refused, Err(OutOfRange(least)));
        }
    }

    #[test]
    fn reads_columns_lists_and_lines_alike() {
        let folder = Folder::with("a.csv", "\u{feff}value, n\n 1.5 ,x\n-2e3,\"y, z\"\n\n");
        fs::write(folder.0.path().join("a.json"), " [1.5, -2000] \n").expect("written");
        fs::write(folder.0.path().join("a.txt"), "\u{feff}1.5 \r\n\t-2e3\n\n").expect("written");
        let inputs = [
            folder.column("a.csv", Kind::Numbers),
            folder.vector("a.json", Kind::Numbers),
            folder.vector("a.txt", Kind::Numbers),
            folder.input(
                Source::Values(vec!["1.5".into(), " -2e3".into()]),
                Kind::Numbers,
            ),
        ];
        for input in inputs {
            assert_eq!(input.numbers().expect("numbers"), [1.5, -2000.0], "{input}");
            input.check().expect("usable");
        }
    }

    #[test]
    fn an_id_is_its_bytes_without_the_space_around_it() {
        let folder = Folder::with(
            "a.csv",
            "value\n  007 \nA b\na b\n007\n\"a\u{308}\"\n\u{e4}\n",
        );
        let ids = folder.column("a.csv", Kind::Ids).ids().expect("ids");
        assert_eq!(ids, ["007", "A b", "a b", "a\u{308}", "\u{e4}"]);
        let folder = Folder::with("a.json", "[\"007\", \" 7\"]");
        let ids = folder.vector("a.json", Kind::Ids).ids().expect("ids");
        assert_eq!(ids, ["007", "7"]);
    }
}
