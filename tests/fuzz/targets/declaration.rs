//! Any JSON as the parameters of a function: the developer message is rendered, in both readings of schemas, and its text is
//! bounded by what was declared.
#![no_main]

use fuzz::harmony::{Declaration, DeveloperContent, Encoding, Message, tokenizer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(parameters) = serde_json::from_slice(data) else { return };
    let functions = vec![Declaration { name: "f".into(), description: "F.".into(), parameters: Some(parameters) }];
    let message = Message::developer(DeveloperContent { functions, ..DeveloperContent::default() });
    let mut parser = Encoding::new().parser();
    for id in Encoding::new().render_conversation([&message]) {
        parser.push(id);
    }
    assert_eq!(parser.finished().len(), 1, "nothing in a schema opens or ends a message");
    let plain = Encoding::reference().render_conversation([&message]);
    assert!(tokenizer::decode_lossy(&plain).len() < 1000 + 200 * data.len());
});
