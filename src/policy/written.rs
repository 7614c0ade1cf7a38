//! Policies with principals, conditions and statements in Cedar, as people and organisations write them.

use super::*;
use std::str::FromStr;

fn policy(rules: &str) -> Policy {
    Policy::parse("mine.toml", &format!("version = 1\n{rules}")).unwrap()
}

fn id(text: &str) -> ToolId {
    text.parse().unwrap()
}

const EVERYTHING: &str = "[[rule]]\nid = \"all\"\ntools = [\"*\"]\ndecision = \"allow\"\n";

#[test]
fn a_rule_can_speak_of_who_acts() {
    let policy = policy(&format!(
        "{EVERYTHING}[[rule]]\nid = \"robots\"\nprincipals = [\"automation:*\"]\neffects = [\"write\"]\ndecision = \"deny\"\n\
         [[rule]]\nid = \"nightly\"\nprincipals = [\"automation:nightly\", \"interactive\"]\neffects = [\"send\"]\ndecision = \"ask\"\n\
         [[test]]\ncall = {{ tool = \"a.b\", effect = \"write\", principal = \"automation:x\" }}\nexpect = \"deny\"\n"
    ));
    for (principal, write, send) in [
        ("interactive", (Answer::Allow, "all"), (Answer::Ask, "nightly")),
        ("automation:nightly", (Answer::Deny, "robots"), (Answer::Ask, "nightly")),
        ("automation:weekly", (Answer::Deny, "robots"), (Answer::Allow, "all")),
    ] {
        // Whoever acts by a policy acts by those above it too.
        for policy in [
            policy.clone(),
            super::Policy::parse("p", &format!("version = 1\n{EVERYTHING}")).unwrap().under(policy.clone()),
        ] {
            let policy = policy.acting(principal.parse().unwrap());
            for (effect, (answer, rule)) in [(Effect::Write, write), (Effect::Send, send)] {
                let ruling = policy.ruling(&Question::about(&id("a.b"), effect));
                assert_eq!(ruling, (answer, rule.to_owned()), "{principal} {effect}");
            }
        }
    }
}

#[test]
fn a_rule_can_look_at_words_secrets_and_costs() {
    let policy = policy(&format!(
        "{EVERYTHING}[[rule]]\nid = \"taken\"\neffects = [\"write\"]\nwhen.argument.integrity = \"untrusted\"\ndecision = \"ask\"\n\
         [[rule]]\nid = \"personal\"\ntools = [\"cloud.*\"]\nwhen.confidentiality = \"personal\"\ndecision = \"ask\"\n\
         [[rule]]\nid = \"dear\"\ntools = [\"*\"]\nwhen.cost.above = \"$0.10\"\ndecision = \"deny\"\n\
         [[test]]\ncall = {{ tool = \"a.b\", effect = \"write\", argument = \"untrusted\" }}\nexpect = \"ask\"\n\
         [[test]]\ncall = {{ tool = \"cloud.ask\", cost = \"$0.11\" }}\nexpect = \"deny\"\n\
         [[test]]\ncall = {{ tool = \"cloud.ask\", confidentiality = \"secret\" }}\nexpect = \"ask\"\n"
    ));
    let tool = id("cloud.ask");
    let question = Question::about(&tool, Effect::Write);
    let money = |text: &str| Some(text.parse().unwrap());
    for (question, answer, rule) in [
        (question, Answer::Allow, "all"),
        (Question { context: Integrity::Untrusted, ..question }, Answer::Allow, "all"),
        (Question { argument: Integrity::Untrusted, ..question }, Answer::Ask, "taken"),
        (Question { confidentiality: Confidentiality::Personal, ..question }, Answer::Ask, "personal"),
        (Question { confidentiality: Confidentiality::LocalOnly, ..question }, Answer::Ask, "personal"),
        (Question { cost: money("$0.1"), ..question }, Answer::Allow, "all"),
        (Question { cost: money("$0.100001"), ..question }, Answer::Deny, "dear"),
        (Question { cost: None, ..question }, Answer::Deny, "dear"),
    ] {
        assert_eq!(policy.ruling(&question), (answer, rule.to_owned()), "{question:?}");
    }
}

