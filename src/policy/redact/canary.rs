//! Personal data and secrets that belong to nobody, planted in sentences as people write them: what redaction is tested
//! with. The same seed gives the same ones. Start at [`canaries`].

use super::{Kind, Known};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A value that must not survive.
#[derive(Clone, Debug)]
pub(crate) struct Canary {
    pub value: String,
    /// A sentence with the value in it, in one of its [`forms`].
    pub sentence: String,
}

/// What the program knows where the canaries live.
pub(crate) fn known() -> Known {
    Known {
        secrets: vec!["Tr0ub4dor&3 / lang".into(), "wJalrXUtnFEMIK7MDENGbPxRfiCYzzz9".into(), "kuckucksuhr!17".into()],
        users: vec!["annika".into(), "Annika Sörensen".into()],
        home: Some("/data/people/annika".into()),
        host: Some("grauer-esel".into()),
    }
}

/// The value as it is, in base64, in hexadecimal and with percent signs.
pub(crate) fn forms(value: &str) -> [String; 4] {
    let hex = value.bytes().map(|c| format!("{c:02x}")).collect();
    [value.to_owned(), STANDARD.encode(value), hex, percent(value)]
}

fn percent(value: &str) -> String {
    let one = |c: u8| if c.is_ascii_alphanumeric() { char::from(c).to_string() } else { format!("%{c:02X}") };
    value.bytes().map(one).collect()
}

/// 100 canaries of all kinds.
pub(crate) fn canaries(seed: u64) -> Vec<Canary> {
    let mut dice = Dice(seed);
    (0..100).map(|n| canary(&mut dice, n)).collect()
}

fn canary(dice: &mut Dice, n: usize) -> Canary {
    let kind = Kind::ALL[n % Kind::ALL.len()];
    let (value, frame) = match kind {
        Kind::Ip => ip(dice),
        Kind::Host => {
            (known().host.unwrap(), dice.pick(&["ssh to {} and restart it", "{}: disk full", "user@{}:~$ ls"]))
        }
        Kind::User => {
            (dice.pick(&["annika", "Annika Sörensen"]).into(), dice.pick(&["I am {}, hello.", "chown {}: x", "({})"]))
        }
        Kind::Home => home(dice),
        Kind::Address => address(dice),
        Kind::Phone => phone(dice),
        Kind::Email => email(dice),
        Kind::Iban => iban(dice),
        Kind::Card => card(dice),
        Kind::ApiKey => key(dice),
        Kind::Secret => {
            let frame = dice.pick(&["export X={}", "curl -H 'X-Key: {}' https://api.test", "he said {} twice", "<{}>"]);
            (dice.pick(&["Tr0ub4dor&3 / lang", "wJalrXUtnFEMIK7MDENGbPxRfiCYzzz9", "kuckucksuhr!17"]).into(), frame)
        }
        Kind::Text => ("[[EMAIL_1]]".into(), "{}"),
    };
    // What is known by its form alone is known behind a code too.
    let is_by_form = matches!(kind, Kind::Email | Kind::Iban | Kind::Card | Kind::Secret | Kind::User | Kind::Host);
    let form = if is_by_form { dice.below(6).min(3) } else { 0 };
    let sentence = frame.replace("{}", &forms(&value)[form]);
    Canary { value, sentence }
}

/// A sequence of numbers (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ mixed >> 31) % n as u64).unwrap()
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn of(&mut self, alphabet: &str, n: usize) -> String {
        (0..n).map(|_| char::from(alphabet.as_bytes()[self.below(alphabet.len())])).collect()
    }

    fn digits(&mut self, n: usize) -> String {
        self.of("0123456789", n)
    }
}

