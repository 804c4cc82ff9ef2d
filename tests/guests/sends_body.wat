;; The body, at address 64, is itself a message: sends it, and answers with one byte: the result, negated.
(module (; prelude ;)
  (func (export "pg_activate") (local $handle i32) (local $result i32)
    (block $done (loop $more
      (br_if $done (i32.le_s (call $next) (i32.const 0)))
      (local.set $handle (call $reply_handle))
      (local.set $result (call $send (i32.const 64) (i32.load (i32.const 12))))
      (i32.store8 (i32.const 64) (i32.sub (i32.const 0) (local.get $result)))
      (drop (call $answer_to (local.get $handle) (i32.const 1)))
      (br $more)))))
