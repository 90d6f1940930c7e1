//! Tables in Markdown, and numbers as people read them.

/// Whole numbers below this are shown in full.
const WHOLE: f64 = 2_000.0;

/// A table: its heads, and its rows of as many cells.
pub(super) fn table<const N: usize>(heads: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    let rule = format!("|{}\n", "---|".repeat(N));
    rows.into_iter().fold(line(&heads) + &rule, |table, row| table + &line(&row)) + "\n"
}

/// A small whole number as it is, any other with three significant digits; commas between thousands.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    if value.fract() == 0.0 && value.abs() < WHOLE {
        return whole(value);
    }
    let magnitude = value.abs().log10().floor() as i32;
    if magnitude < 2 {
        let digits = usize::try_from(2 - magnitude).unwrap_or_default();
        let text = format!("{value:.digits$}");
        return match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        };
    }
    let unit = 10_f64.powi(magnitude - 2);
    whole((value / unit).round() * unit)
}

/// A whole number, with commas between thousands.
pub(super) fn whole(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in decimal units.
pub(super) fn bytes(value: f64) -> String {
    let units = ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"];
    let step = ((value.max(1.0).log10() / 3.0).floor() as usize).min(units.len() - 1);
    format!("{} {}", number(value / 1000_f64.powi(step as i32)), units[step])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.001234, 0.3, 1.0, 12.0, 12.34, 99.96, 123.4, 1024.0, 2_345.0, 2_083_333.0].map(number);
        assert_eq!(shown, ["0", "0.00123", "0.3", "1", "12", "12.3", "100", "123", "1,024", "2,350", "2,080,000"]);
        assert_eq!([0.0, 999.0, 1000.0, 1_234_567.0].map(whole), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([12.0, 1500.0, 3.2e15].map(bytes), ["12 bytes", "1.5 kB", "3.2 PB"]);
    }

    #[test]
    fn tables_have_their_rule() {
        let rows = [["a".to_owned(), "b".to_owned()]];
        assert_eq!(table(["x", ""], rows), "| x |  |\n|---|---|\n| a | b |\n\n");
    }
}
