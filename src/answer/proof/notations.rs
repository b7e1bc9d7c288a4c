//! Numbers in the notations of other languages and of the sciences, of quarters, and as bounds.

use super::forms::{differ, say_the_same};

#[test]
fn powers_doses_pressures_and_shares_are_compared() {
    say_the_same(&[
        ("Inject 10^6 cells per mouse.", "Inject 10⁶ cells per mouse."),
        ("每只小鼠注射一百万个细胞。", "每只小鼠注射10⁶个细胞。"),
        ("Inject 1e6 cells.", "Inject 10⁶ cells per mouse."),
        ("Inject 1,000,000 cells.", "Inject 10⁶ cells per mouse."),
        ("Inject one million cells.", "Inject 10^6 cells per mouse."),
        ("The signal is 3 × 10^8 m/s.", "The signal is 3×10⁸ m/s."),
        ("The signal is 300,000,000 m/s.", "The signal is 3×10⁸ m/s."),
        ("Avogadro's number is 6.022e23.", "Avogadro's number is 6.022×10²³."),
        ("The error rate is 1e-6.", "The error rate is 10⁻⁶."),
        ("误码率为10^-6。", "误码率为10⁻⁶。"),
        ("Give 5000 µg of Zolvex daily.", "Give 5 mg of Zolvex daily."),
        ("Give 0.005 mg of Zolvex daily.", "Give 5 µg of Zolvex daily."),
        ("Give 5 μg of Zolvex daily.", "Give 5 micrograms of Zolvex daily."),
        ("每日服用5毫克。", "Give 5 mg of Zolvex daily."),
        ("每日服用5μg。", "每日服用5微克。"),
        ("Take 10 units of insulin.", "Take 10 IU of insulin."),
        ("The building has 5 units.", "The building has 5 flats, called units."),
        ("The factory sold 500 units.", "The factory sold 500 cars in May."),
        ("The pressure is 3500 mbar.", "The pressure is 3.5 bar."),
        ("压力为3.5巴。", "The pressure is 3.5 bar."),
        ("The interest rate rose by 2 percentage points.", "利率上升2个百分点。"),
        ("利率上升50个基点。", "The rate rose by 0.5 percentage points."),
        ("A third of the staff is in Shanghai.", "三分之一的员工在上海。"),
        ("33 % of the staff is in Shanghai.", "A third of the staff is in Shanghai."),
        ("一半的员工在上海。", "Of 100 employees, 50 work in Shanghai."),
    ]);
    differ(&[
        ("Inject 10⁷ cells per mouse.", "Inject 10⁶ cells per mouse."),
        ("每只小鼠注射10⁸个细胞。", "每只小鼠注射10⁶个细胞。"),
        ("The signal is 3×10⁹ m/s.", "The signal is 3×10⁸ m/s."),
        ("Give 5 µg of Zolvex daily.", "Give 5 mg of Zolvex daily."),
        ("Give 5 mcg of Zolvex daily.", "Give 5 mg of Zolvex daily."),
        ("Give 5 micrograms of Zolvex daily.", "Give 5 mg of Zolvex daily."),
        ("Give 5 ng of Zolvex daily.", "Give 5 mg of Zolvex daily."),
        ("Give 5 units of Zolvex daily.", "Give 5 mg of Zolvex daily."),
        ("每日服用5μg。", "每日服用5毫克。"),
        ("每日服用5微克。", "每日服用5毫克。"),
        ("Give 5 g of Zolvex daily.", "Give 5 mg of Zolvex daily."),
        ("The pressure is 3.5 psi.", "The pressure is 3.5 bar."),
        ("The pressure is 3.5 mbar.", "The pressure is 3.5 bar."),
        ("The interest rate rose by 2 %.", "The interest rate rose by 2 percentage points to 5 %."),
        ("利率上升2%。", "The interest rate rose by 2 percentage points to 5 %."),
        ("三分之二的员工在上海。", "A third of the staff is in Shanghai."),
        ("四分之一的员工在上海。", "A third of the staff is in Shanghai."),
        ("Two thirds of employees are in Shanghai.", "三分之一的员工在上海。"),
        ("Half of employees are in Shanghai.", "三分之一的员工在上海。"),
        ("The team has six members.", "The team has five members and four cars."),
        ("Avogadro's number is 6.022e22.", "Avogadro's number is 6.022×10²³."),
        ("The error rate is 1e-5.", "The error rate is 10⁻⁶."),
        ("The error rate is 10⁻⁷.", "The error rate is 10⁻⁶."),
        ("The interest rate rose by 2 %.", "利率上升2个百分点。"),
        ("The rate rose by 2 percentage points.", "The rate rose by 2 %."),
    ]);
}

