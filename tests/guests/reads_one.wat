;; Reads and answers one message per activation.
(module (; prelude ;)
  (func (export "pg_activate")
    (if (i32.gt_s (call $next) (i32.const 0)) (then (drop (call $echo))))))
