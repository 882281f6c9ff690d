//! A key for each message of one direction of a session, in any order, each once.
//!
//! A chain, in which each message's key follows from the one before, has to be walked. If a relay loses 50,000 messages, a receiver
//! computes 50,000 steps for the next; a forged counter makes it compute them for nothing; and a bound on that leaves it deaf after
//! such a loss. So the keys are the leaves of a binary tree (Goldreich, Goldwasser and Micali 1986), and a chain is only what is
//! walked down in it:
//!
//! ```text
//! secrets of both children = HKDF-Expand(secret of the node, "backchannel suite 2 node"), 64 bytes
//! ```
//!
//! Any leaf is at most [`DEPTH`] steps away, whatever was lost or forged. When a message is sent, or opened, the nodes from which its
//! key follows are erased, and of the others those are kept that lie beside the path. Then nobody can make that key again, however
//! much they take from this node: as with a chain whose key is erased at once. Of a sender's tree, nothing is ever
//! left but what is still to come. A receiver's keeps the keys of messages that did not come, but none that are more than
//! [`WINDOW`] behind the latest; so one that is kept back is readable with what is taken from the node for that long, and no
//! longer, and at most one node for each two messages of the window is held.
//!
//! That also makes a replay: a message whose key is gone cannot be opened. Nothing is erased before a message's tag was found
//! good.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::primitives::{halves, hkdf_sha256_expand};

/// Levels below the root.
const DEPTH: u32 = 17;
/// How many keys there are, and so the most messages in one direction of a session.
pub(super) const MOST_MESSAGES: u64 = 1 << DEPTH;
/// So far behind the latest message others may come. More than a relay keeps for one node.
pub(super) const WINDOW: u64 = 2048;

/// In a place of its own: what holds it may be moved, and leaves no copy of it then.
type Secret = Box<Zeroizing<[u8; 32]>>;

/// The keys that were not used yet. Cannot be printed; zeroized when dropped.
pub(super) struct KeyTree {
    /// Nodes that have no other among those above them, by their first counter.
    nodes: BTreeMap<u64, Node>,
}

struct Node {
    /// It has 2^`height` leaves.
    height: u32,
    secret: Secret,
}

/// A message's key, which is still in the tree.
pub(super) struct Leaf {
    counter: u64,
    secret: Secret,
    /// Where the node is from which it follows.
    root: u64,
    /// The nodes beside the path.
    beside: Vec<(u64, Node)>,
}

impl Leaf {
    pub(super) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

impl Node {
    /// The left and the right one below it.
    fn children(&self) -> [Self; 2] {
        let both = hkdf_sha256_expand(&self.secret, &[b"backchannel suite 2 node"]);
        halves(&both).map(|secret| Self {
            height: self.height - 1,
            secret: Box::new(secret),
        })
    }

    fn leaves(&self) -> u64 {
        1 << self.height
    }
}

impl KeyTree {
    pub(super) fn new(root: Zeroizing<[u8; 32]>) -> Self {
        let root = Node {
            height: DEPTH,
            secret: Box::new(root),
        };
        Self {
            nodes: BTreeMap::from([(0, root)]),
        }
    }

    /// The key of a message; `None` when it is erased, or there never was one. Changes nothing.
    pub(super) fn leaf(&self, counter: u64) -> Option<Leaf> {
        let (&root, node) = self.nodes.range(..=counter).next_back()?;
        if counter - root >= node.leaves() {
            return None;
        }
        let mut leaf = Leaf {
            counter,
            secret: node.secret.clone(),
            root,
            beside: Vec::new(),
        };
        let (mut first, mut height) = (root, node.height);
        while height > 0 {
            let node = Node {
                height,
                secret: leaf.secret,
            };
            let [left, right] = node.children();
            height -= 1;
            let middle = first + left.leaves();
            let below = if counter < middle {
                leaf.beside.push((middle, right));
                left
            } else {
                leaf.beside.push((first, left));
                first = middle;
                right
            };
            leaf.secret = below.secret;
        }
        Some(leaf)
    }

    /// Erases a message's key, and all from which it could be made again.
    pub(super) fn erase(&mut self, leaf: Leaf) {
        self.nodes.remove(&leaf.root);
        self.nodes.extend(leaf.beside);
        debug_assert!(self.leaf(leaf.counter).is_none());
    }