#[test]
fn a_comma_before_tenths_and_blanks_between_thousands_are_read() {
    say_the_same(&[
        ("Revenue rose to 12.5 %.", "Der Umsatz stieg auf 12,5 %."),
        ("收入上升至12.5%。", "Der Umsatz stieg auf 12,5 %."),
        ("Der Umsatz stieg auf 12,5 %.", "Revenue rose to 12.5 %."),
        ("Le taux est passé à 12,5 %.", "The rate rose to 12.5 %."),
        ("The plant produced 1,234.5 tonnes.", "Das Werk produzierte 1.234,5 Tonnen."),
        ("该工厂生产1234.5吨。", "Das Werk produzierte 1.234,5 Tonnen."),
        ("The price is 1,250.50 euros.", "El precio es de 1.250,50 euros."),
        ("The tower weighs 12,000 tonnes.", "La tour pèse 12 000 tonnes."),
        ("Es waren 1234,5 Tonnen.", "Es waren 1.234,5 Tonnen."),
        ("Die Anlage kostet 1.234 Euro.", "The plant costs 1,234 euros."),
        ("Die Anlage misst 1,234 m.", "The plant measures 1.234 m."),
        ("Es gab 1.234.567 Besucher.", "There were 1,234,567 visitors."),
        ("There were 1,234,567 visitors.", "Es gab 1.234.567 Besucher im Jahr 2020."),
        ("Производство выросло на 12,5 %.", "Production rose by 12.5 %."),
        ("Production rose by 12.5 %.", "Производство выросло на 12,5 %."),
        ("The values are 1,2,3.", "The values are 1, 2 and 3."),
        ("Pages 12,15 and 18 deal with it.", "Pages 12, 15 and 18 deal with it."),
        ("El 7,5 % de las ventas.", "7.5 % of the sales."),
    ]);
    differ(&[
        ("Der Umsatz stieg auf 5,12 %.", "Der Umsatz stieg um 2,5 Prozentpunkte auf 12,5 %."),
        ("Der Umsatz stieg um 5,2 Prozentpunkte.", "Der Umsatz stieg um 2,5 Prozentpunkte auf 12,5 %."),
        ("La tour pèse 12 tonnes.", "La tour mesure 35 m et pèse 12 000 t."),
        ("The tower weighs 13,000 tonnes.", "La tour pèse 12 000 tonnes."),
        ("Es gab 1.234.568 Besucher.", "There were 1,234,567 visitors."),
        ("Производство выросло на 12,6 %.", "Production rose by 12.5 %."),
    ]);
}

#[test]
fn quarters_bounds_halves_and_currencies_are_read_in_both_languages() {
    say_the_same(&[
        ("2024年第三季度收入为4000万欧元。", "Q3 2024 revenue was 40 million euros."),
        ("Revenue was 40 million euros in the third quarter of 2024.", "Q3 2024 revenue was 40 million euros."),
        ("2025财年销售强劲。", "Sales in FY2025 were strong."),
        ("Sales in fiscal 2025 were strong.", "Sales in FY2025 were strong."),
        ("会议历时8.5小时。", "会议历时八个半小时。"),
        ("工厂有不到400人。", "It employs 350 people."),
        ("It employs fewer than 400 people.", "It employs 350 people."),
        ("工厂有逾300人。", "It employs 350 people."),
        ("It employs over 300 people.", "It employs 350 people."),
        ("It made over 1,000 tonnes.", "The plant made 1,234.5 tonnes."),
        ("It made 1,234.5 tonnes.", "The plant in Riga produced 1,234.5 tonnes of steel in 2023. It employs 350 people."),
        ("It costs USD 4,200,000.", "The contract costs $4.2 million per year."),
        ("It fell to minus 5 degrees Celsius.", "The temperature fell to -5 °C overnight."),
        ("Q3 revenue was 40 million euros.", "Revenue in the third quarter of 2024 was 40 million euros."),
        (
            "Revenue from July to September 2024, the third quarter, was 40 million.",
            "Revenue from July to September 2024 was 40 million.",
        ),
        ("前三季度收入为4000万欧元。", "前三季度收入为4000万欧元，同比增长。"),
        ("Sales in FY25 were strong.", "2025财年销售强劲。"),
        ("会议历时八个半小时。", "The meeting took 8.5 hours."),
        ("The meeting took eight and a half hours.", "会议历时8.5小时。"),
        ("It fell to minus 5 degrees Celsius.", "气温降至零下5摄氏度。"),
        ("气温降至零下5摄氏度。", "It fell to minus 5 degrees Celsius."),
    ]);
    differ(&[
        ("2024年四季度收入为4000万欧元。", "Q3 2024 revenue was 40 million euros."),
        ("2024年四季度收入4000万欧元", "2024年第三季度收入为4000万欧元。"),
        ("Revenue was 40 million euros in the fourth quarter of 2024.", "Q3 2024 revenue was 40 million euros."),
        ("Q4 2024 revenue was 40 million euros.", "2024年第三季度收入为4000万欧元。"),
        ("Q2 revenue was 40 million euros.", "Revenue in the third quarter of 2024 was 40 million euros."),
        ("Sales in FY2024 were strong.", "2025财年销售强劲。"),
        ("会议历时九个半小时。", "The meeting took 8.5 hours."),
        ("工厂有不到300人。", "It employs 350 people."),
        ("工厂有逾400人。", "It employs 350 people."),
        ("It employs over 400 people.", "It employs 350 people."),
        ("It made over 2,000 tonnes.", "The plant made 1,234.5 tonnes."),
        ("It made over 1,000 tonnes.", "The plant made over 1,500 tonnes."),
        ("The plant made nearly 1,000 tonnes.", "The plant made 1,234.5 tonnes."),
        ("It costs USD 5,200,000.", "The contract costs $4.2 million per year."),
        ("It costs EUR 4,200,000.", "The contract costs $4.2 million per year."),
        ("It fell to minus 6 degrees Celsius.", "The temperature fell to -5 °C overnight."),
        ("It made 1,235.5 tonnes.", "The plant in Riga produced 1,234.5 tonnes of steel in 2023. It employs 350 people."),
    ]);
}

#[test]
fn a_place_in_a_source_is_no_number_of_the_claim() {
    const PLANT: &str = "The plant in Riga employs 350 people.";
    say_the_same(&[
        ("As riga.md (lines 1-3) says, it employs 350 people.", PLANT),
        ("It employs 350 people (p. 12).", PLANT),
        ("It employs 350 people (riga.md, page 2).", PLANT),
        ("工厂有350人（第1-3行）。", PLANT),
    ]);
    differ(&[
        ("It employs 450 people (lines 1-3).", PLANT),
        ("It employs people on 7 lines.", PLANT),
        ("It employs 350 people (on 7 lines).", PLANT),
    ]);
}