type Framed = (String, &'static str);

fn ip(dice: &mut Dice) -> Framed {
    let mut part = || 1 + dice.below(254);
    let value = format!("{}.{}.{}.{}", 20 + part() % 100, part(), part(), part());
    (value, dice.pick(&["The server is at {}.", "ping {}:8080", "from {} port 22", "deny {};"]))
}

fn home(dice: &mut Dice) -> Framed {
    let name = format!("{}{}", dice.pick(&["mila", "tobias", "o.neill"]), dice.digits(2));
    let folder = dice.pick(&["/home/", "/Users/", "C:\\Users\\"]);
    (format!("{folder}{name}"), dice.pick(&["open {}/notes.md", "cd {}", "No such file: '{}/a b.txt'", "in {}."]))
}

fn address(dice: &mut Dice) -> Framed {
    let number = 1 + dice.below(150);
    let value = match dice.below(3) {
        0 => format!("{} {number}", dice.pick(&["Ahornstraße", "Lindenstr.", "Bergmannsgasse", "Lange Straße"])),
        1 => format!("{number} {}", dice.pick(&["Maple Street", "Old Mill Road", "Pine Avenue", "Kings Court"])),
        _ => format!("Mühlenweg {number}, {} Musterstadt", dice.digits(5)),
    };
    (value, dice.pick(&["I live at {}.", "Lieferung an: {}", "{}\nplease ring twice"]))
}

fn phone(dice: &mut Dice) -> Framed {
    let value = match dice.below(6) {
        0 => format!("+49 30 {}", dice.digits(7)),
        1 => format!("+1 (415) 555-{}", dice.digits(4)),
        2 => format!("0171 {}", dice.digits(7)),
        3 => format!("030/{}", dice.digits(7)),
        4 => format!("(212) 555-{}", dice.digits(4)),
        _ => format!("+4479{}", dice.digits(8)),
    };
    (value, dice.pick(&["Call me: {}.", "Meine Nummer: {}, danke", "phone={}\n", "({})"]))
}

fn email(dice: &mut Dice) -> Framed {
    let name = format!("{}.{}", dice.pick(&["mila", "tobias", "jörg", "o'neill"]), dice.digits(3));
    let host = dice.pick(&["example.org", "mail.example.co.uk", "firma-müller.de", "x.test.museum"]);
    (format!("{name}@{host}"), dice.pick(&["Write to {}.", "<{}>", "mailto:{}?subject=x", "\"{}\": 1", "an {}, bitte"]))
}

fn iban(dice: &mut Dice) -> Framed {
    let account = dice.digits(18);
    // D is 13 and E is 14; the check digits make the remainder by 97 one.
    let remainder = format!("{account}131400").bytes().fold(0, |rest, c| (rest * 10 + u32::from(c - b'0')) % 97);
    let compact = format!("DE{:02}{account}", 98 - remainder);
    let spaced: Vec<&str> = (0..compact.len()).step_by(4).map(|at| &compact[at..compact.len().min(at + 4)]).collect();
    let value = if dice.below(2) == 0 { compact.clone() } else { spaced.join(" ") };
    (value, dice.pick(&["IBAN {}", "Bitte auf {} überweisen.", "account:{};", "pay {} please"]))
}

fn card(dice: &mut Dice) -> Framed {
    let start = format!("{}{}", dice.pick(&["4", "51", "2221"]), dice.digits(20));
    let start = &start[..15];
    let double = |(n, c): (usize, char)| {
        let digit = c.to_digit(10).unwrap();
        if n % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit }
    };
    let sum: u32 = start.chars().rev().enumerate().map(double).sum();
    let whole = format!("{start}{}", (10 - sum % 10) % 10);
    let separator = dice.pick(&["", " ", "-"]);
    let groups: Vec<&str> = (0..16).step_by(4).map(|at| &whole[at..at + 4]).collect();
    (groups.join(separator), dice.pick(&["my card is {}, exp 09/29", "card={}", "Karte: {}.", "({})"]))
}

fn key(dice: &mut Dice) -> Framed {
    const MIXED: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let body = |dice: &mut Dice, n: usize| format!("{}7{}", dice.of(MIXED, n - 9), dice.of("QRSTuvwx", 8));
    let value = match dice.below(10) {
        0 => format!("sk-proj-{}", body(dice, 48)),
        1 => format!("ghp_{}", body(dice, 36)),
        2 => format!("xoxb-{}-{}", dice.digits(11), body(dice, 24)),
        3 => format!("AKIA{}", dice.of("ABCDEFGHIJKLMNOP", 8) + &dice.of("23456789", 8)),
        4 => format!("AIza{}", body(dice, 35)),
        5 => format!("glpat-{}", body(dice, 20)),
        6 => format!("hf_{}", body(dice, 34)),
        7 => format!("npm_{}", body(dice, 36)),
        8 => format!("eyJ{}.eyJ{}.{}", body(dice, 20), body(dice, 40), body(dice, 43)),
        _ => {
            let value = format!("{}!{}", dice.of(MIXED, 10), dice.digits(3));
            return (
                value,
                dice.pick(&["password={}", "Passwort: {}", "\"password\": \"{}\"", "Authorization: Bearer {}"]),
            );
        }
    };
    (value, dice.pick(&["key: {}", "export KEY={}", "use {} for it.", "curl -H 'Authorization: Bearer {}'", "\"{}\""]))
}
