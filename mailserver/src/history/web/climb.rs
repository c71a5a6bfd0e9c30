//! The way from a leaf to the root, hash by hash, as RFC 9162, 2.1.3.2 has it checked: what a page shows of a proof.

use sealfax_client::history::Digest256;
use sha2::{Digest as _, Sha256};

/// One step up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// Whether the other hash stands before ours.
    pub(super) before: bool,
    /// The other one.
    pub(super) other: Digest256,
    /// What both together make.
    pub(super) result: Digest256,
}

/// The hash of a leaf.
pub(super) fn leaf_hash(leaf: &[u8]) -> Digest256 {
    Digest256(Sha256::new().chain_update([0]).chain_update(leaf).finalize().into())
}

fn node(left: Digest256, right: Digest256) -> Digest256 {
    Digest256(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The steps from the leaf with this hash; `None` if the path does not fit a tree of that size.
pub(super) fn climb(index: u64, size: u64, leaf: Digest256, path: &[Digest256]) -> Option<Vec<Step>> {
    if index >= size {
        return None;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    let mut steps = Vec::with_capacity(path.len());
    for other in path.iter().copied() {
        if last == 0 {
            return None;
        }
        let before = at & 1 == 1 || at == last;
        hash = if before { node(other, hash) } else { node(hash, other) };
        if before {
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        }
        (at, last) = (at >> 1, last >> 1);
        steps.push(Step { before, other, result: hash });
    }
    (last == 0).then_some(steps)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use tlog_tiles::tlog::{self, Hash};

    use super::*;

    struct Hashes(Vec<Hash>);

    impl tlog::HashReader for Hashes {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
            Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
        }
    }

    #[test]
    fn every_leaf_of_every_small_tree_leads_to_its_root() {
        let mut hashes = Hashes(Vec::new());
        for size in 1..=40u64 {
            let leaf = (size - 1).to_string();
            let more = tlog::stored_hashes(size - 1, leaf.as_bytes(), &hashes).unwrap();
            hashes.0.extend(more);
            let root = tlog::tree_hash(size, &hashes).unwrap();
            for index in 0..size {
                let path = tlog::prove_record(size, index, &hashes).unwrap();
                let path: Vec<Digest256> = path.into_iter().map(|hash| Digest256(hash.0)).collect();
                let leaf = leaf_hash(index.to_string().as_bytes());
                let steps = climb(index, size, leaf, &path).unwrap();
                assert_eq!(steps.last().map_or(leaf, |step| step.result).0, root.0, "{index} of {size}");
                if !path.is_empty() {
                    assert_eq!(climb(index, size, leaf, &path[1..]), None);
                }
                let longer: Vec<Digest256> = path.iter().copied().chain([leaf]).collect();
                assert_eq!(climb(index, size, leaf, &longer), None);
            }
            assert_eq!(climb(size, size, root_of(&root), &[]), None);
        }
    }

    fn root_of(hash: &Hash) -> Digest256 {
        Digest256(hash.0)
    }
}
