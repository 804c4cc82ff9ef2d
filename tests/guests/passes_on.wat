;; Of a request the body, at address 64, is itself a message: sends it, and answers with one byte: the result, negated. When that
;; message begins with version 2, the request is answered with it instead: header and all, with version 1 and the reply handle
;; put in. Messages that are no requests, or bring rights, are logged as they are. 't' makes it trap.
(module (; prelude ;)
  (func $tell (param $length i32)
    (memory.copy (i32.const 4160) (i32.const 0) (local.get $length))
    (memory.fill (i32.const 4096) (i32.const 0) (i32.const 64))
    (i32.store16 (i32.const 4096) (i32.const 0x0301))
    (i32.store (i32.const 4100) (i32.const 3))
    (i32.store (i32.const 4108) (local.get $length))
    (drop (call $send (i32.const 4096) (i32.add (i32.const 64) (local.get $length)))))
  (func (export "pg_activate") (local $handle i32) (local $result i32) (local $length i32)
    (block $done (loop $more
      (br_if $done (i32.le_s (local.tee $length (call $next)) (i32.const 0)))
      (if (i32.or (i32.load8_u (i32.const 1)) (i32.load (i32.const 44))) (then (call $tell (local.get $length))))
      (br_if $more (i32.load8_u (i32.const 1)))
      (if (i32.eq (call $first_body_byte) (i32.const 116)) (then (unreachable)))
      (local.set $handle (call $reply_handle))
      (if (i32.eq (call $first_body_byte) (i32.const 2))
        (then
          (i32.store8 (i32.const 64) (i32.const 1))
          (i32.store (i32.const 68) (local.get $handle))))
      (local.set $result (call $send (i32.const 64) (i32.load (i32.const 12))))
      (i32.store8 (i32.const 64) (i32.sub (i32.const 0) (local.get $result)))
      (drop (call $answer_to (local.get $handle) (i32.const 1)))
      (br $more)))))
