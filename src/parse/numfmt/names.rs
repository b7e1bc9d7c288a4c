//! Names of months and days in the language that a format asks for: `[$-407]`, `[$-804]`, `[$-de-DE]` (ECMA-376, part 1, 18.8.31; the
//! numbers are those of MS-LCID). The names are those of the Unicode CLDR.

/// What a language calls months and days. Lists are parted by blanks; months from January, days from Sunday.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// ISO 639-1.
    language: &'static str,
    /// The language's number within that of a locale.
    number: u32,
    months: &'static str,
    /// With a day, where that is another form; else blank.
    months_of_day: &'static str,
    short_months: &'static str,
    days: &'static str,
    short_days: &'static str,
    /// What stands in the place of a format's `/`.
    pub(super) separator: &'static str,
}

const ENGLISH: Names = Names {
    language: "en",
    number: 0x09,
    months: "January February March April May June July August September October November December",
    months_of_day: "",
    short_months: "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    days: "Sunday Monday Tuesday Wednesday Thursday Friday Saturday",
    short_days: "Sun Mon Tue Wed Thu Fri Sat",
    separator: "/",
};

/// All that are known, English first.
const ALL: [Names; 14] = [
    ENGLISH,
    Names {
        language: "zh",
        number: 0x04,
        months: "一月 二月 三月 四月 五月 六月 七月 八月 九月 十月 十一月 十二月",
        months_of_day: "",
        short_months: "1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月",
        days: "星期日 星期一 星期二 星期三 星期四 星期五 星期六",
        short_days: "周日 周一 周二 周三 周四 周五 周六",
        separator: "/",
    },
    Names {
        language: "ja",
        number: 0x11,
        months: "1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月",
        months_of_day: "",
        short_months: "1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月",
        days: "日曜日 月曜日 火曜日 水曜日 木曜日 金曜日 土曜日",
        short_days: "日 月 火 水 木 金 土",
        separator: "/",
    },
    Names {
        language: "ko",
        number: 0x12,
        months: "1월 2월 3월 4월 5월 6월 7월 8월 9월 10월 11월 12월",
        months_of_day: "",
        short_months: "1월 2월 3월 4월 5월 6월 7월 8월 9월 10월 11월 12월",
        days: "일요일 월요일 화요일 수요일 목요일 금요일 토요일",
        short_days: "일 월 화 수 목 금 토",
        separator: "-",
    },
    Names {
        language: "de",
        number: 0x07,
        months: "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        months_of_day: "",
        short_months: "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez",
        days: "Sonntag Montag Dienstag Mittwoch Donnerstag Freitag Samstag",
        short_days: "So Mo Di Mi Do Fr Sa",
        separator: ".",
    },
    Names {
        language: "fr",
        number: 0x0c,
        months: "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        months_of_day: "",
        short_months: "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
        days: "dimanche lundi mardi mercredi jeudi vendredi samedi",
        short_days: "dim. lun. mar. mer. jeu. ven. sam.",
        separator: "/",
    },
    Names {
        language: "es",
        number: 0x0a,
        months: "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        months_of_day: "",
        short_months: "ene feb mar abr may jun jul ago sept oct nov dic",
        days: "domingo lunes martes miércoles jueves viernes sábado",
        short_days: "dom lun mar mié jue vie sáb",
        separator: "/",
    },
    Names {
        language: "it",
        number: 0x10,
        months: "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        months_of_day: "",
        short_months: "gen feb mar apr mag giu lug ago set ott nov dic",
        days: "domenica lunedì martedì mercoledì giovedì venerdì sabato",
        short_days: "dom lun mar mer gio ven sab",
        separator: "/",
    },
    Names {
        language: "pt",
        number: 0x16,
        months: "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        months_of_day: "",
        short_months: "jan fev mar abr mai jun jul ago set out nov dez",
        days: "domingo segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado",
        short_days: "dom seg ter qua qui sex sáb",
        separator: "/",
    },
    Names {
        language: "nl",
        number: 0x13,
        months: "januari februari maart april mei juni juli augustus september oktober november december",
        months_of_day: "",
        short_months: "jan feb mrt apr mei jun jul aug sep okt nov dec",
        days: "zondag maandag dinsdag woensdag donderdag vrijdag zaterdag",
        short_days: "zo ma di wo do vr za",
        separator: "-",
    },
    Names {
        language: "sv",
        number: 0x1d,
        months: "januari februari mars april maj juni juli augusti september oktober november december",
        months_of_day: "",
        short_months: "jan feb mars apr maj juni juli aug sep okt nov dec",
        days: "söndag måndag tisdag onsdag torsdag fredag lördag",
        short_days: "sön mån tis ons tors fre lör",
        separator: "-",
    },
    Names {
        language: "da",
        number: 0x06,
        months: "januar februar marts april maj juni juli august september oktober november december",
        months_of_day: "",
        short_months: "jan feb mar apr maj jun jul aug sep okt nov dec",
        days: "søndag mandag tirsdag onsdag torsdag fredag lørdag",
        short_days: "søn man tir ons tor fre lør",
        separator: "-",
    },
    Names {
        language: "pl",
        number: 0x15,
        months: "styczeń luty marzec kwiecień maj czerwiec lipiec sierpień wrzesień październik listopad grudzień",
        months_of_day: "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
        short_months: "sty lut mar kwi maj cze lip sie wrz paź lis gru",
        days: "niedziela poniedziałek wtorek środa czwartek piątek sobota",
        short_days: "niedz. pon. wt. śr. czw. pt. sob.",
        separator: ".",
    },
    Names {
        language: "ru",
        number: 0x19,
        months: "январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь",
        months_of_day: "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
        short_months: "янв фев мар апр май июн июл авг сен окт ноя дек",
        days: "воскресенье понедельник вторник среда четверг пятница суббота",
        short_days: "вс пн вт ср чт пт сб",
        separator: ".",
    },
];

