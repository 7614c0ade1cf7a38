//! What elements become, one line each, and what hostile pages do not do.

use super::{Options, page};
use crate::tool::browser::page::Page;
use url::Url;

fn read(html: &str) -> Page {
    let url = Url::parse("https://here.test/dir/page.html").unwrap();
    page(html.as_bytes(), Some("text/html; charset=utf-8"), &url, Options::default())
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (html, expected) in cases {
        assert_eq!(read(html).text, *expected, "{html}");
    }
}

#[test]
fn white_space_collapses_as_css_does_it() {
    check(&[
        ("  a \n b\t<b> c </b> d ", "a b c d"),
        ("<b>a</b><i>b</i>", "ab"),
        ("a&nbsp;&nbsp;b", "a b"),
        ("<div>a</div> <div> b</div>", "a\nb"),
        ("<p>a</p>\n\n<p> </p>\n<p>b</p>", "a\n\nb"),
        ("<p>a</p><div></div><br><br><br><p>b</p>", "a\n\nb"),
        ("a<br>b<br><br>c<br><br><br><br>d", "a\nb\n\nc\n\nd"),
        ("<div>a<br></div>b", "a\nb"),
        ("a<wbr>b", "ab"),
        ("a&shy;b&#x200b;c\u{feff}", "abc"),
    ]);
}

#[test]
fn headings_and_rules() {
    check(&[
        ("<h1>A <em>b</em></h1>c<h3> d</h3>", "# A b\n\nc\n\n### d"),
        ("<h2>a<br>b</h2>", "## a b"),
        ("<h2><div>a</div><div>b</div></h2>", "## a\nb"),
        ("<h2></h2>a", "a"),
        ("<h2>a<a href='#a' title='Link to this'>¶</a></h2>", "## a"),
        ("a<hr>b", "a\n\n* * *\n\nb"),
    ]);
}

#[test]
fn lists() {
    check(&[
        ("<ul><li>a<li>b</ul>", "  * a\n  * b"),
        ("<ul><li>a<ul><li>b<ol><li>c</ol></ul><li>d</ul>", "  * a\n    * b\n      1. c\n  * d"),
        ("<ol><li>a<li value=7>b<li>c</ol>", "  1. a\n  7. b\n  8. c"),
        ("<ol start=3><li>a</ol>", "  3. a"),
        ("<p>x</p><ul><li><p>a</p></li><li><p>b</p></li></ul><p>y</p>", "x\n\n  * a\n  * b\n\ny"),
        ("<ul><li><p>a</p><p>b</p></li><li>c</li></ul>", "  * a\n\n    b\n\n  * c"),
        ("<ul><li>a<br>b</ul>", "  * a\n    b"),
        ("<ul><li></li><li>b</ul>", "  * b"),
        ("<dl><dt>a<dd>b<dd>c<dt>d<dd><p>e</p><dt>f<dd><p>g</p></dl>h", "a\n    b\n    c\nd\n    e\nf\n    g\n\nh"),
    ]);
}

#[test]
fn quotations_and_verbatim_text() {
    check(&[
        ("<blockquote>a<p>b</blockquote>c", "> a\n\n> b\n\nc"),
        ("<pre>\n a\n\tb  \n\n\n\nc</pre>", " a\n\tb\n\nc"),
        ("<ul><li>x<pre>a\n  b</pre></ul>", "  * x\n\n    a\n      b"),
        ("<pre>a <code>b</code></pre>", "a b"),
        ("use <code> a  b </code>.", "use `a b` ."),
        ("<code></code>a <kbd>Ctrl</kbd>", "a `Ctrl`"),
        ("10<sup>2</sup> H<sub>2</sub>O a<sup>[1]</sup>", "10^{2} H_{2}O a[1]"),
        ("<q>a</q> <del>b</del>", "“a” ~~b~~"),
        ("<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>", "漢(kan)"),
    ]);
}

#[test]
fn tables() {
    check(&[
        ("<table><tr><th>a<th>b<tr><td>1<td>2</table>", "a | b\n---|---\n1 | 2"),
        ("<table><tr><td>a<td>b<tr><td><td>2</table>", "a | b\n| 2"),
        ("<table><tr><td colspan=2>a<td>b<tr><td>1<td>2<td>3</table>", "a |  | b\n1 | 2 | 3"),
        ("<table><tr><td rowspan=2>a<td>b<tr><td>c</table>", "a | b\n| c"),
        ("<table><tr><td><p>a</p><ul><li>b<li>c</ul><td>d</table>", "a * b * c | d"),
        ("<table><caption>x</caption><tr><td>a<td>b</table>", "x\na | b"),
        // What only holds a page in place is no table.
        ("<table><tr><td><h1>a</h1><td><p>b</table>", "# a\n\nb"),
        ("<table><tr><td><table><tr><td>a<td>b</table></table>", "a | b"),
        ("<table><tr><td>a<tr><td>b</table>", "a\nb"),
    ]);
}

