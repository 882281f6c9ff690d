//! Our code against what the real Fed-BioMed sends and accepts: every case of every file in
//! `tests/fixtures/fedbiomed/`, or in the folder that the environment variable `BACKCHANNEL_VECTORS` names.
//!
//! Each file has its module and its test. A test prints how many cases it checked, and fails if there were none. Where we
//! refuse what the reference accepts, our error must say why (`stricter_than_reference`), and case and reason are
//! printed; nothing here lists cases. Any other difference is a failure.

mod accept_reject;
mod additive;
mod chacha20;
mod fixture;
mod frames;
mod jls;
mod kdf;
mod lom;
mod messages;
mod overlay;
mod serializer;

/// A file that no module checks would look checked.
#[test]
fn vectors_leave_no_file_unchecked() {
    let mut known = [
        accept_reject::FILE,
        additive::FILE,
        chacha20::FILE,
        frames::FILE,
        jls::FILE,
        kdf::FILE,
        lom::FILE,
        messages::FILE,
        overlay::FILE,
        serializer::FILE,
    ];
    known.sort_unstable();
    assert_eq!(fixture::files(), known);
}
