//! A package's examples, run in the real sandbox: `ossicle tool test`, and our own test of the bundled tools.

use super::{Example, Host, Package, PackageError, Surroundings};
use crate::policy::{Decision, Policy};
use crate::tool::{Progress, Registered, Toolbox};
use crate::world::World;
use std::path::PathBuf;

/// Lets an example do what its tool says it does: nothing is real in the world it runs in.
const POLICY: &str = "version = 1\n[[rule]]\nid = \"examples\"\ntools = [\"*\"]\ndecision = \"allow\"\n";

/// What came of an example.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The example.
    pub example: Example,
    /// The result, or what the model reads in its stead.
    pub got: String,
}

impl Outcome {
    /// Whether it is what was expected.
    pub fn is_good(&self) -> bool {
        self.got == self.example.expect
    }
}

/// Runs the examples in their order, in one simulated world: an example may read what one before it wrote, nothing of the
/// user's is there, and it is the first of January 2026. What is compiled is kept in `cache`, if there is one.
pub async fn run_examples(package: Package, cache: Option<PathBuf>) -> Result<Vec<Outcome>, PackageError> {
    let (name, examples) = (package.name().to_owned(), package.examples().to_vec());
    let host = Host::new(World::simulated(1), cache, None)?;
    let malformed = |problem: String| PackageError::Malformed { package: name.clone(), problem };
    let mut toolbox = Toolbox::default();
    for tool in host.load(package, &Surroundings::simulated()) {
        toolbox.register(tool).map_err(|error| malformed(error.to_string()))?;
    }
    let mut outcomes = Vec::with_capacity(examples.len());
    for example in examples {
        let id = format!("{name}.{}", example.call);
        let tool =
            toolbox.named(&id).ok_or_else(|| malformed(format!("an example calls `{id}`, which is not there")))?;
        outcomes.push(Outcome { got: called(tool, &example).await, example });
    }
    Ok(outcomes)
}

async fn called(tool: &Registered, example: &Example) -> String {
    let spec = tool.spec();
    let arguments = match tool.arguments(&example.arguments.to_string()) {
        Ok(arguments) => arguments,
        Err(error) => return error.to_string(),
    };
    let policy = Policy::parse("examples", POLICY).expect("a policy of one rule");
    let Decision::Allow(grant) = policy.decide(&spec.asks(&arguments)) else { unreachable!("it allows everything") };
    match tool.tool().call(arguments, grant, &Progress::default()).await {
        Ok(output) => output.text,
        Err(error) => error.to_string(),
    }
}
