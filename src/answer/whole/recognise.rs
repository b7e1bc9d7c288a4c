//! Whether a question is about all documents, in English and Chinese: by its form alone, for no list of words knows what a corpus holds.
//!
//! Taken for one about all: orders that name all of something ("list every incident", 列出所有事故), summaries of everything or of the
//! documents, counts of documents and of what is told one by one (reports, incidents, 工单), or of anything there is "in total"
//! (一共有几座桥), which documents mention something, and whatever says "across all documents" itself. A question how something is done is
//! none, whatever it names: "how do I list all keys?".
//!
//! Who is wrongly taken for one is told that these passages are not all; who is wrongly taken for none can say so. So it rather errs on
//! that side: "how many keys can a tenant have?" and "list the steps" are about one place.

mod chinese;
mod english;
#[cfg(test)]
mod tests;

use self::chinese::chinese;
use self::english::english;

/// A longer text is something pasted, in which every form occurs.
const MAX_BYTES: usize = 1000;

/// Whether a question is about all documents, as far as its form tells.
pub fn is_about_all(question: &str) -> bool {
    if question.len() > MAX_BYTES {
        return false;
    }
    let question = question.to_lowercase();
    let mut sentences = question.split(['.', '?', '!', ';', '\n', '。', '？', '！', '；']);
    sentences.any(|sentence| {
        let words: Vec<&str> = sentence
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '\''))
            .filter(|word| !word.is_empty())
            .collect();
        english(&words) || chinese(sentence)
    })
}
