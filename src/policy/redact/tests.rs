//! What is taken out and what is not, by examples of each kind.

use super::*;
use canary::{canaries, forms, known};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Made once: its rules take a while to compile.
pub(super) fn redactor() -> &'static Redactor {
    static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(Rules::all(), &known()).unwrap());
    &REDACTOR
}

/// What the text becomes; and it must come back.
fn redact(text: &str) -> String {
    let mut table = Placeholders::new();
    let redacted = redactor().redact(text, &mut table);
    assert_eq!(table.restore(&redacted.text), text);
    redacted.text
}

/// Each text must become the other.
fn check(cases: &[(&str, &str)]) {
    for (text, expect) in cases {
        assert_eq!(redact(text), *expect, "{text}");
    }
}

#[test]
fn addresses_of_mail_are_taken_out() {
    check(&[
        ("Write to anna.b+x@mail.example.org.", "Write to ⟦EMAIL_1⟧."),
        ("<anna@example.org>,bo@example.de", "<⟦EMAIL_1⟧>,⟦EMAIL_2⟧"),
        ("a@b.de A@b.de a@b.de", "⟦EMAIL_1⟧ ⟦EMAIL_2⟧ ⟦EMAIL_1⟧"),
        ("jürgen@müller.example", "⟦EMAIL_1⟧"),
        ("'o'neill@example.ie'", "'⟦EMAIL_1⟧'"),
        // A user and a password are written the same way.
        ("anna@example.org:hunter2", "⟦EMAIL_1⟧:hunter2"),
        ("?to=anna%40example.org&x", "?to=⟦EMAIL_1⟧&x"),
        ("x YW5uYUBleGFtcGxlLm9yZw== y", "x ⟦EMAIL_1⟧ y"),
    ]);
    check_unchanged(&[
        "@decorator\ndef f(): pass",
        "npm i @types/node@20.1.3",
        "git clone git@github.com:a/b.git",
        "ssh://git@example.org/x",
        "icon@2x.png",
        "a @ b.de",
        "user@localhost",
        "@anna@",
        "me@192.0.2",
    ]);
}

fn check_unchanged(texts: &[&str]) {
    for text in texts {
        assert_eq!(redact(text), *text);
    }
}

#[test]
fn accounts_and_cards_are_taken_out_when_the_checksum_is_right() {
    check(&[
        ("IBAN: DE89 3704 0044 0532 0130 00, danke", "IBAN: ⟦IBAN_1⟧, danke"),
        ("de89370400440532013000", "⟦IBAN_1⟧"),
        ("GB82-WEST-1234-5698-7654-32", "⟦IBAN_1⟧"),
        ("NO9386011117947 and FR1420041010050500013M02606", "⟦IBAN_1⟧ and ⟦IBAN_2⟧"),
        ("4111 1111 1111 1111", "⟦CARD_1⟧"),
        ("card=5555555555554444.", "card=⟦CARD_1⟧."),
        ("378282246310005, 6011-1111-1111-1117", "⟦CARD_1⟧, ⟦CARD_2⟧"),
        ("4111 1111 1111 1111 5555 5555 5555 4444", "⟦CARD_1⟧ ⟦CARD_2⟧"),
    ]);
    check_unchanged(&[
        "DE89 3704 1144 1532 1130 01",
        "DE89 3704 1144 1532 1130",
        "4111 1111 1111 1112",
        "ISBN 978-3-16-148410-0",
        "9783161484100",
        "order 4111111111111111123456",
        "1234567812345678",
        "id_4111111111111111",
        "4111 1111-1111 1111",
    ]);
}

