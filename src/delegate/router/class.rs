//! What a line of the user's asks for, by its words alone: the cheapest of the router's signals, and the last.
//!
//! No model and no learning: lists of words, in English and German with a little French and Spanish. It errs towards
//! nothing special, for the local model can still call a cloud tool itself. Start at [`class`] and [`user_word`].

use super::request::{Attachment, Need};
use super::words::Words;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It needs somebody who can do this.
    Needs(Need),
    /// Programs, proofs and the like: for the local model, which may fail.
    Hard,
    /// Short talk.
    Simple,
    /// None of these.
    Plain,
}

/// What the user says about who shall answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserWord {
    /// The strong model.
    Up,
    /// Nobody but the local model.
    Stay,
    /// To go round the policy, or to send what is secret: that moves nothing.
    Around,
}

const CREATE: &str = "\
    draw, paint, sketch, illustrate, render, generate, create, make, design, produce, need, want, like, give, \
    image, picture, zeichne, male, mal, illustriere, erstelle, erstell, erzeuge, generiere, mach, mache, \
    entwirf, entwerfen, zeichnen, malen, brauche, hätte, möchte, bild, dessine, crée, génère, dibuja, crea, \
    genera, have, do, come, gern, gestalte, zeig";
/// Verbs that make a picture without naming one.
const DRAW: &str =
    "draw, paint, sketch, illustrate, zeichne, male, mal mir, illustriere, dessine, dibuja, visualise, visualize";
const PICTURE: &str = "\
    image, images, picture, pictures, photo, photograph, illustration, illustrations, logo, icon, poster, \
    painting, portrait, wallpaper, drawing, watercolour, watercolor, artwork, bild, bilder, foto, zeichnung, \
    gemälde, plakat, porträt, illustrationen, imagen, dibujo, dessin, banner, avatar, cartoon, comic, *bild, \
    pixel";
/// What is drawn by a program, or is no picture at all.
const PROGRAMS: &str = "\
    python, matplotlib, pillow, imagemagick, docker*, container*, ascii, svg, mermaid, plantuml, uml, latex, \
    tikz, html, css, img, code, function, script, skript, class diagram, diagram, diagramm, chart, \
    balkendiagramm, plot, graph, dd, iso, disk image, migration, column, tag, tree, baum, conclusion*, tabelle, \
    table, thumbnails, unicode, character*, class, klasse, list of, table of, liste, books, in words, \
    meal plan, up a, essensplan, schluss, program, programm, folder, ordner, verzeichnis, directory";
/// A question about something is not an order for it.
const ABOUT: &str = "\
    how do i, how do you, how does, how to, how can i, what makes, what does, what is the difference, explain, \
    write, wie erstelle, wie zeichne, wie macht, wie kann, wie transkribiert, was macht, \
    was ist der unterschied, schreib, schreibe, erkläre, beschreibe, repeat after me, translate, übersetze, \
    pretend, suggest, base64*, mach dir";
const EDIT: &str = "\
    remove, replace, change, add, erase, retouch, colourise, colorize, edit, turn, make, brighten, darken, put, \
    entferne, ersetze, bearbeite, füge, retuschiere, ändere, färbe, verwandle, mach";
/// What a tool on this machine does to a file.
const CONVERT: &str = "\
    convert, resize, rotate, crop, compress, rename, scale, ffmpeg, ffprobe, cut, trim, wandle, verkleinere, \
    vergrößere, drehe, schneide, benenne, konvertiere, bytes, how large, wie groß, wie lang ist, verschiebe, \
    move, delete, lösche, copy, kopiere";
const TRANSCRIBE: &str = "\
    transcribe, transcript of, transkribiere, transkribier, verschrifte, verschriftliche, speech to text, \
    subtitles for, untertitel für, what is said, what she says in, what he says in, gesagt wird, \
    wird in der sprachnachricht";
