//! The guest ABI, version 1, for functions in Rust: what promisegrid.h is for C. `pgrid new --lang rust` puts this file
//! into a project; it needs nothing but the standard library.
//!
//! The node activates a function when messages wait. Each is handed to `crate::on_message`, a function of yours, until
//! none is left. Each has a time limit, in CPU time; a function that panics, traps or passes a limit loses its memory and
//! starts again, and the message in hand is answered `broken`. Panics are written to `pgrid logs`.
//!
//! A function may ask others through handles that it holds: `send` takes a request or not, at once, and what comes of it
//! arrives later as a message of its own with the same id: `Message::Answer` or `Message::NonCommitment`. Exactly one
//! comes, unless the asker is restarted meanwhile.

/// Bytes that a body has at most.
pub const BODY_MAX: usize = 1024;
/// Handles that a message carries at most.
pub const RIGHTS_MAX: usize = 4;

const ABI_VERSION: u8 = 1;
const HEADER: usize = 64;

/// A right that this function holds, under its own number for it. Worth nothing to anybody else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Handle(u32);

impl Handle {
    const NONE: Handle = Handle(0);
    /// The function's own receive right.
    pub const OWN: Handle = Handle(1);
    /// Control: requests in the promise protocol (abi/wire/promise-1.md).
    pub const CONTROL: Handle = Handle(2);
    const LOG: Handle = Handle(3);

    /// Right `n`, from 0, in the order of `pgrid deploy --grant`; `pgrid inspect` shows which is which.
    pub const fn granted(n: u32) -> Handle {
        Handle(4 + n)
    }
}

/// How a handle goes along with a message: the receiver gets the right too, or instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carry {
    Copy(Handle),
    Move(Handle),
}

/// Why somebody did not do what was asked. Numbers are the ABI's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    UnknownProtocol = 1,
    NoSuchRight = 2,
    NotPermitted = 3,
    QuotaExceeded = 4,
    Busy = 5,
    TooLarge = 6,
    Broken = 7,
    Declined = 8,
    NoAnswer = 9,
    ProcessFailed = 10,
}

impl Reason {
    fn from_number(number: u16) -> Reason {
        match number {
            1 => Reason::UnknownProtocol,
            2 => Reason::NoSuchRight,
            3 => Reason::NotPermitted,
            4 => Reason::QuotaExceeded,
            5 => Reason::Busy,
            6 => Reason::TooLarge,
            7 => Reason::Broken,
            9 => Reason::NoAnswer,
            10 => Reason::ProcessFailed,
            _ => Reason::Declined, // 8, and what a later node may say
        }
    }
}

/// Why a message was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// No such handle, or a request that was answered already or has passed its deadline.
    Handle,
    /// No room now: try again at the next message.
    Busy,
    /// A body of more than `BODY_MAX` bytes, or more than `RIGHTS_MAX` handles.
    Length,
    /// The node did not understand the message: this file and the node are of different versions.
    Message,
}

/// What every message has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content {
    pub body: Vec<u8>,
    /// The number that was given to `send` for what this answers; the sender's own choice in a request.
    pub id: u64,
    /// Of the right that it came through: tells callers apart, as whoever made the rights numbered them.
    pub label: u64,
    /// Handles that came with it, now this function's own.
    pub rights: Vec<Handle>,
}

/// A request that waits for this function's answer. One that is dropped without any is declined.
#[derive(Debug)]
pub struct Request {
    pub body: Vec<u8>,
    pub label: u64,
    pub rights: Vec<Handle>,
    /// Microseconds that were left for the answer when the request came.
    pub deadline_us: u32,
    reply: Handle,
}

impl Request {
    pub fn answer(self, body: &[u8]) -> Result<(), Error> {
        self.answer_with(body, &[])
    }

    /// An answer that carries rights: all of them or, with an error, none.
    pub fn answer_with(mut self, body: &[u8], rights: &[Carry]) -> Result<(), Error> {
        write(&Outgoing { kind: Kind::Answer, reason: 0, to: self.reply, id: 0, deadline_us: 0, rights }, body)?;
        self.reply = Handle::NONE;
        Ok(())
    }

    /// Says no. Of the reasons, senders see Declined, Broken, Busy and ProcessFailed; any other becomes Declined.
    pub fn refuse(mut self, reason: Reason) -> Result<(), Error> {
        let to = std::mem::replace(&mut self.reply, Handle::NONE);
        write(&Outgoing { kind: Kind::NonCommitment, reason: reason as u16, to, id: 0, deadline_us: 0, rights: &[] }, &[])
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if self.reply != Handle::NONE {
            let reason = Reason::Declined as u16;
            let no = Outgoing { kind: Kind::NonCommitment, reason, to: self.reply, id: 0, deadline_us: 0, rights: &[] };
            let _ = write(&no, &[]); // fails when nobody waits any more
        }
    }
}

/// What arrives.
#[derive(Debug)]
pub enum Message {
    Request(Request),
    Answer(Content),
    NonCommitment(Content, Reason),
    /// News that nobody waits for an answer to.
    Notice(Content),
}

/// Asks whoever a handle leads to. `Ok`: taken, and an answer or a non-commitment with this `id` will come.
pub fn send(to: Handle, id: u64, body: &[u8]) -> Result<(), Error> {
    send_with(to, id, body, &[], 0)
}

/// The same with rights to carry, and a time for the answer in microseconds, 0 for as long as the right allows. A request
/// that is sent while another is in hand gets at most the time that one has left.
pub fn send_with(to: Handle, id: u64, body: &[u8], rights: &[Carry], deadline_us: u32) -> Result<(), Error> {
    write(&Outgoing { kind: Kind::Request, reason: 0, to, id, deadline_us, rights }, body)
}