#[test]
fn telephone_numbers_are_taken_out() {
    for text in [
        "+49 30 1234567",
        "+49 (0)30 123456-78",
        "+4915112345678",
        "0049 171 1234567",
        "004917112345678",
        "030 1234567",
        "(030) 1234567",
        "0171/1234567",
        "01711234567",
        "07911 123456",
        "07911123456",
        "020 7946 0958",
        "01 23 45 67 89",
        "06.12.34.56.78",
        "+1 (415) 555-2671",
        "415-555-2671",
        "(415) 555-2671",
        "1-800-555-0199",
        "079 123 45 67",
    ] {
        assert_eq!(redact(&format!("Ruf an: {text}, ja")), "Ruf an: ⟦PHONE_1⟧, ja", "{text}");
    }
    check(&[
        ("Tel. 4711 4712", "Tel. ⟦PHONE_1⟧"),
        ("phone: 555-1234", "phone: ⟦PHONE_1⟧"),
        ("my number is 12345678", "my number is ⟦PHONE_1⟧"),
        ("0301234567 030 7654321 030 1111112", "0301234567 ⟦PHONE_1⟧ ⟦PHONE_2⟧"),
    ]);
}

#[test]
fn other_numbers_stay() {
    check_unchanged(&[
        "2026-11-26 05:12:33",
        "26.11.2026",
        "05.12.2024 14:30",
        "05/12/2024 1430",
        "01-02-2024",
        "20261126T051233Z",
        "1.234.567,89 €",
        "12 345 678 EUR",
        "$ 1 234 567",
        "0.123456789",
        "3.14159265358979",
        "v1.2.3.4",
        "version 10.0.19045.1",
        "order no. 12345678",
        "Bestellung 302-1234567-1234567",
        "#0171123456",
        "550e8400-e29b-41d4-a716-446655440000",
        "12345678-1234-1234-1234-123456789012",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "1234567890123456789012345678901234567890",
        "0000000000",
        "x = 01234567",
        "+0200",
        "1 2 3 4 5 6 7 8 9 10",
        "100 200 300 400",
        "ISBN 0-306-40615-2",
        "0x1234567890",
        "1,000,000,000",
        "2024 2025 2026",
        "pages 123-456",
        "10:15:20.123456",
    ]);
}

