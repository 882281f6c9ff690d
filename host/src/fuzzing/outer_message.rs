use crate::message::researcher::reply_address;
use crate::message::{OverlayMessage, RequestId, ResearcherId, ToNode, ToResearcher};

/// What a node or a relay reads from the network: outer messages, and all that a researcher and a node say to each other.
///
/// What must hold: a message that was read is written so that the same is read again; it has no more bytes than came; an outer
/// message is the same whoever reads it, node, researcher or relay; an error is told to the one whose message it was. `true` when
/// something was read.
pub fn outer_message(input: &[u8]) -> bool {
    let outer = OverlayMessage::decode(input);
    if let Ok(outer) = &outer {
        assert_eq!(OverlayMessage::decode(&outer.encode()).as_ref(), Ok(outer));
        let carried = outer.overlay.len() + outer.salt.len() + outer.nonce.len();
        assert!(carried <= input.len());
    }
    let to_node = to_node(input);
    let to_researcher = to_researcher(input);
    match (&to_node, &outer) {
        (Some(ToNode::Overlay(one)), outer) => assert_eq!(Ok(one), outer.as_ref()),
        (other, outer) => assert!(outer.is_err(), "{other:?} to a node, {outer:?} to a relay"),
    }
    match (&to_researcher, &outer) {
        (Some(ToResearcher::Overlay(one)), outer) => assert_eq!(Ok(one), outer.as_ref()),
        (_, outer) => assert!(outer.is_err(), "{outer:?} to a relay only"),
    }
    to_node.is_some() || to_researcher.is_some()
}

fn to_node(input: &[u8]) -> Option<ToNode> {
    let message = ToNode::decode(input).ok()?;
    assert_eq!(ToNode::decode(&message.encode()).as_ref(), Ok(&message));
    assert_eq!(reply_address(input), asked_by(&message));
    Some(message)
}

fn asked_by(message: &ToNode) -> (Option<RequestId>, Option<ResearcherId>) {
    match message.clone() {
        ToNode::Ping {
            request_id,
            researcher_id,
        }
        | ToNode::Search {
            request_id,
            researcher_id,
            ..
        }
        | ToNode::List {
            request_id,
            researcher_id,
        }
        | ToNode::SecaggDelete {
            request_id,
            researcher_id,
            ..
        } => (request_id, Some(researcher_id)),
        ToNode::SecaggSetup(setup) | ToNode::ServerKeySetup(setup) => {
            (setup.request_id, Some(setup.researcher_id))
        }
        ToNode::ProtocolRun(run) => (run.request_id, Some(run.researcher_id)),
        ToNode::Overlay(outer) => (None, Some(outer.researcher_id)),
        ToNode::Other {
            request_id,
            researcher_id,
            ..
        } => (request_id, researcher_id),
    }
}

fn to_researcher(input: &[u8]) -> Option<ToResearcher> {
    let message = ToResearcher::decode(input).ok()?;
    let written = message.encode();
    // By their bytes: a data set may hold a number that equals nothing, itself included.
    let again = ToResearcher::decode(&written).map(|again| again.encode());
    assert_eq!(again, Ok(written));
    Some(message)
}