#[test]
fn mistakes_in_conditions_are_pointed_at() {
    let rule = |more: &str| format!("version = 1\n[[rule]]\nid = \"a\"\ntools = [\"*\"]\n{more}\n");
    for (text, at, words) in [
        (rule("principals = [\"robot\"]\ndecision = \"deny\""), "\"robot\"", "automation:NAME"),
        (rule("principals = []\ndecision = \"deny\""), "[]", "empty list"),
        (rule("when.cost.above = \"ten\"\ndecision = \"ask\""), "\"ten\"", "$"),
        (rule("when.argumnet.integrity = \"untrusted\"\ndecision = \"ask\""), "argumnet", "unknown field"),
        (rule("when.argument.integrity = \"maybe\"\ndecision = \"ask\""), "\"maybe\"", "untrusted"),
        (rule("context = \"untrusted\"\ndecision = \"ask\""), "context", "unknown field"),
        ("version = 1\n[labels]\nlocal_only = [\"diary\"]".into(), "\"diary\"", "no place"),
    ] {
        let error = Policy::parse("p", &text).unwrap_err();
        assert_eq!(&text[error.span()], at, "{error}");
        assert!(error.message().contains(words), "{error}");
    }
    for condition in ["argument.integrity = \"untrusted\"", "confidentiality = \"public\"", "cost.above = \"$1\""] {
        let text = rule(&format!("when.{condition}\ndecision = \"allow\""));
        assert!(Policy::parse("p", &text).unwrap_err().message().contains("allows nothing"), "{condition}");
    }
}

const CEDAR: &str = r#"
@id("anything")
permit (principal, action, resource);

@id("no-uploads")
forbid (principal, action, resource in Package::"cloud")
when { context.confidentiality != "public" || context.cost > 50000 };

@id("careful")
forbid (principal, action == Action::"unattended", resource)
when { context has path && context.path in Path::"/srv/shared" && context.effect == "write" };

forbid (principal is Automation, action, resource)
when { context has host && !(context.host in Host::"example.org") };

@id("not-at-all")
forbid (principal, action == Action::"call", resource == Tool::"notes.remove");

@id("gone")
forbid (principal, action, resource in Package::"mcp__old");
"#;

#[test]
fn an_organisations_statements_decide_too() {
    let policy = Policy::parse_cedar("org.cedar", CEDAR).unwrap();
    let (cloud, files, remove) = (id("cloud.ask"), id("files.write"), id("notes.remove"));
    let at = |path: &str, host: &str| Reach {
        paths: Some(path).filter(|path| !path.is_empty()).map(PathBuf::from).into_iter().collect(),
        hosts: Some(host).filter(|host| !host.is_empty()).map(str::to_owned).into_iter().collect(),
    };
    let (shared, home, known, other) =
        (at("/srv/shared/a/b", ""), at("/home/me", ""), at("", "en.example.org"), at("", "elsewhere.test"));
    let question = Question::about(&cloud, Effect::Cloud);
    let write = Question::about(&files, Effect::Write);
    for (principal, question, answer, rule) in [
        ("interactive", question, Answer::Allow, "anything"),
        ("interactive", Question { cost: None, ..question }, Answer::Deny, "no-uploads"),
        (
            "interactive",
            Question { confidentiality: Confidentiality::Personal, ..question },
            Answer::Deny,
            "no-uploads",
        ),
        ("interactive", Question { reach: &shared, ..write }, Answer::Ask, "careful"),
        ("interactive", Question { reach: &shared, effect: Effect::Read, ..write }, Answer::Allow, "anything"),
        ("interactive", Question { reach: &home, ..write }, Answer::Allow, "anything"),
        ("interactive", Question { reach: &other, ..write }, Answer::Allow, "anything"),
        ("interactive", Question { tool: &remove, ..write }, Answer::Deny, "not-at-all"),
        ("automation:x", Question { reach: &known, ..write }, Answer::Allow, "anything"),
        ("automation:x", Question { reach: &other, ..write }, Answer::Deny, "org.cedar#4"),
    ] {
        let ruling = policy.clone().acting(principal.parse().unwrap()).ruling(&question);
        assert_eq!(ruling, (answer, rule.to_owned()), "{principal} {question:?}");
    }
    assert!(policy.denies_all_of("mcp__old") && !policy.denies_all_of("mcp__new"));
    assert_eq!(policy.n_rules(), 6);

    // Beside rules in TOML they are one policy, in which a forbid wins.
    let mine = super::Policy::parse("mine.toml", &format!("version = 1\n{EVERYTHING}")).unwrap();
    let both = mine.clone().with_statements_of(&policy).unwrap();
    let places = Places { workspace: "/w".into(), home: "/h".into(), own: Vec::new() };
    for both in [both.clone(), both.at(places, Path::to_path_buf)] {
        let ruling = both.ruling(&Question { cost: None, ..question });
        assert_eq!(ruling, (Answer::Deny, "no-uploads".to_owned()), "an administrator's file outlives the placing");
    }
    assert!(policy.with_statements_of(&Policy::parse_cedar("b.cedar", CEDAR).unwrap()).unwrap_err().contains("unique"));
    let same = Policy::parse_cedar("b.cedar", "@id(\"all\")\nforbid (principal, action, resource);").unwrap();
    assert!(mine.with_statements_of(&same).is_err(), "a forbid does not hide behind a rule's name");
}