impl Names {
    /// Those of a locale, as a format writes it: `407`, `1010407` (with a calendar and numerals), `de-DE`. `None` where it says no language that is known.
    pub(super) fn of(locale: &str) -> Option<&'static Self> {
        let (name, _) = locale.split_once(['-', ',', '_']).unwrap_or((locale, ""));
        if let Some(names) = ALL.iter().find(|names| names.language.eq_ignore_ascii_case(name)) {
            return Some(names);
        }
        // The lowest bits are the language, those above the country, then numerals and the calendar.
        let number = u32::from_str_radix(name, 16).ok()?;
        ALL.iter().find(|names| names.number == number & 0x3ff)
    }

    /// Those that are written where a format asks for none.
    pub(super) fn english() -> &'static Self {
        const { &ENGLISH }
    }

    /// The name of a month, from 1, in a format that writes so many letters.
    pub(super) fn month(&self, month: i64, letters: usize, beside_day: bool) -> String {
        let long = if beside_day && !self.months_of_day.is_empty() { self.months_of_day } else { self.months };
        match letters {
            3 => nth(self.short_months, month - 1).to_owned(),
            // The first letter, or the number that stands for it.
            5 => {
                let name = nth(self.months, month - 1);
                let digits = name.bytes().take_while(u8::is_ascii_digit).count();
                name.chars().take(digits.max(1)).collect()
            }
            _ => nth(long, month - 1).to_owned(),
        }
    }

    /// The name of a day, from Sunday, in a format that writes so many letters.
    pub(super) fn day(&self, weekday: i64, letters: usize) -> &'static str {
        nth(if letters == 3 { self.short_days } else { self.days }, weekday)
    }

    /// The name of a day as formats of the East ask for it (`aaa`, `aaaa`): in Chinese where they say no other language.
    pub(super) fn eastern_day(&self, weekday: i64, letters: usize) -> &'static str {
        match (self.language, letters > 3) {
            ("ja" | "ko", true) => nth(self.days, weekday),
            ("ja" | "ko", false) => nth(self.short_days, weekday),
            (_, true) => nth("星期日 星期一 星期二 星期三 星期四 星期五 星期六", weekday),
            (_, false) => nth("日 一 二 三 四 五 六", weekday),
        }
    }
}

fn nth(list: &'static str, at: i64) -> &'static str {
    usize::try_from(at).ok().and_then(|at| list.split(' ').nth(at)).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may")]
mod tests {
    use super::*;

    #[test]
    fn locales_by_number_and_by_name() {
        for (locale, language) in [
            ("407", Some("de")),
            ("0C07", Some("de")),
            ("1010407", Some("de")),
            ("804", Some("zh")),
            ("404", Some("zh")),
            ("7C04", Some("zh")),
            ("130804", Some("zh")),
            ("411", Some("ja")),
            ("FC19", Some("ru")),
            ("409", Some("en")),
            ("de-DE", Some("de")),
            ("zh-CN,130000", Some("zh")),
            ("ja-JP-x-gannen", Some("ja")),
            ("130000", None),
            ("41E", None),
            ("", None),
            ("x-sysdate", None),
            ("fffffffff", None),
        ] {
            assert_eq!(Names::of(locale).map(|names| names.language), language, "{locale}");
        }
    }

    #[test]
    fn every_language_has_all_names() {
        for names in &ALL {
            for months in [names.months, names.short_months, names.months_of_day].into_iter().filter(|m| !m.is_empty()) {
                assert_eq!(months.split(' ').filter(|name| !name.is_empty()).count(), 12, "{}", names.language);
            }
            for days in [names.days, names.short_days] {
                assert_eq!(days.split(' ').filter(|name| !name.is_empty()).count(), 7, "{}", names.language);
            }
        }
    }
}
