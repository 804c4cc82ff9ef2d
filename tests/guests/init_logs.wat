;; Logs in pg_init, and traps at each message: every new instance begins with pg_init.
(module (; prelude ;)
  (data (i32.const 2048) "\01\03\00\00\03\00\00\00\00\00\00\00\07\00\00\00")
  (data (i32.const 2112) "started")
  (func (export "pg_init") (drop (call $send (i32.const 2048) (i32.const 71))))
  (func (export "pg_activate") (drop (call $next)) (unreachable)))