#[test]
fn statements_that_make_no_sense_do_not_load() {
    for (text, at, words) in [
        ("permit (principal, action);", "", "resource"),
        ("permit (principal, action, resource) when { context.pth in Path::\"/\" };", "context.pth", "pth"),
        ("permit (principal, action, resource) when { context.path in Path::\"/\" };", "context.path", "path"),
        ("permit (principal == Perso::\"x\", action, resource);", "Perso", "statement 1"),
        ("permit (principal, action == Action::\"cal\", resource);", "cal", "cal"),
        ("permit (principal == ?principal, action, resource);", "", "template"),
        (
            "@id(\"a\") permit (principal, action, resource); @id(\"a\") forbid (principal, action, resource);",
            "",
            "unique",
        ),
        ("@id(\"default\") permit (principal, action, resource);", "", "not `default`"),
        ("nonsense", "", ""),
        ("\u{0}", "", ""),
    ] {
        let error = Policy::parse_cedar("p.cedar", text).unwrap_err();
        assert!(text[error.span()].contains(at), "{text}: {:?} {error}", &text[error.span()]);
        assert!(error.message().contains(words), "{text}: {error}");
    }
    // What cannot be evaluated may have been a no.
    let broken = "@id(\"all\") permit (principal, action, resource);\n\
                  @id(\"sum\") forbid (principal, action, resource) when { context.cost + 9223372036854775807 > 0 };";
    let policy = Policy::parse_cedar("p.cedar", broken).unwrap();
    let tool = id("cloud.ask");
    let ruling = policy.ruling(&Question { cost: None, ..Question::about(&tool, Effect::Cloud) });
    assert_eq!(ruling, (Answer::Deny, "default".to_owned()));
}

#[test]
fn a_rules_words_cannot_break_out_of_its_statement() {
    let odd = "a\\\"); permit(principal, action, resource); //\\u0000\u{202e}";
    let text = format!(
        "version = 1\n[[rule]]\nid = \"{odd}\"\nwithin = [\"/x\\\"y\\\\z\", \"~/ü \u{1F600}\"]\ndecision = \"allow\"\n"
    );
    let policy = Policy::parse("p", &text).unwrap();
    assert_eq!(policy.n_rules(), 1);
    let tool = id("files.read");
    for (path, answer) in
        [("/x\"y\\z/a", Answer::Allow), ("/home/user/ü \u{1F600}", Answer::Allow), ("/x", Answer::Deny)]
    {
        let reach = Reach { paths: vec![path.into()], hosts: Vec::new() };
        let ruling = policy.ruling(&Question { reach: &reach, ..Question::about(&tool, Effect::Read) });
        assert_eq!(ruling.0, answer, "{path}");
    }
}

