//! The tool on a web in memory, as tables.

use std::cell::RefCell;

use super::*;

/// Answers every request the same, and keeps the last one.
struct One {
    answer: Result<Response, String>,
    asked: RefCell<Option<Request>>,
}

impl Web for One {
    fn send(&self, request: Request) -> Result<Response, String> {
        *self.asked.borrow_mut() = Some(request);
        self.answer.clone()
    }
}

fn web(content_type: &str, body: &[u8]) -> One {
    let headers = vec![("Content-Type".into(), content_type.into())];
    let response = Response { status: 200, url: "https://a.org/x/y?z=1".into(), headers, body: body.to_vec() };
    One { answer: Ok(response), asked: RefCell::default() }
}

/// What stands below the head.
fn body(web: &One, arguments: &str) -> (String, Vec<Attachment>) {
    let Output { text, attachments } = call(web, "fetch", arguments).unwrap();
    (text.split_once("\n\n").unwrap().1.to_owned(), attachments)
}

#[test]
fn the_examples_of_the_manifest() {
    let web = web("", b"");
    tool_guest::examples::check(include_str!("../tool.toml"), |name, arguments| call(&web, name, arguments));
    assert_eq!(*web.asked.borrow(), None);
}

#[test]
fn what_is_sent() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    for (arguments, method, headers, body) in [
        ("", "GET", vec![], ""),
        (r#","method":"head""#, "HEAD", vec![], ""),
        (r#","headers":["Accept: a/b; c","x-y:z"]"#, "GET", vec![pair("Accept", "a/b; c"), pair("x-y", "z")], ""),
        (r#","body":" {}""#, "POST", vec![pair("Content-Type", "application/json")], " {}"),
        (r#","body":"a","method":"PUT""#, "PUT", vec![pair("Content-Type", "text/plain; charset=utf-8")], "a"),
        (r#","body":"a=1","headers":["content-type: x/y"]"#, "POST", vec![pair("content-type", "x/y")], "a=1"),
        (r#","method":"POST","body":"""#, "POST", vec![], ""),
    ] {
        let web = web("", b"x");
        call(&web, "fetch", &format!(r#"{{"url":"u"{arguments}}}"#)).unwrap();
        let expected = Request { method: method.into(), url: "u".into(), headers, body: body.into() };
        assert_eq!(web.asked.into_inner(), Some(expected), "{arguments}");
    }
}

#[test]
fn what_is_refused_is_not_sent() {
    let web = web("", b"");
    let long = format!(r#"{{"url":"u","method":"{}"}}"#, "X".repeat(1_000_000));
    for arguments in [
        "{}",
        r#"{"url":"u","method":"CONNECT"}"#,
        r#"{"url":"u","method":""}"#,
        r#"{"url":"u","headers":["a\u0000b: c"]}"#,
        r#"{"url":"u","headers":["a: b\r\nHost: c"]}"#,
        r#"{"url":"u","headers":[": b"]}"#,
        r#"{"url":"u","headers":{"a":"b"}}"#,
        r#"{"url":"u","method":"HEAD","body":"x"}"#,
        r#"{"url":"u","from":-1}"#,
        r#"{"url":"u","more":1}"#,
        &long,
    ] {
        let error = call(&web, "fetch", arguments).unwrap_err();
        assert!(matches!(&error, Failure::Arguments(text) if text.len() < 300), "{arguments:.60}: {error:?}");
    }
    assert!(matches!(call(&web, "post", "{}"), Err(Failure::Unknown(_))));
    assert_eq!(*web.asked.borrow(), None);
}

#[test]
fn an_error_of_the_host_is_handed_on() {
    let web = One { answer: Err("a.org: not granted".into()), asked: RefCell::default() };
    assert_eq!(call(&web, "fetch", r#"{"url":"u"}"#), Err(Failure::Failed("a.org: not granted".into())));
}

#[test]
fn the_head_says_what_came() {
    let mut response = Response { status: 302, url: "https://a.org/".into(), headers: vec![], body: vec![] };
    response.headers =
        vec![("location".into(), "/b".into()), ("X-Long".into(), format!("a\x1b[2J{}", "x".repeat(999)))];
    let web = One { answer: Ok(response), asked: RefCell::default() };
    let got = call(&web, "fetch", r#"{"url":"u"}"#).unwrap().text;
    assert_eq!(got, "status: 302\nurl: https://a.org/\nlocation: /b\n\n[the answer is empty]");
    let got = call(&web, "fetch", r#"{"url":"u","method":"HEAD"}"#).unwrap().text;
    assert_eq!(
        got,
        format!("status: 302\nurl: https://a.org/\nlocation: /b\nX-Long: a [2J{}", "x".repeat(MAX_HEAD - 13))
    );
    let web = super::tests::web("text/html", b"<title>A\n &amp; B</title><p>x");
    let got = call(&web, "fetch", r#"{"url":"u"}"#).unwrap().text;
    assert_eq!(got, "status: 200\nurl: https://a.org/x/y?z=1\ncontent-type: text/html\ntitle: A & B\n\nx");
}

#[test]
fn text_is_read_in_its_encoding() {
    for (content_type, bytes, expected) in [
        ("text/plain; charset=utf-8", &b"caf\xc3\xa9"[..], "café"),
        ("text/plain; Charset=\"ISO-8859-1\"", b"caf\xe9", "café"),
        ("text/plain;charset=windows-1252", b"\x80", "€"),
        ("text/plain", b"caf\xe9", "café"),
        ("text/plain", b"caf\xc3\xa9 charset=shift_jis", "café charset=shift_jis"),
        ("text/plain; charset=shift_jis", b"\x93\xfa\x96{", "日本"),
        ("text/plain; charset=nonsense", b"caf\xc3\xa9", "café"),
        (
            "text/plain; charset=utf-8",
            b"\xff\xc0\x80\xed\xa0\x80!",
            "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}!",
        ),
        ("text/plain", b"\xff\xfea\0b\0", "ab"),
        ("text/plain; charset=utf-16be", b"\0a\0b", "ab"),
        ("text/html", b"<meta charset=iso-8859-2>\xb9", "š"),
        ("text/html", b"<meta charset='utf-16'>caf\xc3\xa9", "café"),
        ("text/html; charset=utf-8", b"<meta charset=latin1>\xc3\xa9", "é"),
        ("application/json", b"{\"a\":\r\n \"\xc3\xa9\"}", "{\"a\":\n \"é\"}"),
        ("application/feed+xml; charset=utf-8", b"<a>b</a>", "<a>b</a>"),
        ("", b" <!DOCTYPE html><p>a", "a"),
        ("", b"<a>", "<a>"),
        ("text/html", b"<div id=app></div><script>x()</script>", NO_TEXT),
    ] {
        let (text, attachments) = body(&web(content_type, bytes), r#"{"url":"u"}"#);
        assert_eq!((text.as_str(), attachments.len()), (expected, 0), "{content_type}");
    }
}

#[test]
fn what_is_no_text_is_attached() {
    for (content_type, url, bytes, name, media_type) in [
        ("application/pdf", "https://a.org/b/report.pdf?x=/y.txt", &b"%PDF-1.7"[..], "report.pdf", "application/pdf"),
        ("text/html", "https://a.org/b/report.pdf#z", b"%PDF-1.7", "report.pdf", "text/html"),
        ("image/png; x=y", "https://a.org/", b"\x89PNG", "answer.png", "image/png"),
        ("image/jpeg", "https://a.org", b"\xff", "answer.jpg", "image/jpeg"),
        ("", "https://a.org/..%2f..%2fetc", b"\0", "2f.._2fetc", "application/octet-stream"),
        ("a b/c", "https://a.org/.htaccess", b"\0", "htaccess.bin", "application/octet-stream"),
        ("text/plain", "https://a.org/a\u{202e}\n", b"a\0", "a.txt", "text/plain"),
        ("x/y", &format!("https://a.org/{}.z", "a".repeat(999)), b"x", &format!("{}.z", "a".repeat(58)), "x/y"),
    ] {
        let mut web = web(content_type, bytes);
        web.answer.as_mut().unwrap().url = url.into();
        let (text, attachments) = body(&web, r#"{"url":"u"}"#);
        assert_eq!(text, format!("[not text: {} bytes, attached as {name}]", bytes.len()), "{url}");
        let expected = Attachment { name: name.into(), media_type: media_type.into(), data: bytes.to_vec() };
        assert_eq!(attachments, [expected], "{url}");
    }
}

#[test]
fn long_text_is_given_in_parts_that_join() {
    let text: String = (0..9000).map(|n| format!("é{n}{}", if n % 50 == 0 { "\n" } else { " " })).collect();
    let web = web("text/plain", text.as_bytes());
    let (mut from, mut joined) = (0, String::new());
    loop {
        let (part, _) = body(&web, &format!(r#"{{"url":"u","from":{from}}}"#));
        let Some((part, note)) = part.rsplit_once("\n[") else {
            joined.push_str(&part);
            break;
        };
        joined.push_str(part);
        from += part.chars().count();
        assert!(part.len() <= MAX_SHOWN && part.ends_with('\n'));
        assert!(note.ends_with(&format!("-{from} of {}; read on with from = {from}]", text.chars().count())), "{note}");
    }
    assert_eq!(joined, text);
    let (_, attachments) = body(&web, r#"{"url":"u","method":"POST"}"#);
    assert_eq!(attachments[0].data, text.as_bytes());
    let beyond = call(&web, "fetch", r#"{"url":"u","from":999999}"#);
    assert!(matches!(beyond, Err(Failure::Arguments(text)) if text.contains("characters; from is 999999")));
    for (character, end) in [
        ("x", "x\n[characters 0-20000 of 20001; read on with from = 20000]"),
        ("\u{1f600}", "\u{1f600}\n[characters 0-5000 of 20001; read on with from = 5000]"),
        ("日", "日\n[characters 0-6666 of 20001; read on with from = 6666]"),
    ] {
        let wide = super::tests::web("text/plain", character.repeat(20_001).as_bytes());
        assert!(body(&wide, r#"{"url":"u"}"#).0.ends_with(end), "{end}");
    }
}

#[test]
fn a_page_is_read_as_a_person_would() {
    for (html, expected) in [
        ("<h1>A <b>b</b></h1>\n<p>c\n d<p>e", "# A b\n\nc d\n\ne"),
        ("a<br>b<br><br>c<br><br><br>d<hr>e", "a\nb\n\nc\n\nd\n\n---\n\ne"),
        ("<ul><li>a<li>b<ul><li>c</ul><li>d</ul><ol><li>e<li>f</ol>g", "- a\n- b\n  - c\n- d\n\n1. e\n2. f\n\ng"),
        ("<table><tr><th>a<th>b</tr><tr><td>c</td><td colspan=65534>d</td></tr></table>", "a | b\nc | d"),
        ("<pre>  a\n\n\n   b  c</pre>d", "  a\n\n\n   b  c\n\nd"),
        ("a&nbsp;&amp;&lt;b&gt;&eacute;&#x1f600;&bogus;", "a &<b>é\u{1f600}&bogus;"),
        ("<script>if (a<b) '</p>'</script><style>p{}</style>a<svg><title>t</title></svg><noscript>n</noscript>b", "ab"),
        ("<template>x<template>y</template>z</template>a<!-- c -->", "a"),
        ("<svg><g>x</g>y</svg>a", "a"),
        ("<a href=b>c <i>d</i> e</a>", "[c d e](https://a.org/x/b)"),
        ("<svg/>a<script/>b</script>c", "ac"),
        ("<img src=x alt=' a\n b '><img alt=''><img>", "[image: a b]"),
        (
            "<a href=b>c</a> <a href='/d e'>f</a> <a href=//g.org>h</a>",
            "[c](https://a.org/x/b) [f](https://a.org/d%20e) [h](https://g.org)",
        ),
        ("<a href='?q=é#r'> s </a>t", "[s](https://a.org/x/y?q=é#r) t"),
        ("<a href='#top'>a</a> <a href='javascript:x()'>b</a> <a href=mailto:c@d>e</a> <a>f</a>", "a b e f"),
        ("<a href=b></a><a href=c>d<a href=e>f", "[d](https://a.org/x/c)[f](https://a.org/x/e)"),
        ("<base href=https://b.org/k/><a href=l>m</a>", "[m](https://b.org/k/l)"),
        ("<a href='http://[bad'>a</a><a href='%zz'>b</a>", "ab"),
        ("</p></ul></a></pre></svg></title>a&#0;b", "a\u{fffd}b"),
        ("<p", ""),
        ("a<", "a<"),
    ] {
        assert_eq!(html::read(html, "https://a.org/x/y?z=1").text, expected, "{html}");
    }
}

#[test]
fn hostile_pages_end() {
    let n = 100_000;
    for (html, most) in [
        ("<div>".repeat(n), 0),
        ("<ul><li>".repeat(n) + "a", 2 * html::MAX_INDENT + 3),
        ("<b><table><tr><td>".repeat(n) + "x" + &"</td>".repeat(n), 10),
        (format!("<table><tr>{}</table>", "<td colspan=65534 rowspan=65534>a".repeat(n)), 4 * n),
        (format!("<a {}>x", "b=c d ".repeat(n)), 1),
        (format!("<a {}>x", (0..n).map(|n| format!("b{n}=c ")).collect::<String>()), 1),
        (format!("<pre>{}x", "\n".repeat(10 << 20)), 10 << 20),
        ("<template>".repeat(n) + "a", 0),
        ("<a href=b>c".repeat(n), 40 * n),
        ("&".repeat(n) + &"<".repeat(n) + &"<!--".repeat(n), 10 * n),
        ("<title>".repeat(n), 0),
        ("x".repeat(20 << 20), 20 << 20),
    ] {
        let page = html::read(&html, "https://a.org/");
        assert!(page.text.len() <= most, "{html:.40}: {}", page.text.len());
    }
    assert!(html::read("<p>", "not a url").text.is_empty());
}
