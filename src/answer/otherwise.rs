//! Whether a name that passages lack may stand in them put otherwise: in another form, by its initials, in another script.
//!
//! It tells where a decision model may have the word: what is looked up exactly (a number, a date, a quote, a denial, and a name of
//! which nothing is there) is no matter of opinion.

/// Letters that two forms of a word begin with alike, at least, and as a share of the longer one.
const STEM: usize = 4;
const SHARE: (usize, usize) = (7, 10);
/// Words that acronyms leave out.
const SMALL: [&str; 8] = ["of", "the", "and", "for", "in", "on", "to", "de"];

/// Whether a name in a claim, which these passages lack, may be in them otherwise.
pub(super) fn is_put_otherwise(name: &str, claim: &str, passages: &[&str]) -> bool {
    // Titles and code are a matter of letters.
    let literal = ['`', '《'].iter().any(|mark| claim.contains(&format!("{mark}{name}")));
    !literal && may_be_in(name, passages)
}

fn may_be_in(name: &str, passages: &[&str]) -> bool {
    let of_script = |text: &str| {
        let latin = text.chars().filter(char::is_ascii_alphabetic).count();
        (latin, text.chars().filter(|c| ('\u{3400}'..='\u{9fff}').contains(c)).count())
    };
    let (latin, han) = passages.iter().map(|text| of_script(text)).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    match of_script(name) {
        (_, 1..) => return han == 0 && latin > 0,
        // A Chinese character says as much as about three letters do.
        _ if han * 3 > latin => return true,
        _ => {}
    }
    let (said, all) = (words(name), passages.iter().flat_map(|text| words(text)).collect::<Vec<&str>>());
    let initials = initials(&said);
    if initials.chars().count() > 1 && all.contains(&initials.as_str()) {
        return true;
    }
    let mut otherwise = false;
    said.iter().all(|word| {
        let same = all.iter().any(|other| other.eq_ignore_ascii_case(word));
        otherwise |= !same;
        same || all.iter().any(|other| is_form_of(word, other)) || is_acronym_of(word, &all)
    }) && otherwise
}

fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect()
}

/// The first letters of the words that count.
fn initials(words: &[&str]) -> String {
    let counting = words.iter().filter(|word| !SMALL.contains(&word.to_lowercase().as_str()));
    counting.filter_map(|word| word.chars().next()).flat_map(char::to_uppercase).collect()
}

/// `Swede` and `Swedes`, `P` and `Peter`. A word that is one letter in any text is no initial.
fn is_form_of(a: &str, b: &str) -> bool {
    let (letters_a, letters_b) = (a.chars().count(), b.chars().count());
    let alike = a.chars().zip(b.chars()).take_while(|(a, b)| a.to_lowercase().eq(b.to_lowercase())).count();
    if letters_a.min(letters_b) == 1 {
        return alike == 1 && a.starts_with(char::is_uppercase) && b.starts_with(char::is_uppercase) && !matches!(b, "A" | "I");
    }
    alike >= STEM && alike * SHARE.1 >= letters_a.max(letters_b) * SHARE.0
}

/// Whether a word in capitals is what words in a row begin with.
fn is_acronym_of(word: &str, all: &[&str]) -> bool {
    let letters = word.chars().count();
    if letters < 2 || !word.chars().all(char::is_uppercase) {
        return false;
    }
    let counting: Vec<&str> = all.iter().copied().filter(|word| !SMALL.contains(&word.to_lowercase().as_str())).collect();
    counting.windows(letters).any(|row| row.iter().all(|word| word.starts_with(char::is_uppercase)) && initials(row) == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_put_otherwise_is_told_from_another_one() {
        let passage = "The plant in Riga employs 350 people, and its director is Anna Kalnina of the European Central Bank; BASF pays the Swedes.";
        for name in ["Anna Kalninas", "A. Kalnina", "ECB", "Swede", "安娜·卡尔尼娜"] {
            assert!(may_be_in(name, &[passage]), "{name}");
        }
        for name in ["Peter Zaugg", "Peter Kalnina", "Anna Bank", "Zaugg", "ECC", "UN", "Anna Kaufmann"] {
            assert!(!may_be_in(name, &[passage]), "{name}");
        }
        assert!(
            may_be_in("European Central Bank", &["The ECB sets rates."]) && may_be_in("Peter Zaugg", &["P. Zaugg leads it."])
        );
        assert!(!may_be_in("Adam Zaugg", &["A plant of Zaugg"]), "an article");
        assert!(may_be_in("Anna Kalnina", &["里加工厂的厂长是安娜·卡尔尼娜，工厂有三百五十人。"]));
        assert!(!may_be_in("王伟", &["厂长是安娜·卡尔尼娜。"]), "the same script");
        assert!(!may_be_in("王伟", &[""]));
    }

    #[test]
    fn code_and_titles_are_a_matter_of_letters() {
        let passages = ["Run lantern keys now, with Anna Kalnina."];
        assert!(is_put_otherwise("Kalninas", "Kalninas runs it.", &passages));
        assert!(may_be_in("lanterns", &passages) && !is_put_otherwise("lanterns", "Run `lanterns` now.", &passages));
    }
}
