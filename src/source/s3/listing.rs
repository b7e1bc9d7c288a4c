//! A page of what a bucket has, and the refusals of a server, as it writes them.

use std::borrow::Cow;

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use quick_xml::events::{BytesRef, Event};
use quick_xml::{Reader, XmlVersion};

use super::failure::Refusal;

/// Elements within each other. A page has three, with owners four.
const MAX_DEPTH: usize = 16;

/// What is wrong with an answer that did not come in whole.
pub(super) const CUT: &str = "it ends too early";
/// How a list begins, wherever its namespace stands, and ends.
const ROOT: &[u8] = b"ListBucketResult";
const END: &[u8] = b"ListBucketResult>";

/// A page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub objects: Vec<Object>,
    /// What the next page is asked for with; `None`: this is the last one.
    pub next: Option<String>,
}

/// An object, as it is listed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Object {
    /// Its key; `Err` with what the server wrote where that is no text.
    pub key: Option<Result<String, String>>,
    pub size: u64,
    pub etag: Option<String>,
    /// In seconds since the Unix epoch.
    pub modified: Option<i64>,
}

/// What an answer says.
#[derive(Debug)]
pub(super) enum Answer {
    Page(Page),
    /// Some servers refuse with a status of success.
    Refused(Refusal),
}

/// Reads an answer to a listing. The error says what is wrong with it.
pub(super) fn read(bytes: &[u8]) -> Result<Answer, &'static str> {
    // A cut may go through a letter, or through a tag.
    let cut = |text: &[u8]| text.windows(ROOT.len()).any(|part| part == ROOT) && !text.trim_ascii_end().ends_with(END);
    let why = |what| if cut(bytes) { CUT } else { what };
    let text = std::str::from_utf8(bytes).map_err(|_| why("it is no UTF-8"))?;
    let mut page = Page::default();
    let (mut object, mut truncated, mut encoded, mut token) = (Object::default(), false, false, None);
    let (mut refusal, mut root) = (Refusal::default(), None);
    elements(text, |path, text| {
        root.get_or_insert_with(|| path.first().cloned().unwrap_or_default());
        match path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["ListBucketResult", "Contents"] => page.objects.push(std::mem::take(&mut object)),
            ["ListBucketResult", "Contents", "Key"] => object.key = Some(Ok(text.to_owned())),
            // A size that is none: the object is asked for, and its own bytes are bounded.
            ["ListBucketResult", "Contents", "Size"] => object.size = text.trim().parse().unwrap_or(1),
            ["ListBucketResult", "Contents", "ETag"] => object.etag = Some(text.trim().to_owned()),
            ["ListBucketResult", "Contents", "LastModified"] => {
                object.modified = text.trim().parse::<Timestamp>().ok().map(Timestamp::as_second);
            }
            ["ListBucketResult", "IsTruncated"] => truncated = text.trim() == "true",
            ["ListBucketResult", "NextContinuationToken"] => token = Some(text.to_owned()).filter(|token| !token.is_empty()),
            ["ListBucketResult", "EncodingType"] => encoded = text.trim() == "url",
            ["Error", "Code"] => text.trim().clone_into(&mut refusal.code),
            ["Error", "Message"] => text.trim().clone_into(&mut refusal.words),
            ["Error", "Region"] => refusal.region = Some(text.trim().to_owned()),
            _ => {}
        }
    })
    .map_err(why)?;
    match root.as_deref() {
        Some("Error") => return Ok(Answer::Refused(refusal)),
        Some("ListBucketResult") => {}
        _ => return Err("it is no list of objects"),
    }
    if truncated && token.is_none() {
        return Err("more is promised, and not where");
    }
    page.next = token.filter(|_| truncated);
    if encoded {
        for object in &mut page.objects {
            object.key = object.key.take().map(|key| key.and_then(|key| decoded(&key).ok_or(key)));
        }
    }
    Ok(Answer::Page(page))
}

/// What a refusal's body says; nothing where it is none.
pub(super) fn refusal(bytes: &[u8]) -> Refusal {
    match read(bytes) {
        Ok(Answer::Refused(refusal)) => refusal,
        _ => Refusal::default(),
    }
}

/// As forms are encoded.
fn decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(Cow::into_owned)
}