#[test]
fn the_schema_is_one() {
    cedar_policy::Schema::from_str(SCHEMA).unwrap();
}

/// What a call that has read a marked file may still do.
#[test]
fn what_is_marked_stays_here() {
    let text = format!(
        "version = 1\n[labels]\nuntrusted = [\"~/Downloads\"]\nlocal_only = [\"$WORKSPACE/diary\"]\nsecret = [\"$WORKSPACE/keys\"]\n{EVERYTHING}"
    );
    let policy = Policy::parse("p", &text).unwrap();
    let (read, send) = (id("files.read"), id("fetch.fetch"));
    let wants = Capabilities {
        folders: ["/workspace", "/home/user"].map(|path| Folder { path: path.into(), is_writable: false }).into(),
        ..Capabilities::default()
    };
    let targets = Targets::default();
    let call = Call {
        tool: &read,
        effect: Effect::Read,
        arguments: &Value::Null,
        wants: &wants,
        targets: &targets,
        context: Label::trusted(),
        argument: Taint::trusted(),
        quote: None,
    };
    let Decision::Allow(grant) = policy.decide(&call) else { panic!("allowed") };
    let seen = grant.seen();
    grant.may_open(Path::new("/workspace/a.md"), false).unwrap();
    assert_eq!(&seen.label(), Label::trusted());
    grant.may_open(Path::new("/home/user/Downloads/a.md"), false).unwrap();
    grant.may_open(Path::new("/workspace/diary/monday"), false).unwrap();
    drop(grant);
    let label = seen.label();
    assert_eq!((label.integrity(), label.confidentiality()), (Integrity::Untrusted, Confidentiality::LocalOnly));

    let leaving = Call { tool: &send, effect: Effect::Send, context: &label, ..call };
    let Decision::Deny(denial) = policy.decide(&leaving) else { panic!("denied") };
    assert!(denial.to_string().contains("/workspace/diary/monday was read in this session"), "{denial}");
    assert_eq!(denial.rule, "egress.never_send");
    assert!(matches!(policy.decide(&Call { context: &label, ..call }), Decision::Allow(_)), "reading goes on");

    // Nor does a call that leaves open such a file itself.
    let Decision::Allow(grant) = policy.decide(&Call { effect: Effect::Cloud, ..call }) else { panic!("allowed") };
    let refused = grant.may_open(Path::new("/workspace/keys/a"), false).unwrap_err();
    assert!(refused.contains("is secret: it stays"), "{refused}");
    grant.may_open(Path::new("/workspace/a.md"), false).unwrap();
}

#[test]
fn nobody_else_makes_a_server_ones_own() {
    let policy = |egress: &str| Policy::parse("p", &format!("version = 1\n{egress}\n{EVERYTHING}")).unwrap();
    let own = |up_to: &str| policy(&format!("[egress]\nown = [{{ host = \"lab.test\", up_to = \"{up_to}\" }}]"));
    let (silent, strict) = (policy(""), policy("[egress]\nredact = [\"email\"]"));
    let limited = policy("[budget]\nper_day = \"$1\"");
    use Confidentiality::{Personal, Secret};
    for (policy, expect) in [
        (own("secret"), Some(Secret)),
        (silent.clone().under(own("secret")), None),
        (own("secret").under(own("personal")), Some(Personal)),
        (own("personal").under(own("secret")), Some(Personal)),
        (own("secret").under(silent.clone()), Some(Secret)),
        (own("secret").under(strict.clone()), None),
        (own("secret").under(limited), None),
        (own("secret").under(silent.clone().under(strict)), None),
    ] {
        assert_eq!(policy.egress().own("lab.test"), expect, "{:?}", policy.egress());
        assert_eq!(policy.egress().own("lab.test.evil.test"), None);
        let keeps = |confidentiality| policy.egress().keeps(confidentiality, Some("lab.test"));
        assert!(keeps(Confidentiality::LocalOnly), "it stays, whatever a policy says");
        assert_eq!(keeps(Secret), expect != Some(Secret));
        let hidden = policy.egress().redact_for("lab.test");
        assert_eq!(hidden.has(redact::Kind::Email), expect.is_none_or(|up_to| up_to < Personal), "{hidden:?}");
    }
    let lax = policy("[egress]\nnever_send = []");
    assert!(lax.egress().keeps(Confidentiality::LocalOnly, None) && !lax.egress().keeps(Secret, None));
    assert!(Policy::parse("p", "version = 1\n[egress]\nown = [{ host = \"a.b\", up_to = \"local-only\" }]").is_err());
}

