use types::Digest;

use super::*;

fn block(name: u8) -> BlockId {
    BlockId(Digest([name; 32]))
}

fn stand(path: &[u8]) -> Stand {
    Stand {
        height: Height(path.len() as u64),
        path: path.iter().map(|name| block(*name)).collect(),
    }
}

fn base_of(paths: &[&[u8]]) -> Option<BlockId> {
    base(&paths.iter().map(|path| stand(path)).collect::<Vec<_>>())
}

#[test]
fn most_reporters_win_then_height_then_the_lowest_id() {
    assert_eq!(base_of(&[]), None);
    assert_eq!(base_of(&[&[], &[]]), None);
    assert_eq!(base_of(&[&[1, 2], &[1, 2], &[1, 3, 4]]), Some(block(2)));
    assert_eq!(base_of(&[&[1, 2], &[1, 3, 4]]), Some(block(4)));
    assert_eq!(base_of(&[&[1, 3], &[1, 2]]), Some(block(2)));
    // Whoever stands below a fork has no say in it.
    assert_eq!(
        base_of(&[&[1], &[1, 3], &[1, 2, 4], &[1, 2]]),
        Some(block(4))
    );
}
