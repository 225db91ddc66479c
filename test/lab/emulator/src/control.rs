//! The control socket: one JSON object per line in, one per line out.
//!
//!     {"do":"set","link":"wifi","direction":"forward","params":{"delayMs":10}}    direction omitted: both
//!     {"do":"params"|"counters"|"flows"|"reset","link":"wifi"}                    link omitted: all
//!     {"do":"capture","link":"wifi","path":"/tmp/wifi.pcap"}                      path omitted: stop
//!     {"do":"nat","link":"wifi","address":"10.0.1.77"}                            again: rebind; omitted: none
//!
//! Answers are `{"ok":true,"result":…}` or `{"ok":false,"error":"…"}`, with the request's `id` if it had one.

use crate::link::{DIRECTIONS, Link};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::io::{ErrorKind, Read, Result, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};

/// A request longer than this ends its connection, bytes.
const REQUEST_MAX: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    id: Option<Value>,
    r#do: String,
    link: Option<String>,
    direction: Option<String>,
    params: Option<Map<String, Value>>,
    path: Option<String>,
    address: Option<std::net::Ipv4Addr>,
}

struct Client {
    stream: UnixStream,
    pending: Vec<u8>,
}

/// Listening socket and its clients.
pub struct Control {
    listener: UnixListener,
    clients: Vec<Client>,
}

impl Control {
    /// Listens at `path`; a file left there by a dead emulator is replaced.
    pub fn listen(path: &str) -> Result<Control> {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Control { listener, clients: Vec::new() })
    }

    /// File descriptors to wait for.
    pub fn fds(&self) -> impl Iterator<Item = libc::c_int> {
        std::iter::once(self.listener.as_raw_fd()).chain(self.clients.iter().map(|c| c.stream.as_raw_fd()))
    }

    /// Accepts clients and answers complete requests.
    pub fn serve(&mut self, now_ns: u64, links: &mut [Link]) {
        while let Ok((stream, _)) = self.listener.accept() {
            if stream.set_nonblocking(true).is_ok() {
                self.clients.push(Client { stream, pending: Vec::new() });
            }
        }
        self.clients.retain_mut(|client| client.serve(now_ns, links));
    }
}

impl Client {
    /// False when the connection is over.
    fn serve(&mut self, now_ns: u64, links: &mut [Link]) -> bool {
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return false,
                Ok(count) => self.pending.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        while let Some(end) = self.pending.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            let mut answer = answer(now_ns, &line, links).to_string();
            answer.push('\n');
            // An answer may exceed the socket buffer; the links can wait for the lab's own client.
            let written = self.stream.set_nonblocking(false).and_then(|()| self.stream.write_all(answer.as_bytes()));
            if written.and_then(|()| self.stream.set_nonblocking(true)).is_err() {
                return false;
            }
        }
        self.pending.len() < REQUEST_MAX
    }
}

fn answer(now_ns: u64, line: &[u8], links: &mut [Link]) -> Value {
    let request: Request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => return json!({ "ok": false, "error": error.to_string() }),
    };
    let mut answer = match perform(now_ns, &request, links) {
        Ok(result) => json!({ "ok": true, "result": result }),
        Err(error) => json!({ "ok": false, "error": error }),
    };
    if let Some(id) = request.id {
        answer["id"] = id;
    }
    answer
}

fn perform(now_ns: u64, request: &Request, links: &mut [Link]) -> std::result::Result<Value, String> {
    let named = |link: &Link| request.link.as_ref().is_none_or(|name| *name == link.name);
    if !links.iter().any(named) {
        return Err(format!("no link named {}", request.link.as_deref().unwrap_or_default()));
    }
    let direction = match request.direction.as_deref() {
        None => None,
        Some(name) => Some(DIRECTIONS.iter().position(|d| *d == name).ok_or("direction: forward or backward")?),
    };
    let mut results = Map::new();
    for link in links.iter_mut().filter(|link| named(link)) {
        let result = match request.r#do.as_str() {
            "set" => {
                link.set(now_ns, direction, request.params.as_ref().ok_or("set needs params")?)?;
                link.params()
            }
            "params" => link.params(),
            "counters" => link.counters(),
            "flows" => link.flows(),
            "reset" => {
                link.reset();
                Value::Null
            }
            "capture" => {
                link.capture(request.path.as_deref())?;
                Value::Null
            }
            "nat" => {
                link.translate_as(request.address);
                Value::Null
            }
            other => return Err(format!("unknown request {other}")),
        };
        results.insert(link.name.clone(), result);
    }
    Ok(Value::Object(results))
}
