;; Keeps the first message's handle and answers it when the next message comes: with the next one's body. A message that
;; begins with 't' makes it trap instead.
(module (; prelude ;)
  (global $kept (mut i32) (i32.const 0))
  (func (export "pg_activate") (local $handle i32)
    (block $done (loop $more
      (br_if $done (i32.le_s (call $next) (i32.const 0)))
      (if (i32.eq (call $first_body_byte) (i32.const 116)) (then (unreachable)))
      (local.set $handle (call $reply_handle))
      (if (global.get $kept)
        (then (drop (call $answer_to (global.get $kept) (i32.load (i32.const 12))))))
      (global.set $kept (local.get $handle))
      (br $more)))))