const SPEAK: &str = "\
    read this aloud, aloud, read it out, read it to me, read this out, text to speech, to speech, voice over, \
    spoken audio, as an audio file, as audio, an mp3 of, an audio file of, vorlesen, lies mir, audiodatei aus, \
    sprachausgabe, hörstück, als audio, speak the following, sprich den, sprich diesen, lies das vor, \
    lies es vor";
const LOOK: &str = "\
    look at, what is on, what is in, describe, what does, was zeigt, was steht, beschreibe, schau, was ist auf, \
    tell me what, read the text";
/// Facts that grow old within days.
const FRESH: &str = "\
    weather in, wetter in, wetter gerade, wetter heute, wie ist das wetter, headlines, latest news, news about, \
    news today, nachrichten von heute, neueste nachrichten, börsenkurs*, dax, league table, tabelle der, \
    on at the cinema, kino, stock market, next train, nächste zug, nächste bus, next bus, next flight, who won, \
    wer hat gestern, newest version of, latest version of, neueste version von, neuste version von, \
    current price, aktueller preis, derzeit bundeskanzler*, current prime minister, current president, \
    current chancellor, current ceo, election result*, wahlergebnis*";
const NOW: &str = "\
    today, today's, right now, at the moment, currently, current, this week, last night, yesterday, yet, \
    latest, up to date, tonight, this afternoon, this morning, last hours, last hour, heute, gerade, aktuell, \
    derzeit, gestern, diese woche, momentan, im moment";
const WORLD: &str = "\
    weather, headlines, euro, dollar, yen, gold, closed, central bank, match, strike, probe, stock*, price, \
    election, minister, president, traffic, wetter, nachrichten, gesperrt, streik, kurs, kanzler*, \
    bundeskanzler*, gewonnen, spiel, wahl, stau, news, oil, bitcoin, öl, landed, decide, umbrella, schirm, \
    earthquake*, erdbeben, cinema, concert*, rain, regen, regnet";
/// Of this machine, or of a lesson, not of the world today.
const HERE: &str = "\
    directory, branch, commit, function, file in, folder, note, notes, notizen, mail, e mail, email, sort, \
    novel, datei, ordner, zweig, determined, form, entsteht, roman";
/// Who is asked for: the adjective before `model`.
const STRONG: &str = "\
    strong, stronger, strongest, big, bigger, large, larger, hosted, better, best, cloud, starke, starken, \
    stärkere, stärkeren, große, großen, größere, größeren, bessere, besseren, beste, besten";
/// And what is done with them.
const HAND: &str = "\
    use, take, ask, let, get, pass, give, delegate, escalate, want, with, have, frag, frage, nimm, nutze, lass, \
    gib, hol, mit";
/// Of the cloud, but not somebody to ask.
const CLOUDS: &str = "\
    cloud provider*, cloud team, cloud account, cloud storage, cloud bill, cloud types, cloud computing";
/// Whoever speaks of these and of the cloud at once may be a stranger.
const POLICY: &str = "\
    policy, rules, instructions, restrictions, administrator, regeln, richtlinie, richtlinien, einschränkungen, \
    anweisungen";
const STAY: &str = "\
    do not use the cloud, don't use the cloud, do not ask the cloud, don't ask the cloud, without the cloud, \
    no cloud, not the cloud, keep this local, keep it local, stay local, locally only, local only, \
    do not use the strong, don't use the strong, never the cloud, frag nicht die cloud, ohne cloud, \
    ohne die cloud, nicht in die cloud, lokal bleiben, bleib lokal, nur lokal, keine cloud, \
    nicht das starke modell";
const AROUND: &str = "\
    ignore your, ignore the policy, ignore all, ignore previous, ignore any, ignore the rules, ignore the user, \
    disregard, override the, override your, bypass, forget your, forget all, developer mode, \
    policy allows everything, ignoriere deine, ignoriere alle, ignoriere die, umgehe, vergiss deine, \
    über die regeln hinweg, disable the policy, jailbreak";
