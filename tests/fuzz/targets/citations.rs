//! An answer, cut anywhere: no letter of it is lost or made up, and what is cited does not depend on the cuts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ragstream::answer::cite::{Piece, Scanner};

fn text(pieces: &[Piece]) -> String {
    let text = |piece: &Piece| match piece {
        Piece::Text(text) | Piece::Citation { text, .. } => text.clone(),
    };
    pieces.iter().map(text).collect()
}

fn scanned(given: usize, cuts: impl IntoIterator<Item = String>) -> (String, Vec<usize>, Vec<usize>) {
    let mut scanner = Scanner::new(given);
    let mut pieces: Vec<Piece> = cuts.into_iter().flat_map(|cut| scanner.push(&cut)).collect();
    pieces.extend(scanner.finish());
    (text(&pieces), scanner.citations().to_vec(), scanner.unknown())
}

fuzz_target!(|data: &[u8]| {
    let [given, size, answer @ ..] = data else { return };
    let (given, size) = (*given as usize % 12, *size as usize % 9 + 1);
    let answer = String::from_utf8_lossy(answer);
    let whole = scanned(given, [answer.clone().into_owned()]);
    assert_eq!(whole.0, answer, "no letter is lost");
    assert!(whole.1.iter().all(|n| (1..=given).contains(n)) && whole.2.iter().all(|n| !(1..=given).contains(n)));
    let letters: Vec<char> = answer.chars().collect();
    assert_eq!(whole, scanned(given, letters.chunks(size).map(|cut| cut.iter().collect())), "cuts of {size}");
});