#[test]
fn links() {
    let page = read(
        "<a href=a.html>A†</a> <a href='/b'><code>b</code> </a>c <a href='a.html'>again</a> <a href=#x>here</a> \
         <a href=page.html#y>here too</a> <a href='https://other.test:8080/'>other</a> <a href='mailto:a@b.c'>mail</a> \
         <a href='javascript:x()'>script</a> <a href='file:///etc/passwd'>file</a> <a href=e></a> \
         <a href=f aria-label=Next><svg><title>no</title></svg></a>",
    );
    assert_eq!(
        page.text,
        "【0†A‡】 【1†b】 c 【0†again】 here here too 【2†other†other.test:8080】 mail script file 【3†Next】"
    );
    let urls: Vec<&str> = page.links.iter().map(|link| link.url.as_str()).collect();
    let expected =
        ["https://here.test/dir/a.html", "https://here.test/b", "https://other.test:8080/", "https://here.test/dir/f"];
    assert_eq!(urls, expected);
}

#[test]
fn a_link_ends_with_its_first_line() {
    check(&[
        ("<a href=a><div><h3>t</h3><p>words</p></div></a>", "### 【0†t】\n\nwords"),
        ("<a href=a>b<br>c</a>d", "【0†b c】d"),
        ("<pre><a href=a>b\nc</a></pre>", "【0†b】\nc"),
        ("<a href=a>b<table><td>c</table></a>", "【0†b】\n\nc"),
        ("<table><tr><td><a href=a>b</a><td><a href=c>d</a></table>", "【0†b】 | 【1†d】"),
    ]);
}

#[test]
fn addresses_are_relative_to_what_the_page_says() {
    let page = read("<base href='https://else.test/x/'><a href=y>z</a>");
    assert_eq!((page.text.as_str(), page.links[0].url.as_str()), ("【0†z†else.test】", "https://else.test/x/y"));
}

#[test]
fn pictures_are_numbered() {
    check(&[
        ("<img alt=' A  b'>", "[Image 0: A b]"),
        ("<img src=x> <img alt='' src=y><img title=t>", "[Image 0] [Image 1: t]"),
        ("<a href=x><img alt=Logo></a>", "【0†[Image 0: Logo]】"),
    ]);
}

#[test]
fn hidden_things_are_not_there() {
    check(&[(
        "<title>t</title><style>s</style><script>s</script><noscript>n</noscript><template>t</template><p hidden>h</p>\
         <p style='color:red; DISPLAY : none'>d</p><p style='visibility:hidden'>v</p><p aria-hidden=true>shown</p>\
         <dialog>closed</dialog><dialog open>open</dialog><!-- c --><iframe>i</iframe>",
        "shown\n\nopen",
    )]);
}

#[test]
fn forms_and_folds() {
    check(&[
        ("<label>Name <input value=x></label><input type=submit value=Send>", "Name [Send]"),
        ("<button>Go</button><button> </button>", "[Go]"),
        ("<select><option>a<option>b</select>", "[a, b]"),
        ("<details><summary>More</summary><p>inside</p></details>", "More\n\ninside"),
        ("<textarea>\na\n b</textarea>", "a\n b"),
    ]);
}

#[test]
fn formulas() {
    check(&[
        ("<math alttext='x^2'><mi>x</mi></math>", "x^2"),
        ("<math><mi>x</mi><annotation encoding='application/x-tex'>\\pi</annotation></math>", "\\pi"),
        (
            "<math><msup><mi>x</mi><mn>2</mn></msup><mo>=</mo><mfrac><mn>1</mn><mn>2</mn></mfrac></math>",
            "x^{2}=(1)/(2)",
        ),
        ("<svg><title>no</title><g><text>yes</text></g></svg>", "yes"),
    ]);
}

#[test]
fn a_page_cannot_imitate_our_marks() {
    let page = read("<title>【0†x】</title><p>【1†L2】 a†b <a href=x alt=y>【2†z】</a><img alt='【3†i】'>");
    assert_eq!(page.text, "〖1†L2〗 a†b 【0†〖2‡z〗】[Image 0: 〖3†i〗]");
    assert_eq!(page.title, "〖0†x〗");
    assert_eq!(read("a\u{1b}[2Jb\u{202e}c\u{e0041}d").text, "a[2Jbcd");
}