/// Tells each element as it ends, with all that are open and its own text.
fn elements(text: &str, mut each: impl FnMut(&[String], &str)) -> Result<(), &'static str> {
    let mut reader = Reader::from_str(text);
    let (mut path, mut text): (Vec<String>, String) = (Vec::new(), String::new());
    let mut seen = false;
    loop {
        match reader.read_event().map_err(|_| "it is no XML")? {
            Event::Eof if path.is_empty() && seen => return Ok(()),
            Event::Eof => return Err(CUT),
            Event::Start(_) if path.len() >= MAX_DEPTH || (seen && path.is_empty()) => return Err("it is no list of objects"),
            Event::Start(start) => {
                seen = true;
                text.clear();
                path.push(start.local_name().into_inner().to_owned());
            }
            Event::Empty(start) => {
                seen = true;
                path.push(start.local_name().into_inner().to_owned());
                each(&path, "");
                path.pop();
            }
            Event::End(_) => {
                each(&path, &text);
                text.clear();
                path.pop();
            }
            Event::Text(part) => text.push_str(&part.xml_content(XmlVersion::Implicit1_0)),
            Event::CData(part) => text.push_str(&part.xml_content(XmlVersion::Implicit1_0)),
            Event::GeneralRef(reference) => text.push_str(&resolved(&reference).ok_or("it holds an entity of its own")?),
            _ => {}
        }
    }
}

fn resolved(reference: &BytesRef<'_>) -> Option<String> {
    if let Ok(Some(c)) = reference.resolve_char_ref() {
        return Some(c.to_string());
    }
    let name = reference.xml_content(XmlVersion::Implicit1_0);
    quick_xml::escape::resolve_predefined_entity(&name).map(str::to_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    fn page(text: &str) -> Result<Page, String> {
        match read(text.as_bytes())? {
            Answer::Page(page) => Ok(page),
            Answer::Refused(refusal) => Err(refusal.code),
        }
    }

    fn listing(inner: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inner}</ListBucketResult>"
        )
    }

    #[test]
    fn a_page_is_read_as_servers_write_it() {
        let text = listing(
            "<Name>docs</Name><Prefix/><KeyCount>2</KeyCount><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
             <Contents><Key>a+b%2Bc/%E6%8C%87</Key><LastModified>2026-11-28T21:35:58.123Z</LastModified>
               <ETag>&quot;9b&#50;c&quot;</ETag><Size>17</Size><Owner><ID>1</ID><Key>no</Key></Owner></Contents>
             <Contents><Key>%FF</Key><Size>0</Size></Contents>
             <NextContinuationToken>1/a=&amp;b</NextContinuationToken>",
        );
        let page = page(&text).unwrap();
        assert_eq!(page.next.as_deref(), Some("1/a=&b"));
        let [first, second] = page.objects.as_slice() else { panic!("{page:?}") };
        assert_eq!(first.key, Some(Ok("a b+c/指".into())));
        assert_eq!((first.size, first.etag.as_deref(), first.modified), (17, Some("\"9b2c\""), Some(1_795_901_758)));
        assert_eq!((&second.key, second.size, &second.etag), (&Some(Err("%FF".into())), 0, &None));
    }

    #[test]
    fn what_is_cut_or_no_list_is_no_page() {
        let whole = listing("<IsTruncated>false</IsTruncated><Contents><Key>a+%61</Key><Size>1</Size></Contents>");
        // Without a word of an encoding there is none.
        assert_eq!(page(&whole).unwrap().objects.first().unwrap().key, Some(Ok("a+%61".into())));
        for end in 0..whole.len() {
            let cut = page(whole.get(..end).unwrap_or_default()).unwrap_err();
            assert!(cut == CUT || end < 60, "cut at {end}: {cut}");
        }
        assert!(page(&listing("<IsTruncated>true</IsTruncated>")).is_err(), "no token");
        assert!(page("<html><body>hello</body></html>").is_err() && page("").is_err() && page("{}").is_err());
        assert!(page(&format!("{whole}{whole}")).is_err());
        assert!(page("<!DOCTYPE a [<!ENTITY x \"y\">]><ListBucketResult>&x;</ListBucketResult>").is_err());
        assert!(page(&"<a>".repeat(100)).is_err());
        let refused = "<Error><Code>NoSuchBucket</Code><Message>no</Message></Error>";
        assert_eq!(page(refused).unwrap_err(), "NoSuchBucket");
        assert_eq!(refusal(refused.as_bytes()).words, "no");
    }

    proptest! {
        #[test]
        fn any_key_comes_back(key in ".{1,30}|[ /%+.&<>\"指]{1,20}") {
            let sent = utf8_percent_encode(&key, NON_ALPHANUMERIC).to_string();
            let forms = [sent.clone(), sent.replace("%20", "+")];
            for form in forms {
                let text = listing(&format!("<EncodingType>url</EncodingType><Contents><Key>{form}</Key></Contents>"));
                let page = page(&text).unwrap();
                prop_assert_eq!(&page.objects.first().unwrap().key, &Some(Ok(key.clone())));
            }
        }

        #[test]
        fn no_answer_is_too_strange(text in "(<[a-zA-Z/]{1,8}>|ListBucketResult|&[a-z#0-9]{0,4};|.){0,40}") {
            let _ = read(text.as_bytes());
        }
    }
}
