//! Formulas: the TeX that they were made from, or their signs in a row.

use super::tree::{Id, Tree};

/// A formula longer than this is given by its signs alone.
const MAX_DEPTH: usize = 40;

/// In TeX between dollars where the page tells it, else as text: `x^2`, `(a+b)/2`.
pub(super) fn written(tree: &Tree, math: Id) -> String {
    let annotation = tree.all(math).find(|&id| {
        tree.name(id) == "annotation" && tree.attribute(id, "encoding").is_some_and(|e| e.to_ascii_lowercase().contains("tex"))
    });
    let tex = annotation
        .map(|id| tree.whole_text(id))
        .or_else(|| tree.attribute(math, "alttext").map(str::to_owned))
        .map(|tex| tex.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|tex| !tex.is_empty());
    if let Some(tex) = tex {
        let inner = tex.strip_prefix("{\\displaystyle").and_then(|rest| rest.strip_suffix('}')).unwrap_or(&tex);
        return format!("${}$", inner.trim());
    }
    let mut out = String::new();
    signs(tree, math, 0, &mut out);
    out.trim().to_owned()
}

fn signs(tree: &Tree, id: Id, depth: usize, out: &mut String) {
    if let Some(text) = tree.text(id) {
        out.extend(text.split_whitespace());
        return;
    }
    if depth > MAX_DEPTH {
        out.extend(tree.all(id).filter_map(|id| tree.text(id)).flat_map(str::split_whitespace));
        return;
    }
    let parts: Vec<Id> = tree.children(id).filter(|&id| tree.is_element(id)).collect();
    let part = |n: usize, out: &mut String| {
        if let Some(&id) = parts.get(n) {
            let mut inner = String::new();
            signs(tree, id, depth + 1, &mut inner);
            let grouped = inner.chars().count() > 1 && !inner.chars().all(char::is_alphanumeric);
            if grouped && !(inner.starts_with('(') && inner.ends_with(')')) {
                out.push('(');
                out.push_str(&inner);
                out.push(')');
            } else {
                out.push_str(&inner);
            }
        }
    };
    let joined: &[&str] = match tree.name(id) {
        "annotation" | "annotation-xml" => return,
        "msup" | "mover" => &["", "^"],
        "msub" | "munder" => &["", "_"],
        "msubsup" | "munderover" => &["", "_", "^"],
        "mfrac" => &["", "/"],
        "msqrt" => {
            out.push_str("sqrt(");
            for id in tree.children(id) {
                signs(tree, id, depth + 1, out);
            }
            out.push(')');
            return;
        }
        "mroot" => {
            out.push_str("root");
            part(0, out);
            out.push('_');
            part(1, out);
            return;
        }
        "mtd" => {
            for id in tree.children(id) {
                signs(tree, id, depth + 1, out);
            }
            out.push(' ');
            return;
        }
        "mo" => {
            let text = tree.whole_text(id);
            let text = text.trim();
            // Signs that are not seen: times, function application.
            if !text.chars().all(|c| matches!(c as u32, 0x2061..=0x2064)) {
                let spaced = matches!(text, "=" | "+" | "−" | "-" | "<" | ">" | "≤" | "≥" | "≈" | "→" | "∈" | "×");
                out.push_str(&if spaced { format!(" {text} ") } else { text.to_owned() });
            }
            return;
        }
        _ => {
            for id in tree.children(id) {
                signs(tree, id, depth + 1, out);
            }
            return;
        }
    };
    for (n, sign) in joined.iter().enumerate() {
        out.push_str(sign);
        part(n, out);
    }
}
