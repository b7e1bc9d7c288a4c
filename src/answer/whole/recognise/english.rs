//! Forms of questions about all documents in English.

/// What documents are called, and what is told one by one in them.
const KINDS: [&str; 43] = [
    "bugs",
    "issues",
    "articles",
    "cases",
    "complaints",
    "contracts",
    "conversations",
    "docs",
    "documents",
    "emails",
    "entries",
    "files",
    "incidents",
    "interviews",
    "invoices",
    "letters",
    "logs",
    "mails",
    "meetings",
    "memos",
    "messages",
    "minutes",
    "notes",
    "outages",
    "pages",
    "papers",
    "passages",
    "postmortems",
    "post-mortems",
    "posts",
    "proposals",
    "records",
    "reports",
    "reviews",
    "stories",
    "studies",
    "texts",
    "tickets",
    "transcripts",
    "papers'",
    "documents'",
    "files'",
    "reports'",
];
/// What all documents together are called.
const WHOLES: [&str; 12] = [
    "archive",
    "base",
    "collection",
    "corpus",
    "content",
    "contents",
    "dataset",
    "docs",
    "documentation",
    "folder",
    "index",
    "library",
];
/// That something is said in a document.
const MENTIONS: [&str; 19] = [
    "mention",
    "mentions",
    "mentioned",
    "mentioning",
    "discuss",
    "discusses",
    "discussed",
    "discussing",
    "refer",
    "refers",
    "referring",
    "talk",
    "talks",
    "cite",
    "cites",
    "cited",
    "cover",
    "deal",
    "concern",
];
const DETERMINERS: [&str; 9] = ["the", "these", "those", "my", "our", "your", "this", "that", "its"];

/// Whether a sentence, in lower case, is about all documents.
pub(super) fn english(words: &[&str]) -> bool {
    let words = without_courtesies(words);
    if contradictions(words) {
        return true;
    }
    if is_procedure(words) {
        return false;
    }
    order(words) || summary(words) || count(words) || which(words) || scope(words)
}

/// Without "please", "could you" and the like.
fn without_courtesies<'a, 'b>(mut words: &'b [&'a str]) -> &'b [&'a str] {
    const COURTESIES: [&[&str]; 24] = [
        &["please"],
        &["kindly"],
        &["now"],
        &["then"],
        &["also"],
        &["and"],
        &["ok"],
        &["hi"],
        &["hello"],
        &["just"],
        &["so"],
        &["can", "you"],
        &["could", "you"],
        &["would", "you"],
        &["will", "you"],
        &["i", "want", "you", "to"],
        &["i", "want", "to", "see"],
        &["i", "would", "like", "you", "to"],
        &["i'd", "like", "you", "to"],
        &["i", "need", "you", "to"],
        &["i", "need"],
        &["i", "want"],
        &["i'd", "like"],
        &["let's"],
    ];
    while let Some(courtesy) = COURTESIES.iter().find(|courtesy| words.starts_with(courtesy)) {
        words = words.get(courtesy.len()..).unwrap_or_default();
    }
    words
}

/// Asks how, whether, where or why something is done.
fn is_procedure(words: &[&str]) -> bool {
    const BEGINNINGS: [&str; 18] = [
        "where", "why", "when", "if", "is", "are", "was", "were", "does", "do", "did", "can", "could", "should", "may", "must",
        "will", "whether",
    ];
    let first = words.first().copied().unwrap_or_default();
    let how = first == "how" && !matches!(words.get(1), Some(&("many" | "often")));
    how || BEGINNINGS.contains(&first) && !matches!(words, ["do" | "does", "all" | "any", ..])
        || words.windows(2).any(|pair| pair == ["how", "to"])
        || words.iter().any(|word| matches!(*word, "command" | "flag"))
        || by_a_tool(words)
}

