//! Which URLs and addresses may be talked to at all: those that others name, and those of the user's configuration.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::Url;

/// Ports that a public URL may name.
const PUBLIC_PORTS: [u16; 2] = [80, 443];

/// A server of the user's own, from their configuration: it may be a private one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// Reads a base URL; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("`{text}` is no URL: {error}"))?;
        check(&url, true)?;
        Ok(Self(url))
    }

    /// The URL itself.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Whether a URL is of this very server.
    pub fn covers(&self, url: &Url) -> bool {
        self.0.origin() == url.origin()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a URL must be whatever its host is; the error is fit for a model to read.
pub(super) fn check(url: &Url, is_local: bool) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{}: only http and https lead out of here", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL with a user name in it is not opened".into());
    }
    match url.port_or_known_default() {
        None | Some(0) => Err(format!("{url} has no port that can be opened")),
        Some(port) if !is_local && !PUBLIC_PORTS.contains(&port) => {
            Err(format!("port {port} is not opened: only 80 and 443 are"))
        }
        Some(_) => Ok(()),
    }
}

/// Whether an address is one of the public internet: not this machine, not its network, and nothing that leads there in
/// another form.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// By the registries of special addresses (RFC 6890 and its updates).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = a == 0
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a >= 224 // multicast, reserved, broadcast
        || (a == 100 && (64..128).contains(&b)) // shared by a provider's customers
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99) // relays of 6to4
        || (a == 198 && (b == 18 || b == 19)) // benchmarks
        || address == Ipv4Addr::new(168, 63, 129, 16); // a provider's own server, in every machine of it
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match segments {
        // Mapped and compatible forms of an IPv4 address, `::` and `::1` among them: nobody has an honest use for them here,
        // and rules of the address itself would not see them.
        [0, 0, 0, 0, 0, ..] => false,
        // Translated by a NAT64, with the well-known prefix; the local-use one leads inside.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(embedded(high, low)),
        // 6to4 wraps one too, and Teredo hides one.
        [0x2002, high, low, ..] => is_public_v4(embedded(high, low)),
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // Only this part is given out; unique local, link-local and multicast addresses are not in it.
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_lead_inside_are_told_from_public_ones() {
        for (address, expect) in [
            ("93.184.216.34", true),
            ("1.1.1.1", true),
            ("172.32.0.1", true),
            ("100.128.0.1", true),
            ("2606:4700::1111", true),
            ("64:ff9b::5db8:d822", true),
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("0.0.0.0", false),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("192.0.2.1", false),
            ("::ffff:93.184.216.34", false),
            ("168.63.129.16", false),
            ("::", false),
            ("::1", false),
            ("::127.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:a9fe:a9fe", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b:1::7f00:1", false),
            ("2002:7f00:1::", false),
            ("2001:0:1::1", false),
            ("fe80::1", false),
            ("fc00::1", false),
            ("fd12:3456::1", false),
            ("ff02::1", false),
            ("2001:db8::1", false),
            ("4000::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expect, "{address}");
        }
    }

    #[test]
    fn urls_that_lead_nowhere_good_are_refused() {
        for (text, words) in [
            ("file:///etc/passwd", "only http"),
            ("gopher://example.org/", "only http"),
            ("ftp://example.org/", "only http"),
            ("data:text/plain,x", "only http"),
            ("javascript:alert(1)", "only http"),
            ("http://good.test@127.0.0.1/", "user name"),
            ("http://example.org:0/", "no port"),
            ("http://example.org:22/", "port 22"),
            ("https://example.org:6379/", "port 6379"),
        ] {
            let error = check(&Url::parse(text).unwrap(), false).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        for text in ["http://host:99999/", "http://", "", "127.0.0.1"] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
        for text in ["http://example.org", "https://example.org:443/a?b", "http://EXAMPLE.org:80/"] {
            assert_eq!(check(&Url::parse(text).unwrap(), false), Ok(()), "{text}");
        }
    }

    #[test]
    fn an_endpoint_is_one_server() {
        let endpoint = Endpoint::parse("http://127.0.0.1:8080/v1").unwrap();
        for (url, expect) in [
            ("http://127.0.0.1:8080/v1/models", true),
            ("http://127.0.0.1:8081/v1", false),
            ("https://127.0.0.1:8080/v1", false),
            ("http://localhost:8080/v1", false),
        ] {
            assert_eq!(endpoint.covers(&Url::parse(url).unwrap()), expect, "{url}");
        }
        assert!(Endpoint::parse("ftp://x/").is_err() && Endpoint::parse("x").is_err());
    }
}
