//! The network's one question whose answer has to be checked: which addresses a name has. `egress`, the only caller,
//! connects to the very addresses that it was given here.

use async_trait::async_trait;
use std::io;
use std::net::SocketAddr;

/// Name resolution.
#[async_trait]
pub trait Network: Send + Sync {
    /// Every address of `host`, with `port`. An address is its own name.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The machine's network.
pub struct RealNetwork;

#[async_trait]
impl Network for RealNetwork {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

/// No network at all: `--offline`, and simulations.
pub struct NoNetwork;

#[async_trait]
impl Network for NoNetwork {
    async fn resolve(&self, host: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        Err(io::Error::new(io::ErrorKind::NetworkUnreachable, format!("offline: {host} was not looked up")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_real_network_knows_addresses_and_no_network_knows_nothing() {
        for (host, address) in [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80")] {
            assert_eq!(RealNetwork.resolve(host, 80).await.unwrap(), [address.parse().unwrap()]);
        }
        assert!(NoNetwork.resolve("127.0.0.1", 80).await.is_err());
    }
}
