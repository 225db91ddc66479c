//! Text that a module chose, made fit for a log: one line, no control characters, not too long.

use std::fmt::Write;

/// Characters of a name that are shown.
const NAME_MAX: usize = 64;

/// `text` with control characters escaped as in Rust, among them those that turn the direction of writing.
pub fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || is_invisible(character) {
            // Writing to a String does not fail.
            let _ = write!(line, "{}", character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// A name of the module's for a message: escaped, and cut if it is long.
pub fn name(text: &str) -> String {
    // Escaping lengthens, so what is cut is the escaped text.
    let whole = escaped(&text.chars().take(NAME_MAX + 1).collect::<String>());
    let short: String = whole.chars().take(NAME_MAX).collect();
    if short.len() < whole.len() { short + "…" } else { short }
}

/// Line and paragraph separators, and marks that reorder what stands beside them.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escaped("a\n\x1b[31mb\u{202e}c\u{85}é"), "a\\n\\u{1b}[31mb\\u{202e}c\\u{85}é");
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let long = "é".repeat(100_000);
        assert_eq!(name(&long).chars().count(), NAME_MAX + 1);
        assert_eq!(name("short"), "short");
        assert_eq!(name(&"\n".repeat(100)).chars().count(), NAME_MAX + 1);
    }
}
