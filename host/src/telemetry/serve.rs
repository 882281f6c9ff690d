//! Numbers over HTTP, for a Prometheus that asks. Anybody who can reach the address can read them: they are counts and times,
//! never who or what.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Source;
use crate::metrics;

/// Connections at a time. Those that ask are few; the rest wait.
const CONNECTIONS: usize = 16;
/// How long a connection may take, from its first byte to its last.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a request's head may take.
const HEAD_LIMIT: Duration = Duration::from_secs(5);

/// Serves `GET /metrics`.
pub struct MetricsServer {
    listener: TcpListener,
}

impl MetricsServer {
    /// Listens on `address`.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`.
    pub async fn serve(self, source: Source, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let serving = async {
            loop {
                // Never closed: waits, does not fail.
                let place = places.clone().acquire_owned().await;
                match self.listener.accept().await {
                    Ok((connection, _)) => {
                        let answering = answer(connection, source.clone());
                        tokio::spawn(async move {
                            let _ = tokio::time::timeout(LIMIT, answering).await;
                            drop(place);
                        });
                    }
                    // Such as too many open files: goes by, and must not turn into a busy loop.
                    Err(error) => {
                        tracing::warn!("metrics: {error}");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
            }
        };
        stop.run_until_cancelled(serving).await;
    }
}

async fn answer(connection: TcpStream, source: Source) {
    let service = service_fn(|request| {
        let answer = respond(&request, &source);
        async { Ok::<_, Infallible>(answer) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(connection), service);
    if let Err(error) = served.await {
        tracing::debug!("metrics: {error}");
    }
}

fn respond(request: &Request<Incoming>, source: &Source) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "the numbers are at /metrics\n");
    }
    if request.method() != Method::GET {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "ask with GET\n");
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    match metrics::prometheus_text(source()) {
        Ok(text) => {
            let mut response = Response::new(Full::new(Bytes::from(text)));
            let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        Err(error) => {
            tracing::error!("metrics: {error}");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "see the log\n")
        }
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::metrics::Family;

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut connection = TcpStream::connect(address).await.expect("connected");
        connection
            .write_all(request.as_bytes())
            .await
            .expect("sent");
        let mut answer = String::new();
        connection
            .read_to_string(&mut answer)
            .await
            .expect("an answer");
        answer
    }

    #[tokio::test]
    async fn serves_numbers_at_one_path_and_nothing_else() {
        let server = MetricsServer::bind(([127, 0, 0, 1], 0).into())
            .await
            .expect("bound");
        let address = server.local_addr().expect("bound");
        let source: Source = Arc::new(|| vec![Family::gauge("backchannel_up", "Up", 1)]);
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.serve(source, stop.clone()));

        let head = "HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n";
        let numbers = ask(address, &format!("GET /metrics {head}")).await;
        assert!(numbers.starts_with("HTTP/1.1 200 OK"), "{numbers}");
        assert!(numbers.contains("\nbackchannel_up 1\n"), "{numbers}");
        let other = ask(address, &format!("GET /etc/passwd {head}")).await;
        assert!(other.starts_with("HTTP/1.1 404"), "{other}");
        let posted = ask(address, &format!("POST /metrics {head}")).await;
        assert!(posted.starts_with("HTTP/1.1 405"), "{posted}");
        let noise = ask(address, "\u{1b}[2J\r\n\r\n").await;
        assert!(
            noise.is_empty() || noise.starts_with("HTTP/1.1 400"),
            "{noise}"
        );

        stop.cancel();
        serving.await.expect("stopped");
    }
}