/// Writes a line to `pgrid logs`; what is beyond `BODY_MAX` bytes is cut.
pub fn log(text: &str) {
    let body = &text.as_bytes()[..text.len().min(BODY_MAX)];
    let line = Outgoing { kind: Kind::Notice, reason: 0, to: Handle::LOG, id: 0, deadline_us: 0, rights: &[] };
    let _ = write(&line, body); // no room for a line: it is lost, and the function goes on
}

#[derive(Clone, Copy)]
enum Kind {
    Request = 0,
    Answer = 1,
    NonCommitment = 2,
    Notice = 3,
}

struct Outgoing<'a> {
    kind: Kind,
    reason: u16,
    to: Handle,
    id: u64,
    deadline_us: u32,
    rights: &'a [Carry],
}

// Where the fields of struct pg_message are (promisegrid.h): little-endian, 64 bytes, then the body.
const AT_REASON: usize = 2;
const AT_TO: usize = 4;
const AT_REPLY: usize = 8;
const AT_LENGTH: usize = 12;
const AT_ID: usize = 16;
const AT_LABEL: usize = 24;
const AT_DEADLINE: usize = 32;
const AT_RIGHTS: usize = 36;
const AT_MODES: usize = 52;

fn write(message: &Outgoing, body: &[u8]) -> Result<(), Error> {
    if body.len() > BODY_MAX || message.rights.len() > RIGHTS_MAX {
        return Err(Error::Length);
    }
    let mut bytes = [0u8; HEADER + BODY_MAX];
    bytes[0] = ABI_VERSION;
    bytes[1] = message.kind as u8;
    bytes[AT_REASON..AT_TO].copy_from_slice(&message.reason.to_le_bytes());
    bytes[AT_TO..AT_REPLY].copy_from_slice(&message.to.0.to_le_bytes());
    bytes[AT_LENGTH..AT_ID].copy_from_slice(&(body.len() as u32).to_le_bytes());
    bytes[AT_ID..AT_LABEL].copy_from_slice(&message.id.to_le_bytes());
    bytes[AT_DEADLINE..AT_RIGHTS].copy_from_slice(&message.deadline_us.to_le_bytes());
    for (i, right) in message.rights.iter().enumerate() {
        let (handle, mode) = match right {
            Carry::Copy(handle) => (handle, 1),
            Carry::Move(handle) => (handle, 2),
        };
        bytes[AT_RIGHTS + 4 * i..AT_RIGHTS + 4 * i + 4].copy_from_slice(&handle.0.to_le_bytes());
        bytes[AT_MODES + i] = mode;
    }
    bytes[HEADER..HEADER + body.len()].copy_from_slice(body);
    match host::send(&bytes[..HEADER + body.len()]) {
        0 => Ok(()),
        -1 => Err(Error::Handle),
        -2 => Err(Error::Busy),
        -3 => Err(Error::Length),
        _ => Err(Error::Message),
    }
}

fn read() -> Option<Message> {
    let mut bytes = [0u8; HEADER + BODY_MAX];
    let length = host::receive(&mut bytes);
    if length < HEADER {
        return None; // nothing waits
    }
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    let reason = Reason::from_number(u16::from_le_bytes([bytes[AT_REASON], bytes[AT_REASON + 1]]));
    let content = Content {
        body: bytes[HEADER..length].to_vec(),
        id: long(AT_ID),
        label: long(AT_LABEL),
        rights: (0..RIGHTS_MAX).map(|i| Handle(word(AT_RIGHTS + 4 * i))).filter(|h| *h != Handle::NONE).collect(),
    };
    Some(match bytes[1] {
        0 => Message::Request(Request {
            body: content.body,
            label: content.label,
            rights: content.rights,
            deadline_us: word(AT_DEADLINE),
            reply: Handle(word(AT_REPLY)),
        }),
        1 => Message::Answer(content),
        2 => Message::NonCommitment(content, reason),
        _ => Message::Notice(content),
    })
}

/// What the node calls when messages wait.
#[no_mangle]
pub extern "C" fn pg_activate() {
    while let Some(message) = read() {
        crate::on_message(message);
    }
}

/// What the node calls once, before the first message.
#[no_mangle]
pub extern "C" fn pg_init() {
    std::panic::set_hook(Box::new(|panic| log(&panic.to_string())));
}

/// The two calls that the node offers: all that is unsafe.
#[cfg(target_arch = "wasm32")]
mod host {
    mod imported {
        #[link(wasm_import_module = "promisegrid")]
        extern "C" {
            pub fn receive(buffer: *mut u8, capacity: u32) -> i32;
            pub fn send(message: *const u8, length: u32) -> i32;
        }
    }

    /// Bytes of the message that was taken; 0: nothing waits.
    pub fn receive(buffer: &mut [u8]) -> usize {
        // The buffer is ours and has the length we name; the node writes within it.
        let length = unsafe { imported::receive(buffer.as_mut_ptr(), buffer.len() as u32) };
        usize::try_from(length).unwrap_or(0).min(buffer.len())
    }

    pub fn send(message: &[u8]) -> i32 {
        // The node reads the message before it returns and keeps nothing of it.
        unsafe { imported::send(message.as_ptr(), message.len() as u32) }
    }
}

/// So that `cargo test` can test the rest of a function on any machine: nothing waits, everything is taken.
#[cfg(not(target_arch = "wasm32"))]
mod host {
    pub fn receive(_: &mut [u8]) -> usize {
        0
    }

    pub fn send(_: &[u8]) -> i32 {
        0
    }
}
