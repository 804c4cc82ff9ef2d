;; What every test guest begins with; tests put it where a guest says "(; prelude ;)". Offsets are those of pg_message
;; in abi/guest/promisegrid.h. A message is received at address 0.
(import "promisegrid" "receive" (func $receive (param i32 i32) (result i32)))
(import "promisegrid" "send" (func $send (param i32 i32) (result i32)))
(memory (export "memory") 2)
(func $next (result i32) (call $receive (i32.const 0) (i32.const 1088)))
(func $reply_handle (result i32) (i32.load (i32.const 8)))
(func $first_body_byte (result i32) (i32.load8_u (i32.const 64)))
;; Answers the message at 0 to `handle` with a body of `length` bytes.
(func $answer_to (param $handle i32) (param $length i32) (result i32)
  (i32.store8 (i32.const 1) (i32.const 1))
  (i32.store (i32.const 4) (local.get $handle))
  (i32.store (i32.const 8) (i32.const 0))
  (i32.store (i32.const 12) (local.get $length))
  (i64.store (i32.const 24) (i64.const 0))
  (call $send (i32.const 0) (i32.add (i32.const 64) (local.get $length))))
;; Answers with the body that is there.
(func $echo (result i32) (call $answer_to (call $reply_handle) (i32.load (i32.const 12))))
;; Answers with one byte: a result of send or receive, negated.
(func $answer_number (param $value i32) (result i32)
  (i32.store8 (i32.const 64) (i32.sub (i32.const 0) (local.get $value)))
  (call $answer_to (call $reply_handle) (i32.const 1)))
