//! Numbers of list items, as office programs write them.

use super::roman::roman;

/// A number in one of Word's formats (`w:numFmt`); in plain figures where the format is not known.
pub(super) fn in_format(format: &str, n: u64) -> String {
    match format {
        "none" | "bullet" => String::new(),
        "decimalZero" => format!("{n:02}"),
        "upperRoman" => roman(n),
        "lowerRoman" => roman(n).to_lowercase(),
        "upperLetter" => letters(n, 'A', 26),
        "lowerLetter" => letters(n, 'a', 26),
        "russianUpper" => cycle(n, "АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЫЭЮЯ"),
        "russianLower" => cycle(n, "абвгдежзиклмнопрстуфхцчшщыэюя"),
        "ordinal" => ordinal(n),
        "numberInDash" => format!("- {n} -"),
        "hex" => format!("{n:X}"),
        "decimalEnclosedParen" => format!("({n})"),
        "decimalEnclosedFullstop" => format!("{n}."),
        "decimalEnclosedCircle" | "decimalEnclosedCircleChinese" => circled(n),
        "decimalFullWidth" | "decimalFullWidth2" => n.to_string().chars().map(full_width).collect(),
        "chineseCounting"
        | "chineseCountingThousand"
        | "taiwaneseCounting"
        | "taiwaneseCountingThousand"
        | "japaneseCounting"
        | "ideographDigital"
        | "japaneseDigitalTenThousand"
        | "taiwaneseDigital"
        | "koreanDigital2" => chinese(n),
        "chineseLegalSimplified" | "ideographLegalTraditional" | "japaneseLegal" => legal(n),
        "ideographTraditional" => cycle(n, "甲乙丙丁戊己庚辛壬癸"),
        "ideographZodiac" => cycle(n, "子丑寅卯辰巳午未申酉戌亥"),
        "aiueo" | "aiueoFullWidth" => {
            cycle(n, "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲン")
        }
        "iroha" | "irohaFullWidth" => {
            cycle(n, "イロハニホヘトチリヌルヲワカヨタレソツネナラムウヰノオクヤマケフコエテアサキユメミシヱヒモセスン")
        }
        "ganada" => cycle(n, "가나다라마바사아자차카타파하"),
        "chosung" => cycle(n, "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ"),
        "hebrew2" => cycle(n, "אבגדהוזחטיכלמנסעפצקרשת"),
        _ => n.to_string(),
    }
}

/// a … z, then aa, bb …, as Word counts.
fn letters(n: u64, first: char, count: u64) -> String {
    let Some(at) = n.checked_sub(1) else { return "0".to_owned() };
    let letter = char::from_u32(first as u32 + (at % count) as u32).unwrap_or(first);
    // Nobody has a thousand items under one heading; a damaged file may say so.
    String::from(letter).repeat((at / count + 1).min(8) as usize)
}

fn cycle(n: u64, signs: &str) -> String {
    let count = signs.chars().count() as u64;
    let at = n.saturating_sub(1) % count.max(1);
    signs.chars().nth(at as usize).map_or_else(|| n.to_string(), String::from)
}

fn ordinal(n: u64) -> String {
    let ending = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{ending}")
}

fn circled(n: u64) -> String {
    let code = match n {
        1..=20 => 0x245f + n,
        21..=35 => 0x3250 + n - 20,
        36..=50 => 0x32b0 + n - 35,
        _ => return n.to_string(),
    };
    u32::try_from(code).ok().and_then(char::from_u32).map_or_else(|| n.to_string(), String::from)
}

fn full_width(digit: char) -> char {
    digit.to_digit(10).and_then(|d| char::from_u32(0xff10 + d)).unwrap_or(digit)
}

fn chinese(n: u64) -> String {
    counted(n, "〇一二三四五六七八九", ["", "十", "百", "千"], true)
}

fn legal(n: u64) -> String {
    counted(n, "零壹贰叁肆伍陆柒捌玖", ["", "拾", "佰", "仟"], false)
}

fn counted(n: u64, digits: &str, units: [&str; 4], bare_ten: bool) -> String {
    if n == 0 || n > 9999 {
        return n.to_string();
    }
    let figures: Vec<usize> = n.to_string().bytes().map(|b| usize::from(b - b'0')).collect();
    let mut out = String::new();
    let mut gap = false;
    for (i, &figure) in figures.iter().enumerate() {
        let unit = units.get(figures.len() - 1 - i).copied().unwrap_or_default();
        if figure == 0 {
            gap = true;
            continue;
        }
        if gap && !out.is_empty() {
            out.push('零');
        }
        gap = false;
        // 十二, not 一十二.
        if !(bare_ten && i == 0 && figures.len() == 2 && figure == 1) {
            out.extend(digits.chars().nth(figure));
        }
        out.push_str(unit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_word_writes_them() {
        for (format, n, shown) in [
            ("decimal", 12, "12"),
            ("decimalZero", 3, "03"),
            ("lowerRoman", 14, "xiv"),
            ("upperRoman", 1994, "MCMXCIV"),
            ("lowerLetter", 27, "aa"),
            ("upperLetter", 26, "Z"),
            ("ordinal", 112, "112th"),
            ("ordinal", 22, "22nd"),
            ("chineseCounting", 12, "十二"),
            ("chineseCountingThousand", 205, "二百零五"),
            ("chineseCounting", 20, "二十"),
            ("chineseLegalSimplified", 11, "壹拾壹"),
            ("ideographTraditional", 2, "乙"),
            ("decimalEnclosedCircle", 3, "③"),
            ("bullet", 3, ""),
            ("lowerLetter", 0, "0"),
            ("upperRoman", u64::MAX, "18446744073709551615"),
        ] {
            assert_eq!(in_format(format, n), shown, "{format} {n}");
        }
        assert_eq!(in_format("lowerLetter", u64::MAX).len(), 8);
    }
}
