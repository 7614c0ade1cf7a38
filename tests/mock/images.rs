//! Images: real ones, small files, drawn here: a gradient in a fox's orange, of the size that was asked for.
//!
//! It draws PNG alone and says so; edits are checked for being images and lighten the gradient. Start at [`generate`].

use super::conversations::now;
use super::form::Form;
use super::reply::Reply;
use super::routes::{Ask, model};
use super::store::Store;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};
use std::io::Cursor;

type Answered = Result<Reply, Reply>;

/// What a request may hold, as a form too.
const FIELDS: &[&str] = &[
    "background",
    "image",
    "input_fidelity",
    "mask",
    "model",
    "moderation",
    "n",
    "output_compression",
    "output_format",
    "partial_images",
    "prompt",
    "quality",
    "size",
    "stream",
    "user",
];

/// The largest sides. In pixels.
const MAX_SIDES: (u32, u32) = (3840, 2160);

struct Order {
    width: u32,
    height: u32,
    quality: String,
    n: usize,
    /// How many unfinished ones a stream shows first; `None` where none is wanted.
    stream: Option<usize>,
}

pub fn generate(store: &mut Store, ask: &Ask<'_>) -> Answered {
    let request = ask.json()?;
    let order = order(&request)?;
    Ok(made(store, ask, &request, &order, 0, "image_generation"))
}

pub fn edit(store: &mut Store, ask: &Ask<'_>) -> Answered {
    let form = Form::parse(ask.content_type, ask.body);
    let mut request = json!({});
    for name in FIELDS.iter().filter(|name| !matches!(**name, "image" | "mask")) {
        if let Some(text) = form.text(name) {
            request[*name] = match *name {
                "n" | "partial_images" | "output_compression" => text.parse::<u64>().map_or(Value::Null, Value::from),
                "stream" => (text == "true").into(),
                _ => text.into(),
            };
        }
    }
    let order = order(&request)?;
    let images: Vec<_> = form.all("image").chain(form.all("image[]")).chain(form.all("mask")).collect();
    if images.is_empty() {
        return Err(Reply::missing("image"));
    }
    if images.iter().any(|part| image::load_from_memory(&part.bytes).is_err()) {
        return Err(Reply::invalid("image", "invalid_image_file", "Invalid image file or mode for image 1."));
    }
    Ok(made(store, ask, &request, &order, 80, "image_edit"))
}

fn order(request: &Value) -> Result<Order, Reply> {
    for name in request.as_object().into_iter().flat_map(serde_json::Map::keys) {
        if !FIELDS.contains(&name.as_str()) {
            return Err(Reply::invalid(name, "unknown_parameter", &format!("Unknown parameter: '{name}'.")));
        }
    }
    model(&request["model"], "image")?;
    if request["prompt"].as_str().is_none_or(str::is_empty) {
        return Err(Reply::missing("prompt"));
    }
    if request["output_format"].as_str().is_some_and(|format| format != "png") {
        return Err(Reply::invalid("output_format", "invalid_value", "This server draws PNG alone."));
    }
    let size = request["size"].as_str().filter(|size| *size != "auto").unwrap_or("1024x1024");
    let sides = size.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    let is_good = |(width, height): &(u32, u32)| {
        let (long, short) = (*width.max(height), *width.min(height));
        short > 0 && width % 16 == 0 && height % 16 == 0 && long <= MAX_SIDES.0 && short <= MAX_SIDES.1
    };
    let message = format!("Invalid size '{size}'. Width and height must be multiples of 16, up to 3840x2160.");
    let (width, height) = sides.filter(is_good).ok_or_else(|| Reply::invalid("size", "invalid_value", &message))?;
    let quality = request["quality"].as_str().unwrap_or("auto").to_owned();
    if !["auto", "low", "medium", "high", "xhigh", "max"].contains(&quality.as_str()) {
        return Err(Reply::invalid("quality", "invalid_value", &format!("Invalid value: '{quality}'.")));
    }
    let n = request["n"].as_u64().unwrap_or(1) as usize;
    let n_partial = request["partial_images"].as_u64().unwrap_or(0) as usize;
    if !(1..=10).contains(&n) || n_partial > 3 {
        return Err(Reply::invalid("n", "invalid_value", "`n` is 1 to 10, `partial_images` 0 to 3."));
    }
    Ok(Order { width, height, quality, n, stream: (request["stream"] == true).then_some(n_partial) })
}

fn made(store: &mut Store, ask: &Ask<'_>, request: &Value, order: &Order, light: u8, event: &str) -> Reply {
    let per_image = u64::from(order.width) * u64::from(order.height).div_ceil(16) / 64 + 1;
    let n_output = per_image * order.n as u64;
    let n_text = request["prompt"].as_str().unwrap_or_default().len().div_ceil(4) as u64;
    let n_image = if light > 0 { 300 } else { 0 };
    let usage = json!({
        "input_tokens": n_text + n_image, "input_tokens_details": {"text_tokens": n_text, "image_tokens": n_image},
        "output_tokens": n_output, "output_tokens_details": {"text_tokens": 0, "image_tokens": n_output},
        "total_tokens": n_text + n_image + n_output,
    });
    let id = store.new_id("img");
    store.charge(&id, ask.path, &usage);
    let quality = if order.quality == "auto" { "medium" } else { &order.quality };
    let size = format!("{}x{}", order.width, order.height);
    let encoded = STANDARD.encode(drawn(order.width, order.height, light));
    let about = json!({
        "created_at": now(), "background": "opaque", "output_format": "png", "quality": quality, "size": size,
    });
    let Some(n_partial) = order.stream else {
        let image = json!({"b64_json": encoded});
        let mut whole = about;
        whole["created"] = now().into();
        whole["data"] = Value::Array(vec![image; order.n]);
        whole["usage"] = usage;
        if let Some(fields) = whole.as_object_mut() {
            fields.remove("created_at");
        }
        return Reply::json(whole);
    };
    let mut events = Vec::new();
    for idx in 0..n_partial {
        let mut partial = about.clone();
        partial["type"] = format!("{event}.partial_image").into();
        partial["partial_image_index"] = idx.into();
        partial["b64_json"] = STANDARD.encode(drawn(order.width, order.height, 160 - 40 * idx as u8)).into();
        events.push(partial);
    }
    for _ in 0..order.n {
        let mut last = about.clone();
        last["type"] = format!("{event}.completed").into();
        last["b64_json"] = encoded.clone().into();
        last["usage"] = usage.clone();
        events.push(last);
    }
    for (n, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = n.into();
    }
    Reply::events(events)
}

/// From a fox's back to its belly, lighter by `light`.
fn drawn(width: u32, height: u32, light: u8) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |_, y| {
        let fade = (u64::from(y) * 120 / u64::from(height)) as u8;
        Rgb([226, 100_u8.saturating_add(fade).saturating_add(light), 30_u8.saturating_add(fade).saturating_add(light)])
    });
    let mut bytes = Cursor::new(Vec::new());
    match picture.write_to(&mut bytes, ImageFormat::Png) {
        Ok(()) => bytes.into_inner(),
        Err(_) => Vec::new(),
    }
}
