//! The network: names to addresses, addresses to byte streams. Which address may be reached is decided by `egress`,
//! the only caller; two steps, so that the address that was checked is the address that is connected to.

use async_trait::async_trait;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};

/// An open connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Name resolution and TCP connections.
#[async_trait]
pub trait Network: Send + Sync {
    /// Every address of `host`, with `port`.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
    /// A TCP connection to exactly this address.
    async fn connect(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>>;
}

/// The machine's network.
pub struct RealNetwork;

#[async_trait]
impl Network for RealNetwork {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(tokio::net::TcpStream::connect(address).await?))
    }
}

/// No network at all: `--offline`, and simulations.
pub struct NoNetwork;

#[async_trait]
impl Network for NoNetwork {
    async fn resolve(&self, host: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        Err(io::Error::new(io::ErrorKind::NetworkUnreachable, format!("offline: {host} was not looked up")))
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        Err(io::Error::new(io::ErrorKind::NetworkUnreachable, format!("offline: {address} was not contacted")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_real_network_reaches_loopback_and_no_network_reaches_nothing() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(RealNetwork.resolve("127.0.0.1", address.port()).await.unwrap(), [address]);
        assert!(RealNetwork.connect(address).await.is_ok());
        assert!(NoNetwork.resolve("127.0.0.1", 80).await.is_err());
        assert!(NoNetwork.connect(address).await.is_err());
    }
}