    /// Erases the keys of all messages before this one.
    pub(super) fn erase_before(&mut self, counter: u64) {
        while let Some(entry) = self.nodes.first_entry()
            && *entry.key() < counter
        {
            let (first, node) = entry.remove_entry();
            if first + node.leaves() <= counter {
                continue;
            }
            let [left, right] = node.children();
            self.nodes.insert(first + left.leaves(), right);
            self.nodes.insert(first, left);
        }
    }

    /// Feeds a hash with all that is left.
    pub(super) fn hash(&self, hash: &mut Sha256) {
        for (first, node) in &self.nodes {
            hash.update(first.to_be_bytes());
            hash.update(node.height.to_be_bytes());
            hash.update(node.secret.as_slice());
        }
    }
}

impl fmt::Debug for KeyTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyTree").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> KeyTree {
        KeyTree::new(Zeroizing::new([1; 32]))
    }

    fn key(tree: &KeyTree, counter: u64) -> Option<[u8; 32]> {
        tree.leaf(counter).map(|leaf| *leaf.secret())
    }

    fn use_up(tree: &mut KeyTree, counter: u64) -> [u8; 32] {
        let leaf = tree.leaf(counter).expect("a key");
        let secret = *leaf.secret();
        tree.erase(leaf);
        secret
    }

    #[test]
    fn in_any_order_a_message_has_the_same_key_and_each_another() {
        let (mut forth, mut back) = (tree(), tree());
        let mut ascending: Vec<_> = (0..300).map(|at| use_up(&mut forth, at)).collect();
        let mut descending: Vec<_> = (0..300).rev().map(|at| use_up(&mut back, at)).collect();
        descending.reverse();
        assert_eq!(ascending, descending);
        ascending.sort();
        ascending.dedup();
        assert_eq!(ascending.len(), 300);
    }

    #[test]
    fn a_used_key_is_gone_and_the_others_are_not() {
        let mut tree = tree();
        use_up(&mut tree, 5);
        assert_eq!(key(&tree, 5), None);
        assert!(
            (0..100)
                .filter(|at| *at != 5)
                .all(|at| key(&tree, at).is_some())
        );
        assert!(key(&tree, MOST_MESSAGES - 1).is_some());
        assert_eq!(key(&tree, MOST_MESSAGES), None);
        assert_eq!(key(&tree, u64::MAX), None);
    }

    #[test]
    fn looking_for_a_key_changes_nothing() {
        let mut tree = tree();
        use_up(&mut tree, 7);
        let state = |tree: &KeyTree| {
            let mut hash = Sha256::new();
            tree.hash(&mut hash);
            hash.finalize()
        };
        let before = state(&tree);
        for counter in [0, 7, 70_000, MOST_MESSAGES, u64::MAX] {
            drop(tree.leaf(counter));
        }
        assert_eq!(state(&tree), before);
    }

    #[test]
    fn what_is_behind_is_erased_wherever_a_node_ends() {
        for counter in [0, 1, 2, 3, 63, 64, 65, 1000] {
            let mut tree = tree();
            use_up(&mut tree, 1010);
            tree.erase_before(counter);
            let left = (0..1009).find(|at| key(&tree, *at).is_some());
            assert_eq!(left, Some(counter));
            assert!(tree.nodes.keys().all(|first| *first >= counter));
        }
        let mut tree = tree();
        tree.erase_before(MOST_MESSAGES);
        assert!(tree.nodes.is_empty());
    }

    #[test]
    fn no_more_is_held_than_a_node_for_two_messages_of_the_window() {
        let mut tree = tree();
        let mut most = 0;
        for counter in (0..4 * WINDOW).step_by(2) {
            use_up(&mut tree, counter);
            tree.erase_before(counter.saturating_sub(WINDOW));
            most = most.max(tree.nodes.len());
        }
        let bound = WINDOW as usize / 2 + DEPTH as usize;
        assert!(most <= bound, "{most} of {bound}");
    }

    #[test]
    fn keys_cannot_be_printed() {
        assert_eq!(format!("{:?}", tree()), "KeyTree { .. }");
    }
}