/// "List all tenants with lanternctl", "show all users via the API": a program is to do it. "With casualties", "with date and cause" says
/// which or what of them.
fn by_a_tool(words: &[&str]) -> bool {
    let of_a_name = |name: &str| !name.ends_with('s') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    match words {
        [.., "using" | "via", _]
        | [.., "using" | "via", "the" | "a" | "an", _]
        | [.., "with" | "through", "the" | "an" | "a", "cli" | "api" | "sdk" | "console"] => true,
        [.., "with", name] => of_a_name(name),
        _ => false,
    }
}

/// An order that names all of something: "list every incident", "give me a table of all outages".
fn order(words: &[&str]) -> bool {
    const GIVE: [&str; 19] = [
        "list",
        "enumerate",
        "name",
        "show",
        "give",
        "tell",
        "find",
        "get",
        "extract",
        "collect",
        "gather",
        "compile",
        "identify",
        "itemize",
        "itemise",
        "provide",
        "report",
        "mention",
        "compare",
    ];
    /// Of these only what makes a list is meant: "make all keys expire" is an order to somebody else.
    const MAKE: [&str; 8] = ["make", "generate", "write", "create", "build", "prepare", "produce", "draw"];
    const BETWEEN: [&str; 20] = [
        "me", "us", "out", "up", "down", "together", "with", "a", "an", "the", "of", "names", "titles", "dates", "authors",
        "in", "short", "brief", "number", "for",
    ];
    let Some((verb, mut rest)) = words.split_first() else { return false };
    // "A list of all …", "All incidents of 2025".
    let noun =
        matches!(words, ["a" | "the" | "complete" | "full", ..] if words.iter().take(4).any(|word| LISTS.contains(word)));
    let makes = MAKE.contains(verb);
    if !(makes || GIVE.contains(verb) || noun) {
        return false;
    }
    if noun {
        rest = words;
    }
    let (mut listed, mut complete) = (noun, false);
    while let Some((word, after)) = rest.split_first() {
        match *word {
            word if all_of(word) => return (!makes || listed) && names_many(word, after),
            word if LISTS.contains(&word) && *verb != word => listed = true,
            "complete" | "full" | "comprehensive" | "exhaustive" => complete = true,
            word if BETWEEN.contains(&word) => {}
            // "A bulleted list".
            _ if after.first().is_some_and(|next| LISTS.contains(next)) => {}
            _ => break,
        }
        rest = after;
    }
    complete && listed
}

const LISTS: [&str; 13] = [
    "list",
    "table",
    "timeline",
    "inventory",
    "catalogue",
    "catalog",
    "overview",
    "summary",
    "chronology",
    "register",
    "glossary",
    "comparison",
    "digest",
];

fn all_of(word: &str) -> bool {
    matches!(word, "all" | "every" | "each" | "everything" | "everyone" | "everybody")
}

/// Not "everything about keys", which is one subject, nor "all the steps", which are one procedure.
fn names_many(all: &str, after: &[&str]) -> bool {
    let mut after =
        after.iter().copied().skip_while(|word| DETERMINERS.contains(word) || matches!(*word, "of" | "single" | "other"));
    match after.next() {
        Some("about" | "steps" | "instructions" | "step" | "you" | "there" | "i" | "we") => false,
        // "All the details on incident 42", but not "all details of each incident".
        Some("detail" | "details" | "info" | "information") => after.any(all_of),
        None => all == "everything",
        Some(_) => true,
    }
}

