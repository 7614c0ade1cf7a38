//! Any JSON as the parameters of a function: the developer message is rendered, in both readings of schemas, and its text is
//! bounded by what was declared.
#![no_main]

use fuzz::harmony::{Declaration, DeveloperContent, Encoding, Message, tokenizer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(parameters) = serde_json::from_slice(data) else { return };
    let functions = vec![Declaration { name: "f".into(), description: "F.".into(), parameters: Some(parameters) }];
    let message = Message::developer(DeveloperContent { functions, ..DeveloperContent::default() });
    // So much longer may a text become than its schema: by indentation, and where references are followed by 200 copies.
    for (encoding, factor) in [(Encoding::reference(), 200), (Encoding::new(), 200 * 200)] {
        let ids = encoding.render_conversation([&message]);
        assert!(tokenizer::decode_lossy(&ids).len() < 1000 + factor * data.len());
        let mut parser = encoding.parser();
        for id in ids {
            parser.push(id);
        }
        assert_eq!(parser.finished().len(), 1, "nothing in a schema opens or ends a message");
    }
});