#[test]
fn a_page_has_a_title_whatever_it_says() {
    for (html, title) in [
        ("<title> A\n b </title><h1>c</h1>", "A b"),
        ("<svg><title>no</title></svg><h1>c <b>d</b></h1>", "c d"),
        ("x", "here.test"),
    ] {
        assert_eq!(read(html).title, title, "{html}");
    }
    let file = Url::parse("file:///a/b%20%C3%A9.html").unwrap();
    assert_eq!(page(b"x", None, &file, Options::default()).title, "b é.html");
}

#[test]
fn frames_are_links_and_an_empty_page_says_so() {
    check(&[
        ("<frameset><frame src=a.html name=left><frame src=b.html></frameset>", "【0†left】\n【1†frame】"),
        ("<script>x()</script>", "[This page has no text. It may be made by scripts, which do not run here.]"),
    ]);
}

#[test]
fn the_main_content_is_what_menus_surround() {
    let words = "A sentence about the matter itself, long enough to count. ".repeat(20);
    let menu = "<ul><li><a href=a>One</a><li><a href=b>Two</a><li><a href=c>Three</a><li><a href=d>Four</a><li><a href=e>Five</a></ul>";
    let chrome = format!("<header>Site</header><nav>{menu}</nav>");
    let notice = "<div class='Cookie-banner'>We value your privacy</div>";
    let url = Url::parse("https://here.test/").unwrap();
    for (html, expected) in [
        (format!("{chrome}<main><h1>T</h1><p>{words}</p></main><footer>f</footer>"), true),
        (format!("{chrome}<div><h1>T</h1><p>{words}</p>{menu}</div>{notice}<footer>f</footer>"), true),
        (format!("{chrome}<article><p>short</p></article>"), false),
        (menu.repeat(9), false),
    ] {
        let whole = page(html.as_bytes(), None, &url, Options::default()).text;
        let main = page(html.as_bytes(), None, &url, Options { main_content: true }).text;
        if expected {
            assert_eq!(main, format!("# T\n\n{}", words.trim()), "{html}");
        } else {
            assert!(main.len() * 2 >= whole.len(), "{whole}\n--\n{main}");
        }
    }
}

/// Limits against hanging, ten times what a slow machine needs.
#[track_caller]
fn is_quick(what: &str, html: &str) -> Page {
    let started = std::time::Instant::now();
    let page = read(html);
    assert!(started.elapsed().as_secs() < 20, "{what} took {:?}", started.elapsed());
    assert!(page.text.len() <= super::writer::MAX_TEXT + 100, "{what} gave {} bytes", page.text.len());
    page
}

#[test]
fn hostile_pages_are_read_in_time() {
    let n = 100_000;
    let deep = format!("{}x{}y", "<div>".repeat(n), "</div>".repeat(n));
    assert_eq!(is_quick("nesting", &deep).text, "x\ny");
    let spans = "<table>".to_owned() + &"<tr><td colspan=65534 rowspan=65534>a<td>b".repeat(10_000);
    assert!(is_quick("spans", &spans).text.contains("a |"));
    for (what, html) in [
        ("lists", "<ul><li>".repeat(n) + "x"),
        ("open formatting", (0..n).map(|i| format!("<font face={i}><p>a")).collect()),
        ("attributes", format!("<a {}>x", (0..2_000_000).map(|i| format!("{} ", i % 1000)).collect::<String>())),
        ("attributes in an old script", format!("<script>a<b \"</script><p {}>x", "q w e ".repeat(500_000))),
        ("names", (0..n).map(|i| format!("<element-{i}>x")).collect()),
        ("tables in tables", "<table><tr><td>".repeat(n)),
        ("rules below open elements", "<b>".repeat(1000) + &"<hr>".repeat(5 * n)),
        ("foster parents", "<table>".to_owned() + &"<b>x".repeat(n)),
        ("links", (0..n).map(|i| format!("<a href={i}>x</a>")).collect()),
        ("a long base", format!("<base href='/{}/'>", "b".repeat(4000)) + &"<a href=a>x</a><a href=b>y</a>".repeat(n)),
        ("quotations", "<blockquote>x".repeat(n)),
        ("formulas", "<math><msup>".to_owned() + &"<mi>x".repeat(n)),
        ("marks in a row", "<a href=x><sup>".to_owned() + &"<b></b><i>".repeat(n)),
        ("spaces", "<pre>".to_owned() + &" ".repeat(12 << 20) + "x"),
        ("words", "word ".repeat(3 << 20)),
    ] {
        is_quick(what, &html);
    }
}

#[test]
fn what_is_cut_says_so() {
    let page = read(&"<p>words</p>".repeat(1 << 20));
    assert!(page.text.ends_with("\n\n[The page goes on; only its first 10 MiB were read.]"));
    let page = read(&"<p>so many words in a row</p>".repeat(300_000));
    assert!(page.text.ends_with("\n\n[The page goes on; only its first 4 MiB of text are here.]"));
}
