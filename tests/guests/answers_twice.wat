;; Answers with its body, then once more through the same handle, and logs one byte: the second result, negated.
(module (; prelude ;)
  (data (i32.const 2048) "\01\03\00\00\03\00\00\00\00\00\00\00\01\00\00\00")
  (func (export "pg_activate") (local $handle i32)
    (block $done (loop $more
      (br_if $done (i32.le_s (call $next) (i32.const 0)))
      (local.set $handle (call $reply_handle))
      (drop (call $echo))
      (i32.store8 (i32.const 2112) (i32.sub (i32.const 0) (call $answer_to (local.get $handle) (i32.const 0))))
      (drop (call $send (i32.const 2048) (i32.const 65)))
      (br $more)))))