/// "Summarise everything", "an overview of these documents".
fn summary(words: &[&str]) -> bool {
    let verb = match words {
        ["sum", "up", rest @ ..]
        | ["summarise" | "summarize" | "summarising" | "recap" | "condense" | "outline", rest @ ..] => Some(rest),
        _ => None,
    };
    let noun = || {
        let at = words.iter().position(|word| matches!(*word, "summary" | "overview" | "synopsis" | "digest" | "recap"))?;
        // "Which summary of the documents is the newest?" asks for one of them.
        (at < 6 && !matches!(words.first(), Some(&("which" | "who")))).then(|| words.get(at + 1..)).flatten()
    };
    let Some(mut rest) = verb.or_else(noun) else { return false };
    while let Some((word, after)) = rest.split_first() {
        match *word {
            "everything" => return !matches!(after, ["about", ..]),
            "all" | "every" | "each" => return names_many(word, after),
            "whole" | "entire" | "complete" => return after.first().is_some_and(|next| is_whole(next) || *next == "knowledge"),
            "for" | "me" | "us" | "briefly" | "of" | "content" | "contents" | "main" | "key" | "points" | "in" | "from"
            | "across" => {}
            word if DETERMINERS.contains(&word) => {}
            "knowledge" if after.first() == Some(&"base") => {}
            // "The notes of the May meeting" are some of them.
            word if is_whole(word) || KINDS.contains(&word) => return ends(after),
            _ => return false,
        }
        rest = after;
    }
    false
}

fn is_whole(word: &str) -> bool {
    WHOLES.contains(&word) || matches!(word, "documents" | "files" | "notes" | "papers" | "texts")
}

/// Nothing follows that narrows it down.
fn ends(after: &[&str]) -> bool {
    matches!(after, [] | ["in" | "please" | "briefly" | "for" | "as" | "and" | "here" | "within" | "with", ..])
}

/// "How many reports mention fire?", "how many incidents were there?", "count the tickets".
fn count(words: &[&str]) -> bool {
    const EXIST: [&[&str]; 17] = [
        &["are", "there"],
        &["were", "there"],
        &["there", "are"],
        &["there", "were"],
        &["do", "we", "have"],
        &["did", "we", "have"],
        &["have", "there", "been"],
        &["in", "total"],
        &["altogether"],
        &["occurred"],
        &["happened"],
        &["took", "place"],
        &["were", "reported"],
        &["were", "filed"],
        &["were", "caused"],
        &["were", "opened"],
        &["have", "been"],
    ];
    if let ["count" | "tally", rest @ ..] = words {
        let mut rest = rest.iter().skip_while(|word| DETERMINERS.contains(word) || matches!(**word, "up" | "number" | "of"));
        return rest.next().is_some_and(|word| all_of(word) || KINDS.contains(word));
    }
    let number = [&["how", "many"][..], &["what", "number", "of"], &["the", "number", "of"]].into_iter();
    let number = number.filter_map(|form| Some(words.windows(form.len()).position(|at| at == form)? + form.len())).min();
    let often = matches!(words, ["how", "often", "is" | "are" | "was" | "were", ..]);
    let Some(at) = number.or(often.then_some(3)) else { return false };
    let rest = words.get(at..).unwrap_or_default();
    if often {
        return rest.contains(&"mentioned");
    }
    if rest.iter().any(|word| matches!(*word, "per" | "maximum" | "most" | "minimum" | "each" | "default")) {
        return false;
    }
    // "How many files are there in a segment?" is a fact about segments.
    if rest.windows(3).any(|at| matches!(at, ["there", "in", "a" | "an" | "one"])) {
        return false;
    }
    // Of anything: what is mentioned is counted through all of them.
    if rest.windows(2).any(|pair| matches!(pair, ["is" | "are" | "was" | "were" | "get", "mentioned"])) {
        return true;
    }
    let mut counted = rest.iter().skip_while(|word| {
        DETERMINERS.contains(word)
            || matches!(**word, "of" | "different" | "distinct" | "unique" | "other" | "such" | "separate")
    });
    // Whatever it is, there is no place for the number of all: "how many bridges are there in total?"
    if let [.., "are" | "were", "there", "in", "total" | "all"] | [.., "are" | "were", "there", "altogether" | "overall"] = rest
    {
        return true;
    }
    // "Security incidents", "of the customer reports".
    let kind = counted.by_ref().take(2).any(|word| KINDS.contains(word));
    let told =
        |word: &&str| MENTIONS.contains(word) || matches!(*word, "describe" | "contain" | "report" | "say" | "about" | "name");
    kind && (matches!(counted.next(), Some(&("were" | "was")))
        || rest.iter().any(told)
        || EXIST.iter().any(|form| rest.windows(form.len()).any(|at| at == *form)))
}

