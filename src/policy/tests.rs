//! What a policy answers, and why.

use super::*;
use proptest::prelude::*;

fn id(text: &str) -> ToolId {
    text.parse().unwrap()
}

fn answer(policy: &Policy, tool: &str, effect: Effect) -> &'static str {
    let (wants, targets) = (Capabilities::default(), Targets::default());
    let call = Call {
        tool: &id(tool),
        effect,
        arguments: &Value::Null,
        wants: &wants,
        targets: &targets,
        context: Label::trusted(),
        argument: Taint::trusted(),
        quote: None,
    };
    match policy.decide(&call) {
        Decision::Allow(_) => "allow",
        Decision::Ask(_) => "ask",
        Decision::Deny(_) => "deny",
    }
}

#[test]
fn every_bundled_policy_loads_and_has_examples() {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/policies")).unwrap();
    let mut files: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.retain(|file| file != "ossicle.cedarschema");
    files.sort();
    let mut bundled: Vec<String> = BUNDLED.iter().map(|(name, _)| format!("{name}.toml")).collect();
    bundled.sort();
    assert_eq!(files, bundled, "every file of policies/ is bundled");
    for (name, text) in BUNDLED {
        if let Err(error) = Policy::parse(name, text) {
            panic!("{error}");
        }
        assert!(text.matches("[[test]]").count() >= 5, "{name} shows what it does by examples");
    }
}

#[test]
fn the_default_lets_tools_look_asks_before_writes_and_lets_nothing_out() {
    let policy = Policy::default();
    assert_eq!(answer(&policy, "calc.calc", Effect::Pure), "allow");
    assert_eq!(answer(&policy, "notes.list", Effect::Read), "allow");
    assert_eq!(answer(&policy, "notes.add", Effect::Write), "ask");
    assert_eq!(answer(&policy, "mail.send", Effect::Send), "deny");
    assert_eq!(answer(&policy, "cloud.ask", Effect::Cloud), "ask");
    assert_eq!(answer(&policy, "mail.draft", Effect::Cloud), "deny");
}

#[test]
fn an_empty_policy_denies_everything() {
    let policy = Policy::parse("p", "version = 1").unwrap();
    for effect in Effect::ALL {
        assert_eq!(answer(&policy, "calc.calc", effect), "deny");
    }
}

#[test]
fn a_grant_holds_what_the_call_wants_and_remembers_its_rule() {
    let policy =
        Policy::parse("p", "version = 1\n[[rule]]\nid = \"all\"\ntools = [\"*\"]\ndecision = \"allow\"").unwrap();
    let wants = Capabilities { clock: true, file: Some(PathBuf::from("/notes.md")), ..Capabilities::default() };
    let (tool, targets) = (id("notes.add"), Targets::default());
    let call = Call {
        tool: &tool,
        effect: Effect::Write,
        arguments: &Value::Null,
        wants: &wants,
        targets: &targets,
        context: Label::trusted(),
        argument: Taint::trusted(),
        quote: None,
    };
    let Decision::Allow(grant) = policy.decide(&call) else { panic!("allowed") };
    assert_eq!((grant.tool(), grant.capabilities()), (&tool, &wants));
    assert_eq!((grant.rule(), grant.approved()), ("all", false));
}

#[test]
fn rules_that_name_no_known_tool_are_warned_of() {
    let text = "version = 1\n[[rule]]\nid = \"typo\"\ntools = [\"notes.*\", \"ntoes.*\", \"mcp__*.*\", \"*\"]\ndecision = \"deny\"";
    let warnings = Policy::parse("p", text).unwrap().check(&[id("notes.add")]);
    assert_eq!(warnings, [Warning { rule: "typo".into(), pattern: "ntoes.*".into(), line: 3 }]);
    assert!(warnings[0].to_string().contains("ntoes.*"));
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let patterns = vec!["*", "notes.*", "notes.add", "*.add", "calc.calc", "x.y"];
    let tools = prop::collection::vec(prop::sample::select(patterns), 0..3);
    let effects = prop::collection::vec(prop::sample::select(&Effect::ALL[..]), 0..3);
    let answers = prop::sample::select(vec![Answer::Allow, Answer::Ask, Answer::Deny]);
    prop::collection::vec((tools, effects, answers), 0..7).prop_map(|rules| {
        let rule = |(n, (tools, effects, answer)): (usize, (Vec<&str>, Vec<Effect>, Answer))| Rule {
            id: format!("r{n}"),
            tools: tools.into_iter().map(|text| pattern::Pattern::parse(text).unwrap()).collect(),
            effects,
            within: Vec::new(),
            hosts: Vec::new(),
            principals: Vec::new(),
            when: rule::When::default(),
            answer,
            line: n,
        };
        rules.into_iter().enumerate().map(rule).collect()
    })
}