#[test]
fn keys_are_known_by_their_form() {
    let body = "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z4A";
    for prefix in
        ["sk-", "sk-proj-", "ghp_", "github_pat_", "xoxb-", "glpat-", "hf_", "npm_", "AIza", "sk_live_", "gsk_"]
    {
        let key = format!("{prefix}{body}");
        assert_eq!(redact(&format!("x={key}, y")), "x=⟦API_KEY_1⟧, y", "{key}");
        assert_eq!(redact(&format!("MY_{key}")), "MY_⟦API_KEY_1⟧", "{key}");
    }
    check(&[
        ("AKIAIOSFODNN7EXAMPLE", "⟦API_KEY_1⟧"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl.", "⟦API_KEY_1⟧."),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nx", "⟦API_KEY_1⟧\nx"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\nabcd", "⟦API_KEY_1⟧"),
        ("password=hunter2&x=1", "password=⟦API_KEY_1⟧&x=1"),
        ("\"password\": \"a b c d\",", "\"password\": \"⟦API_KEY_1⟧\","),
        ("Das Passwort lautet kuh7stall.", "Das Passwort lautet ⟦API_KEY_1⟧."),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ⟦API_KEY_1⟧"),
        ("-H 'Authorization: Basic dXNlcjpwYXNz'", "-H 'Authorization: Basic ⟦API_KEY_1⟧'"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/b", "AWS_SECRET_ACCESS_KEY=⟦API_KEY_1⟧"),
        ("api_key: 0123456789abcdef", "api_key: ⟦API_KEY_1⟧"),
        ("postgres://me:s3cret@db.example.org/x", "postgres://⟦API_KEY_1⟧/x"),
        ("PIN: 4711", "PIN: ⟦API_KEY_1⟧"),
        ("{\\\"password\\\": \\\"hunter2\\\", 1}", "{\\\"password\\\": \\\"⟦API_KEY_1⟧\\\", 1}"),
        ("mysql --password hunter2 db", "mysql --password ⟦API_KEY_1⟧ db"),
        ("machine x.org login anna password hunter2", "machine x.org login anna password ⟦API_KEY_1⟧"),
        ("AccountKey=abc123DEF456ghi789==;Endpoint", "AccountKey=⟦API_KEY_1⟧;Endpoint"),
        ("Cookie: session=9f8e7d6c5b4a3210; x", "Cookie: session=⟦API_KEY_1⟧; x"),
        ("https://hooks.slack.com/services/T0/B0/abcDEF", "https://hooks.slack.com/services/⟦API_KEY_1⟧"),
    ]);
    check_unchanged(&[
        "sk-learn-is-a-python-library-for-machine-learning",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "password: String",
        "password=None",
        "password = os.environ",
        "pin: Sha256::digest(key)",
        "password=$PASSWORD",
        "The password is wrong.",
        "password: <your password>",
        "max_tokens=4096",
        "session = open_session(1)",
        "run with --token and --password set",
        "login as anna, password follows",
        "token = next_token",
        "secret: ${{ secrets.DEPLOY }}",
        "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "AKIA is a prefix",
        "eyJ is one too",
        "npm_config_cache",
        "https://example.org:8080/@x",
    ]);
}

#[test]
fn places_are_taken_out() {
    check(&[
        ("at 192.0.2.17:8080", "at ⟦IP_1⟧:8080"),
        ("2001:db8::8a2e:370:7334", "⟦IP_1⟧"),
        ("from 10.0.0.5.", "from ⟦IP_1⟧."),
        ("Ich wohne Lindenstraße 12a, 10969 Berlin", "Ich wohne ⟦ADDRESS_1⟧"),
        ("Lange Straße 5", "⟦ADDRESS_1⟧"),
        ("221B Baker Street, London", "⟦ADDRESS_1⟧, London"),
        ("1600 Pennsylvania Avenue NW", "⟦ADDRESS_1⟧"),
        ("/home/mila/x.rs and /Users/mila", "⟦HOME_1⟧/x.rs and ⟦HOME_2⟧"),
        ("C:\\Users\\mila\\x", "⟦HOME_1⟧\\x"),
        ("/data/people/annika/x /data/people/annikas", "⟦HOME_1⟧/x /data/people/annikas"),
        ("Annika, annika_2, @ANNIKA", "⟦USER_1⟧, ⟦USER_2⟧_2, @⟦USER_3⟧"),
        ("ping grauer-esel.local", "ping ⟦HOST_1⟧.local"),
    ]);
    check_unchanged(&[
        "127.0.0.1 0.0.0.0 ::1",
        "1.2.3",
        "256.1.1.1",
        "std::net::Ipv6Addr",
        "a::b",
        "12:34:56",
        "Spring 2024",
        "a long way 5",
        "Street 5",
        "/home/user/x",
        "https://example.org/home/mila",
        "annikas Buch",
        "Hannika",
    ]);
}

#[test]
fn a_known_secret_is_found_in_every_code() {
    for secret in known().secrets {
        for form in forms(&secret) {
            assert_eq!(redact(&form), "⟦SECRET_1⟧", "{form}");
        }
        let json = serde_json::Value::from(format!("a \"{secret}\"")).to_string();
        assert!(!redact(&json).contains(&secret));
        // Somewhere inside a longer code, wherever it begins there.
        for before in ["", "x", "xy", "\u{1}\u{2}\u{3}"] {
            let code = &forms(&format!("{before}{secret}\u{0}\u{1}"))[1];
            assert_eq!(redact(code.trim_end_matches('=')), "⟦SECRET_1⟧", "{before} {secret}");
        }
    }
    assert!(!format!("{:?} {:?}", known(), redactor()).contains("kuckuck"), "nothing known is printed");
}

#[test]
fn no_canary_survives_and_all_come_back() {
    for seed in 0..20 {
        let canaries = canaries(seed);
        let text: String = canaries.iter().map(|canary| format!("{}\n", canary.sentence)).collect();
        let mut table = Placeholders::new();
        let redacted = redactor().redact(&text, &mut table);
        for canary in &canaries {
            for form in forms(&canary.value) {
                assert!(!redacted.text.contains(&form), "{seed}: {canary:?} as {form}");
            }
        }
        assert_eq!(table.restore(&redacted.text), text);
        for kind in Kind::ALL {
            assert!(redacted.found.iter().any(|found| found.kind == kind), "{seed}: no {kind}");
        }
    }
}

#[test]
fn only_what_the_policy_names_is_taken_out() {
    let text = "anna@example.org, +49 30 1234567, kuckucksuhr!17, annika";
    for (names, expect) in [
        (&["email"][..], "⟦EMAIL_1⟧, +49 30 1234567, kuckucksuhr!17, annika"),
        (&["phone", "secret"], "anna@example.org, ⟦PHONE_1⟧, ⟦SECRET_1⟧, annika"),
        (&[], text),
    ] {
        let redactor = Redactor::new(Rules::of(names.iter().copied()).unwrap(), &known()).unwrap();
        assert_eq!(redactor.redact(text, &mut Placeholders::new()).text, expect, "{names:?}");
    }
    assert!(Rules::of(["phones"]).is_err());
}

#[test]
fn what_overlaps_is_one_value_of_the_greater_kind() {
    check(&[
        ("annika@example.org", "⟦EMAIL_1⟧"),
        ("annika@[[EMAIL_1]]", "⟦USER_1⟧@⟦TEXT_1⟧"),
        ("[[EMAIL_1]]@example.org ⟦ email 7 ⟧", "⟦TEXT_1⟧@example.org ⟦TEXT_2⟧"),
        ("kuckucksuhr!17@example.org", "⟦SECRET_1⟧"),
        ("[[⟦EMAIL_1⟧]]", "[[⟦TEXT_1⟧]]"),
    ]);
}

#[test]
fn the_same_value_has_the_same_placeholder_in_every_text_of_a_session() {
    let (redactor, mut table) = (redactor(), Placeholders::new());
    assert_eq!(redactor.redact("a@b.de c@d.de", &mut table).text, "⟦EMAIL_1⟧ ⟦EMAIL_2⟧");
    let second = redactor.redact("c@d.de c@d.de", &mut table);
    assert_eq!(second.text, "⟦EMAIL_2⟧ ⟦EMAIL_2⟧");
    assert_eq!(second.found, [Found { kind: Kind::Email, placeholder: "⟦EMAIL_2⟧".into() }]);
    assert_eq!((table.len(), table.is_empty()), (2, false));
    assert_eq!(table.iter().map(|(placeholder, _)| placeholder).collect::<Vec<_>>(), ["⟦EMAIL_1⟧", "⟦EMAIL_2⟧"]);
}

/// A text of so many bytes.
fn filled(piece: &str, n_bytes: usize) -> String {
    piece.repeat(n_bytes / piece.len())
}

/// Far above what even a busy machine takes for 1 MB, and far below what the square of it would take.
const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn hostile_texts_take_time_in_proportion() {
    // Debug builds are much slower than released ones.
    let n_bytes = if cfg!(debug_assertions) { 4_000 } else { 1_000_000 };
    let redactor = redactor();
    for piece in HOSTILE {
        let text = filled(piece, n_bytes);
        let start = Instant::now();
        let mut table = Placeholders::new();
        let redacted = redactor.redact(&text, &mut table);
        let taken = start.elapsed();
        println!("{piece:?}: {taken:.0?}, {} values", table.len());
        assert!(taken < LIMIT, "{piece}: {taken:?}");
        assert!(table.restore(&redacted.text) == text, "{piece}");
        let start = Instant::now();
        table.restore_prose(&redacted.text);
        assert!(start.elapsed() < LIMIT, "{piece}");
    }
}

const HOSTILE: [&str; 46] = [
    "annika ",
    "YW5uYUBleGFtcGxlLm9yZw== ",
    "<a ",
    "a.a/",
    "](",
    "kuckucksuhr!17",
    "@",
    "1",
    "A",
    "[",
    "⟦",
    "[[EMAIL_1",
    "[[EMAIL_1]]",
    "%",
    "%41",
    "%40a.de",
    "a@",
    "a@a.a",
    "1 ",
    "1-",
    "00 ",
    "0 ",
    "+",
    "(1",
    "eyJ",
    "eyJ.",
    "eyJa.eyJa.",
    "sk-",
    "ghp_",
    "AKIA",
    "-",
    "_",
    ".",
    ":",
    "://",
    "://a:b",
    "pwd=",
    "token:",
    "-----BEGIN PRIVATE KEY-----",
    "/home/",
    "Aa ",
    "Straße ",
    "1 A ",
    "a1b2",
    "111111 tel ",
    "DE89 ",
];
