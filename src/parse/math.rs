//! Formulas of office files (OMML), on one line.

use super::xml::Element;

/// A formula as one would type it: `a/(b + c)`, `x^2`, `sqrt(x)` as √(x).
pub(super) fn linear(formula: &Element) -> String {
    let mut out = String::new();
    walk(formula, &mut out);
    out
}

fn walk(e: &Element, out: &mut String) {
    match e.name() {
        "m:t" | "w:t" => out.push_str(&e.text()),
        "m:f" => {
            out.push_str(&grouped(e.child("m:num")));
            out.push('/');
            out.push_str(&grouped(e.child("m:den")));
        }
        "m:sSup" => {
            out.push_str(&part(e.child("m:e")));
            mark(out, '^', e.child("m:sup"));
        }
        "m:sSub" => {
            out.push_str(&part(e.child("m:e")));
            mark(out, '_', e.child("m:sub"));
        }
        "m:sSubSup" | "m:sPre" => {
            out.push_str(&part(e.child("m:e")));
            mark(out, '_', e.child("m:sub"));
            mark(out, '^', e.child("m:sup"));
        }
        "m:rad" => {
            let degree = part(e.child("m:deg"));
            out.push_str(match degree.as_str() {
                "3" => "∛",
                "4" => "∜",
                _ => "√",
            });
            out.push_str(&format!("({})", part(e.child("m:e"))));
            if !matches!(degree.as_str(), "" | "2" | "3" | "4") {
                out.push_str(&format!("[{degree}]"));
            }
        }
        "m:nary" => {
            out.push_str(e.at(&["m:naryPr", "m:chr"]).and_then(|c| c.attribute("val")).unwrap_or("∫"));
            mark(out, '_', e.child("m:sub"));
            mark(out, '^', e.child("m:sup"));
            out.push(' ');
            out.push_str(&part(e.child("m:e")));
        }
        "m:d" => {
            let sign = |name: &str, usual: &str| e.child("m:dPr").and_then(|p| p.value_of(name)).unwrap_or(usual).to_owned();
            let parts: Vec<String> = e.named("m:e").map(|e| part(Some(e))).collect();
            out.push_str(&sign("m:begChr", "("));
            out.push_str(&parts.join(&sign("m:sepChr", "|")));
            out.push_str(&sign("m:endChr", ")"));
        }
        "m:func" => {
            out.push_str(&part(e.child("m:fName")));
            out.push(' ');
            out.push_str(&part(e.child("m:e")));
        }
        "m:limLow" | "m:limUpp" => {
            out.push_str(&part(e.child("m:e")));
            mark(out, if e.name() == "m:limLow" { '_' } else { '^' }, e.child("m:lim"));
        }
        "m:m" => {
            let rows: Vec<String> =
                e.named("m:mr").map(|row| row.named("m:e").map(|e| part(Some(e))).collect::<Vec<_>>().join(", ")).collect();
            out.push_str(&rows.join("; "));
        }
        "m:eqArr" => {
            let rows: Vec<String> = e.named("m:e").map(|e| part(Some(e))).collect();
            out.push_str(&rows.join("; "));
        }
        // Properties, and what was taken out.
        name if name.ends_with("Pr") || matches!(name, "w:del" | "w:moveFrom") => {}
        _ => {
            for child in e.children() {
                walk(child, out);
            }
        }
    }
}

fn part(e: Option<&Element>) -> String {
    let mut out = String::new();
    for child in e.into_iter().flat_map(Element::children) {
        walk(child, &mut out);
    }
    out
}

/// In brackets if it is more than a number or a name.
fn grouped(e: Option<&Element>) -> String {
    let inner = part(e);
    if inner.trim().chars().all(|c| c.is_alphanumeric() || c == '.' || c == ',') { inner } else { format!("({inner})") }
}

fn mark(out: &mut String, sign: char, e: Option<&Element>) {
    let inner = grouped(e);
    if !inner.is_empty() {
        out.push(sign);
        out.push_str(&inner);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may")]
mod tests {
    use super::*;

    #[test]
    fn formulas_on_one_line() {
        let of = |inner: &str| {
            let xml =
                format!("<m:oMath xmlns:m='http://schemas.openxmlformats.org/officeDocument/2006/math'>{inner}</m:oMath>");
            linear(&Element::parse(&xml).unwrap())
        };
        let r = |text: &str| format!("<m:r><m:t>{text}</m:t></m:r>");
        assert_eq!(of(&format!("<m:f><m:num>{}</m:num><m:den>{}</m:den></m:f>", r("a"), r("b+c"))), "a/(b+c)");
        assert_eq!(of(&format!("<m:sSup><m:e>{}</m:e><m:sup>{}</m:sup></m:sSup>{}", r("x"), r("2"), r("=y"))), "x^2=y");
        assert_eq!(of(&format!("<m:rad><m:radPr/><m:deg/><m:e>{}</m:e></m:rad>", r("x"))), "√(x)");
        assert_eq!(
            of(&format!(
                "<m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr><m:sub>{}</m:sub><m:sup>{}</m:sup><m:e>{}</m:e></m:nary>",
                r("i=1"),
                r("n"),
                r("i")
            )),
            "∑_(i=1)^n i"
        );
    }
}
