//! Roman numerals.

/// A number in capital letters; in plain figures where there are none for it (0, and 5,000 and above).
pub(super) fn roman(n: u64) -> String {
    if n == 0 || n >= 5000 {
        return n.to_string();
    }
    let mut left = n;
    let mut out = String::new();
    for (value, numeral) in [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ] {
        while left >= value {
            out.push_str(numeral);
            left -= value;
        }
    }
    out
}