fn calls() -> impl Strategy<Value = (ToolId, Effect)> {
    let tools = prop::sample::select(vec!["notes.add", "notes.list", "calc.calc", "clock.add", "other.tool"]);
    (tools.prop_map(id), prop::sample::select(&Effect::ALL[..]))
}

fn with(rules: Vec<Rule>) -> Policy {
    Policy { statements: Arc::new(Statements::of(&rules).unwrap()), rules: rules.into(), ..Policy::default() }
}

#[test]
fn what_strangers_wrote_makes_rules_stricter_and_never_laxer() {
    let policy = |rules: &str| Policy::parse("test", &format!("version = 1\n{rules}"));
    let text = "[[rule]]\nid = \"mine\"\ntools = [\"mail.send\"]\ndecision = \"allow\"\n\
                [[rule]]\nid = \"strangers\"\nwhen.context.integrity = \"untrusted\"\neffects = [\"send\"]\ndecision = \"ask\"\n\
                [[rule]]\nid = \"alone\"\ntools = [\"post.card\"]\nwhen.context.integrity = \"trusted\"\ndecision = \"allow\"\n\
                [[test]]\ncall = { tool = \"mail.send\", effect = \"send\", context = \"untrusted\" }\nexpect = \"ask\"\n";
    let parsed = policy(text).unwrap();
    for (tool, context, answer) in [
        ("mail.send", Integrity::Trusted, (Answer::Allow, "mine")),
        ("mail.send", Integrity::Untrusted, (Answer::Ask, "strangers")),
        ("other.send", Integrity::Untrusted, (Answer::Deny, "default")),
        ("post.card", Integrity::Trusted, (Answer::Allow, "alone")),
        ("post.card", Integrity::Untrusted, (Answer::Deny, "default")),
    ] {
        let (answer, rule) = answer;
        let ruling = parsed.ruling(&Question { context, ..Question::about(&id(tool), Effect::Send) });
        assert_eq!(ruling, (answer, rule.to_owned()), "{tool} {context:?}");
    }
    let lax = "[[rule]]\nid = \"r\"\ntools = [\"*\"]\nwhen.context.integrity = \"untrusted\"\ndecision = \"allow\"\n";
    assert!(policy(lax).unwrap_err().to_string().contains("allows nothing"));
    let read = Label::untrusted("browser.open");
    let (wants, targets, tool) = (Capabilities::default(), Targets::default(), id("mail.send"));
    let arguments = Value::Null;
    let call = Call {
        tool: &tool,
        effect: Effect::Send,
        arguments: &arguments,
        wants: &wants,
        targets: &targets,
        context: &read,
        argument: Taint::trusted(),
        quote: None,
    };
    let Decision::Ask(pending) = parsed.decide(&call) else { panic!("a page was read") };
    assert_eq!(pending.context(), &read);
}

proptest! {
    #[test]
    fn the_order_of_rules_means_nothing(
        (rules, shuffled) in rules().prop_flat_map(|rules| (Just(rules.clone()), Just(rules).prop_shuffle())),
        (tool, effect) in calls(),
    ) {
        let (one, other) = (with(rules), with(shuffled));
        let question = Question::about(&tool, effect);
        prop_assert_eq!(one.ruling(&question), other.ruling(&question));
    }

    #[test]
    fn the_strongest_rule_that_speaks_wins(rules in rules(), (tool, effect) in calls()) {
        let policy = with(rules);
        let speaking = policy.rules.iter().filter(|rule| rule.names(&tool, effect)).map(|rule| rule.answer);
        let strongest = speaking.max().unwrap_or(Answer::Deny);
        prop_assert_eq!(policy.ruling(&Question::about(&tool, effect)).0, strongest);
    }
}

