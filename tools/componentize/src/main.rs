//! `componentize MODULE COMPONENT`: wraps a WASM module into the component its embedded interface describes.
//!
//! Not a linker and no optimiser: the module is taken as it is. All of it is [`main`].

use std::error::Error;
use std::{env, fs};

use wit_component::ComponentEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = env::args().skip(1).collect();
    let [module, component] = paths.as_slice() else {
        return Err("usage: componentize MODULE COMPONENT".into());
    };
    let bytes = ComponentEncoder::default().module(&fs::read(module)?)?.validate(true).encode()?;
    fs::write(component, bytes)?;
    Ok(())
}
