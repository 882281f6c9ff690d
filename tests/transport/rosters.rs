//! Which rosters a relay goes by, and what it says of others.

use backchannel::relay::{Listing, ListingError, RelayError};
use backchannel::roster::RosterError;
use time::{Duration, OffsetDateTime};

use crate::consortium::{Consortium, listed, secret, text};
use crate::harness::start_relay_with;

/// Why a relay does not start with this roster.
async fn refused(folder: &tempfile::TempDir, listing: Option<Listing>) -> ListingError {
    let started = start_relay_with(&folder.path().join("relay"), 0, listing).await;
    match started.err().expect("refused") {
        RelayError::Listing(error) => error,
        other => panic!("unexpected: {other}"),
    }
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

#[tokio::test]
async fn refuses_a_roster_that_does_not_count_now() {
    let folder = tempfile::tempdir().unwrap();
    let consortium = Consortium::new(folder.path());
    for (issued, expires, expected) in [
        (now() - Duration::DAY, now() - Duration::HOUR, "expired at"),
        (
            now() + Duration::WEEK,
            now() + Duration::WEEK * 2,
            "was made at",
        ),
    ] {
        let key = secret("a").public();
        consortium.publish_text(&text("heart-eu", 1, (issued, expires), &[("a", key)]));
        let error = refused(&folder, consortium.listing(false)).await;
        assert!(
            error.is_refusal() && error.to_string().contains(expected),
            "{error}"
        );
        assert!(
            error.advice().contains("ask the consortium"),
            "{}",
            error.advice()
        );
    }
}

#[tokio::test]
async fn refuses_a_roster_that_others_have_signed_or_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (consortium, other) = (
        Consortium::new(folder.path()),
        Consortium::new(folder.path()),
    );
    other.publish(1, &["a"]);
    let error = refused(&folder, consortium.listing(false)).await;
    assert!(
        matches!(
            &error,
            ListingError::Roster {
                source: RosterError::NotSigned(_),
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error.advice().contains("--roster-key"),
        "{}",
        error.advice()
    );

    consortium.publish(1, &["a"]);
    let changed = std::fs::read_to_string(consortium.file())
        .unwrap()
        .replace("\"a\"", "\"b\"");
    std::fs::write(consortium.file(), changed).unwrap();
    let error = refused(&folder, consortium.listing(false)).await;
    assert!(
        matches!(
            &error,
            ListingError::Roster {
                source: RosterError::NotSigned(_),
                ..
            }
        ),
        "{error}"
    );

    std::fs::remove_file(consortium.file()).unwrap();
    let error = refused(&folder, consortium.listing(false)).await;
    assert!(
        matches!(error, ListingError::File(_)) && !error.is_refusal(),
        "{error}"
    );
}

#[tokio::test]
async fn refuses_an_older_roster_and_another_one_of_the_same_version_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let consortium = Consortium::new(folder.path());
    consortium.publish(7, &["a"]);
    let data = folder.path().join("relay");
    let relay = start_relay_with(&data, 0, consortium.listing(false))
        .await
        .unwrap();
    relay.stop().await;

    consortium.publish(6, &["a"]);
    let error = refused(&folder, consortium.listing(false)).await;
    assert!(
        matches!(
            error,
            ListingError::Rollback {
                version: 6,
                highest: 7
            }
        ),
        "{error}"
    );
    consortium.publish(7, &["a", "b"]);
    let error = refused(&folder, consortium.listing(false)).await;
    assert!(matches!(error, ListingError::Equivocation(7)), "{error}");
    let times = (now() - Duration::HOUR, now() + Duration::DAY);
    consortium.publish_text(&text("lung-eu", 8, times, &[("a", secret("a").public())]));
    let error = refused(&folder, consortium.listing(false)).await;
    assert!(
        matches!(error, ListingError::OtherFederation { .. }),
        "{error}"
    );

    consortium.publish(8, &["a"]);
    let relay = start_relay_with(&data, 0, consortium.listing(false))
        .await
        .unwrap();
    assert_eq!(relay.roster().unwrap().version, 8);
}

#[tokio::test]
async fn keeps_the_roster_that_it_has_when_the_next_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let consortium = Consortium::new(folder.path());
    consortium.publish(7, &["a"]);
    let data = folder.path().join("relay");
    let relay = start_relay_with(&data, 0, consortium.listing(false))
        .await
        .unwrap();
    let a = listed("a", &relay);
    a.connected().await;

    consortium.publish(6, &[]);
    assert!(matches!(
        relay.read_roster_again(),
        Err(ListingError::Rollback { .. })
    ));
    consortium.publish_text("version = [");
    assert!(relay.read_roster_again().is_err());

    assert_eq!(relay.roster().unwrap().version, 7);
    a.connected().await;
    assert_eq!(relay.nodes()[0].proven, Some(true));
}
