//! Code pages, as Windows numbers them.

use encoding_rs::Encoding;

/// The encoding of a code page; that of Western Europe where there is none.
pub(super) fn encoding(page: u32) -> &'static Encoding {
    let label = match page {
        874 => "windows-874",
        866 => "ibm866",
        932 | 10_001 => "shift_jis",
        936 | 10_008 | 20_936 => "gbk",
        949 | 10_003 | 51_949 => "euc-kr",
        950 | 10_002 => "big5",
        1200 => "utf-16le",
        1201 => "utf-16be",
        1250 | 10_029 => "windows-1250",
        1251 | 855 => "windows-1251",
        1253 => "windows-1253",
        1254 => "windows-1254",
        1255 | 862 => "windows-1255",
        1256 => "windows-1256",
        1257 => "windows-1257",
        1258 => "windows-1258",
        10_000 => "macintosh",
        10_007 | 10_017 => "x-mac-cyrillic",
        20_866 => "koi8-r",
        21_866 => "koi8-u",
        20_932 | 51_932 => "euc-jp",
        28_592 => "iso-8859-2",
        28_595 => "iso-8859-5",
        28_596 => "iso-8859-6",
        28_597 => "iso-8859-7",
        28_598 => "iso-8859-8",
        28_605 => "iso-8859-15",
        50_220..=50_222 => "iso-2022-jp",
        54_936 => "gb18030",
        65_001 => "utf-8",
        _ => "windows-1252",
    };
    Encoding::for_label(label.as_bytes()).unwrap_or(encoding_rs::WINDOWS_1252)
}

/// The code page of a font's character set; `None` for those that say nothing.
pub(super) fn of_charset(charset: u32) -> Option<u32> {
    Some(match charset {
        77 => 10_000,
        128 => 932,
        129 | 130 => 949,
        134 => 936,
        136 => 950,
        161 => 1253,
        162 => 1254,
        163 => 1258,
        177 => 1255,
        178..=180 => 1256,
        186 => 1257,
        204 => 1251,
        222 => 874,
        238 => 1250,
        _ => return None,
    })
}

/// The code page of Windows in a country, by the number of its language.
pub(super) fn of_language(language: u32) -> u32 {
    match language & 0x3ff {
        0x04 if matches!(language, 0x404 | 0xc04 | 0x1404) => 950,
        0x04 => 936,
        0x11 => 932,
        0x12 => 949,
        0x1e => 874,
        // Serbian is written in both scripts.
        0x1a if language & 0x0c00 == 0x0c00 => 1251,
        0x05 | 0x0e | 0x15 | 0x18 | 0x1a | 0x1b | 0x1c | 0x24 => 1250,
        0x02 | 0x19 | 0x22 | 0x23 | 0x2f | 0x3f | 0x40 | 0x44 | 0x50 => 1251,
        0x08 => 1253,
        0x1f | 0x2c => 1254,
        0x0d => 1255,
        0x01 | 0x20 | 0x29 => 1256,
        0x25..=0x27 => 1257,
        0x2a => 1258,
        _ => 1252,
    }
}

/// The text of bytes in a code page.
pub(super) fn decode(page: u32, bytes: &[u8]) -> String {
    encoding(page).decode_without_bom_handling(bytes).0.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        assert_eq!(decode(1251, b"\xcf\xf0\xe8\xe2\xe5\xf2"), "Привет");
        assert_eq!(decode(of_charset(134).unwrap_or(0), b"\xd6\xd0\xce\xc4"), "中文");
        assert_eq!(
            (of_language(0x0419), of_language(0x0409), of_language(0x0804), of_language(0x0404)),
            (1251, 1252, 936, 950)
        );
        assert_eq!(decode(99_999, b"caf\xe9"), "café");
    }
}
