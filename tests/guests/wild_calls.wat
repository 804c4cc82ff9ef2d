;; The body holds two numbers: pointer and length. The first byte after them says what to call with them: 'r' receive,
;; 's' send. Answers with one byte: the result, negated.
(module (; prelude ;)
  (func (export "pg_activate") (local $handle i32) (local $result i32)
    (block $done (loop $more
      (br_if $done (i32.le_s (call $next) (i32.const 0)))
      (local.set $handle (call $reply_handle))
      (if (i32.eq (i32.load8_u (i32.const 72)) (i32.const 114))
        (then (local.set $result (call $receive (i32.load (i32.const 64)) (i32.load (i32.const 68)))))
        (else (local.set $result (call $send (i32.load (i32.const 64)) (i32.load (i32.const 68))))))
      (i32.store8 (i32.const 64) (i32.sub (i32.const 0) (local.get $result)))
      (drop (call $answer_to (local.get $handle) (i32.const 1)))
      (br $more)))))
