//! How many of the words that a browser shows of a page are in our text of it, and in the same order.
//!
//! What it is not: a judgement on what we show beyond them (links' numbers, pictures' texts, what a browser folds away).
//! Start at [`kept`].

/// Differences between two texts that are still counted one by one.
const MAX_DIFFERENCES: usize = 20_000;

/// Of the words a browser shows, how many there are and how many we keep.
#[derive(Clone, Copy, Default)]
pub struct Kept {
    pub shown: usize,
    pub anywhere: usize,
    pub in_order: usize,
}

impl std::ops::AddAssign for Kept {
    fn add_assign(&mut self, other: Self) {
        self.shown += other.shown;
        self.anywhere += other.anywhere;
        self.in_order += other.in_order;
    }
}

/// Runs of letters and digits, in small letters: a browser shows some in capitals because a style sheet says so.
pub fn words(text: &str) -> Vec<String> {
    let text = text.replace(['\u{ad}', '\u{200b}'], "").to_lowercase();
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Our text without what we put round words: marks of links, raised and lowered text, code.
pub fn without_marks(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    let mut n_open = 0;
    while let Some(at) = rest.find(['【', '†', '】', '^', '_', '}', '`', '~']) {
        plain.push_str(&rest[..at]);
        let c = rest[at..].chars().next().unwrap_or_default();
        let after = &rest[at + c.len_utf8()..];
        rest = match c {
            '【' => after.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches('†'),
            // The host of another page.
            '†' => after.find('】').map_or(after, |end| &after[end..]),
            '^' | '_' if after.starts_with('{') => {
                n_open += 1;
                &after[1..]
            }
            '}' if n_open > 0 => {
                n_open -= 1;
                after
            }
            '】' | '`' => after,
            _ => {
                plain.push(c);
                after
            }
        };
    }
    plain.push_str(rest);
    plain
}

/// Compares the words of a browser with ours.
pub fn kept(browser: &[String], ours: &[String]) -> Kept {
    let mut left = std::collections::HashMap::<&str, usize>::new();
    for word in ours {
        *left.entry(word).or_default() += 1;
    }
    let anywhere = browser.iter().filter(|word| left.get_mut(word.as_str()).is_some_and(take)).count();
    // Of n + m words, those not in the longest common order are the fewest insertions and deletions between the two.
    let in_order = match differences(browser, ours) {
        Some(n) => (browser.len() + ours.len() - n) / 2,
        None => 0,
    };
    Kept { shown: browser.len(), anywhere, in_order }
}

fn take(n: &mut usize) -> bool {
    let has = *n > 0;
    *n -= usize::from(has);
    has
}

/// The fewest insertions and deletions between two sequences (Myers 1986: the furthest reach on each diagonal).
fn differences(a: &[String], b: &[String]) -> Option<usize> {
    let max = (a.len() + b.len()).min(MAX_DIFFERENCES);
    let mut reach = vec![0_usize; 2 * max + 3];
    let middle = (max + 1) as isize;
    for d in 0..=max as isize {
        for k in (-d..=d).step_by(2) {
            let at = (middle + k) as usize;
            let down = k == -d || (k != d && reach[at - 1] < reach[at + 1]);
            let mut x = if down { reach[at + 1] } else { reach[at - 1] + 1 };
            let mut y = (x as isize - k) as usize;
            while x < a.len() && y < b.len() && a[x] == b[y] {
                (x, y) = (x + 1, y + 1);
            }
            reach[at] = x;
            if x >= a.len() && y >= b.len() {
                return Some(d as usize);
            }
        }
    }
    None
}

/// Words of the browser that are nowhere in ours, for a report.
pub fn lost<'a>(browser: &'a [String], ours: &[String]) -> Vec<&'a str> {
    let mut left = std::collections::HashMap::<&str, usize>::new();
    for word in ours {
        *left.entry(word).or_default() += 1;
    }
    browser.iter().map(String::as_str).filter(|word| !left.get_mut(word).is_some_and(take)).collect()
}