#[test]
fn a_rule_of_hosts_looks_at_where_a_call_goes_and_what_with() {
    let text = format!(
        "version = 1\n[egress]\nredact = []\nnever_send = []\n{EVERYTHING}[[rule]]\nid = \"shy\"\nhosts = [\"far.test\"]\n\
         when.confidentiality = \"personal\"\ndecision = \"deny\"\n"
    );
    let policy = Policy::parse("p", &text).unwrap();
    let quote = |destination: &str, confidentiality| Quote {
        model: "m".into(),
        destination: destination.into(),
        text: String::new(),
        files: Vec::new(),
        hidden: Vec::new(),
        confidentiality,
        cost: Some(Money::ZERO),
        route: Vec::new(),
    };
    let (tool, targets) = (id("cloud.ask"), Targets::default());
    let wants = Capabilities { hosts: vec![HostPattern::parse("*").unwrap()], ..Capabilities::default() };
    for (host, confidentiality, expect) in [
        ("far.test", Confidentiality::Personal, "deny shy"),
        ("far.test", Confidentiality::Public, "allow all"),
        ("near.test", Confidentiality::Personal, "allow all"),
    ] {
        let quote = quote(host, confidentiality);
        let call = Call {
            tool: &tool,
            effect: Effect::Cloud,
            arguments: &Value::Null,
            wants: &wants,
            targets: &targets,
            context: Label::trusted(),
            argument: Taint::trusted(),
            quote: Some(&quote),
        };
        let decided = match policy.decide(&call) {
            Decision::Allow(grant) => {
                let reaches = |url: &str| grant.may_reach(&Url::parse(url).unwrap()).is_ok();
                assert!(
                    reaches(&format!("https://{host}/")) && !reaches("https://other.test/"),
                    "there and nowhere else"
                );
                format!("allow {}", grant.rule())
            }
            Decision::Deny(denial) => format!("deny {}", denial.rule),
            Decision::Ask(pending) => format!("ask {}", pending.rule()),
        };
        assert_eq!(decided, expect, "{host} {confidentiality}");
    }
}

#[test]
fn what_is_remembered_is_forgotten_with_the_rules() {
    let policy = policy(&format!("{EVERYTHING}[[rule]]\nid = \"here\"\nwithin = [\"~/a\"]\ndecision = \"deny\"\n"));
    let tool = id("files.read");
    let answer = |policy: &Policy, path: &str| {
        let reach = Reach { paths: vec![path.into()], hosts: Vec::new() };
        policy.ruling(&Question { reach: &reach, ..Question::about(&tool, Effect::Read) }).0
    };
    for n in 0..3000 {
        assert_eq!(answer(&policy, &format!("/home/user/a/{n}")), Answer::Deny);
    }
    for _ in 0..2 {
        assert_eq!((answer(&policy, "/home/user/a"), answer(&policy, "/h/a")), (Answer::Deny, Answer::Allow));
    }
    let moved = policy.clone().at(Places { home: "/h".into(), ..Places::default() }, Path::to_path_buf);
    assert_eq!((answer(&moved, "/home/user/a"), answer(&moved, "/h/a")), (Answer::Allow, Answer::Deny));
    assert_eq!(answer(&policy, "/h/a"), Answer::Allow);
}
