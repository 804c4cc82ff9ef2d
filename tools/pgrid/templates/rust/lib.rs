//! NAME: answers every request with a greeting.
#![deny(unsafe_code)]

#[allow(dead_code, unsafe_code)] // a small program does not use all of it
mod promisegrid;

use promisegrid::{log, Message};

/// Called for each message. There is nothing to block on: what is not done when it returns is done at a later message,
/// in statics and thread_locals, which live until a panic or a passed limit starts the function afresh.
fn on_message(message: Message) {
    if let Message::Request(request) = message {
        if request.body.is_empty() {
            log("somebody sent nothing");
            return; // a request that is dropped is declined
        }
        let text = greeting(&request.body);
        let _ = request.answer(&text); // fails when nobody waits any more
    }
}

fn greeting(name: &[u8]) -> Vec<u8> {
    let mut text = b"hello, ".to_vec();
    text.extend_from_slice(name);
    text.truncate(promisegrid::BODY_MAX);
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn greets() {
        assert_eq!(super::greeting(b"world"), b"hello, world");
        assert_eq!(super::greeting(&[b'x'; 1024]).len(), 1024);
    }
}
