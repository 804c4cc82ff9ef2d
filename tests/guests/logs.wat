;; Logs each body, then answers with one byte: the result of logging, negated.
(module (; prelude ;)
  (func (export "pg_activate") (local $handle i32) (local $result i32)
    (block $done (loop $more
      (br_if $done (i32.le_s (call $next) (i32.const 0)))
      (local.set $handle (call $reply_handle))
      (i32.store8 (i32.const 1) (i32.const 3))
      (i32.store (i32.const 4) (i32.const 3))
      (i32.store (i32.const 8) (i32.const 0))
      (i64.store (i32.const 24) (i64.const 0))
      (local.set $result (call $send (i32.const 0) (i32.add (i32.const 64) (i32.load (i32.const 12)))))
      (i32.store8 (i32.const 64) (i32.sub (i32.const 0) (local.get $result)))
      (drop (call $answer_to (local.get $handle) (i32.const 1)))
      (br $more)))))
