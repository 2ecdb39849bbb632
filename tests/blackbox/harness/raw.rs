//! A client that is nothing but a socket: it sends what it is told and shows what comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::server::Server;
use super::wait::PATIENCE;

/// What most raw clients say of themselves: no `+OK`, no subject check, headers and 503s.
pub(crate) const QUIET: &str =
    r#"{"verbose":false,"pedantic":false,"protocol":1,"headers":true,"no_responders":true}"#;

/// One MSG or HMSG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) subject: String,
    pub(crate) sid: String,
    pub(crate) reply: Option<String>,
    /// Header block, empty for a MSG.
    pub(crate) headers: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

impl Message {
    /// The payload as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("a payload of text")
    }
}

/// One connection to a server.
#[derive(Debug)]
pub(crate) struct Raw {
    stream: TcpStream,
    unread: Vec<u8>,
    start: usize,
    info: String,
}

impl Raw {
    /// Connects the socket, reads and sends nothing.
    #[track_caller]
    pub(crate) fn open(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket option");
        stream.set_nodelay(true).expect("a socket option");
        Self { stream, unread: Vec::new(), start: 0, info: String::new() }
    }

    /// Connects and reads the first INFO.
    #[track_caller]
    pub(crate) fn greeted(server: &Server) -> Self {
        let mut raw = Self::open(server.addr());
        raw.info = raw.line();
        assert!(raw.info.starts_with("INFO {"), "{}", raw.info);
        raw
    }

    /// Connects with the usual options and waits until the server has taken them.
    #[track_caller]
    pub(crate) fn connect(server: &Server) -> Self {
        Self::connect_as(server, QUIET)
    }

    /// Connects with these options and waits until the server has taken them.
    #[track_caller]
    pub(crate) fn connect_as(server: &Server, options: &str) -> Self {
        let mut raw = Self::greeted(server);
        raw.send(format!("CONNECT {options}\r\n"));
        raw.sync();
        raw
    }

    /// The value of a field of the latest INFO.
    pub(crate) fn info_field(&self, field: &str) -> Option<serde_json::Value> {
        let json = self.info.strip_prefix("INFO ").expect("an INFO line");
        let info: serde_json::Value = serde_json::from_str(json.trim()).expect("INFO is JSON");
        info.get(field).cloned()
    }

    /// Writes these bytes.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server takes what is sent");
    }

    /// Writes these bytes, or learns that the server is no longer there.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// The socket itself, for its options.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// This end's port.
    pub(crate) fn local_port(&self) -> u16 {
        self.stream.local_addr().expect("a connected socket").port()
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish_sending(&self) {
        self.stream.shutdown(Shutdown::Write).expect("the socket is open");
    }

    /// The next line whatever it is, without its end; `None` once the server has closed.
    #[track_caller]
    pub(crate) fn any_line(&mut self) -> Option<String> {
        loop {
            let unread = self.unread.get(self.start..).unwrap_or_default();
            if let Some(end) = unread.iter().position(|&byte| byte == b'\n') {
                let line = String::from_utf8_lossy(unread.get(..end).unwrap_or_default());
                let line = line.trim_end_matches('\r').to_owned();
                self.start += end + 1;
                return Some(line);
            }
            if self.fill() == 0 {
                return None;
            }
        }
    }

    /// The next line that is news: a PING is answered, a later INFO is kept, both are passed over.
    #[track_caller]
    pub(crate) fn try_line(&mut self) -> Option<String> {
        loop {
            let line = self.any_line()?;
            if line == "PING" {
                // The server may have closed meanwhile; then the next read says so.
                let _ = self.try_send("PONG\r\n");
                continue;
            }
            if line.starts_with("INFO ") && !self.info.is_empty() {
                self.info = line;
                continue;
            }
            return Some(line);
        }
    }

    /// Like [`Self::try_line`], for a server that must not have closed.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        self.try_line().expect("the server has closed the connection")
    }

    /// The next line must be this one.
    #[track_caller]
    pub(crate) fn expect(&mut self, line: &str) {
        assert_eq!(self.line(), line);
    }

    /// PING, then every line before its PONG.
    #[track_caller]
    pub(crate) fn sync(&mut self) -> Vec<String> {
        self.send("PING\r\n");
        let mut before = Vec::new();
        loop {
            match self.line() {
                line if line == "PONG" => return before,
                line => before.push(line),
            }
        }
    }

    /// The lines before the server closed the connection.
    #[track_caller]
    pub(crate) fn closed(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.try_line()).collect()
    }

    /// The next MSG or HMSG; `None` once the server has closed.
    #[track_caller]
    pub(crate) fn try_message(&mut self) -> Option<Message> {
        let line = self.try_line()?;
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let number = |text: &str| text.parse::<usize>().unwrap_or_else(|_| panic!("a size in {line:?}"));
        let (subject, sid, reply, header_size, total) = match words.as_slice() {
            ["MSG", subject, sid, total] => (subject, sid, None, 0, number(total)),
            ["MSG", subject, sid, reply, total] => (subject, sid, Some(*reply), 0, number(total)),
            ["HMSG", subject, sid, headers, total] => (subject, sid, None, number(headers), number(total)),
            ["HMSG", subject, sid, reply, headers, total] => {
                (subject, sid, Some(*reply), number(headers), number(total))
            }
            _ => panic!("expected a message, got {line:?}"),
        };
        let mut headers = self.bytes(total)?;
        let payload = headers.split_off(header_size);
        assert_eq!(self.bytes(2)?, b"\r\n", "after the payload of {line:?}");
        Some(Message {
            subject: (*subject).to_owned(),
            sid: (*sid).to_owned(),
            reply: reply.map(str::to_owned),
            headers,
            payload,
        })
    }

    /// Like [`Self::try_message`], for a server that must not have closed.
    #[track_caller]
    pub(crate) fn message(&mut self) -> Message {
        self.try_message().expect("the server has closed the connection")
    }

    /// The next message must carry this subject and this payload.
    #[track_caller]
    pub(crate) fn expect_message(&mut self, subject: &str, payload: &str) {
        let message = self.message();
        assert_eq!((message.subject.as_str(), message.text()), (subject, payload));
    }

    /// Nothing but PONG may come for what has been sent so far.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self) {
        assert_eq!(self.sync(), Vec::<String>::new());
    }

    /// Exactly `count` bytes; `None` once the server has closed.
    pub(crate) fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.unread.len() - self.start < count {
            if self.fill() == 0 {
                return None;
            }
        }
        let bytes = self.unread.get(self.start..self.start + count)?.to_vec();
        self.start += count;
        Some(bytes)
    }

    /// Reads once; 0 at the end of the stream, a reset counting as one.
    #[track_caller]
    fn fill(&mut self) -> usize {
        self.unread.drain(..self.start);
        self.start = 0;
        let had = self.unread.len();
        self.unread.resize(had + (64 << 10), 0);
        let read = match self.stream.read(&mut self.unread[had..]) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("nothing came from the server: {error}"),
        };
        self.unread.truncate(had + read);
        read
    }
}