const SECRETS: &str = "\
    my keys, my api keys, my key, my passwords, my password file, password file, my private key, \
    private key file, .env, ~/.ssh*, ~/.aws*, ~/.gnupg*, id_rsa, id_ed25519, credentials, my secrets, \
    meine schlüssel, meine passwörter, meinen passwörtern, meiner .env, meine zugangsdaten, zugangsdaten, \
    passwortdatei";

/// What the line asks for.
pub(super) fn class(words: &Words, attachments: &[Attachment]) -> Class {
    if let Some(ability) = need(words, attachments) {
        return Class::Needs(ability);
    }
    const HARD: &str = "\
        prove, proof, implement, refactor, compiler, optimise, optimize, beweise, entwirf, write a, rewrite, \
        linearizable, find all, show that";
    match words.len() {
        _ if words.has(HARD) => Class::Hard,
        0..=8 => Class::Simple,
        _ => Class::Plain,
    }
}

fn need(words: &Words, attachments: &[Attachment]) -> Option<Need> {
    let has_picture = attachments.iter().any(|file| file.media_type.starts_with("image/"));
    let has_sound = attachments.iter().any(|file| file.media_type.starts_with("audio/"));
    if words.has(CONVERT) {
        return None;
    }
    if has_sound {
        return Some(Need::Transcribe);
    }
    if has_picture {
        let is_edit = words.begins(EDIT) && !words.has("csv, table into, tabelle");
        return Some(if is_edit { Need::EditImage } else { Need::See });
    }
    let names_picture = names_file(words, ".png, .jpg, .jpeg, .webp");
    if names_picture && words.begins(EDIT) {
        return Some(Need::EditImage);
    }
    if names_picture && words.begins(LOOK) {
        return Some(Need::See);
    }
    let is_about = words.begins(ABOUT);
    let names_sound = names_file(words, ".mp3, .wav, .m4a, .ogg");
    if words.has(TRANSCRIBE) && (names_sound || !is_about) || names_sound && words.has("write down") {
        return Some(Need::Transcribe);
    }
    if is_about {
        return None;
    }
    if words.has(SPEAK) {
        return Some(Need::Speak);
    }
    let is_picture = words.begins(DRAW)
        || words.has_near(CREATE, PICTURE, 6)
        || words.has("to draw a, to paint a, to sketch a, as an image, as a picture, als bild, malen ?, zeichnen ?")
        || words.begins("an image of, a picture of, ein bild von");
    if is_picture && !words.has(PROGRAMS) && !words.has("took a picture, picture this") {
        return Some(Need::Image);
    }
    let is_fresh = words.has(FRESH) || words.has(NOW) && words.has(WORLD);
    (is_fresh && !words.has(HERE)).then_some(Need::Facts)
}

fn names_file(words: &Words, endings: &str) -> bool {
    words.each().any(|word| endings.split(", ").any(|ending| word.len() > ending.len() && word.ends_with(ending)))
}

/// What the user says about who shall answer, if anything.
pub(super) fn user_word(words: &Words) -> Option<UserWord> {
    if words.has(AROUND) {
        return Some(UserWord::Around);
    }
    if words.has(STAY) {
        return Some(UserWord::Stay);
    }
    if !is_up(words) || words.begins(ABOUT) {
        // Without a word for the cloud nothing secret is sent by one.
        let is_sent = words.has("send, upload, schick, schicke, lade, put them, attach");
        return (is_sent && words.has(SECRETS)).then_some(UserWord::Around);
    }
    Some(if words.has(SECRETS) || words.has(POLICY) { UserWord::Around } else { UserWord::Up })
}

/// Whether somebody stronger is asked for: `let the big model`, `ask the cloud`, `frag GPT`.
fn is_up(words: &Words) -> bool {
    let asks = |who: &str| words.has_near(HAND, who, 6);
    let names_model =
        words.has_near(STRONG, "model, modell, model's, modells", 0) || words.has_near("cloud", "modell, model", 1);
    (names_model && asks("model, modell, model's")
        || words.has("the cloud, die cloud, der cloud") && asks("cloud")
        || asks("gpt*"))
        && !words.has(CLOUDS)
        || words.begins("escalate, delegate") && names_model
}
