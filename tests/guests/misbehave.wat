;; Does what the first byte of a message says: 't' traps, 'l' loops, anything else is echoed.
(module (; prelude ;)
  (func $trap_here (unreachable))
  (func $loop_here (loop $ever (br $ever)))
  (func (export "pg_activate")
    (block $done (loop $more
      (br_if $done (i32.le_s (call $next) (i32.const 0)))
      (if (i32.eq (call $first_body_byte) (i32.const 116)) (then (call $trap_here)))
      (if (i32.eq (call $first_body_byte) (i32.const 108)) (then (call $loop_here)))
      (drop (call $echo))
      (br $more)))))