/// "Contradictions between the documents".
fn contradictions(words: &[&str]) -> bool {
    let mut found = words.iter().skip_while(|word| {
        !matches!(**word, "contradiction" | "contradictions" | "contradict" | "inconsistencies" | "inconsistency" | "disagree")
    });
    found.next().is_some() && {
        let mut rest =
            found.skip_while(|word| DETERMINERS.contains(word) || matches!(**word, "between" | "across" | "among" | "in"));
        rest.next().is_some_and(|word| KINDS.contains(word))
    }
}

/// "Which documents mention fire?", "what are all the deadlines?", "what are these documents about?".
fn which(words: &[&str]) -> bool {
    let rest = match words {
        ["what" | "who" | "which", "are" | "were", "all", rest @ ..] => return names_many("all", rest),
        // "The names of all employees", "the total of all invoices".
        ["what", "are" | "is", "the", _, "of", all, rest @ ..] if all_of(all) => return names_many(all, rest),
        ["what", "are", "the", rest @ ..] => {
            let mut rest = rest.iter().skip_while(|word| !matches!(**word, "topics" | "themes" | "subjects"));
            let mut rest = rest.next().map(|_| rest).into_iter().flatten();
            return matches!(rest.next(), Some(&("of" | "in" | "across")))
                && rest.next().is_some_and(|word| DETERMINERS.contains(word))
                && rest.next().is_some_and(|word| KINDS.contains(word) || is_whole(word));
        }
        ["who" | "what", "is" | "are", "mentioned", "most", ..] => return true,
        // "Which documents do we need for a visa?" asks for what the documents say.
        ["what" | "which", kind, "happened" | "occurred", ..]
        | ["what" | "which", kind, "were" | "are", "there", ..]
        | ["what" | "which", kind, "did" | "do", "we", "have" | "get" | "receive" | "keep", ..] => return KINDS.contains(kind),
        ["what", "topics" | "themes" | "subjects", "do" | "are", rest @ ..] => {
            return rest.iter().any(|word| KINDS.contains(word) || is_whole(word));
        }
        ["what", "are" | "is" | "do", determiner, whole, .., "about" | "cover"] => {
            return DETERMINERS.contains(determiner) && is_whole(whole);
        }
        ["which" | "what", "of", rest @ ..] | ["which" | "what" | "in", rest @ ..] => rest,
        _ => return false,
    };
    let mut rest = rest.iter().skip_while(|word| DETERMINERS.contains(word) || **word == "which");
    let kind = rest.by_ref().take(2).any(|word| KINDS.contains(word));
    kind && rest.take(4).any(|word| MENTIONS.contains(word))
}

/// "… across all documents", "… in the entire corpus".
fn scope(words: &[&str]) -> bool {
    let mut places = words.iter().enumerate().filter(|(_, word)| {
        matches!(
            **word,
            "across" | "in" | "throughout" | "over" | "through" | "of" | "from" | "between" | "among" | "do" | "does"
        )
    });
    places.any(|(at, place)| {
        let after = words.get(at + 1..).unwrap_or_default();
        let named = |rest: &[&str]| {
            let mut rest = rest.iter().skip_while(|word| DETERMINERS.contains(word) || **word == "of");
            rest.next().is_some_and(|word| KINDS.contains(word) || is_whole(word) || *word == "knowledge")
        };
        match after {
            ["all" | "every", rest @ ..] => named(rest) || matches!(rest, ["document" | "file" | "page" | "report", ..]),
            ["the" | "my" | "our" | "your" | "this", "entire" | "whole", rest @ ..] => named(rest),
            rest => {
                matches!(*place, "across" | "throughout") && matches!(rest, ["the" | "these" | "my" | "our", ..]) && named(rest)
            }
        }
    })
}
