;; Answers each message with its own body.
(module (; prelude ;)
  (func (export "pg_activate")
    (block $done (loop $more
      (br_if $done (i32.le_s (call $next) (i32.const 0)))
      (drop (call $echo))
      (br $more)))))