#[test]
fn a_policy_above_makes_stricter_and_never_laxer() {
    let rule = |effects: &str, decision: &str| {
        format!("[[rule]]\nid = \"{decision}s\"\neffects = [{effects}]\ndecision = \"{decision}\"\n")
    };
    let own = format!("version = 1\n[budget]\nper_day = \"$3\"\n{}", rule("\"read\", \"write\", \"cloud\"", "allow"));
    let above = format!(
        "version = 1\n[budget]\nper_day = \"$1\"\nper_call = \"$0.1\"\non_unknown_price = \"deny\"\n[egress]\nallow_hosts = [\"a.org\"]\n{}{}{}",
        rule("\"read\", \"send\"", "allow"),
        rule("\"write\"", "ask"),
        rule("\"pure\"", "deny"),
    );
    let (own, above) = (Policy::parse("own", &own).unwrap(), Policy::parse("above", &above).unwrap());
    for policy in [own.clone().under(above.clone()), above.under(own)] {
        let answers = Effect::ALL.map(|effect| answer(&policy, "x.y", effect));
        assert_eq!(answers, ["deny", "allow", "ask", "deny", "deny"], "pure, read, write, send, cloud");
        let Budget { per_call, per_day, .. } = policy.budget();
        assert_eq!((*per_call, *per_day), ("$0.1".parse().ok(), "$1".parse().ok()));
        assert_eq!(policy.budget().on_unknown_price(), Answer::Deny);
        assert!(policy.egress().allows("a.org") && !policy.egress().allows("b.org"));
    }
}

#[test]
fn what_would_change_an_answer_is_looked_for_in_every_layer() {
    let rules = |name: &str, rules: &str| Policy::parse(name, &format!("version = 1\n{rules}")).unwrap();
    let all = "[[rule]]\nid = \"all\"\ntools = [\"*\"]\ndecision = \"allow\"\n";
    let theirs = format!("{all}[[rule]]\nid = \"no\"\neffects = [\"write\"]\ndecision = \"deny\"\n");
    let policy = rules("mine", all).under(rules("theirs", &theirs));
    let (tool, wants, targets) = (id("x.y"), Capabilities::default(), Targets::default());
    let call = Call {
        tool: &tool,
        effect: Effect::Write,
        arguments: &Value::Null,
        wants: &wants,
        targets: &targets,
        context: Label::trusted(),
        argument: Taint::trusted(),
        quote: None,
    };
    let explained = policy.explain(&call);
    assert_eq!((explained.answer, explained.rule.as_str()), (Answer::Deny, "no"));
    assert_eq!(explained.otherwise, (Answer::Allow, "all".to_owned()));
    let places: Vec<&str> = explained.rules.iter().map(|rule| rule.place.as_str()).collect();
    assert_eq!(places, ["mine:3", "theirs:3", "theirs:7"]);
}

#[test]
fn an_offer_is_judged_by_its_price_and_by_what_is_left_in_it() {
    let text = "version = 1\n[budget]\nper_call = \"$0.1\"\n[[rule]]\nid = \"cloud\"\neffects = [\"cloud\"]\ndecision = \"allow\"";
    let policy = Policy::parse("p", text).unwrap();
    let offer = |cost: Option<&str>, confidentiality| Quote {
        model: "m".into(),
        destination: "h".into(),
        text: String::new(),
        files: Vec::new(),
        hidden: Vec::new(),
        confidentiality,
        cost: cost.map(|cost| cost.parse().unwrap()),
        route: Vec::new(),
    };
    let (tool, wants, targets) = (id("cloud.ask"), Capabilities::default(), Targets::default());
    for (cost, confidentiality, expect, rule) in [
        (Some("$0.1"), Confidentiality::Personal, Answer::Allow, "cloud"),
        (Some("$0.11"), Confidentiality::Public, Answer::Deny, "budget.per_call"),
        (None, Confidentiality::Public, Answer::Ask, "budget.on_unknown_price"),
        (Some("$0.01"), Confidentiality::Secret, Answer::Deny, "egress.never_send"),
        (Some("$0.01"), Confidentiality::LocalOnly, Answer::Deny, "egress.never_send"),
    ] {
        let quote = offer(cost, confidentiality);
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
        let explained = policy.explain(&call);
        assert_eq!((explained.answer, explained.rule.as_str()), (expect, rule), "{cost:?} {confidentiality}");
    }
}
