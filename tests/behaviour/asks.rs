//! The user ... asks one question.

use crate::home::Home;

#[test]
fn and_gets_the_answer_alone_on_stdout() {
    let ran = Home::new().run(&["run", "What is 23 * 47?"]).exits(0);
    assert!(ran.stdout.contains("1081"), "{}", ran.stdout);
    assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.stdout);
    assert!(!ran.stdout.contains('\x1b') && !ran.stdout.contains("calc"), "{}", ran.stdout);
    assert!(ran.stderr.contains("calc"), "the call is shown on stderr: {}", ran.stderr);
}

#[test]
fn through_a_pipe() {
    let ran = Home::new().pipe(&["run"], "What is 6 * 7?\n").exits(0);
    assert!(ran.stdout.contains("42"), "{}", ran.stdout);
    let ran = Home::new().pipe(&["exec", "-"], "What is 6 * 7?\n").exits(0);
    assert!(ran.stdout.contains("42"), "{}", ran.stdout);
}

#[test]
fn with_more_on_stdin() {
    let home = Home::new();
    home.pipe(&["run", "--max-steps", "1", "Sum this up"], "one line\nanother line\n");
    let journal = home.journal();
    let asked = r"Sum this up\n\n<stdin>\none line\nanother line\n</stdin>";
    assert!(journal.contains(asked), "the prompt, then what was piped in");
}

#[test]
fn and_reads_the_turn_as_json_lines() {
    let ran = Home::new().run(&["run", "--json", "What is 23 * 47?"]).exits(0);
    let lines = ran.lines();
    assert_eq!(lines[0]["type"], "thread.started");
    assert_eq!(lines[lines.len() - 1]["type"], "turn.completed");
    let called = |line: &&serde_json::Value| line["type"] == "item.completed" && line["item"]["type"] == "tool_call";
    let call = lines.iter().find(called).unwrap();
    assert_eq!((&call["item"]["tool"], &call["item"]["output"]), (&"calc.calc".into(), &"1081".into()));
    assert!(ran.stderr.contains("calc.calc"), "people see it too: {}", ran.stderr);
}

#[test]
fn and_gets_a_greeting_without_any_tool() {
    let ran = Home::new().run(&["run", "--json", "Hello"]).exits(0);
    let lines = ran.lines();
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["item"]["type"].as_str()).collect();
    assert!(kinds.contains(&"agent_message") && !kinds.contains(&"tool_call"), "{}", ran.stdout);
    assert_eq!(lines[lines.len() - 1]["usage"]["calls"], 0, "{}", ran.stdout);
}

#[test]
fn twice_and_gets_the_same_answer() {
    // No sentence, at a temperature where the model's words then vary: only the seed makes them the same.
    let home = Home::new();
    let said = |seed: &str| {
        let question = "zzz grumpf 17 of what note when";
        let ran = home.run(&["run", "--json", "--temperature", "1", "--seed", seed, question]);
        let words = ran.lines().into_iter().map(|line| line["item"]["text"].clone());
        words.filter(|text| text.is_string()).collect::<Vec<_>>()
    };
    assert!(!said("7").is_empty());
    assert_eq!(said("7"), said("7"));
}

#[test]
fn and_reads_how_sure_the_model_was() {
    let ran = Home::new().run(&["run", "--json", "--logprobs", "2", "What is 23 * 47?"]).exits(0);
    let lines = ran.lines();
    let told = lines.iter().filter(|line| line["item"]["type"] == "logprobs");
    let told: Vec<_> = told.map(|line| line["item"]["tokens"].as_array().unwrap()).collect();
    assert_eq!(told.len() as u64, lines[lines.len() - 1]["usage"]["steps"].as_u64().unwrap(), "one a generation");
    let text = |tokens: &[serde_json::Value]| tokens.iter().filter_map(|t| t["token"].as_str()).collect::<String>();
    assert!(text(told[0]).ends_with("{\"expression\": \"23 * 47\"}<|call|>"), "{}", text(told[0]));
    assert!(text(told[1]).contains("<|message|>23 * 47 = 1081."), "{}", text(told[1]));
    let n_tokens: usize = told.iter().map(|tokens| tokens.len()).sum();
    assert_eq!(n_tokens as u64, lines[lines.len() - 1]["usage"]["generated_tokens"].as_u64().unwrap());
    for token in told.iter().copied().flatten() {
        let top = token["top_logprobs"].as_array().unwrap();
        let logprob = token["logprob"].as_f64().unwrap();
        if token["forced"] == true {
            assert_eq!((logprob, top.len()), (0.0, 0), "{token}");
        } else {
            // Greedy, as it is: the likeliest comes first.
            assert!(logprob <= 0.0 && (1..=2).contains(&top.len()), "{token}");
            assert_eq!((&top[0]["id"], &top[0]["logprob"]), (&token["id"], &token["logprob"]), "{token}");
        }
    }
    let plain = Home::new().run(&["run", "--json", "What is 23 * 47?"]).exits(0);
    assert!(!plain.stdout.contains("logprob"), "nobody asked");
}

#[test]
fn for_a_note_which_nobody_can_approve() {
    let home = Home::new();
    let ran = home.run(&["run", "Note that the key is under the mat"]).exits(4);
    assert!(ran.stderr.contains("notes.add"), "{}", ran.stderr);
    assert!(!home.path().join("data/notes/notes.md").exists());
}

#[test]
fn for_a_note_with_approval_given_beforehand_and_finds_it_again() {
    let home = Home::new();
    home.run(&["run", "--approve", "always", "Note that the key is under the mat"]).exits(0);
    let ran = home.run(&["run", "What are my notes?"]).exits(0);
    assert!(ran.stdout.contains("the key is under the mat"), "{}", ran.stdout);
}

#[test]
fn without_leaving_a_trace() {
    let home = Home::new();
    home.run(&["run", "--ephemeral", "Hello"]).exits(0);
    assert!(!home.path().join("data/sessions.sqlite").exists());
    home.run(&["run", "Hello"]).exits(0);
    assert!(home.path().join("data/sessions.sqlite").exists());
}

#[test]
fn and_keeps_the_answer_in_a_file() {
    let home = Home::new();
    let ran = home.run(&["run", "-o", "answer.txt", "What is 23 * 47?"]).exits(0);
    let kept = std::fs::read_to_string(home.path().join("answer.txt")).unwrap();
    assert_eq!(kept.trim(), ran.stdout.trim());
}
